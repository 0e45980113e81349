"""Real poses on synthetic hands, and sequences: `gmaps synth --poses` and `--sequences`."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.datasets import load_dataset
from gmaps.datasets.write.layouts import LAYOUTS, make_items, make_sequences
from gmaps.datasets.write.real_poses import read_poses
from gmaps.datasets.write.tree import make_frame, write_tree
from gmaps.errors import DatasetError, UsageError
from gmaps.skeleton import get_skeleton
from gmaps.synth import hand, poses
from gmaps.synth.contact import SOFT, penetration
from gmaps.synth.fit_many import fit_hands
from gmaps.synth.motion import PACE, make_moving_hand

STAGE = LAYOUTS["folder"].stage


def fists(count=40, seed=0):
    """Joints of people who all hold a fist: (N, 21, 3) mm."""
    rng = np.random.default_rng(seed)
    made = [poses.random_pose("fist", poses.random_shape(rng), rng)[1].joints[0] for _ in range(count)]
    return np.array(made)


def test_files_of_joints_and_of_fits_give_angles(tmp_path):
    joints = fists()
    mano = joints[:, list(get_skeleton("msra21").mapping_to(get_skeleton("mano21")))] * [-1, 1, 1] / 1000
    np.savez(tmp_path / "j.npz", joints=mano)
    found = read_poses(tmp_path / "j.npz", 0, skeleton="mano21", unit="m", side="left")
    np.testing.assert_allclose(found, fit_hands(joints).angles, atol=1e-4)
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "j.npz"), "--out", str(tmp_path / "f.npz"), "--skeleton",
                                     "mano21", "--unit", "m", "--side", "left"])  # fmt: skip
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(read_poses(tmp_path / "f.npz", 0), found, atol=1e-3)
    with pytest.raises(DatasetError, match="--skeleton"):
        read_poses(tmp_path / "j.npz", 0, skeleton="mano21", side="left")  # metres taken for mm
    with pytest.raises(DatasetError, match="--side"):
        read_poses(tmp_path / "j.npz", 0, skeleton="mano21", unit="m")  # left taken for right
    with pytest.raises(DatasetError, match="No such file"):
        read_poses(tmp_path / "none.npz", 0)


def test_synth_shows_the_poses_on_other_hands(tmp_path):
    np.save(tmp_path / "j.npy", fists())
    args = ["synth", "--frames", "20", "--workers", "1", "--sensor", "none", "--quiet"]
    for out, more in (("a", ["--poses", str(tmp_path / "j.npy")]), ("b", [])):
        done = CliRunner().invoke(main, [*args, str(tmp_path / out), *more])
        assert done.exit_code == 0, done.output

    def bends(out):
        data = load_dataset("folder", tmp_path / out)
        fitted = fit_hands(np.stack([data.read(i).joints for i in range(len(data))]))
        assert fitted.error_mm.max() < 2
        return fitted.angles[:, 4:18:4], fitted.lengths

    real, lengths = bends("a")
    assert np.percentile(real, 10) > 50  # all are fists
    assert np.percentile(bends("b")[0], 10) < 40  # which those of the families are not
    assert len(np.unique(lengths[:, 1, 0].round(1))) > 3  # other people's


def test_workers_and_seeds(tmp_path):
    angles = fit_hands(fists()).angles
    for out, workers in (("a", 1), ("b", 2)):
        write_tree(tmp_path / out, "folder", 120, sensor="none", poses=angles, sequences=True, workers=workers)
    for file in sorted((tmp_path / "a").rglob("*.*")):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    item = make_items("folder", 120)[7]
    first = make_frame("folder", 0, 7, item, "none", angles)
    np.testing.assert_array_equal(first.joints, make_frame("folder", 0, 7, item, "none", angles).joints)
    assert np.abs(first.joints - make_frame("folder", 1, 7, item, "none", angles).joints).max() > 5


def test_an_unfinished_tree_of_other_poses_is_not_gone_on_with(tmp_path):
    angles = fit_hands(fists()).angles

    class Stop(Exception):
        pass

    def stop(count):
        raise Stop

    with pytest.raises(Stop):
        write_tree(tmp_path / "x", "folder", 120, poses=angles, progress=stop)
    with pytest.raises(UsageError, match="unfinished tree"):
        write_tree(tmp_path / "x", "folder", 120, poses=angles + 1)


@pytest.mark.parametrize("real", [False, True])
def test_sequences_are_smooth_within_limits_in_view_and_free_of_contact(real):
    angles = fit_hands(fists()).angles if real else None
    frames = [make_moving_hand(3, 8, t, 1, STAGE, angles) for t in range(3 * PACE)]
    joints, camera = np.array([f.joints for f in frames]), STAGE.camera
    step = np.sqrt((np.diff(joints, axis=0) ** 2).sum(-1))
    assert step.max() < 30  # of fingertips, at the middle of the way between two key poses
    assert np.median(step) < 12
    assert np.sqrt((np.diff(joints, n=2, axis=0) ** 2).sum(-1)).max() < 15  # none goes to and fro
    for f in frames:
        assert (f.angles >= hand.LIMITS[:, 0]).all()
        assert (f.angles <= hand.LIMITS[:, 1]).all()
        assert penetration(f.pose.joints, f.person.shape.radii)[0] <= SOFT + 0.5
        assert f.joints[:, 2].min() >= STAGE.nearest - 1e-3
        u, v = camera.project(f.joints)[:, :2].T
        assert -0.5 <= u.min() <= u.max() <= camera.width
        assert -0.5 <= v.min() <= v.max() <= camera.height
    assert np.sqrt(((joints[0] - joints[-1]) ** 2).sum(-1)).mean() > 10  # and they move
    assert len({f.person.shape.lengths.tobytes() for f in frames}) == 1


def test_a_sequence_is_one_person_in_every_layout(tmp_path):
    for layout in LAYOUTS:
        items = make_sequences(make_items(layout, 400))
        assert [(i.folder, i.number) for i in items] == [(i.folder, i.number) for i in make_items(layout, 400)]
        runs = [len(list(group)) for _, group in groupby(items, key=lambda i: (i.folder, i.subject))]
        assert len(runs) == len({(i.folder, i.first) for i in items})
        assert len({i.subject for i in items}) == len({i.subject for i in make_items(layout, 400)})
    write_tree(tmp_path / "x", "synhand", 60, sensor="none", sequences=True)
    data = load_dataset("synhand5m", tmp_path / "x", split="train")
    joints = np.array([data.read(i).joints for i in range(12)])  # of two people, six frames each
    step = np.sqrt((np.diff(joints, axis=0) ** 2).sum(-1)).max(axis=1)
    assert (np.delete(step, 5) < 30).all()
    assert step[5] > 30
