"""Draw the pictures of the synthetic hand's page: `python docs/make_hand_pictures.py [REAL]`.

Without REAL the contact sheet alone. REAL is a folder with `msra/msra14_joint.txt` and
`nyu/joint_uvd_test_kinect1.npz`, the labels beside which the hand's variety is drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

import gmaps
from gmaps.camera import Camera
from gmaps.datasets.msra.bin_files import CAMERA as MSRA_CAMERA
from gmaps.datasets.msra.bin_files import parse_joints
from gmaps.datasets.nyu import CAMERA as NYU_CAMERA
from gmaps.datasets.synthetic import CAMERA as SYNTHETIC_CAMERA
from gmaps.plot.sample import save_figure
from gmaps.skeleton import FINGER_COLOURS
from gmaps.synth import hand, skin, turns
from gmaps.synth.contact import free_pose
from gmaps.synth.poses import family_angles, make_shape
from gmaps.synth.render import render_hand, render_mesh

IMAGES = Path(__file__).parent / "img"
Array = NDArray[np.float64]

UPRIGHT = turns.about(0, np.pi)
VIEWS = {
    "palm": UPRIGHT,
    "back": turns.product(turns.about(1, np.pi), UPRIGHT),
    "thumb's side": turns.product(turns.about(1, 1.4), UPRIGHT),
    "little finger's side": turns.product(turns.about(1, -1.4), UPRIGHT),
    "oblique": turns.product(turns.about(0, 0.5), turns.product(turns.about(1, 0.7), UPRIGHT)),
    "fingers to the camera": turns.product(turns.about(0, 1.2), UPRIGHT),
}
_LIGHT = turns.unit(np.array([-0.4, -0.6, -0.75]))


def _picture(vertices: Array, size: int = 220) -> Array:
    """(size, size, 3): the mesh, lit, in the colours of its parts."""
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    focal = size * 0.47 * 900 / 125
    image = render_mesh(vertices + np.array([0, 0, 900]), Camera(focal, focal, size / 2, size / 2, size, size))
    # Normals of triangles blend at vertices; a second picture of each says what is seen where.
    mesh = skin.hand_mesh()
    corners = vertices[mesh.triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normal, mesh.triangles[:, k], flat)
    owner = _owners(vertices + np.array([0, 0, 900]), focal, size)
    lit = np.clip(turns.unit(normal) @ _LIGHT, 0, 1)[mesh.triangles].mean(axis=1)[owner] * 0.8 + 0.2
    tints = [FINGER_COLOURS[f] for f in hand.FINGERS] + ["#e2c3a5", "#c3a58c"]
    colours = np.array([[1, 1, 1], *([int(t[i : i + 2], 16) / 255 for i in (1, 3, 5)] for t in tints)])
    colours[1:6] = 0.45 * colours[1:6] + 0.55 * colours[6]
    return np.where((image.parts > 0)[..., None], colours[image.parts] * lit[..., None], 1.0)


def _owners(vertices: Array, focal: float, size: int) -> NDArray[np.int64]:
    """(size, size): the triangle seen, from three pictures of its number's digits."""
    triangles = skin.hand_mesh().triangles
    camera = Camera(focal, focal, size / 2, size / 2, size, size)
    number = np.arange(len(triangles))
    low, high = (render_mesh(vertices, camera, parts=d).parts.astype(int) for d in (number % 256, number // 256))
    return low + 256 * high


def contact_sheet() -> None:
    """Six poses from six sides, and six people."""
    names = ("open", "fist", "point", "pinch", "grasp", "Y")
    shape = hand.mean_shape()
    rest = skin.shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None])
    rows = []
    for name in (*names, "spread"):
        angles = family_angles("open" if name == "spread" else name)
        if name == "spread":
            angles[2:18:4] = 15, 4, -7, -16
            angles[18] = 66
        pose = free_pose(shape, angles)[1]
        rows.append([_picture(turns.apply(q, skin.skin(pose, *rest)[0])) for q in VIEWS.values()])
    people = []
    for values in (
        np.ones(8), (0.85, 1, 1, 1, 1, 1, 1, 1), (1.1, 1, 1, 1, 1, 1, 1, 1), (1, 1.08, 0.9, 1, 0.96, 0.94, 1, 0.95),
        (1, 0.93, 1.05, 0.96, 1.07, 1.1, 1, 1.06), (1, 1, 1, 1, 1, 1, 1.05, 1),
    ):  # fmt: skip
        one = make_shape(values)
        made = skin.shape_rest(one.roots[None], one.lengths[None], one.girth[None])
        people.append(_picture(turns.apply(UPRIGHT, made[1][0])))
    rows.append(people)
    figure = Figure(figsize=(12, 16), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), 6)
    for r, (row, label) in enumerate(zip(rows, (*names, "spread", "people"), strict=True)):
        for c, (axes, image) in enumerate(zip(grid[r], row, strict=True)):
            axes.imshow(image)
            axes.set_xticks([])
            axes.set_yticks([])
            for side in axes.spines.values():
                side.set_visible(False)
            if c == 0:
                axes.set_ylabel(label)
            if r == 0:
                axes.set_title(list(VIEWS)[c], fontsize=9)
    titles = ("mean", "small", "large", "long and slim", "short and thick", "wide apart")
    for axes, title in zip(grid[-1], titles, strict=True):
        axes.set_title(title, fontsize=9)
    save_figure(figure, IMAGES / "hand.png", dpi=62)


