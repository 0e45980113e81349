"""Joints on depth: whether a data set's units and axes are right, as a picture and as numbers.

A picture from the front alone does not tell: joints in metres, or all too near, project onto the same pixels. So the
hand is shown from the side, too, and the joints' distance behind the surface is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from gmaps.center import find_center
from gmaps.errors import FrameError
from gmaps.frame import Frame
from gmaps.plot.mesh_layer import draw_mesh
from gmaps.plot.sample import bare, draw_bones, grey_limits
from gmaps.skeleton import FINGERS, Skeleton

#: Joints of a hand lie inside it: half of them no farther behind its surface than this, nor before it, mm.
_DEEPEST, _BEFORE = 60.0, 15.0
#: Nor is any one of them this far from what is seen at its pixel, unless something hides it, mm.
_APART_BEHIND, _APART_BEFORE = 130.0, 50.0


@dataclass(frozen=True)
class Fit:
    """How a frame's joints lie to its depth.

    Parameters
    ----------
    joints
        How many have labels.
    in_image
        Those that project into the image.
    on_surface
        Those at whose pixel something is seen.
    joint_depth, image_depth
        Nearest and farthest, mm; NaN where there is none.
    behind
        Distances of joints behind the surface at their pixels: least, median, largest, mm.
    """

    joints: int
    in_image: int
    on_surface: int
    joint_depth: tuple[float, float]
    image_depth: tuple[float, float]
    behind: tuple[float, float, float]

    @property
    def verdict(self) -> str:
        """What a person should do about it, in a line."""
        if not self.joints:
            return "this frame has no labels"
        if 2 * self.on_surface < self.joints:
            return "most joints are not where anything is seen: are axes, camera, and xyz or uvd right?"
        if not -_BEFORE <= self.behind[1] <= _DEEPEST:
            return "the joints do not lie in what is seen: are the units of depth and joints, and the axes, right?"
        if self.behind[2] > _APART_BEHIND:
            return f"most joints lie in the hand, one {self.behind[2]:.0f} mm behind it: hidden, or a wrong label?"
        if self.behind[0] < -_APART_BEFORE:
            return f"most joints lie in the hand, one {-self.behind[0]:.0f} mm before it: a wrong label?"
        return "the joints lie in the hand"


def measure_fit(frame: Frame) -> Fit:
    """Compare a frame's joints with its depth.

    Parameters
    ----------
    frame
        Joints that are NaN count as not labelled.

    Returns
    -------
    Fit
    """
    joints = frame.joints[np.isfinite(frame.joints).all(axis=1) & (frame.joints[:, 2] > 0)]
    u, v, d = frame.camera.project(joints).T
    height, width = frame.depth.shape
    inside = (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)
    surface = frame.depth[np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)]
    gaps = (d[inside] - surface)[surface > 0]
    seen = frame.depth[frame.depth > 0]
    behind = (gaps.min(), np.median(gaps), gaps.max()) if gaps.size else (np.nan,) * 3
    return Fit(
        len(joints), int(inside.sum()), int(gaps.size), _ends(d), _ends(seen),
        (float(behind[0]), float(behind[1]), float(behind[2])),
    )  # fmt: skip


def _ends(values: NDArray[np.floating]) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.size else (float("nan"), float("nan"))


def frame_figure(
    frame: Frame,
    skeleton: Skeleton,
    half_side: float = 120.0,
    depth_range: tuple[float, float] = (50.0, 5000.0),
    mesh: tuple[NDArray[np.floating], NDArray[np.integer]] | None = None,
) -> Figure:
    """A depth image with its joints: whole, the hand enlarged, and the hand from the side.

    Parameters
    ----------
    frame
        Depth, camera and joints; joints may be NaN.
    skeleton
        Of the joints.
    half_side
        Half the side of the cube that is enlarged, mm.
    depth_range
        Where a hand without labels is looked for, mm.
    mesh
        Vertices (V, 3), mm, camera axes, and triangles (T, 3) of the hand, drawn over its depth.

    Returns
    -------
    matplotlib Figure
        Three panels; where there are no labels, around what is nearest.
    """
    figure = Figure(figsize=(15, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    whole, near, side = figure.subplots(1, 3, width_ratios=(4, 3, 3))
    labelled = bool(np.isfinite(frame.joints).all() and (frame.joints[:, 2] > 0).all())
    center = _center(frame, labelled, half_side, depth_range)
    seen = np.where(frame.depth > 0, frame.depth, np.nan)
    around = frame.joints[:, 2] if labelled else np.array([center[2]])
    white, black = grey_limits(float(around.min()) - 50, float(around.max()) + 100)
    px = frame.camera.project(frame.joints)[:, 1::-1] if labelled else None
    greys = colormaps["gray_r"].with_extremes(over="#d8e2ee", under="#f4f4f4")  # what is far from the hand is no hand
    for axes, size in ((whole, 4.0), (near, 6.0)):
        image = axes.imshow(seen, cmap=greys, vmin=white, vmax=black, interpolation="nearest")
        if px is not None:
            draw_bones(axes, px, skeleton, size)
    if mesh is not None:
        draw_mesh(near, frame.camera, *mesh)
    whole.set_xlim(-0.5, frame.depth.shape[1] - 0.5)
    whole.set_ylim(frame.depth.shape[0] - 0.5, -0.5)
    bare(whole, frame.name)
    figure.colorbar(image, ax=whole, label="mm", shrink=0.7, location="left")
    column, row, _ = frame.camera.project(np.array(center))
    reach_x, reach_y = (half_side / center[2] * f for f in (frame.camera.fx, frame.camera.fy))
    near.set_xlim(column - reach_x, column + reach_x)
    near.set_ylim(row + reach_y, row - reach_y)
    bare(near, f"{2 * half_side:g} mm around ({center[0]:.0f}, {center[1]:.0f}, {center[2]:.0f}) mm")
    _from_the_side(side, frame, skeleton, center, half_side, labelled)
    if labelled:
        groups = [g for g in (*FINGERS, "palm") if skeleton.fingers.get(g)]
        marks = [Line2D([], [], color=skeleton.colour(skeleton.fingers[g][0]), marker="o", label=g) for g in groups]
        near.legend(handles=marks, fontsize=8, loc="lower right", framealpha=0.7)
    return figure


def _center(
    frame: Frame, labelled: bool, half_side: float, depth_range: tuple[float, float]
) -> tuple[float, float, float]:
    try:
        return find_center(frame, "joints" if labelled else "com", half_side, depth_range)
    except FrameError:  # nothing is seen at all
        return 0.0, 0.0, 500.0


def _from_the_side(
    axes: Axes, frame: Frame, skeleton: Skeleton, center: tuple[float, float, float], half_side: float, labelled: bool
) -> None:
    """z to the right, y down: a surface, and the joints behind it."""
    rows, columns = np.nonzero(frame.depth)
    points = frame.camera.unproject(np.stack([columns, rows, frame.depth[rows, columns]], axis=1))
    # The pixels around the hand, at whatever depth: where joints are in a wrong unit, both must be seen.
    u, v, _ = frame.camera.project(np.array(center))
    reach_u, reach_v = (half_side / center[2] * f for f in (frame.camera.fx, frame.camera.fy))
    window = (np.abs(columns - u) < reach_u) & (np.abs(rows - v) < reach_v)
    points = points[window]
    if len(points):
        first = np.percentile(points[:, 2], 1)
        points = points[(points[:, 2] < max(center[2], first) + half_side)]
        points = points[:: max(1, len(points) // 8000)]
        axes.scatter(points[:, 2], points[:, 1], s=2.5, c="#a0a0a0", linewidths=0, rasterized=True)
    if labelled:
        draw_bones(axes, frame.joints[:, 1:], skeleton, 5.0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.invert_yaxis()
    axes.set_xlabel("z, away from the camera, mm", fontsize=8)
    axes.set_ylabel("y, down, mm", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_title("from the side" + (": joints lie behind the surface" if labelled else "; no labels"), fontsize=9)
