"""Skeletons map to one another by the names of their joints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gmaps.errors import UnknownNameError, UsageError
from gmaps.skeleton import SKELETONS, Skeleton, get_skeleton

MSRA, HANDS = get_skeleton("msra21"), get_skeleton("hands17")
TIPS = {f"{f}_tip" for f in ("thumb", "index", "middle", "ring", "little")}


def test_hands17_in_its_own_order():
    # The published order: wrist; T I M R P mcp; then pip dip tip of each. To finger-grouped order as others have it.
    grouped = [0, 1, 6, 7, 8, 2, 9, 10, 11, 3, 12, 13, 14, 4, 15, 16, 17, 5, 18, 19, 20]
    names = [HANDS.joints[j] for j in grouped]
    assert names == ["wrist"] + [
        f"{f}_{part}" for f in ("thumb", "index", "middle", "ring", "little") for part in ("mcp", "pip", "dip", "tip")
    ]
    assert [HANDS.fingers["middle"][k] for k in range(4)] == [3, 12, 13, 14]


def test_msra_and_hands17_share_all_21():
    there, back = HANDS.mapping_to(MSRA), MSRA.mapping_to(HANDS)
    assert [HANDS.joints[j] for j in there] == list(MSRA.joints)
    assert [there[j] for j in back] == list(range(21))
    joints = np.random.default_rng(0).normal(size=(5, 21, 3))
    np.testing.assert_array_equal(joints[:, there][:, back], joints)


def test_bones_are_the_same_whatever_the_order():
    def bones(s):
        return {(s.joints[a], s.joints[b]) for a, b in s.bones}

    assert bones(HANDS) == bones(MSRA)


def test_nyu14_is_what_the_evaluation_takes_of_36():
    nyu36 = get_skeleton("nyu36")
    assert nyu36.mapping_to(get_skeleton("nyu14")) == nyu36.evaluation


def test_what_is_lacking_is_named():
    with pytest.raises(UsageError, match=r"msra21 cannot stand in for nyu14: it has no thumb_root, wrist_1, wrist_2"):
        MSRA.mapping_to(get_skeleton("nyu14"))
    with pytest.raises(UsageError, match=r"no palm, thumb_icvl_root, .*They share thumb_tip, index_tip"):
        MSRA.mapping_to(get_skeleton("icvl16"))
    alone = Skeleton("one", ("nose",), (-1,), {"palm": (0,)})
    with pytest.raises(UsageError, match="They share no joint"):
        alone.mapping_to(MSRA)
    with pytest.raises(UsageError, match="one, msra21 share no joint"):
        alone.shared_with(MSRA)


@pytest.mark.parametrize("a", SKELETONS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("b", SKELETONS.values(), ids=lambda s: s.name)
def test_two_skeletons_share_what_both_map_to(a, b):
    shared = a.shared_with(b)
    assert set(shared.joints) >= TIPS
    assert set(shared.joints) == set(b.shared_with(a).joints)
    assert [a.common_names[j] for j in a.mapping_to(shared)] == list(shared.joints)
    assert [b.common_names[j] for j in b.mapping_to(shared)] == list(shared.joints)
    assert len(shared.bones) == len(shared) - shared.parents.count(-1)


def test_all_of_them_share_the_tips():
    assert set(MSRA.shared_with(*SKELETONS.values()).joints) == TIPS


def test_bones_of_what_is_shared_skip_what_is_not():
    shared = MSRA.shared_with(get_skeleton("nyu14"))
    assert set(shared.joints) == TIPS | {f"{f}_pip" for f in ("index", "middle", "ring", "little")} | {"thumb_dip"}
    assert shared.joints[shared.parents[shared.joints.index("index_tip")]] == "index_pip"
    assert shared.parents[shared.joints.index("index_pip")] == -1
    assert shared.fingers["thumb"] == tuple(shared.joints.index(n) for n in ("thumb_dip", "thumb_tip"))


@pytest.mark.parametrize("s", SKELETONS.values(), ids=lambda s: s.name)
def test_names_survive_json(s):
    assert Skeleton.from_dict(json.loads(json.dumps(s.to_dict()))) == s
    assert len(set(s.common_names)) == len(s)
    older = s.to_dict()
    del older["common"]  # stores that were built before there were common names
    assert Skeleton.from_dict(older) == s
    assert Skeleton.from_dict(older | {"name": "mine"}).common == {}


def test_joints_of_icvl_are_not_those_of_msra(real_data, real_poses):
    """Why only its tips are shared: distances of the real labels."""
    rows = []
    for k in (1, 2):
        lines = (real_data / "icvl" / f"test_seq_{k}.txt").read_bytes().split(b"\r\r\n")
        rows += [[float(w) for w in line.split()[1:]] for line in lines if line]
    from gmaps.datasets.icvl import CAMERAS

    icvl = CAMERAS["standard"].unproject(np.array(rows).reshape(-1, 16, 3))

    def apart(joints, a, b):
        return np.median(np.linalg.norm(joints[:, a] - joints[:, b], axis=1))

    names = get_skeleton("icvl16").joints
    mid = apart(icvl, names.index("index_mid"), names.index("index_tip"))
    pip = np.median(np.linalg.norm(np.diff(real_poses[:, 2:5], axis=1), axis=2).sum(axis=1))
    assert mid < 20 < 40 < pip


def test_a_name_may_lack_its_number():
    assert get_skeleton("msra") is MSRA
    assert get_skeleton("icvl") is get_skeleton("icvl16")
    with pytest.raises(UnknownNameError, match=r"no skeleton called 'nyu'.*nyu14, nyu36"):  # which of the two?
        get_skeleton("nyu")
