"""Hands fitted to joints: the compiled descent against SciPy's, known poses found again, and `gmaps fit`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets.pose_file import read_joints, right_hands
from gmaps.errors import DatasetError, UsageError
from gmaps.skeleton import get_skeleton
from gmaps.synth import hand, poses, turns
from gmaps.synth.fit_hand import fit_hand
from gmaps.synth.fit_many import fit_hands
from gmaps.synth.skin import hand_mesh, shape_rest, skin


def posed(count, seed=0, noise=0.0):
    """Random hands somewhere before a camera: joints (B, 21, 3), and what they were made of."""
    rng = np.random.default_rng(seed)
    shapes = [poses.random_shape(rng) for _ in range(count)]
    angles = np.array([poses.random_angles(poses.FAMILIES[k % 17], rng) for k in range(count)])
    roots, lengths = (np.stack([getattr(s, n) for s in shapes]) for n in ("roots", "lengths"))
    pose = hand.place_pose(
        hand.pose_hand(roots, lengths, angles),
        turns.unit(rng.normal(size=(count, 4))),
        rng.normal(0, 300, (count, 3)),
    )
    return pose.joints + rng.normal(0, noise, pose.joints.shape) if noise else pose.joints, angles, lengths


def test_poses_are_found_again():
    joints, angles, lengths = posed(68)
    found = fit_hands(joints)
    assert np.median(found.error_mm) < 0.4
    assert found.error_mm.max() < 1.5
    np.testing.assert_allclose(found.lengths, lengths, atol=1e-6)
    # Bends of the fingers, which joints show well.
    assert np.median(np.abs(found.angles - angles)[:, 4:18:4]) < 2.0
    assert (found.angles >= hand.LIMITS[:, 0]).all()
    assert (found.angles <= hand.LIMITS[:, 1]).all()
    np.testing.assert_allclose((found.turn**2).sum(-1), 1, atol=1e-12)


def test_the_descent_ends_no_worse_than_scipys():
    joints, _, _ = posed(6, seed=3, noise=3.0)
    found = fit_hands(joints)
    for k in range(len(joints)):
        slow = fit_hand(joints[k])
        off = np.sqrt(((slow.pose.joints[0] - joints[k]) ** 2).sum(-1).mean())
        own = np.sqrt(((found.pose().joints[k] - joints[k]) ** 2).sum(-1).mean())
        assert own < off + 0.05, k


def test_any_number_of_threads_gives_the_same_bits():
    joints, _, _ = posed(1100, seed=5, noise=2.0)
    one, two = fit_hands(joints, threads=1), fit_hands(joints, threads=2)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(fit_hands(np.zeros((0, 21, 3))).angles) == 0
    np.testing.assert_array_equal(fit_hands(joints[700:701]).angles, one.angles[700:701])


def test_degenerate_joints_end_without_nan():
    flat = np.zeros((2, 21, 3))
    flat[1, :, 0] = np.arange(21)
    found = fit_hands(flat)
    assert all(np.isfinite(part).all() for part in found)


def test_meshes_go_through_the_joints():
    joints, _, _ = posed(3, seed=8)
    found = fit_hands(joints)
    girth = np.repeat(found.girth[:, None, None], 20, 1).repeat(3, 2)
    want = skin(found.pose(), *shape_rest(found.roots, found.lengths, girth))
    np.testing.assert_array_equal(found.vertices(), want)
    # Each fingertip lies within its flesh.
    near = np.sqrt(((want[:, None] - joints[:, [4, 8, 12, 16, 20], None]) ** 2).sum(-1)).min(-1)
    assert near.max() < 12


@pytest.mark.parametrize("bad", [np.zeros((3, 20, 3)), np.full((1, 21, 3), np.nan), np.zeros((21, 3))])
def test_other_joints_are_refused(bad):
    with pytest.raises(UsageError, match=r"\(N, 21, 3\)"):
        fit_hands(bad)


@pytest.mark.parametrize("name", ["msra21", "openpose21", "hands17", "mano21"])
def test_joints_of_any_order_unit_and_side_become_right_hands(name):
    joints, _, _ = posed(4, seed=2)
    own = get_skeleton(name)
    mixed = joints[:, list(get_skeleton("msra21").mapping_to(own))]
    np.testing.assert_allclose(right_hands(mixed, skeleton=name), joints)
    left = mixed * [-1, 1, 1] / 1000
    np.testing.assert_allclose(right_hands(left, skeleton=name, unit="m", side="left"), joints)


def test_mano21_is_manos_order():
    order = get_skeleton("mano21").mapping_to(get_skeleton("msra21"))
    assert order == (0, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20, 13, 14, 15, 16)


def test_a_file_of_joints_on_the_command_line(tmp_path):
    joints, _, _ = posed(5, seed=1)
    mixed = joints[:, list(get_skeleton("msra21").mapping_to(get_skeleton("mano21")))] * [-1, 1, 1] / 1000
    mixed[3] = np.nan
    np.savez(tmp_path / "j.npz", joints=mixed.astype(np.float32), pose=np.zeros((5, 48)))
    files = {n: str(tmp_path / n) for n in ("f.npz", "v.npy", "m.ply")}
    done = CliRunner().invoke(main, [
        "fit", str(tmp_path / "j.npz"), "--out", files["f.npz"], "--vertices", files["v.npy"],
        "--ply", files["m.ply"],
        "--row", "4", "--skeleton", "mano21", "--unit", "m", "--side", "left", "--json",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["rows"], said["fitted"]) == (5, 4)
    assert said["mean_mm"] < 0.5
    with np.load(files["f.npz"]) as kept:
        assert kept["valid"].tolist() == [True, True, True, False, True]
        np.testing.assert_allclose(kept["joints"][kept["valid"]], (joints * [-1, 1, 1])[[0, 1, 2, 4]], atol=2.0)
        assert np.isnan(kept["angles"][3]).all()
    meshes = np.load(files["v.npy"])
    assert meshes.shape == (5, 2440, 3)
    assert np.isnan(meshes[3]).all()
    vertices, triangles = read_ply(tmp_path / "m.ply")
    np.testing.assert_array_equal(vertices, meshes[4])
    assert volume(vertices, triangles) > 1e5  # the mirrored mesh still faces outwards
    assert len(triangles) == len(hand_mesh().triangles)


def read_ply(path):
    head, _, body = path.read_bytes().partition(b"end_header\n")
    count = int(head.split(b"element vertex ")[1].split()[0])
    faces = int(head.split(b"element face ")[1].split()[0])
    vertices = np.frombuffer(body, "<f4", 3 * count).reshape(count, 3)
    rows = np.frombuffer(body, [("n", "u1"), ("v", "<i4", 3)], faces, 12 * count)
    assert (rows["n"] == 3).all()
    assert len(body) == 12 * count + 13 * faces
    return vertices, rows["v"]


def volume(vertices, triangles):
    a, b, c = vertices[triangles].astype(np.float64).transpose(1, 0, 2)
    return (a * np.cross(b, c)).sum() / 6


def test_every_labelled_frame_of_a_store_gets_a_mesh(tmp_path):
    gmaps.build(
        "synthetic", tmp_path / "s.zarr", limit=12, workers=0, maps=("heatmap",), crop_size=32, progress=False
    )
    done = CliRunner().invoke(
        main,
        ["fit", str(tmp_path / "s.zarr"), "--out", str(tmp_path / "f.npz"), "--vertices", str(tmp_path / "v.npy")],
    )
    assert done.exit_code == 0, done.output
    assert "12 of 12 hands" in done.output
    data = gmaps.load_dataset("synthetic", frames=12)
    off = np.load(tmp_path / "v.npy") - np.stack([data.mesh(i)[0] for i in range(12)])
    fingers = np.isin(hand_mesh().vertex_labels, (1, 2, 3, 4, 5))  # joints tell nothing of the wrist's bend
    assert np.sqrt((off**2).sum(-1))[:, fingers].mean() < 3


def test_files_that_hold_no_joints_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 4)))
    (tmp_path / "y.npz").write_bytes(b"PK no archive")
    for name, said in (("x.npy", "joints are"), ("y.npz", "no .npz archive"), ("z.npz", "No such file")):
        with pytest.raises(DatasetError, match=said):
            read_joints(tmp_path / name)
    with pytest.raises(UsageError, match="--skeleton"):
        right_hands(np.zeros((2, 14, 3)))
    with pytest.raises(UsageError, match="stand in"):
        right_hands(np.zeros((2, 16, 3)), skeleton="icvl16")
