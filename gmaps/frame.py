"""What travels through gmaps: a frame, the cube around its hand, and the crop of that cube.

Shapes, units and axes are said here once; every other file relies on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import FrameError, UsageError
from gmaps.kernels import joints as joint_kernels

Projection = Literal["orthographic", "perspective"]

#: No depth camera sees as far; nothing in a label, a cube or an image lies there.
FARTHEST_MM = 1e5
#: Depth of a crop's pixel where nothing is seen. Hand pixels are strictly nearer, so the mask is `depth < 1`.
BACKGROUND = np.float32(1.0)


@dataclass(frozen=True)
class Frame:
    """One depth image with its labels.

    Parameters
    ----------
    depth : (H, W) float32
        mm along the optical axis; 0 where there is no data.
    camera
        Intrinsics of this image.
    joints : (J, 3) float32
        mm, camera axes: x right, y down, z forward. All NaN where the frame has no labels.
    index
        The frame's number in its data set.
    subject, sequence
        Small integers whose meaning the data set's `Index` gives.
    name
        Where it comes from, for messages: "P0/5/000012_depth.bin".
    box
        left, top, width and height (px) of the part of the image that the hand is in; None where nobody says.
        Not necessarily within the image.
    arrays
        Whatever else the data set declares of its frames, by name; see `gmaps.datasets.FrameArray`.
    mask : (H, W) bool, optional
        Which pixels are hand, where the data set knows; the rest of the scene stays in `depth`.
    color : (H, W, 3) uint8, optional
        Red, green, blue, seen from the same camera. With a `depth` of no pixel at all, the frame is flat: its joints
        are u and v in pixels, and 1, and its box is the square that is cut out.
    """

    depth: NDArray[np.float32]
    camera: Camera
    joints: NDArray[np.float32]
    index: int = 0
    subject: int = 0
    sequence: int = 0
    name: str = ""
    box: tuple[float, float, float, float] | None = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None
    color: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        # What a masked array masks is no data, and must not come back as what lies beneath the mask.
        if isinstance(self.depth, np.ma.MaskedArray):
            object.__setattr__(self, "depth", np.ma.filled(self.depth, 0))
        if isinstance(self.joints, np.ma.MaskedArray):
            object.__setattr__(self, "joints", np.ma.filled(self.joints.astype(np.float32), np.nan))

    @property
    def labelled(self) -> bool:
        """Whether it has joints."""
        return _labelled(self.joints)

    @property
    def flat(self) -> bool:
        """Whether it has colour and no depth."""
        return self.color is not None and self.depth.size == 0


@dataclass(frozen=True)
class Cube:
    """Axis-aligned box around the hand.

    Parameters
    ----------
    center : (3,)
        mm, camera axes. Kept in float32 precision, because that is what a store keeps.
    half_side
        Half the side, mm.
    """

    center: tuple[float, float, float]
    half_side: float = 120.0

    def __post_init__(self) -> None:
        values = [float(np.float32(v)) for v in (*self.center, self.half_side)]
        if len(values) != 4 or not math.isfinite(sum(values)):
            raise FrameError(f"a cube needs a finite centre (x, y, z) and half side, got {self.center}")
        if values[3] <= 0:
            raise UsageError(f"half_side must be positive (mm), got {self.half_side}")
        object.__setattr__(self, "center", tuple(values[:3]))
        object.__setattr__(self, "half_side", values[3])

    def to_array(self) -> NDArray[np.float32]:
        """(4,) float32: center x y z, half_side, mm. The store's `cube` row."""
        return np.asarray([*self.center, self.half_side], np.float32)

    @classmethod
    def from_array(cls, row: NDArray[np.floating]) -> Cube:
        """The inverse of `to_array`."""
        x, y, z, h = (float(v) for v in row)
        return cls((x, y, z), h)


