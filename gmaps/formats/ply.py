"""Meshes as PLY files, binary, which every viewer of meshes opens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_HEADER = """ply
format binary_little_endian 1.0
comment millimetres; x right, y down, z forward
element vertex {vertices}
property float x
property float y
property float z
element face {faces}
property list uchar int vertex_indices
end_header
"""


def write_ply(path: str | os.PathLike[str], vertices: ArrayLike, triangles: ArrayLike) -> None:
    """Write a mesh; a file that is there is replaced when the new one is complete.

    Parameters
    ----------
    path
        The file.
    vertices : (V, 3)
        mm.
    triangles : (T, 3)
        Whole numbers from 0 to V - 1.
    """
    points, faces = np.asarray(vertices, "<f4"), np.asarray(triangles)
    kind: Any = [("count", "u1"), ("corners", "<i4", 3)]
    rows = np.empty(len(faces), kind)
    rows["count"], rows["corners"] = 3, faces
    head = _HEADER.format(vertices=len(points), faces=len(faces)).encode()
    file = Path(path)
    new = file.with_name(file.name + ".new")
    new.write_bytes(head + points.tobytes() + rows.tobytes())
    new.replace(file)
