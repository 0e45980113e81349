"""Skeletons: what a data set's joints are called and how they hang together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gmaps.errors import UsageError, unknown_name

#: One colour a finger, thumb to little, then the palm: the colours of most hand-pose papers.
FINGER_COLOURS = {
    "thumb": "#e6194b",
    "index": "#f58231",
    "middle": "#3cb44b",
    "ring": "#4363d8",
    "little": "#911eb4",
    "palm": "#808080",
}
FINGERS = ("thumb", "index", "middle", "ring", "little")


@dataclass(frozen=True)
class Skeleton:
    """Joint names, bones and groups of one data set.

    Parameters
    ----------
    name
        Its own name, unique: "msra21".
    joints
        J joint names, in the data set's order.
    parents
        J indices; -1 for a root.
    fingers
        Group name -> joint indices, root to tip; "palm" holds what belongs to no finger.
    mirror
        Pairs of joints that swap when the image is mirrored; empty for one hand, whose joints keep their names.
    evaluation
        Indices of the joints that the field evaluates; all of them when empty.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    fingers: dict[str, tuple[int, ...]]
    mirror: tuple[tuple[int, int], ...] = ()
    evaluation: tuple[int, ...] = ()
    colours: dict[str, str] = field(default_factory=lambda: dict(FINGER_COLOURS))

    def __post_init__(self) -> None:
        n = len(self.joints)
        if len(self.parents) != n or any(not -1 <= p < n for p in self.parents):
            raise UsageError(f"skeleton {self.name}: {n} joints need {n} parents in [-1, {n}), got {self.parents}")
        grouped = sorted(j for group in self.fingers.values() for j in group)
        if grouped != list(range(n)):
            raise UsageError(f"skeleton {self.name}: every joint belongs to exactly one finger or the palm")

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) pairs."""
        return tuple((p, j) for j, p in enumerate(self.parents) if p >= 0)

    def colour(self, joint: int) -> str:
        """The colour of a joint's group, as #rrggbb."""
        for group, members in self.fingers.items():
            if joint in members:
                return self.colours.get(group, FINGER_COLOURS["palm"])
        raise UsageError(f"skeleton {self.name} has joints 0 to {len(self) - 1}, not {joint}")

    def to_dict(self) -> dict[str, Any]:
        """The skeleton as plain JSON values, for a store's attributes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Skeleton:
        """The inverse of `to_dict`, also after a trip through JSON."""
        return cls(
            name=values["name"],
            joints=tuple(values["joints"]),
            parents=tuple(values["parents"]),
            fingers={k: tuple(v) for k, v in values["fingers"].items()},
            mirror=tuple((a, b) for a, b in values["mirror"]),
            evaluation=tuple(values["evaluation"]),
            colours=dict(values["colours"]),
        )


def _msra21() -> Skeleton:
    # Wrist, then index, middle, ring, little, and the thumb last (the data set's readme).
    order = ("index", "middle", "ring", "little", "thumb")
    joints, parents = ["wrist"], [-1]
    fingers: dict[str, tuple[int, ...]] = {"palm": (0,)}
    for f in order:
        first = len(joints)
        joints += [f"{f}_{part}" for part in ("mcp", "pip", "dip", "tip")]
        parents += [0, first, first + 1, first + 2]
        fingers[f] = tuple(range(first, first + 4))
    return Skeleton("msra21", tuple(joints), tuple(parents), fingers)


def _nyu36() -> Skeleton:
    # Per finger: KNU3_A (tip) KNU3_B KNU2_A KNU2_B KNU1_A KNU1_B (root), little finger first; then six palm points.
    joints: list[str] = []
    parents: list[int] = []
    fingers: dict[str, tuple[int, ...]] = {}
    for f, label in (("little", "F1"), ("ring", "F2"), ("middle", "F3"), ("index", "F4"), ("thumb", "TH")):
        first = len(joints)
        joints += [f"{label}_KNU{k}_{side}" for k in (3, 2, 1) for side in "AB"]
        # Tip hangs on the next point towards the palm; a finger's root hangs on PALM_6, the palm's centre.
        parents += [first + 1, first + 2, first + 3, first + 4, first + 5, 35]
        fingers[f] = tuple(range(first + 5, first - 1, -1))
    joints += [f"PALM_{k}" for k in range(1, 7)]
    parents += [35, 35, 35, 35, 35, -1]
    fingers["palm"] = tuple(range(30, 36))
    evaluation = (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32)
    return Skeleton("nyu36", tuple(joints), tuple(parents), fingers, evaluation=evaluation)


def _nyu14() -> Skeleton:
    # The 14 joints of the evaluation, in its order.
    joints = (
        "little_tip", "little_mid", "ring_tip", "ring_mid", "middle_tip", "middle_mid", "index_tip", "index_mid",
        "thumb_tip", "thumb_mid", "thumb_root", "wrist_1", "wrist_2", "palm",
    )  # fmt: skip
    parents = (1, 13, 3, 13, 5, 13, 7, 13, 9, 10, 13, 13, 13, -1)
    fingers = {
        "little": (1, 0), "ring": (3, 2), "middle": (5, 4), "index": (7, 6), "thumb": (10, 9, 8),
        "palm": (11, 12, 13),
    }  # fmt: skip
    return Skeleton("nyu14", joints, parents, fingers)


SKELETONS: dict[str, Skeleton] = {s.name: s for s in (_msra21(), _nyu36(), _nyu14())}


def get_skeleton(name: str) -> Skeleton:
    """A registered skeleton by name.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    try:
        return SKELETONS[name]
    except KeyError:
        raise unknown_name("skeleton", name, SKELETONS) from None
