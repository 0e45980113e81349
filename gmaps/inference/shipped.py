"""The weights that come with gmaps, and a hand found with them in one image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmaps.camera import Camera
from gmaps.center import find_center
from gmaps.errors import FrameError
from gmaps.frame import Frame
from gmaps.inference.detector import Array, Detector, Found, Judge
from gmaps.inference.predictor import Predictor
from gmaps.nets.pretrained import WEIGHTS


def load_pretrained(*, device: str = "auto", precision: str = "float32") -> Predictor:
    """The network that comes with gmaps, ready to predict; see docs/model-card.md for what it can and cannot do.

    Parameters
    ----------
    device, precision
        See `Predictor`.

    Returns
    -------
    Predictor
        Of skeleton msra21, right hands, cubes of half side 120 mm.

    Examples
    --------
    >>> predictor = load_pretrained()  # doctest: +SKIP
    >>> predictor.frame(depth, camera).joints  # doctest: +SKIP
    """
    return Predictor(WEIGHTS, device=device, precision=precision)


class HandInFrame(NamedTuple):
    """What `find_hand` gives.

    Parameters
    ----------
    frame
        With the hand's joints, mm.
    hand
        Its side and confidence, too.
    sure
        False where nothing reached the confidence of a hand, and what is nearest was taken for one.
    """

    frame: Frame
    hand: Found
    sure: bool


def find_hand(
    judge: Judge, depth: Array, camera: Camera, *, name: str = "frame", side: str = "auto",
    depth_range: tuple[float, float] = (100.0, 1500.0), center: tuple[float, float, float] | None = None,
) -> HandInFrame:  # fmt: skip
    """The surest hand of one depth image, of either side, wherever it is.

    Parameters
    ----------
    judge
        Such as `load_pretrained()`.
    depth : (H, W) float32
        mm; 0 where nothing was seen.
    camera
        Its intrinsics.
    name
        What messages call the image.
    side
        "right", "left" or "auto".
    depth_range
        Where to look, mm.
    center : (3,), optional
        The hand's middle, mm, where it is known.

    Raises
    ------
    FrameError
        Nothing of a hand's size lies in the range, or around the centre.
    """
    detector = Detector(judge, camera, depth_range=depth_range, side=side)
    image = np.ascontiguousarray(depth, np.float32)
    found = detector.detect(image) if center is None else []
    sure = bool(found)
    if not found:
        frame = Frame(image, camera, np.full((len(judge.skeleton), 3), np.nan, np.float32), name=name)
        half = judge.crop_params.half_side
        middle = find_center(frame, "com", half, detector.depth_range) if center is None else center
        found = sorted(detector.look(image, [middle], detector.sides), key=lambda f: -f.confidence)
        if not found:
            x, y, z = middle
            raise FrameError(f"{name}: nothing is seen around ({x:.0f}, {y:.0f}, {z:.0f}) mm: is that the centre?")
        sure = found[0].confidence >= detector.sure
    best = found[0]
    # A box that somebody gives is better than the one of the joints that were seen at first.
    closely = detector.look_closely(image, best.center if center is None else center, best.side)
    hand = best if closely is None else closely._replace(confidence=best.confidence)
    return HandInFrame(Frame(image, camera, hand.joints, name=name), hand, sure)