@dataclass(frozen=True)
class Crop:
    """The content of a cube on a square grid.

    Parameters
    ----------
    depth : (S, S) float32
        z relative to the cube in [-1, 1]: near face -1, far face 1; `BACKGROUND` (1) where nothing is seen.
        Values are representable in float16, so that a store returns them unchanged.
    cube
        The box.
    joints_mm : (J, 3) float32
        mm, camera axes.
    projection
        "orthographic": columns are x and rows are y. "perspective": columns and rows are the image's, scaled so
        that the cube's central plane fills the grid.
    arrays
        The frame's `arrays`, as they are: in the camera's axes, whatever the cube.
    hand : (S, S) bool, optional
        Which pixels are hand, where that is known; else all that is seen is. Maps are of the hand alone, networks
        read the whole depth.
    color : (S, S, 3) uint8, optional
        Red, green, blue of the same cube; black where nothing is seen. Of a flat frame it is all there is.
    """

    depth: NDArray[np.float32]
    cube: Cube
    joints_mm: NDArray[np.float32]
    projection: Projection = "orthographic"
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    hand: NDArray[np.bool_] | None = None
    color: NDArray[np.uint8] | None = None

    @property
    def flat(self) -> bool:
        """Whether it has colour and no depth at all."""
        return self.color is not None and not (self.depth < BACKGROUND).any()

    @property
    def size(self) -> int:
        """S, the number of rows and columns."""
        return int(self.depth.shape[0])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(S, S) bool, True on the hand."""
        seen = np.less(self.depth, BACKGROUND)
        return seen if self.hand is None else seen & self.hand

    def hand_only(self) -> Crop:
        """The crop with nothing but the hand in it: itself, where no `hand` is told."""
        if self.hand is None:
            return self
        return replace(self, depth=np.where(self.hand, self.depth, BACKGROUND), hand=None)

    def checked(self) -> Crop:
        """The crop, if its values are such as a frame's; what a store holds need not be what was written.

        Raises
        ------
        FrameError
            A joint or the cube is not before the camera within `FARTHEST_MM`, or a depth is not within [-1, 1].
        """
        cube = self.cube
        if not (max(map(abs, cube.center)) < FARTHEST_MM and cube.half_side < FARTHEST_MM):
            raise FrameError(f"no hand is in a cube at {cube.center} mm of half side {cube.half_side:g} mm")
        if self.labelled and not joint_kernels.plausible(self._mm(), np.float32(FARTHEST_MM)):
            raise FrameError(f"a joint is behind the camera, {FARTHEST_MM:g} mm away or more, or nowhere")
        low, high = self.depth.min(), self.depth.max()
        if not (low >= -1 and high <= 1):
            raise FrameError(f"a crop's depth is within -1 and 1, not {low:g} to {high:g}")
        return self

    @property
    def labelled(self) -> bool:
        """Whether it has joints; else all of them are NaN."""
        return _labelled(self.joints_mm)

    @property
    def joints(self) -> NDArray[np.float32]:
        """(J, 3) float32, cube units: 0 at the centre, -1 and 1 at the faces."""
        center = np.asarray(self.cube.center, np.float32)
        return (self.joints_mm - center) / np.float32(self.cube.half_side)

    def joints_px(self, size: int) -> NDArray[np.float64]:
        """Sub-pixel grid positions of the joints.

        Parameters
        ----------
        size
            H, the rows and columns of the grid that the positions refer to.

        Returns
        -------
        (J, 2) float64
            (row, col); an integer is a cell's centre, so the cube spans -0.5 to H - 0.5. Not clipped.
        """
        out = np.empty((len(self.joints_mm), 2))
        x, y, z = self.cube.center
        joint_kernels.pixels(self._mm(), x, y, z, self.cube.half_side, self.projection == "perspective", size, out)
        return out

    def inside(self) -> NDArray[np.bool_]:
        """(J,) bool, False for joints that lie outside the cube."""
        out = np.empty(len(self.joints_mm), np.bool_)
        joint_kernels.inside(self._mm(), *self.cube.center, self.cube.half_side, out)
        return out

    def _mm(self) -> NDArray[np.float32]:
        # Of one type and layout, since a kernel is compiled for each.
        return np.ascontiguousarray(self.joints_mm, np.float32)


@dataclass(frozen=True)
class OnHand:
    """A map that is 0 in the void, as what it is on the hand: a fifth of the numbers.

    Parameters
    ----------
    size
        H.
    cells : (n,) int32
        The hand's cells, row x H + column, rising.
    values : (n, C) float32
        Of these cells.
    """

    size: int
    cells: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the map."""
        return self.size, self.size, self.values.shape[1]

    def dense(self) -> NDArray[np.float32]:
        """(H, H, C) float32."""
        out = np.zeros(self.shape, np.float32)
        out.reshape(-1, self.values.shape[1])[self.cells] = self.values
        return out


def _labelled(joints: NDArray[np.floating]) -> bool:
    # Whoever has a first joint is labelled: no need to look at the others.
    return joints.size > 0 and not (math.isnan(joints.flat[0]) and np.isnan(joints).all())
