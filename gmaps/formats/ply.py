"""Meshes as PLY files, binary, which every viewer of meshes opens."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gmaps.formats.outputs import holds, replacing

_COMMENT = b"comment millimetres; x right, y down, z forward"
#: Meshes that `write_ply` wrote.
MESH = holds(_COMMENT)
_HEADER = """ply
format binary_little_endian 1.0
{comment}
element vertex {vertices}
property float x
property float y
property float z
element face {faces}
property list uchar int vertex_indices
end_header
"""


def write_ply(
    path: str | os.PathLike[str], vertices: ArrayLike, triangles: ArrayLike, inputs: Iterable[object] = ()
) -> None:
    """Write a mesh; one of ours that is there is replaced when the new one is complete.

    Parameters
    ----------
    path
        The file.
    vertices : (V, 3)
        mm.
    triangles : (T, 3)
        Whole numbers from 0 to V - 1.
    inputs
        Files that are not to be written.

    Raises
    ------
    OutputError
        It cannot be written, or something else is there.
    """
    points, faces = np.asarray(vertices, "<f4"), np.asarray(triangles)
    kind: Any = [("count", "u1"), ("corners", "<i4", 3)]
    rows = np.empty(len(faces), kind)
    rows["count"], rows["corners"] = 3, faces
    head = _HEADER.format(comment=_COMMENT.decode(), vertices=len(points), faces=len(faces)).encode()
    with replacing(path, MESH, inputs) as place:
        place.write_bytes(head + points.tobytes() + rows.tobytes())
