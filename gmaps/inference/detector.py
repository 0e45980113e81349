"""Finding hands in one depth image, without truth: candidates by depth, judged by the network's own maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.crop import CropParams, crop_frame
from gmaps.errors import FrameError, UsageError
from gmaps.frame import Crop, Cube, Frame
from gmaps.inference.candidates import find_candidates
from gmaps.skeleton import Skeleton

Array = NDArray[np.float32]
Side = Literal["right", "left"]
Sides = Literal["right", "left", "auto"]
#: A network says no more than this of what is no hand, and at least this of what is one, mostly: see the model card.
SURE = 0.3
#: Candidates, for each hand, that are looked at closely.
CLOSELY = 2
#: Hands nearer to each other than this, mm, are one.
APART = 100.0
#: Half sides of the cubes of the closest look, as shares of the network's own, and how much surer looks weigh more.
SIZES, TRUST = (0.92, 1.08), 30.0


class Judge(Protocol):
    """What a detector needs of a network: `gmaps.inference.Predictor` has it."""

    @property
    def crop_params(self) -> CropParams:
        """How its crops are made."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Of its joints."""
        ...

    def judge(self, crops: Sequence[Crop]) -> tuple[Array, Array]:
        """Joints (N, J, 3), mm, and confidence (N,), 0 to 1, of crops."""
        ...


