"""Limb masks: how close a cell is to the hand's bones in the plane (NSRM, WACV 2020).

Deterministic (LDM): 1 where a cell's projection onto the limb falls within its length and lies one cell away at most,
else 0: flat caps. Probabilistic (LPM): exp(-D^2 / 2 sigma^2), with
sigma = 1 cell and D the distance to the segment. The NSRM poster prints D without the square; its code squares it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.kernels.planar import drawn
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.scene import Scene
from gmaps.skeleton import Skeleton


def groups(skeleton: Skeleton) -> list[int]:
    """Group of each bone: its finger's number, or one more than the last for the palm's bones."""
    fingers = [members for name, members in skeleton.fingers.items() if name != "palm"]
    found = []
    for parent, child in skeleton.bones:
        own = [k for k, members in enumerate(fingers) if parent in members and child in members]
        found.append(own[0] if own else len(fingers))
    return found


def members_of(skeleton: Skeleton, grouping: str) -> list[list[int]]:
    """The bones of each channel."""
    bones = len(skeleton.bones)
    every = [list(range(bones))]
    if grouping == "each":
        return [[b] for b in range(bones)]
    if grouping == "g1":
        return every
    of = groups(skeleton)
    parts = [[b for b in range(bones) if of[b] == k] for k in range(max(of) + 1)]
    return parts if grouping == "g6" else every + parts


def _names(skeleton: Skeleton, grouping: str) -> list[str]:
    """Of each channel: its bone, or its finger."""
    if grouping == "each":
        return [f"{skeleton.joints[parent]} to {skeleton.joints[child]}" for parent, child in skeleton.bones]
    fingers = [*(name for name in skeleton.fingers if name != "palm"), "palm"]
    parts = [] if grouping == "g1" else fingers[: len(members_of(skeleton, "g6"))]
    return parts if grouping == "g6" else ["all limbs", *parts]


def _mirrored(skeleton: Skeleton, grouping: str) -> list[int] | None:
    """For each channel the one of the bones that a mirror swaps its own with; None where there is no such."""
    swap, bones = skeleton.swapped, [frozenset(bone) for bone in skeleton.bones]
    members = [{bones[b] for b in own} for own in members_of(skeleton, grouping)]
    seen = [{frozenset(swap[j] for j in bone) for bone in own} for own in members]
    return [members.index(own) for own in seen] if all(own in members for own in seen) else None


def _encoder(probabilistic: bool, grouping: str) -> Callable[[Scene], NDArray[np.float32]]:
    def encode(scene: Scene) -> NDArray[np.float32]:
        skeleton = scene.skeleton
        if skeleton is None:
            raise UsageError("limb maps need to know the bones: give encode a skeleton")
        if len(skeleton) != scene.joints:
            raise UsageError(f"skeleton {skeleton.name} has {len(skeleton)} joints, the crop {scene.joints}")
        members = members_of(skeleton, grouping)
        px = scene.joints_px
        bones = np.array(skeleton.bones, np.int64).reshape(-1, 2)
        all_first = grouping == "g1g6"
        channel = np.empty(len(bones), np.int64)
        for k, own in enumerate(members):
            if k or not all_first:
                channel[own] = k
        out = np.empty((scene.size, scene.size, len(members)), np.float32)
        drawn.limbs(np.hstack([px[bones[:, 0]], px[bones[:, 1]]]), channel, probabilistic, all_first, out)
        return out

    return encode


_WORDS = {
    "each": "one channel a limb",
    "g1": "all limbs in one channel",
    "g6": "a channel for each finger and the palm",
    "g1g6": "all limbs, then each finger and the palm",
}

#: Kind -> whether it is probabilistic, and how bones are grouped.
LIMBS: dict[str, tuple[bool, str]] = {}

for _mask, _what in (("lpm", "exp(-D^2 / 2)"), ("ldm", "1 where D <= 1, beside the limb and not beyond its ends")):
    for _grouping, _words in _WORDS.items():
        # NSRM's best, probabilistic in seven channels, is called limb without more.
        _name = "limb" if (_mask, _grouping) == ("lpm", "g1g6") else f"limb_{_mask}_{_grouping}"
        LIMBS[_name] = (_mask == "lpm", _grouping)
        register_map(
            MapKind(
                name=_name,
                summary=f"Closeness to the bones in the plane: {_words}",
                formula=f"{_what}, D cells to the limb's segment; a channel is the largest of its limbs",
                channels=lambda skeleton, g=_grouping: len(members_of(skeleton, g)),  # type: ignore[misc]
                value_range=(0.0, 1.0),
                encode=_encoder(_mask == "lpm", _grouping),
                background=True,
                turns=True,
                mirrors=True,
                mirrored=lambda skeleton, g=_grouping: _mirrored(skeleton, g),  # type: ignore[misc]
                flat=True,
                needs_depth=False,
                names=lambda skeleton, g=_grouping: _names(skeleton, g),  # type: ignore[misc]
                original=f"NSRM {_mask.upper()}-{_grouping.upper().replace('G1G6', 'G1&6')}",
            )
        )
