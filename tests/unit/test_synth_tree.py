"""`gmaps synth`: files that the readers read, the same bytes however many write them, and nothing half done."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.datasets import check_dataset, load_dataset
from gmaps.datasets.write import frame_files, layouts, tree
from gmaps.datasets.write.tree import make_frame, write_tree
from gmaps.errors import GmapsError, UsageError
from gmaps.synth.nyu_joints import nyu_joints
from gmaps.synth.skin import PARTS, hand_mesh

LAYOUTS = tuple(layouts.LAYOUTS)


def digests(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


def expected(layout: str, total: int, n: int, seed: int = 0):
    item = layouts.make_items(layout, total)[n]
    return item, make_frame(layout, seed, n, item, layouts.get_layout(layout).sensor)


# --- same bytes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_seed_same_bytes_and_another_seed_others(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "_BLOCK", 7)
    first = digests(Path(write_tree(tmp_path / "a", layout, 20, seed=4).path))
    time.sleep(1.1)  # no file may hold the time of day
    write_tree(tmp_path / "b", layout, 20, seed=4)
    assert digests(tmp_path / "b") == first
    write_tree(tmp_path / "c", layout, 20, seed=5)
    other = digests(tmp_path / "c")
    assert other.keys() == first.keys()
    assert sum(other[k] == first[k] for k in first) <= 2  # dataset.toml and faces.npy
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("layout", ["nyu", "synhand"])
def test_same_bytes_whatever_the_number_of_workers(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "_BLOCK", 9)
    found = []
    for workers in (1, 2, 3):
        write_tree(tmp_path / str(workers), layout, 40, seed=9, workers=workers)
        found.append(digests(tmp_path / str(workers)))
    assert found[0] == found[1] == found[2]


# --- the readers -----------------------------------------------------------------------------------------------


def test_msra_tree_is_read_as_it_was_made(tmp_path):
    write_tree(tmp_path / "t", "msra", 400)
    data = load_dataset("msra", tmp_path / "t")
    assert len(data) == 400
    index = data.index()
    assert len(set(zip(index.subject, index.sequence, strict=True))) == 153  # nine people, 17 gestures
    for n in (0, 77, 399):
        item, made = expected("msra", 400, n)
        frame = data.read(n)
        np.testing.assert_array_equal(frame.depth, made.depth)
        np.testing.assert_array_equal(frame.joints, made.joints)
        assert frame.name.startswith(f"{item.folder}/{item.number:06d}")
    problems = [c for c in check_dataset("msra", tmp_path / "t") if not c.ok and "release" not in c.problem]
    assert not problems


def test_nyu_tree_is_read_as_it_was_made(tmp_path):
    write_tree(tmp_path / "t", "nyu", 60)
    data = load_dataset("nyu", tmp_path / "t")
    train, test = (load_dataset("nyu", tmp_path / "t", split=s) for s in ("train", "test"))
    assert (len(train), len(test)) == (54, 6)
    for n in (0, 53, 59):
        _, made = expected("nyu", 60, n)
        frame = data.read(n)
        np.testing.assert_array_equal(frame.depth, np.rint(made.depth))
        np.testing.assert_allclose(frame.joints, nyu_joints(made.joints[None])[0], atol=1e-3)
        # Tips and middle joints are those of the hand itself.
        np.testing.assert_allclose(frame.joints[[18, 21]], made.joints[[4, 2]], atol=1e-3)


def folder_reader():
    pytest.importorskip("gmaps.datasets.folder")
    return lambda root, **kw: load_dataset("folder", root, **kw)


def test_folder_tree_is_read_as_it_was_made(tmp_path):
    load = folder_reader()
    write_tree(tmp_path / "t", "folder", 180)
    data = load(tmp_path / "t")
    assert len(data) == 180
    assert len(load(tmp_path / "t", split="test")) == 17  # S9
    assert len(load(tmp_path / "t", split="train")) == 163
    by_name = {data.read(i).name: i for i in range(180)}
    for n in (0, 100, 179):
        item, made = expected("folder", 180, n)
        (i,) = (i for name, i in by_name.items() if f"{item.folder}/{item.number:06d}" in name)
        frame = data.read(i)
        np.testing.assert_allclose(frame.depth, np.rint(made.depth * 10) / 10, atol=1e-3)
        np.testing.assert_array_equal(frame.joints, made.joints)
        assert frame.camera == layouts.CAMERA


def test_synhand_tree_is_read_as_it_was_made(tmp_path):
    load = folder_reader()
    write_tree(tmp_path / "t", "synhand", 30)
    train, test = (load(tmp_path / "t", split=s) for s in ("train", "test"))
    assert (len(train), len(test)) == (27, 3)
    for n in (0, 26):
        _, made = expected("synhand", 30, n)
        frame = train.read(n)
        np.testing.assert_array_equal(frame.depth, np.rint(made.depth))
        np.testing.assert_array_equal(frame.joints, made.joints)
        np.testing.assert_array_equal(train.segmentation(n), made.parts)
        np.testing.assert_allclose(train.vertices(n), made.vertices, atol=1e-3)
    np.testing.assert_array_equal(train.faces, hand_mesh().triangles)


def test_folder_files_hold_what_dataset_toml_says(tmp_path):
    """Without a reader: the numbers in the files themselves."""
    import tomllib

    write_tree(tmp_path / "f", "folder", 20)
    write_tree(tmp_path / "s", "synhand", 20)
    item, made = expected("folder", 20, 13)
    said = tomllib.loads((tmp_path / "f" / "dataset.toml").read_text())
    png = tmp_path / "f" / item.folder / f"{item.number:06d}.png"
    image = cv2.imread(str(png), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint16
    np.testing.assert_allclose(image * said["depth"]["unit"], made.depth, atol=0.051)
    rows = np.loadtxt(png.parent / "joints.csv", delimiter=",", ndmin=2)
    np.testing.assert_array_equal(rows[item.number].astype(np.float32).reshape(21, 3), made.joints)
    assert said["camera"] == layouts.CAMERA.to_dict()

    item, made = expected("synhand", 20, 19)
    said = tomllib.loads((tmp_path / "s" / "dataset.toml").read_text())
    assert item.folder == "test"
    assert said["segmentation"]["labels"] == ["nothing", *PARTS]
    parts = cv2.imread(str(tmp_path / "s/test/segmentation" / f"{item.number:08d}.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(parts, made.parts)
    vertices = np.load(tmp_path / "s/test/vertices" / f"{item.number:08d}.npy")
    np.testing.assert_allclose(vertices, made.vertices, atol=1e-3)
    np.testing.assert_array_equal(np.load(tmp_path / "s/faces.npy"), hand_mesh().triangles)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("total", [1, 2, 9, 153, 1000])
def test_every_frame_has_one_place(layout, total):
    items = layouts.make_items(layout, total)
    assert len({(i.folder, i.number) for i in items}) == total
    for folder in {i.folder for i in items}:
        assert [i.number for i in items if i.folder == folder] == list(range(sum(i.folder == folder for i in items)))
    folders = [i.folder for i in items]
    assert folders == [f for f in dict.fromkeys(folders) for _ in range(folders.count(f))]  # one after the other


def test_nyu_points_lie_where_real_ones_do(real_data):
    """Distances between a hand's 36 points, as shares of its size, against the medians of the real labels."""
    from gmaps.datasets.nyu import CAMERA

    with np.load(real_data / "nyu" / "joint_uvd_test_kinect1.npz") as file:
        real = CAMERA.unproject(file["joint_uvd"][:2400:20])
    data = load_dataset("synthetic", frames=100)
    made = nyu_joints(np.stack([data.scene(i).joints for i in range(100)]))

    def spans(points):
        gaps = np.median(np.linalg.norm(points[:, :, None] - points[:, None], axis=-1), axis=0)
        bones = [gaps[6 * f + k, 6 * f + k + 1] for f in range(5) for k in range(5)]
        palm = gaps[30:, 30:][np.triu_indices(6, 1)]
        return np.array([*bones, *palm]) / gaps[5, 23]  # little to index knuckle

    assert np.corrcoef(spans(real), spans(made))[0, 1] > 0.93


