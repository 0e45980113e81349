"""Frame to crop: cut the hand's cube out of a depth image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.center import find_center
from gmaps.errors import FrameError, UsageError, unknown_name
from gmaps.frame import BACKGROUND, Crop, Cube, Frame, Projection
from gmaps.kernels import colour, raster
from gmaps.kernels import joints as joint_kernels

#: What is hand in a crop: all that is seen in the cube, or what the data set says.
SILHOUETTES = ("depth", "segmentation")
#: Ways to find the centre of the cube; "file" takes a row of a centre file.
CENTERS = ("joints", "mean", "com", "file")


@dataclass(frozen=True)
class CropParams:
    """All that decides a crop, but for the frame.

    Parameters
    ----------
    size
        S, rows and columns of the crop.
    projection
        "orthographic" (HandMap's "clean") or "perspective".
    half_side
        Half the side of the cube, mm.
    center
        "joints", "mean", "com" or "file": see `gmaps.center`.
    silhouette
        "depth": whatever is seen in the cube is hand. "segmentation": what the data set says is, `Frame.mask`.
    color
        Whether crops have colour, too.
    flat
        Whether frames have colour alone, and no depth.
    """

    size: int = 128
    projection: Projection = "orthographic"
    half_side: float = 120.0
    center: str = "joints"
    silhouette: str = "depth"
    color: bool = False
    flat: bool = False

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 1024:
            raise UsageError(f"a crop has 16 to 1024 rows and columns, got {self.size}")
        if self.projection not in get_args(Projection):
            raise unknown_name("projection", self.projection, get_args(Projection))
        if not (np.isfinite(self.half_side) and self.half_side > 0):
            raise UsageError(f"half_side must be positive (mm), got {self.half_side}")
        if self.center not in CENTERS:
            raise unknown_name("way to find the centre", self.center, CENTERS)
        if self.silhouette not in SILHOUETTES:
            raise unknown_name("silhouette", self.silhouette, SILHOUETTES)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; those that older stores have where the silhouette is depth's."""
        values = asdict(self)
        usual = {"silhouette": "depth", "color": False, "flat": False}
        return {k: v for k, v in values.items() if k not in usual or v != usual[k]}


def crop_frame(frame: Frame, cube: Cube, *, size: int = 128, projection: Projection = "orthographic") -> Crop:
    """Cut a cube out of a frame.

    Parameters
    ----------
    frame
        Depth image and joints.
    cube
        The box around the hand.
    size
        S, rows and columns of the crop.
    projection
        "orthographic": the cube's points seen along z, rows are y and columns x, the nearest point wins, surfaces
        have no holes. "perspective": the window of the image that the cube's central plane fills, scaled.

    Returns
    -------
    Crop
        With `hand`, where the frame has a mask.

    Raises
    ------
    FrameError
        When no pixel, or none of the hand, lies in the cube, or joints are not finite, or (perspective) lie behind
        the camera.
    """
    joints = np.ascontiguousarray(frame.joints, np.float32)
    if joints.ndim != 2 or joints.shape[1] != 3 or not (joint_kernels.finite(joints) or np.isnan(joints).all()):
        raise FrameError(f"{frame.name}: joints must be finite, or all NaN, shape (J, 3), got shape {joints.shape}")
    x, y, z = cube.center
    if projection == "perspective" and (z <= 0 or (joints[:, 2] <= 0).any()):
        raise FrameError(f"{frame.name}: a perspective crop needs the cube's centre and all joints before the camera")
    depth = np.ascontiguousarray(frame.depth, np.float32)
    camera = frame.camera
    out = np.empty((size, size), np.float32)
    kernel = raster.orthographic if projection == "orthographic" else raster.perspective
    seen = kernel(depth, camera.fx, camera.fy, camera.cx, camera.cy, x, y, z, cube.half_side, out)
    if seen == 0:
        raise FrameError(
            f"{frame.name}: no depth pixel lies in the cube of half side {cube.half_side:g} mm around "
            f"({x:.0f}, {y:.0f}, {z:.0f}) mm: wrong centre, or an empty frame"
        )
    hand = None if frame.mask is None else _hand_of(frame, depth, cube, kernel, out)
    seen_in = None if frame.color is None else _color_of(frame, cube, out, projection)
    return Crop(out, cube, joints, projection, hand=hand, color=seen_in)


def _color_of(frame: Frame, cube: Cube, depth: NDArray[np.float32], projection: Projection) -> NDArray[np.uint8]:
    """The colour of a crop: of the window that the cube's central plane fills, or of the surface that is seen."""
    image, camera, size = np.ascontiguousarray(frame.color, np.uint8), frame.camera, len(depth)
    if image.shape != (*frame.depth.shape, 3):
        raise FrameError(f"{frame.name}: its colour has shape {image.shape}, its depth {frame.depth.shape}")
    out = np.empty((size, size, 3), np.uint8)
    (x, y, z), h = cube.center, cube.half_side
    if projection == "perspective":
        left, top = (x - h) * camera.fx / z + camera.cx, (y - h) * camera.fy / z + camera.cy
        colour.cut(image, left, top, 2 * h / size * camera.fx / z, 2 * h / size * camera.fy / z, out)
    else:
        colour.on_surface(image, depth, camera.fx, camera.fy, camera.cx, camera.cy, x, y, z, h, out)
    return out


def crop_flat(frame: Frame, *, size: int = 128) -> Crop:
    """Cut the box out of a frame that has colour and no depth.

    Parameters
    ----------
    frame
        A flat one: its box is the square to be cut out, its joints are u, v and 1.
    size
        S, rows and columns of the crop.

    Returns
    -------
    Crop
        Its lengths are pixels of the image; its depth is 1 throughout.

    Raises
    ------
    FrameError
        No colour or no box, joints that are not finite, or all of them outside the box.
    """
    if frame.color is None or frame.box is None:
        raise FrameError(f"{frame.name}: has no colour, or no box around its hand, so nothing can be cut out")
    joints = np.ascontiguousarray(frame.joints, np.float32)
    left, top, side, _ = frame.box
    cube = Cube((left + side / 2, top + side / 2, 1.0), side / 2)
    image, out = np.ascontiguousarray(frame.color, np.uint8), np.empty((size, size, 3), np.uint8)
    colour.cut(image, left, top, side / size, side / size, out)
    crop = Crop(np.full((size, size), BACKGROUND, np.float32), cube, joints, color=out)
    if frame.labelled and not (joint_kernels.finite(joints) and crop.inside().any()):
        raise FrameError(f"{frame.name}: its joints are not in the box around its hand; correct the labels")
    return crop


def _hand_of(
    frame: Frame, depth: NDArray[np.float32], cube: Cube, kernel: Callable[..., int], seen: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which pixels of a crop are hand: those where nothing of the scene lies before the hand."""
    mask, camera = np.asarray(frame.mask, bool), frame.camera
    if mask.shape != depth.shape:
        raise FrameError(f"{frame.name}: its mask has shape {mask.shape}, its depth {depth.shape}")
    alone = np.empty_like(seen)
    kernel(depth * mask, camera.fx, camera.fy, camera.cx, camera.cy, *cube.center, cube.half_side, alone)
    # What the hand's pixels cover alone they cover among all others, too: equal where nothing is nearer.
    hand: NDArray[np.bool_] = (alone < BACKGROUND) & (alone == seen)
    if not hand.any():
        raise FrameError(
            f"{frame.name}: no pixel of the hand is seen in its cube: it is hidden, or its mask is wrong"
        )
    return hand


def crop_dataset_frame(
    frame: Frame,
    depth_range: tuple[float, float],
    params: CropParams,
    center: NDArray[np.floating] | None = None,
    picture: Camera | None = None,
) -> Crop:
    """Crop a data set's frame as a build does.

    Parameters
    ----------
    frame
        From `DataSet.read`.
    depth_range
        The data set's, mm; used by center "com".
    params
        How to crop.
    center : (3,), optional
        mm, camera axes; the row of the centre file for center "file".
    picture
        The camera of the whole image, where the frame may hold a part of it.

    Raises
    ------
    FrameError
        No centre, no pixel in the cube, or all joints outside the picture: what is in the cube then is no hand.
    """
    if params.flat:
        return crop_flat(frame, size=params.size)
    if not params.color and frame.color is not None:
        frame = replace(frame, color=None)
    if frame.labelled:
        _check_in_picture(frame, picture or frame.camera)
    how = params.center if center is None else center
    cube = Cube(find_center(frame, how, params.half_side, depth_range), params.half_side)
    if params.silhouette == "depth":
        frame = replace(frame, mask=None) if frame.mask is not None else frame
    elif frame.mask is None:
        raise FrameError(f"{frame.name}: does not say which pixels are hand; take --silhouette depth")
    crop = crop_frame(frame, cube, size=params.size, projection=params.projection)
    return replace(crop, arrays=frame.arrays) if frame.arrays else crop


def _check_in_picture(frame: Frame, picture: Camera) -> None:
    joints = np.ascontiguousarray(frame.joints, np.float32)
    cam = picture if frame.depth.shape != (picture.height, picture.width) else frame.camera
    if joint_kernels.any_in_picture(joints, cam.fx, cam.fy, cam.cx, cam.cy, cam.width, cam.height):
        return
    u, v, _ = np.median(cam.project(joints), axis=0)
    raise FrameError(
        f"{frame.name}: all its joints lie outside the picture, about column {u:.0f} and row {v:.0f} of "
        f"{cam.width} x {cam.height}: the hand has left it, or axes, unit or camera are wrong"
    )