class Found(NamedTuple):
    """A hand.

    Parameters
    ----------
    joints : (J, 3) float32
        mm, camera axes.
    confidence
        From 0 to 1.
    side
        As which it was seen.
    """

    joints: Array
    confidence: float
    side: Side

    @property
    def center(self) -> NDArray[np.float64]:
        """(3,): the middle of the joints' bounding box, mm."""
        return middle(self.joints)

    def box(self, camera: Camera) -> tuple[float, float, float, float]:
        """left, top, width, height of the joints in the image, px."""
        uv = camera.project(self.joints)[:, :2]
        low, high = uv.min(axis=0), uv.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def middle(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3,): the middle of a bounding box, mm."""
    result: NDArray[np.float64] = (joints.min(axis=0).astype(np.float64) + joints.max(axis=0)) / 2
    return result


def check_sides(side: str) -> tuple[Side, ...]:
    """The sides that are asked for: one, or both with "auto".

    Raises
    ------
    UsageError
        It is none of the three.
    """
    sides: dict[str, tuple[Side, ...]] = {"right": ("right",), "left": ("left",), "auto": ("right", "left")}
    if side not in sides:
        raise UsageError(f"a hand's side is right, left or auto, got {side!r}")
    return sides[side]


class Detector:
    """Hands in depth images.

    Parameters
    ----------
    judge
        A `Predictor`; its network has learnt right hands, and sees left ones in a mirror.
    camera
        Of the images.
    depth_range
        Where hands can be, mm.
    side
        "right", "left", or "auto": as whichever the network is surer of.
    sure
        Least confidence of a hand.
    most
        Candidates that are judged in one image.

    Raises
    ------
    UsageError
        A range that is none, or an unknown side.
    """

    def __init__(
        self, judge: Judge, camera: Camera, *, depth_range: tuple[float, float] = (100.0, 1500.0),
        side: str = "auto", sure: float = SURE, most: int = 6,
    ) -> None:  # fmt: skip
        near, far = depth_range
        if not (np.isfinite([near, far]).all() and 0 <= near < far):
            raise UsageError(f"a depth range is NEAR,FAR in mm, 0 <= NEAR < FAR, both finite: got {near:g},{far:g}")
        if not 0 <= sure <= 1:
            raise UsageError(f"a confidence is from 0 to 1, got {sure:g}")
        self.judge, self.camera, self.depth_range = judge, camera, (near, far)
        self.sides, self.sure, self.most = check_sides(side), sure, most
        self._blank = np.full((len(judge.skeleton), 3), np.nan, np.float32)

    def look(
        self, depth: Array, centers: Sequence[Sequence[float] | NDArray[np.floating]], sides: Sequence[Side]
    ) -> list[Found]:
        """Judge cubes around some places, each as each of some sides; places without depth are left out.

        Returns
        -------
        list of Found
            Side by side for each place that holds something, places in their order.
        """
        crops, asked = [], []
        for center in centers:
            crop = self._cut(depth, center)
            if crop is None:
                continue
            for side in sides:
                crops.append(crop if side == "right" else _mirrored(crop))
                asked.append((side, crop.cube.center[0]))
        if not crops:
            return []
        found = []
        for joints, sure, (side, x) in zip(*self.judge.judge(crops), asked, strict=True):
            own = joints.copy()
            if side == "left":
                own[:, 0] = np.float32(2 * x) - own[:, 0]
            found.append(Found(own, float(sure), side))
        return found

    def look_closely(self, depth: Array, center: Sequence[float] | NDArray[np.floating], side: Side) -> Found | None:
        """As `look`, of one place: four ways up and in two sizes, which takes eight times as long.

        An orthographic crop that is turned by a right angle is the crop of a hand that is turned so, and a network
        that takes one of them for a hand of another turn is seldom as sure of it. Joints are the mean of what is
        seen, weighted by exp(30 confidence).

        Returns
        -------
        Found or None
            Of the surest look the confidence; None where nothing is seen. As `look` of crops in perspective, which
            cannot be turned.
        """
        if self.judge.crop_params.projection != "orthographic":
            return next(iter(self.look(depth, [center], (side,))), None)
        cut = [crop for share in SIZES if (crop := self._cut(depth, center, share)) is not None]
        if not cut:
            return None
        seen = [_mirrored(c) if side == "left" else c for c in cut]
        looks = [(turned(c, quarters), quarters) for c in seen for quarters in range(4)]
        joints, sure = self.judge.judge([crop for crop, _ in looks])
        middle_xy = np.asarray(cut[0].cube.center[:2])
        every = np.stack([turn_back(j, middle_xy, q) for j, (_, q) in zip(joints, looks, strict=True)])
        weight = np.exp(TRUST * (sure - sure.max())) if np.isfinite(sure).all() else np.ones(len(sure))
        mean = np.tensordot(weight / weight.sum(), every, axes=1)
        if side == "left":
            mean[:, 0] = 2 * middle_xy[0] - mean[:, 0]
        return Found(mean.astype(np.float32), float(sure.max()), side)

    def _cut(self, depth: Array, center: Sequence[float] | NDArray[np.floating], share: float = 1.0) -> Crop | None:
        """The crop around a place, of a share of the network's own size; None where nothing is seen."""
        params = self.judge.crop_params
        x, y, z = (float(v) for v in center)
        cube = Cube((x, y, z), share * params.half_side)
        try:
            return crop_frame(
                Frame(depth, self.camera, self._blank), cube, size=params.size, projection=params.projection
            )
        except FrameError:
            return None

    def places(
        self, depth: Array, most: int, taken: Sequence[NDArray[np.float64]], least: float
    ) -> list[NDArray[np.float64]]:
        """Where a hand could be by a first look, the surest first.

        Parameters
        ----------
        depth, taken
            See `detect`.
        most
            No more than so many.
        least
            Confidence of a hand: a closer look, as either side, gives more than the first, but not twice as much.

        Returns
        -------
        list of (3,)
            Middles of the joints that the network sees there, mm.
        """
        known: tuple[tuple[float, float, float], ...] = tuple((float(c[0]), float(c[1]), float(c[2])) for c in taken)
        half_side = self.judge.crop_params.half_side
        spots = find_candidates(depth, self.camera, half_side, self.depth_range, most=self.most, taken=known)
        # As one side first: half the time, and a hand of the other side is still surer than what is none.
        first = sorted(self.look(depth, [p.center for p in spots], self.sides[:1]), key=lambda f: -f.confidence)
        return [f.center for f in first[:most] if f.confidence >= 0.6 * least]

    def detect(self, depth: Array, hands: int = 1, taken: Sequence[NDArray[np.float64]] = ()) -> list[Found]:
        """Hands in an image, the surest first.

        Parameters
        ----------
        depth : (H, W) float32
            mm; 0 where nothing was seen.
        hands
            No more than so many.
        taken
            Middles of hands that are known already, mm.

        Returns
        -------
        list of Found
            Each with joints of a second look, whose cube is around the joints of the first.
        """
        likely = self.places(depth, CLOSELY * hands, taken, self.sure)
        chosen: list[Found] = []
        # Stable: of two that are equally sure, the nearer.
        for found in sorted(self.look(depth, likely, self.sides), key=lambda f: -f.confidence):
            far = all(np.linalg.norm(found.center - c) > APART for c in (*(o.center for o in chosen), *taken))
            if len(chosen) < hands and found.confidence >= self.sure and far:
                chosen.append(found)
        return chosen


def turned(crop: Crop, quarters: int) -> Crop:
    """An orthographic crop turned by quarter turns: what was seen at +x is then seen at -y, above, and so on."""
    return Crop(np.ascontiguousarray(np.rot90(crop.depth, quarters)), crop.cube, crop.joints_mm, crop.projection)


def turn_back(joints: NDArray[np.floating], center: NDArray[np.float64], quarters: int) -> NDArray[np.float64]:
    """(J, 3) joints of a crop that was `turned`, in the axes that it had before; `center` is (2,), mm."""
    result = joints.astype(np.float64)
    x, y = (joints[:, :2] - center).T
    for _ in range(quarters):
        x, y = -y, x
    result[:, 0], result[:, 1] = center[0] + x, center[1] + y
    return result


def _mirrored(crop: Crop) -> Crop:
    """A crop seen in a mirror, about its cube's own middle."""
    return Crop(np.ascontiguousarray(crop.depth[:, ::-1]), crop.cube, crop.joints_mm, crop.projection)