# --- half-done trees -------------------------------------------------------------------------------------------


def test_a_killed_run_leaves_no_tree_and_the_same_command_finishes_it(tmp_path):
    whole = tmp_path / "whole"
    write_tree(whole, "msra", 600, seed=2)
    command = [sys.executable, "-c", "import sys; from gmaps.cli import main; main(sys.argv[1:])",
               "synth", "t", "--frames", "600", "--layout", "msra", "--seed", "2", "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True)
    notes = tmp_path / "t.partial" / ".synth"
    for _ in range(600):
        if len(list(notes.glob("*.npy"))) >= 2:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "t").exists()
    assert not list((tmp_path / "t.partial").rglob("joint.txt"))  # no reader takes it for a data set
    with pytest.raises(UsageError, match="frames=600"):
        write_tree(tmp_path / "t", "msra", 601, seed=2)
    again = write_tree(tmp_path / "t", "msra", 600, seed=2)
    assert 200 <= again.resumed < 600
    assert digests(tmp_path / "t") == digests(whole)
    assert not (tmp_path / "t.partial").exists()


def test_two_at_once_do_not_mix(tmp_path):
    request = {"release": tree.RELEASE, "layout": "msra", "frames": 5, "seed": 0, "sensor": "tof"}
    with tree._hold(tmp_path / "t.partial", request), pytest.raises(UsageError, match="another process"):
        write_tree(tmp_path / "t", "msra", 5)


