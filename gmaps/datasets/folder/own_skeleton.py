"""[skeleton] of a `dataset.toml`: by name, or joints, parents and fingers of one's own."""

from __future__ import annotations

from typing import Any

from gmaps.errors import DatasetError, UsageError
from gmaps.formats.strict_toml import Table
from gmaps.skeleton import FINGERS, SKELETONS, Skeleton, get_skeleton

#: Joints that a skeleton may have.
FEWEST_JOINTS, MOST_JOINTS = 14, 42


def read_skeleton(table: Table | None, required: bool) -> Skeleton:
    """The skeleton of [skeleton]: a registered one by name, or one's own.

    Parameters
    ----------
    table
        [skeleton], if there.
    required
        Whether it must be: without joints nobody needs one, and msra21 stands in.

    Raises
    ------
    DatasetError
        Names that are unknown or twice, parents in a circle, joints in no finger, too few or too many joints.
    """
    if table is None:
        if required:
            known = ", ".join(SKELETONS)
            raise DatasetError(f"dataset.toml: [skeleton] is missing: a `name` ({known}), or `joints` of your own")
        return get_skeleton("msra21")
    if "joints" not in table:
        name = table.text("name")
        try:
            skeleton = get_skeleton(name)
        except UsageError as error:
            table.fail("name", f"is unknown: {error} Or name `joints`, `parents` and `fingers` of your own")
    else:
        skeleton = _own_skeleton(table)
    table.close()
    if not FEWEST_JOINTS <= len(skeleton) <= MOST_JOINTS:
        table.fail("joints", f"are {len(skeleton)}; gmaps takes skeletons of {FEWEST_JOINTS} to {MOST_JOINTS}")
    return skeleton


def _own_skeleton(table: Table) -> Skeleton:
    name, joints = table.text("name", "own"), table.texts("joints")
    if name in SKELETONS:
        table.fail("name", f"is taken: {name} is a skeleton of gmaps. Leave `joints` away, or choose another name")
    place = {j: k for k, j in enumerate(joints)}

    def find(key: str, value: Any) -> int:
        if not isinstance(value, str) or value not in place:
            table.fail(key, f"names {str(value)[:60]!r}, which is none of joints")
        return place[value]

    raw = table.mixed("parents")
    if not isinstance(raw, list) or len(raw) != len(joints):
        table.fail("parents", f"must be a list of {len(joints)} names of joints, '' for a root")
    parents = tuple(-1 if p == "" else find("parents", p) for p in raw)
    for j in range(len(joints)):
        at, steps = j, 0
        while parents[at] >= 0 and steps <= len(joints):
            at, steps = parents[at], steps + 1
        if steps > len(joints):
            table.fail("parents", f"go round in a circle from {joints[j]!r}")
    groups = table.need_table("fingers")
    fingers = {g: tuple(find(f"fingers.{g}", j) for j in groups.texts(g)) for g in (*FINGERS, "palm") if g in groups}
    groups.allow(*FINGERS, "palm")
    groups.close()
    members = sorted(j for group in fingers.values() for j in group)
    if members != list(range(len(joints))):
        wrong = next((j for j in joints if members.count(place[j]) != 1), "")
        table.fail("fingers", f"must have every joint once; {wrong!r} is there {members.count(place[wrong])} times")
    evaluation = tuple(find("evaluation", j) for j in table.texts("evaluation", ()))
    common = {}
    if (others := table.table("common")) is not None:
        others.allow(*joints)
        common = {j: others.text(j) for j in joints if j in others}
        others.close()
        called = [common.get(j, j) for j in joints]
        twice = next((j for j in common if called.count(common[j]) > 1), None)
        if twice is not None:
            table.fail("common", f"calls two joints {common[twice]!r}")
    return Skeleton(name, joints, parents, fingers, evaluation=evaluation, common=common)