# --- variety ---------------------------------------------------------------------------------------------------


def real_nyu(path: Path) -> Array:
    """(F, 21, 3): NYU's labels, at the joints that they share with msra21."""
    with np.load(path) as file:
        points = NYU_CAMERA.unproject(file["joint_uvd"])
    out = np.empty((len(points), 21, 3))
    out[:, 0] = points[:, 30:32].mean(axis=1)
    for finger, first in enumerate((18, 12, 6, 0)):
        out[:, 1 + 4 * finger : 5 + 4 * finger] = points[:, [first + 5, first + 3, first + 1, first]]
    out[:, 17:] = points[:, [29, 27, 25, 24]]
    return out


def flexions(joints: Array) -> tuple[Array, Array, Array]:
    """Degrees, (N, 5) each: knuckles out of the palm, middle joints, last joints."""
    pose, _, _ = hand.follow_joints(joints)
    bones = turns.unit(np.diff(joints[:, 1:].reshape(-1, 5, 4, 3), axis=2))
    own = turns.apply(turns.inverse(pose.palm)[:, None], bones[:, :, 0])
    bends = [np.degrees(np.arccos(np.clip((bones[:, :, k] * bones[:, :, k + 1]).sum(-1), -1, 1))) for k in (0, 1)]
    return np.degrees(np.arctan2(own[..., 2], own[..., 1])), bends[0], bends[1]


def views(joints: Array) -> Array:
    """(N, 3): the direction to the camera in palm axes."""
    pose, _, _ = hand.follow_joints(joints)
    return turns.apply(turns.inverse(pose.palm), -turns.unit(joints.mean(axis=1)))


def occluded(joints: Array, camera: Camera) -> NDArray[np.int64]:
    """(N,): joints before which something else than their own flesh is seen, on the hand's own mesh."""
    counts = []
    for hand_joints in joints:
        depth = render_hand(hand_joints, camera)
        u, v, _ = np.rint(camera.project(hand_joints)).astype(int).T
        inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        front = depth[v.clip(0, camera.height - 1), u.clip(0, camera.width - 1)]
        counts.append((inside & (front > 0) & (hand_joints[:, 2] - front > 2 * hand.MEAN_RADII)).sum())
    return np.array(counts)


def variety(real: Path) -> None:
    """Histograms of angles, views and occluded joints, beside those of real labels."""
    data = gmaps.load_dataset("synthetic", frames=3400)
    made = np.stack([data.scene(i).joints for i in range(len(data))])
    msra = parse_joints((real / "msra" / "msra14_joint.txt").read_bytes(), "msra14")[0].astype(float)
    nyu = real_nyu(real / "nyu" / "joint_uvd_test_kinect1.npz")[::4]
    sets = {"synthetic": (made, SYNTHETIC_CAMERA), "NYU test": (nyu, NYU_CAMERA), "MSRA14": (msra, MSRA_CAMERA)}
    colours = {"synthetic": "#4363d8", "NYU test": "#f58231", "MSRA14": "#3cb44b"}
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 4).ravel()
    panels: list[tuple[str, dict[str, Array], NDArray[np.float64]]] = []
    bends = {n: flexions(j) for n, (j, _) in sets.items()}
    for k, what in enumerate(("knuckles", "middle joints", "last joints")):
        panels.append(
            (f"four fingers: {what}, degrees", {n: b[k][:, :4].ravel() for n, b in bends.items()},
             np.linspace(-40, 130, 35))
        )  # fmt: skip
    panels.append(
        ("thumb: middle joint, degrees", {n: b[1][:, 4] for n, b in bends.items()}, np.linspace(0, 100, 26))
    )
    sides = {n: views(j) for n, (j, _) in sets.items()}
    for axis, what in ((2, "palm's normal"), (1, "fingers' direction"), (0, "thumb's side")):
        angle = {n: np.degrees(np.arccos(np.clip(s[:, axis], -1, 1))) for n, s in sides.items()}
        panels.append((f"camera from the {what}, degrees", angle, np.linspace(0, 180, 31)))
    hidden = {n: occluded(j[: 1200 if n == "synthetic" else None], c).astype(float) for n, (j, c) in sets.items()}
    panels.append(("occluded joints of 21", hidden, np.arange(-0.5, 21.5)))
    for axes, (title, values, bins) in zip(grid, panels, strict=True):
        for name, value in values.items():
            axes.hist(value, bins, density=True, histtype="step" if name != "synthetic" else "stepfilled",
                      alpha=0.35 if name == "synthetic" else 1.0, color=colours[name], label=name)  # fmt: skip
        axes.set_title(title, fontsize=9)
        axes.set_yticks([])
        low, high = np.percentile(values["synthetic"], [0.5, 99.5])
        for name in ("NYU test", "MSRA14"):
            covered = ((values[name] >= low - 1) & (values[name] <= high + 1)).mean()
            print(f"{title}: {covered:.1%} of {name} within the middle 99 % of the synthetic set")
    grid[0].legend(fontsize=8)
    save_figure(figure, IMAGES / "variety.png", dpi=80)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    contact_sheet()
    if len(sys.argv) > 1:
        variety(Path(sys.argv[1]))