def _die(*task):
    os._exit(9)


def test_a_worker_that_dies_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "_write_block", _die)
    with pytest.raises(GmapsError, match="worker died"):
        write_tree(tmp_path / "t", "msra", 201, workers=2)
    monkeypatch.undo()
    write_tree(tmp_path / "t", "msra", 201)


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "own.partial").mkdir()
    (tmp_path / "own.partial" / "mine").write_text("x")
    for name in ("full", "file"):
        with pytest.raises(UsageError, match=f"{name} is there already and not empty"):
            write_tree(tmp_path / name, "msra", 5)
    with pytest.raises(UsageError, match="did not write"):
        write_tree(tmp_path / "own", "msra", 5)
    assert (tmp_path / "own.partial" / "mine").exists()
    (tmp_path / "empty").mkdir()
    write_tree(tmp_path / "empty", "msra", 5)
    assert len(load_dataset("msra", tmp_path / "empty")) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "nyuu"}, "Did you mean 'nyu'"), ({"frames": 0}, "at least one"), ({"seed": -1}, "whole number"),
        ({"sensor": "tov"}, "Did you mean 'tof'"),
    ],
)  # fmt: skip
def test_impossible_requests_are_told_before_anything_is_made(changes, message, tmp_path):
    values = {"layout": "msra", "frames": 3, **changes}
    with pytest.raises(UsageError, match=message):
        write_tree(tmp_path / "t", **values)
    assert not list(tmp_path.iterdir())


def test_full_disk_says_how_to_go_on(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", str(tmp_path / "t.partial/x"))

    monkeypatch.setattr(frame_files, "write_msra_bin", full)
    with pytest.raises(GmapsError, match=r"x: No space left on device; see to it and run the same again"):
        write_tree(tmp_path / "t", "msra", 3)
    assert not (tmp_path / "t").exists()


# --- the command -----------------------------------------------------------------------------------------------


def test_command_writes_says_so_and_refuses_the_second_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    done = runner.invoke(main, ["synth", "t", "--frames", "12", "--layout", "msra", "--workers", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"path": "t", "frames": 12, "resumed": 0}
    assert "12 of 12 frames (100%)" in done.stderr
    again = runner.invoke(main, ["synth", "t", "--frames", "12", "--layout", "msra"])
    assert again.exit_code == 2
    assert "t is there already and not empty" in again.stderr
    quiet = runner.invoke(main, ["synth", "u", "--frames", "3", "--quiet", "--workers", "0", "--sensor", "none"])
    assert quiet.stdout == "u: 3 frames in the layout of folder\n"
    assert quiet.stderr == ""


def test_export_refuses_what_a_format_cannot_hold(tmp_path):
    far = np.full((480, 640), 2500, np.float32)
    with pytest.raises(UsageError, match="2001"):
        frame_files.write_nyu_png(tmp_path / "x.png", far)
    with pytest.raises(UsageError, match="16 bits"):
        frame_files.write_grey_png(tmp_path / "x.png", far * 100)
    with pytest.raises(UsageError, match="empty"):
        frame_files.write_msra_bin(tmp_path / "x.bin", np.zeros((240, 320), np.float32))
    with pytest.raises(UsageError, match="pixels"):
        frame_files.write_msra_bin(tmp_path / "x.bin", far)


def test_names_of_the_command_are_those_of_the_library():
    command = importlib.import_module("gmaps.cli.synth").synth
    choices = {p.name: p.type.choices for p in command.params if hasattr(p.type, "choices")}
    from gmaps.synth.sensor import SENSORS

    assert tuple(choices["layout"]) == LAYOUTS
    assert tuple(choices["sensor"]) == SENSORS
