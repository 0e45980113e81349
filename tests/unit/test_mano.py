"""A MANO file through the hand layer's interface: a tiny one, made up here in that layout. None is shipped."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gmaps.errors import FrameError, UsageError
from gmaps.formats.numpy_pickle import parse_pickle
from gmaps.synth import hand

torch = pytest.importorskip("torch")

from gmaps.nets import quaternions as turns  # noqa: E402
from gmaps.nets.mano import ManoLayer, read_mano  # noqa: E402

#: Of MANO's sixteen joints in the order of msra21, and of its tips T I M R L.
SIXTEEN = [0, 1, 2, 3, 5, 6, 7, 13, 14, 15, 9, 10, 11, 17, 18, 19]
TIPS = [20, 4, 8, 12, 16]


def made_up(seed=0, vertices=40):
    """A hand of 40 points: joints first, then points beside them; metres."""
    rng = np.random.default_rng(seed)
    joints = hand.REST.joints[0] / 1000
    template = np.concatenate(
        [joints[SIXTEEN], joints[TIPS], joints.mean(0) + rng.normal(0, 0.02, (vertices - 21, 3))]
    )
    regressor = np.zeros((16, vertices))
    regressor[np.arange(16), np.arange(16)] = 1
    weights = rng.uniform(size=(vertices, 16)) * (rng.uniform(size=(vertices, 16)) < 0.2) + 1e-6
    weights[:16] = np.eye(16)
    weights[16:21] = np.eye(16)[[15, 3, 6, 12, 9]]
    parents = np.array([4294967295, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14], np.uint32)
    return {
        "v_template": template, "J_regressor": regressor, "weights": weights / weights.sum(1, keepdims=True),
        "shapedirs": rng.normal(0, 1e-3, (vertices, 3, 10)), "posedirs": rng.normal(0, 1e-4, (vertices, 3, 135)),
        "f": rng.integers(0, vertices, (60, 3)).astype(np.uint32),
        "kintree_table": np.stack([parents, np.arange(16)]),
        "hands_mean": rng.normal(0, 0.1, 45), "bs_style": "lbs",
    }  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mano.pkl"
    path.write_bytes(pickle.dumps(made_up(), protocol=2))
    return path


def tips():
    return (16, 17, 18, 19, 20)


def test_both_layouts_hold_the_same_hand(file, tmp_path):
    np.savez(tmp_path / "mano.npz", **made_up())
    one, other = read_mano(file), read_mano(tmp_path / "mano.npz")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def slow_mano(data, pose, shape):
    """MANO's formulas one vertex and one joint at a time, with SciPy's rotations; metres."""
    from scipy.spatial.transform import Rotation

    shaped = data["v_template"] + data["shapedirs"] @ shape
    joints = data["J_regressor"] @ shaped
    own = [np.eye(3), *Rotation.from_rotvec(pose.reshape(15, 3)).as_matrix()]
    bent = np.concatenate([(m - np.eye(3)).ravel() for m in own[1:]])
    posed = shaped + data["posedirs"] @ bent
    world = []
    for k in range(16):
        local = np.eye(4)
        local[:3, :3] = own[k]
        parent = int(data["kintree_table"][0, k]) if k else None
        local[:3, 3] = joints[k] - (joints[parent] if k else 0)
        world.append(local if parent is None else world[parent] @ local)
    out = np.zeros_like(posed)
    for v, point in enumerate(posed):
        for k in range(16):
            moved = world[k][:3, :3] @ (point - joints[k]) + world[k][:3, 3]
            out[v] += data["weights"][v, k] * moved
    return np.array([w[:3, 3] for w in world]) - joints[0], out - joints[0]


def test_equals_manos_formulas(file):
    rng = np.random.default_rng(4)
    layer = ManoLayer(file, tips=tips(), dtype=torch.float64)
    pose, shape = rng.normal(0, 0.4, (3, 45)), rng.normal(size=(3, 10))
    made = layer(torch.tensor(pose), torch.tensor(shape))
    for k in range(3):
        joints, vertices = slow_mano(made_up(), pose[k], shape[k])
        np.testing.assert_allclose(made.vertices[k].numpy(), 1000 * vertices, atol=1e-8)
        np.testing.assert_allclose(made.joints[k, SIXTEEN].numpy(), 1000 * joints, atol=1e-8)
        np.testing.assert_allclose(made.joints[k, TIPS].numpy(), 1000 * vertices[16:21], atol=1e-8)
    bent = ManoLayer(file, tips=tips(), flat=False, dtype=torch.float64)
    mean = torch.tensor(made_up()["hands_mean"])[None]
    torch.testing.assert_close(bent(0 * mean).joints, layer(mean).joints)


def test_it_turns_and_moves_about_the_wrist_and_tells_angles(file):
    layer = ManoLayer(file, tips=tips(), dtype=torch.float64)
    pose, shape = torch.zeros(1, 45, dtype=torch.float64), torch.zeros(1, 10, dtype=torch.float64)
    turn = turns.unit(torch.tensor([[0.3, -0.5, 0.2, 0.7]], dtype=torch.float64))
    shift = torch.tensor([[10.0, 20.0, 400.0]], dtype=torch.float64)
    still, moved = layer(pose, shape), layer(pose, shape, turn=turn, shift=shift)
    torch.testing.assert_close(moved.joints, turns.apply(turn[:, None], still.joints) + shift[:, None])
    torch.testing.assert_close(moved.vertices, turns.apply(turn[:, None], still.vertices) + shift[:, None])
    torch.testing.assert_close(moved.angles, still.angles)
    # Bending the middle joint of the index finger by half a radian changes that angle alone.
    axis = still.transforms[0, 6, :3, 0]
    pose[0, 3:6] = 0.5 * axis
    change = layer(pose, shape).angles - still.angles
    assert change[0, 4].item() == pytest.approx(np.degrees(0.5), abs=1e-3)
    assert change[0, [k for k in range(23) if k not in (4, 5)]].abs().max() < 1e-3
    assert layer(pose, mesh=False).vertices is None


def test_gradients(file):
    layer = ManoLayer(file, tips=tips(), dtype=torch.float64)
    rng = np.random.default_rng(1)
    inputs = [torch.tensor(rng.normal(0, 0.3, s), requires_grad=True) for s in ((1, 45), (1, 10))]
    assert torch.autograd.gradcheck(lambda p, s: layer(p, s)[:2], inputs, fast_mode=True)


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("echo never",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_arrays_is_read_at_every_protocol(protocol):
    data = {
        "a": np.arange(12, dtype=">i2").reshape(3, 4), "b": np.asfortranarray(np.eye(3, 5) / 3),
        "c": np.float64(2.5), "d": "text", "e": None, "f": [np.ones(2, np.float32), 3], "g": np.array("abc"),
        "h": np.zeros((0, 3)), "i": np.array([True, False]),
    }  # fmt: skip
    found = parse_pickle(pickle.dumps(data, protocol=protocol), "x.pkl")
    assert found.keys() == data.keys()
    for name in "abcghi":
        np.testing.assert_array_equal(found[name], data[name])
        assert np.asarray(found[name]).dtype == np.asarray(data[name]).dtype
    assert (found["d"], found["e"], found["f"][1]) == ("text", None, 3)
    np.testing.assert_array_equal(found["f"][0], np.ones(2))


@pytest.mark.parametrize(
    "bad",
    [
        {"a": Evil()}, Evil(), [1, 2], {1: 2}, {"a": {"b": np.ones(2)}}, {"a": np.array([{}, 1], object)},
        {"a": print},
        {"a": np.datetime64("2020-01-01")}, {"a": 1 + 2j},
    ],
    ids=["reduce", "reduce at top", "list", "numbered", "nested", "objects", "function", "date", "complex"],
)  # fmt: skip
def test_anything_else_in_a_pickle_is_refused(bad, capfd):
    for protocol in range(6):
        with pytest.raises(FrameError, match=r"^x\.pkl: no pickle that can be read"):
            parse_pickle(pickle.dumps(bad, protocol=protocol), "x.pkl")
    assert "never" not in capfd.readouterr().out


def test_a_state_cannot_change_what_reads_it():
    # BUILD on what GLOBAL gave would set attributes of our own function, if names were ours.
    code = b"cnumpy.core.multiarray\n_reconstruct\n}(U\x04nameU\x01xub."
    with pytest.raises(FrameError):
        parse_pickle(code, "x.pkl")
    again = {"a": np.arange(3)}
    np.testing.assert_array_equal(parse_pickle(pickle.dumps(again), "y")["a"], again["a"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"v_template": None}, "v_template"), ({"weights": np.ones((40, 15))}, r"weights \(40, 16\)"),
        ({"f": np.full((2, 3), 99)}, "triangles"), ({"shapedirs": np.full((40, 3, 10), np.nan)}, "not finite"),
        ({"kintree_table": np.zeros((2, 16)) + 20}, "parents"),
    ],
)  # fmt: skip
def test_a_file_of_another_layout_is_refused(change, said, tmp_path):
    data = {k: v for k, v in (made_up() | change).items() if v is not None}
    np.savez(tmp_path / "x.npz", **data)
    with pytest.raises(FrameError, match=said):
        read_mano(tmp_path / "x.npz")


def test_no_file_and_wrong_arguments_are_told(file, tmp_path):
    with pytest.raises(FrameError, match=r"none\.pkl.*MANO_RIGHT"):
        ManoLayer(tmp_path / "none.pkl")
    with pytest.raises(UsageError, match="five vertices"):
        ManoLayer(file)  # 778 vertices' tips in a file of 40
    layer = ManoLayer(file, tips=tips())
    with pytest.raises(UsageError, match="45"):
        layer(torch.zeros(1, 23))
    with pytest.raises(UsageError, match="lengths"):
        layer(torch.zeros(1, 45), lengths=torch.ones(1, 5, 3))


def test_sparse_and_lazy_arrays_of_the_published_file_are_read(tmp_path):
    """As MANO's own pickle has them: SciPy's sparse matrix, chumpy's arrays; made here without chumpy."""
    import sys
    import types

    from scipy.sparse import csc_matrix

    chumpy = types.ModuleType("chumpy")
    modules = {"chumpy": chumpy, "chumpy.ch": types.ModuleType("chumpy.ch"),
               "chumpy.reordering": types.ModuleType("chumpy.reordering")}  # fmt: skip

    class Ch:
        def __init__(self, **state):
            self.__dict__.update(state)

    class Select(Ch):
        pass

    for made, module in ((Ch, "chumpy.ch"), (Select, "chumpy.reordering")):
        made.__module__, made.__qualname__ = module, made.__name__
        setattr(modules[module], made.__name__, made)
    data = made_up()
    whole = np.arange(40 * 3 * 12, dtype=np.float64)
    chosen = np.arange(40 * 3 * 10) + 7
    data["shapedirs"] = Select(a=Ch(x=whole), idxs=chosen, preferred_shape=(40, 3, 10))
    data["v_template"] = Ch(x=data["v_template"])
    data["J_regressor"] = csc_matrix(data["J_regressor"])
    sys.modules.update(modules)
    try:
        content = pickle.dumps(data, protocol=2)
    finally:
        for name in modules:
            del sys.modules[name]
    (tmp_path / "x.pkl").write_bytes(content)
    found = read_mano(tmp_path / "x.pkl")
    np.testing.assert_array_equal(found["shapedirs"], whole[chosen].reshape(40, 3, 10))
    np.testing.assert_array_equal(found["J_regressor"], made_up()["J_regressor"])
    np.testing.assert_array_equal(found["v_template"], made_up()["v_template"])
