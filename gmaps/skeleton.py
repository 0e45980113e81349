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
    common
        Own name -> the name by which other skeletons call the same joint, where these differ.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    fingers: dict[str, tuple[int, ...]]
    mirror: tuple[tuple[int, int], ...] = ()
    evaluation: tuple[int, ...] = ()
    common: dict[str, str] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=lambda: dict(FINGER_COLOURS))

    def __post_init__(self) -> None:
        n = len(self.joints)
        if len(self.parents) != n or any(not -1 <= p < n for p in self.parents):
            raise UsageError(f"skeleton {self.name}: {n} joints need {n} parents in [-1, {n}), got {self.parents}")
        grouped = sorted(j for group in self.fingers.values() for j in group)
        if grouped != list(range(n)):
            raise UsageError(f"skeleton {self.name}: every joint belongs to exactly one finger or the palm")
        paired = [j for pair in self.mirror for j in pair]
        if len(set(paired)) != len(paired) or not set(paired) <= set(range(n)):
            raise UsageError(f"skeleton {self.name}: mirror pairs joints 0 to {n - 1}, each once, got {self.mirror}")

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) pairs."""
        return tuple((p, j) for j, p in enumerate(self.parents) if p >= 0)

    @property
    def swapped(self) -> tuple[int, ...]:
        """J indices: the joint that each joint of a mirrored hand was before."""
        other = {a: b for pair in self.mirror for a, b in (pair, pair[::-1])}
        return tuple(other.get(j, j) for j in range(len(self)))

    def colour(self, joint: int) -> str:
        """The colour of a joint's group, as #rrggbb."""
        for group, members in self.fingers.items():
            if joint in members:
                return self.colours.get(group, FINGER_COLOURS["palm"])
        raise UsageError(f"skeleton {self.name} has joints 0 to {len(self) - 1}, not {joint}")

    @property
    def common_names(self) -> tuple[str, ...]:
        """J names that mean the same joint in every skeleton."""
        return tuple(self.common.get(name, name) for name in self.joints)

    def mapping_to(self, other: Skeleton) -> tuple[int, ...]:
        """Where this skeleton holds the joints of another: `joints[..., mapping, :]` are in the other's order.

        Parameters
        ----------
        other
            The skeleton to be had.

        Returns
        -------
        tuple of int
            As many as `other` has joints.

        Raises
        ------
        UsageError
            Joints of the other that this one lacks; the message names them.
        """
        own = {name: j for j, name in enumerate(self.common_names)}
        lacking = [name for name in other.common_names if name not in own]
        if lacking:
            shared = [name for name in other.common_names if name in own]
            raise UsageError(
                f"skeleton {self.name} cannot stand in for {other.name}: it has no {', '.join(lacking)}. "
                + (f"They share {', '.join(shared)}: ask for shared_with()" if shared else "They share no joint")
            )
        return tuple(own[name] for name in other.common_names)

    def shared_with(self, *others: Skeleton) -> Skeleton:
        """The joints that this skeleton and all others have, under their common names and in this one's order.

        Raises
        ------
        UsageError
            When there are none.
        """
        keep = [j for j, name in enumerate(self.common_names) if all(name in o.common_names for o in others)]
        if not keep:
            raise UsageError(f"skeletons {', '.join(s.name for s in (self, *others))} share no joint")
        at = {j: k for k, j in enumerate(keep)}

        def nearest(j: int) -> int:
            while j >= 0 and j not in at:
                j = self.parents[j]
            return at.get(j, -1)

        return Skeleton(
            name="+".join([self.name, *(o.name for o in others)]),
            joints=tuple(self.common_names[j] for j in keep),
            parents=tuple(nearest(self.parents[j]) for j in keep),
            fingers={
                f: tuple(at[j] for j in group if j in at) for f, group in self.fingers.items() if at.keys() & {*group}
            },
            mirror=tuple((at[a], at[b]) for a, b in self.mirror if a in at and b in at),
            colours=dict(self.colours),
        )

    def to_dict(self) -> dict[str, Any]:
        """The skeleton as plain JSON values, for a store's attributes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Skeleton:
        """The inverse of `to_dict`, also after a trip through JSON; older stores know no common names."""
        known = SKELETONS.get(values["name"])
        same = known is not None and known.joints == tuple(values["joints"])
        return cls(
            name=values["name"],
            joints=tuple(values["joints"]),
            parents=tuple(values["parents"]),
            fingers={k: tuple(v) for k, v in values["fingers"].items()},
            mirror=tuple((a, b) for a, b in values["mirror"]),
            evaluation=tuple(values["evaluation"]),
            common=dict(values.get("common", known.common if known is not None and same else {})),
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
    common = {"TH_KNU3_A": "thumb_tip", "TH_KNU3_B": "thumb_dip", "TH_KNU2_B": "thumb_root"}
    for f, label in (("little", "F1"), ("ring", "F2"), ("middle", "F3"), ("index", "F4")):
        common |= {f"{label}_KNU3_A": f"{f}_tip", f"{label}_KNU2_B": f"{f}_pip", f"{label}_KNU1_B": f"{f}_mcp"}
    common |= {"PALM_1": "wrist_1", "PALM_2": "wrist_2", "PALM_3": "palm"}
    return Skeleton("nyu36", tuple(joints), tuple(parents), fingers, evaluation=evaluation, common=common)


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
    common = {f"{f}_mid": f"{f}_pip" for f in FINGERS[1:]} | {"thumb_mid": "thumb_dip"}
    return Skeleton("nyu14", joints, parents, fingers, common=common)


def _icvl16() -> Skeleton:
    # Root and mid are no one else's joints: from an index mid to its tip there are 19 mm, from MSRA's pip to its tip
    # 44, from its dip 21. So only tips and palm go by common names, and thumb_root must not pass for NYU's.
    joints, parents = ["palm"], [-1]
    fingers: dict[str, tuple[int, ...]] = {"palm": (0,)}
    common: dict[str, str] = {}
    for f in FINGERS:
        first = len(joints)
        joints += [f"{f}_{part}" for part in ("root", "mid", "tip")]
        parents += [0, first, first + 1]
        fingers[f] = tuple(range(first, first + 3))
        common |= {f"{f}_root": f"{f}_icvl_root", f"{f}_mid": f"{f}_icvl_mid"}
    return Skeleton("icvl16", tuple(joints), tuple(parents), fingers, common=common)


def _hands17() -> Skeleton:
    # Wrist, the five knuckles, then each finger's other three joints; the thumb first.
    joints = ["wrist", *(f"{f}_mcp" for f in FINGERS)]
    parents = [-1, 0, 0, 0, 0, 0]
    fingers: dict[str, tuple[int, ...]] = {"palm": (0,)}
    for k, f in enumerate(FINGERS):
        first = len(joints)
        joints += [f"{f}_{part}" for part in ("pip", "dip", "tip")]
        parents += [1 + k, first, first + 1]
        fingers[f] = (1 + k, first, first + 1, first + 2)
    return Skeleton("hands17", tuple(joints), tuple(parents), fingers)


def _openpose21() -> Skeleton:
    # Wrist, then thumb to little finger, each from the root to the tip: OpenPose's order, and that of most since.
    joints, parents = ["wrist"], [-1]
    fingers: dict[str, tuple[int, ...]] = {"palm": (0,)}
    for f in FINGERS:
        first = len(joints)
        joints += [f"{f}_{part}" for part in ("mcp", "pip", "dip", "tip")]
        parents += [0, first, first + 1, first + 2]
        fingers[f] = tuple(range(first, first + 4))
    return Skeleton("openpose21", tuple(joints), tuple(parents), fingers)


def _mano21() -> Skeleton:
    # MANO's sixteen joints, then the tips of thumb, index, middle, ring and little finger, as HO-3D has them.
    order = ("index", "middle", "little", "ring", "thumb")
    joints = ["wrist", *(f"{f}_{part}" for f in order for part in ("mcp", "pip", "dip"))]
    joints += [f"{f}_tip" for f in FINGERS]
    parents = [-1]
    fingers: dict[str, tuple[int, ...]] = {"palm": (0,)}
    for k, f in enumerate(order):
        first = 1 + 3 * k
        parents += [0, first, first + 1]
        fingers[f] = (first, first + 1, first + 2, 16 + FINGERS.index(f))
    parents += [fingers[f][2] for f in FINGERS]
    return Skeleton("mano21", tuple(joints), tuple(parents), fingers)


SKELETONS: dict[str, Skeleton] = {
    s.name: s for s in (_msra21(), _nyu36(), _nyu14(), _icvl16(), _hands17(), _openpose21(), _mano21())
}


def get_skeleton(name: str) -> Skeleton:
    """A registered skeleton by its name, or by that without its number where one alone begins so: "msra".

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if name in SKELETONS:
        return SKELETONS[name]
    numbered = [s for s in SKELETONS if s.rstrip("0123456789") == name]
    if len(numbered) == 1:
        return SKELETONS[numbered[0]]
    raise unknown_name("skeleton", name, SKELETONS)
