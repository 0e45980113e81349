"""Make `hand.npz`, the mesh of the mean hand at rest: `python -m gmaps.synth.sculpt [FILE]`.

The file is shipped, because it takes a minute, and because the last bits of such sums differ between machines. The
flesh is a signed distance field: a smooth union of tapered capsules around the bones, pads, webs and forearm. Its
zero level is cut out of a grid by marching tetrahedra, and remeshed to triangles of even shape, small at the
fingertips (after Botsch and Kobbelt, "A Remeshing Approach to Multiresolution Modeling", 2004). What moves each
vertex, the weights, come from its place along the bones; across fingers they mix in the webs only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from gmaps.synth.flesh import ARM, JOINTS, Array
from gmaps.synth.remesh import Remesher, Triangles, relax, triangulate
from gmaps.synth.weigh import label, weigh

HERE = Path(__file__).parent
#: Cells of the grid that the flesh is cut out of, mm.
GRID = 2.5


def sculpt() -> tuple[Array, Triangles]:
    """The mesh, its vertices from the forearm to the fingertips."""
    reach = 14.0
    vertices, triangles = triangulate(JOINTS.min(0) - [reach + 12, ARM + 3, reach + 12], JOINTS.max(0) + reach, GRID)
    for _ in range(9):
        mesh = Remesher(vertices, triangles)
        mesh.split()
        mesh.merge()
        mesh.flip()
        vertices, triangles = mesh.pack()
        vertices = relax(vertices, triangles)
    for _ in range(4):
        mesh = Remesher(vertices, triangles)
        mesh.flip()
        vertices, triangles = mesh.pack()
        vertices = relax(vertices, triangles, 0.4)
    order = np.argsort(vertices[:, 1], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    triangles = rank[triangles]
    first = triangles.argmin(axis=1)
    triangles = np.take_along_axis(triangles, (first[:, None] + np.arange(3)) % 3, axis=1)
    return vertices[order], triangles[np.lexsort(triangles.T[::-1])]


def main(path: Path) -> None:
    """Make the file."""
    vertices, triangles = sculpt()
    weights = weigh(vertices, triangles)
    parts = label(vertices, weights)
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    shares = np.take_along_axis(weights, bones, axis=1)
    shares[shares < 0.004] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    np.savez_compressed(
        path,
        vertices=vertices.astype(np.float32),
        triangles=triangles.astype(np.uint16),
        bones=bones.astype(np.uint8),
        weights=shares.astype(np.float32),
        labels=(1 + parts[triangles].sum(axis=1).argmax(axis=1)).astype(np.uint8),
        vertex_labels=(1 + parts.argmax(axis=1)).astype(np.uint8),
    )
    print(f"{path}: {len(vertices)} vertices, {len(triangles)} triangles, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "hand.npz")
