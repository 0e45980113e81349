"""Builds, with each fault made to happen: what is finished is never lost, and the end is the same to the byte."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing as mp
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.datasets.base import DatasetInfo, Index
from gmaps.errors import (
    DatasetError,
    DiskFullError,
    FingerprintError,
    FrameError,
    GmapsError,
    StoreError,
    StoreLockedError,
    UsageError,
)
from gmaps.frame import Frame
from gmaps.pipeline import build, make_sample, recompute_rows
from gmaps.pipeline import verify as recompute_module
from gmaps.pipeline.progress import Progress, format_bytes, format_seconds
from gmaps.pipeline.source import FrameCrops
from gmaps.skeleton import get_skeleton
from gmaps.store import open_store, verify_checksums
from gmaps.store import writer as writer_module
from tests.unit.store_kit import content

CAMERA = Camera(80.0, 80.0, 40.0, 30.0, 80, 60)
MAPS = ("geodesic", "signed_edt", "heatmap")


class TinySet:
    """A blob of a hand whose joints are drawn at random: cheap, and different in every frame."""

    info = DatasetInfo("tiny", "Tiny", "", "", "", "", "msra21", half_side=100.0)
    skeleton = get_skeleton("msra21")
    camera = CAMERA

    def __init__(self, size=44, bad=(), faults=None, pause=0.0):
        self.size, self.bad, self.faults, self.pause = size, set(bad), faults or {}, pause

    def __len__(self):
        return self.size

    def index(self):
        n = np.arange(self.size)
        return Index(n + 1000, (n % 2).astype(np.int16), (n % 3).astype(np.int16), ("P0", "P1"), ("1", "2", "Y"))

    def read(self, i):
        time.sleep(self.pause)
        if i in self.faults:
            raise self.faults[i]
        rng = np.random.default_rng(i)
        joints = (rng.uniform(-60, 60, (21, 3)) + np.array([0, 0, 400])).astype(np.float32)
        depth = np.zeros((60, 80), np.float32)
        if i not in self.bad:
            r = 6 + i % 5
            v, u = np.mgrid[:60, :80]
            inside = (v - 30) ** 2 + (u - 40) ** 2 < r * r
            depth[inside] = 380 + rng.normal(0, 5, inside.sum())
        return Frame(depth, CAMERA, joints, 1000 + i, i % 2, i % 3, f"tiny/{i:03d}.png")

    def spec(self):
        return {"name": "tiny", "root": None, "split": "all", "size": self.size, "bad": sorted(self.bad)}

    def fingerprint(self):
        return {"release": 1, "count": self.size, "bad": sorted(self.bad)}


def make(out, dataset=None, **options):
    defaults = {"workers": 0, "maps": MAPS, "crop_size": 32, "map_size": 8, "shard_samples": 4, "progress": False}
    return build(TinySet() if dataset is None else dataset, out, **(defaults | options))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store that was built without a fault."""
    path = tmp_path_factory.mktemp("whole") / "w.zarr"
    make(path)
    return content(path)


def test_every_row_is_make_sample(tmp_path):
    dataset = TinySet()
    out = tmp_path / "t.zarr"
    report = make(out, dataset, dtype="float32")
    store = open_store(out)
    crop, maps = store.attributes["fingerprint_of"]["crop"], store.attributes["fingerprint_of"]["maps"]
    assert (crop["half_side"], crop["size"], maps["size"]) == (100.0, 32, 8)
    outside = 0
    plan = make(tmp_path / "unused.zarr", dataset, dtype="float32", dry_run=True)
    source = FrameCrops(dataset, plan.spec.crop)
    for i in range(44):
        expected_crop, expected = make_sample(source, i, plan.spec.maps)
        sample = store[i]
        assert (sample.frame, sample.subject, sample.sequence) == (1000 + i, i % 2, i % 3)
        np.testing.assert_array_equal(sample.depth, expected_crop.depth)
        np.testing.assert_array_equal(sample.joints, expected_crop.joints_mm)
        np.testing.assert_array_equal(sample.crop.cube.to_array(), expected_crop.cube.to_array())
        assert set(sample.maps) == set(MAPS)
        for kind in MAPS:
            np.testing.assert_array_equal(sample.maps[kind], expected[kind])
        np.testing.assert_array_equal(sample.scale["geodesic"], expected.scale["geodesic"])
        outside += not expected_crop.inside().all()
    assert (report.frames, report.rejected, report.shards_total, report.shards_done_now) == (44, 0, 11, 11)
    assert report.joints_outside == outside
    assert report.bytes == sum(map(len, content(out).values()))
    assert report.frames_per_second == pytest.approx(44 / report.seconds)
    assert not report.resumed
    assert verify_checksums(out) == []
    assert store.attributes["dataset"]["subjects"] == ["P0", "P1"]
    assert [p.name for p in tmp_path.iterdir()] == ["t.zarr"]


def test_the_same_again_does_nothing(tmp_path):
    out = tmp_path / "t.zarr"
    first = make(out)
    times = {f: f.stat().st_mtime_ns for f in out.rglob("*")}
    # As a crash between the last steps leaves it.
    (out / "ledger.jsonl").touch()
    (tmp_path / "t.zarr.deleting").mkdir()
    again = make(out)
    assert again.shards_done_now == 0
    assert (again.frames, again.bytes, again.joints_outside) == (44, first.bytes, first.joints_outside)
    assert "already complete" in again.summary()
    assert [p.name for p in tmp_path.iterdir()] == ["t.zarr"]
    assert times == {f: f.stat().st_mtime_ns for f in out.rglob("*")}


def test_another_fingerprint_is_refused_with_all_that_differs(tmp_path):
    out = tmp_path / "t.zarr"
    make(out)
    before = content(out)
    with pytest.raises(FingerprintError) as error:
        make(out, half_side=80, maps=("geodesic",))
    message = str(error.value)
    assert "crop.half_side: 100.0 -> 80.0" in message
    assert 'maps.maps: ["geodesic", "signed_edt", "heatmap"] -> ["geodesic"]' in message
    assert "--overwrite" in message
    with pytest.raises(FingerprintError, match=r"dataset\.count: 44 -> 45.*rows: 44 -> 45"):
        make(out, TinySet(45))
    with pytest.raises(FingerprintError, match=r"dtype: float16 -> float32"):
        make(out, dtype="float32")
    assert content(out) == before


def test_overwrite_keeps_the_old_store_until_the_new_one_is_finished(tmp_path):
    out = tmp_path / "t.zarr"
    make(out)
    before = content(out)
    with pytest.raises(GmapsError):
        make(out, TinySet(faults={ROW: RuntimeError("broken")}), half_side=80, overwrite=True)
    assert content(out) == before
    report = make(out, half_side=80, overwrite=True)
    assert report.resumed
    assert report.shards_done_now < 11
    assert open_store(out).attributes["crop"]["half_side"] == 80.0
    assert [p.name for p in tmp_path.iterdir()] == ["t.zarr"]
    # What went wrong half-way for one set of parameters is not taken up for another.
    with pytest.raises(GmapsError):
        make(out, TinySet(faults={ROW: RuntimeError("broken")}), half_side=70, overwrite=True)
    assert make(out, half_side=60, overwrite=True).shards_done_now == 11


def test_what_is_no_store_is_never_removed(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match="thesis is there already, and is no gmaps store"):
            make(tmp_path / "thesis", overwrite=overwrite)
    assert (tmp_path / "thesis/chapter.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert make(tmp_path / "empty").frames == 44


def test_a_damaged_store_can_be_overwritten(tmp_path, whole):
    out = tmp_path / "t.zarr"
    make(out)
    (out / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="verify"):
        make(out)
    make(out, overwrite=True)
    assert content(out) == whole


# Interruptions


def test_five_kills_at_random_moments(tmp_path, whole):
    start = time.monotonic()
    make(tmp_path / "once.zarr")
    duration = time.monotonic() - start
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    out, finished = tmp_path / "t.zarr", 0
    fork = mp.get_context("fork")
    for _ in range(5):
        process = fork.Process(target=make, args=(out,))
        process.start()
        process.join(moments.uniform(0, duration * 0.6))
        process.kill()
        process.join()
        finished = len(list((tmp_path / "t.zarr.partial").glob("depth/c.*"))) if not out.exists() else 11
    report = make(out)
    assert content(out) == whole, f"seed {seed}"
    assert report.shards_done_now <= 11 - max(finished - 1, 0), f"seed {seed}"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["once.zarr", "t.zarr"]


#: In shard 7, and not among the rows from which a build estimates its cost before it starts.
ROW = 28


def interrupted(out, row=ROW, error=None):
    """Builds until a row, and leaves the rest."""
    with pytest.raises((GmapsError, KeyboardInterrupt)) as caught:
        make(out, TinySet(faults={row: error or RuntimeError("the lights went out")}))
    return caught.value


def test_an_unknown_error_stops_the_build_and_keeps_what_is_finished(tmp_path, whole):
    out = tmp_path / "t.zarr"
    error = interrupted(out)
    assert "row 28 (P0/2, frame 1028) of tiny stopped the build: RuntimeError: the lights went out" in str(error)
    assert isinstance(error.__cause__, RuntimeError)
    with pytest.raises(StoreError, match="not finished"):
        open_store(out)
    report = make(out)
    assert report.resumed
    assert report.shards_done_now == 4  # rows 28 to 43
    assert content(out) == whole


def test_control_c_says_how_to_go_on(tmp_path, whole):
    # A shell's background job ignores Ctrl-C, and so would the build.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stopped_by_control_c(tmp_path, whole)
    finally:
        signal.signal(signal.SIGINT, before)


def stopped_by_control_c(tmp_path, whole):
    out = tmp_path / "t.zarr"
    error = interrupted(out, error=KeyboardInterrupt())
    assert str(error) == "stopped: 7 of 11 shards are kept. Run the same command again to go on"
    assert not (tmp_path / "t.zarr.lock").exists()
    assert list((tmp_path / "t.zarr.partial").rglob("*.tmp")) == []
    make(out)
    assert content(out) == whole


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "ledger", "no ledger"])
def test_torn_files_are_found_and_made_again(tmp_path, whole, damage, capfd):
    out = tmp_path / "t.zarr"
    interrupted(out)
    partial = tmp_path / "t.zarr.partial"
    shard = partial / "maps/geodesic/c.2.0.0.0"
    ledger = partial / "ledger.jsonl"
    redone = 5
    if damage == "cut":
        os.truncate(shard, shard.stat().st_size - 7)
    elif damage == "changed":
        data = bytearray(shard.read_bytes())
        data[50] ^= 4
        shard.write_bytes(data)
    elif damage == "missing":
        shard.unlink()
    elif damage == "ledger":
        os.truncate(ledger, ledger.stat().st_size - 20)
    else:
        ledger.unlink()
    (partial / "depth/.c.1.0.0.123-0a1b2c3d.tmp").write_bytes(b"left by a killed worker")
    if damage == "no ledger":
        # Without it nothing tells that these files are a build's: they are not deleted.
        with pytest.raises(StoreError, match="holds what no build of ours left"):
            make(out)
        return
    report = make(out, progress=True)
    assert report.shards_done_now == redone
    assert content(out) == whole
    if damage in ("cut", "changed", "missing"):
        assert "made again: maps/geodesic/c.2.0.0.0" in capfd.readouterr().err


def test_an_unfinished_build_of_something_else_is_refused(tmp_path):
    out = tmp_path / "t.zarr"
    interrupted(out)
    with pytest.raises(FingerprintError, match=r"unfinished part \(7 shards\).*maps\.size: 8 -> 16"):
        make(out, map_size=16)
    assert make(out, map_size=16, overwrite=True).shards_done_now == 11


# Two at once


def test_two_builds_at_once(tmp_path, whole):
    out = tmp_path / "t.zarr"
    process = mp.get_context("fork").Process(target=make, args=(out, TinySet(pause=0.02)))
    process.start()
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "t.zarr.partial").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(StoreLockedError, match=rf"is being built by process {process.pid} on"):
            make(out)
    finally:
        process.join(30)
    assert process.exitcode == 0
    assert content(out) == whole


@pytest.mark.parametrize("stale", ["dead", "number used again", "torn"])
def test_a_stale_lock_is_recognised(tmp_path, stale):
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": 1000.0}
    if stale == "dead":
        process = mp.get_context("fork").Process(target=time.sleep, args=(0,))
        process.start()
        process.join()
        holder["pid"] = process.pid
    (tmp_path / "t.zarr.lock").write_text("" if stale == "torn" else json.dumps(holder))
    assert make(tmp_path / "t.zarr").frames == 44
    assert not (tmp_path / "t.zarr.lock").exists()


def test_the_lock_of_another_machine_is_respected(tmp_path):
    lock = tmp_path / "t.zarr.lock"
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": 1000.0}))
    with pytest.raises(StoreLockedError, match=r"process 1 on elsewhere.*remove .*t\.zarr\.lock"):
        make(tmp_path / "t.zarr")
    assert lock.exists()


# Disk full


@pytest.mark.parametrize("call", [1, 13, 40])
def test_a_full_disk_stops_cleanly(tmp_path, whole, monkeypatch, call):
    out = tmp_path / "t.zarr"
    flush, calls = writer_module._flush, 0

    def full(f):
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(f)

    monkeypatch.setattr(writer_module, "_flush", full)
    with pytest.raises(DiskFullError, match=r"No space left.*run the same command again"):
        make(out)
    assert list((tmp_path / "t.zarr.partial").rglob("*.tmp")) == []
    monkeypatch.undo()
    report = make(out)
    assert report.shards_done_now == 11 - (call - 1) // 11  # eleven files a shard
    assert content(out) == whole


def _build_within(out, limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        make(out)
    except DiskFullError:
        os._exit(28)
    os._exit(0)


def test_a_real_limit_on_file_size(tmp_path, whole):
    """The kernel itself refuses the bytes, in the middle of a file."""
    out = tmp_path / "t.zarr"
    largest = max(len(v) for k, v in whole.items() if k.startswith("maps/geodesic/c"))
    process = mp.get_context("fork").Process(target=_build_within, args=(out, largest - 1))
    process.start()
    process.join(30)
    assert process.exitcode == 28
    assert list((tmp_path / "t.zarr.partial").rglob("*.tmp")) == []
    make(out)
    assert content(out) == whole


def test_too_little_space_is_seen_before_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("gmaps.pipeline.plan.shutil.disk_usage", lambda path: type("U", (), {"free": 10_000}))
    with pytest.raises(DiskFullError, match=r"needs about .* more, and 10\.0 kB are free"):
        make(tmp_path / "t.zarr")
    assert not (tmp_path / "t.zarr.partial" / "depth").exists()


# Rejected frames


def test_rejected_frames_are_listed_and_marked(tmp_path):
    out = tmp_path / "t.zarr"
    dataset = TinySet(bad={5, 6, 40, *range(12, 16)}, faults={2: FrameError("tiny/002.png: header disagrees")})
    report = make(out, dataset)
    assert report.rejected == 8
    assert report.rejected_over_limit
    rows = [r["row"] for r in report.rejects]
    assert rows == [2, 5, 6, 12, 13, 14, 15, 40]
    assert report.rejects[0] == {
        "row": 2,
        "frame": 1002,
        "name": "P0/Y",
        "reason": "tiny/002.png: header disagrees",
    }
    assert "tiny/005.png" in report.rejects[1]["reason"]
    assert "first is row 2, P0/Y: tiny/002.png: header disagrees" in report.summary()
    store = open_store(out)
    assert store.rejects == report.rejects
    assert np.flatnonzero(~store.column("valid")).tolist() == rows
    np.testing.assert_array_equal(store.column("frame"), np.arange(1000, 1044))
    assert verify_checksums(out) == []
    assert make(out, dataset).rejected_over_limit  # also when there is nothing to do


@pytest.mark.parametrize(
    ("limit", "over"), [("1%", True), ("3%", False), (1, False), (0, True), ("0", True), (0.02, True), (0.03, False)]
)
def test_the_limit_of_rejects(tmp_path, limit, over):
    report = make(tmp_path / "t.zarr", TinySet(bad={7}), max_rejects=limit)  # 2.3 %
    assert report.rejected_over_limit is over


@pytest.mark.parametrize("limit", ["many", "-1", "101%", "", "nan"])
def test_a_limit_that_is_none(tmp_path, limit):
    with pytest.raises(UsageError, match="max_rejects"):
        make(tmp_path / "t.zarr", max_rejects=limit)


def test_a_centre_file(tmp_path):
    lines = [f"{i} 0 400" for i in range(44)]
    lines[9] = "invalid"
    file = tmp_path / "centers.txt"
    file.write_text("\n".join(lines) + "\n")
    out = tmp_path / "t.zarr"
    report = make(out, center=file, limit=21)
    assert [r["row"] for r in report.rejects] == [9]
    store = open_store(out)
    np.testing.assert_array_equal(store.column("cube")[20], [20, 0, 400, 100])
    assert store.attributes["crop"]["center"] == "file"
    # The file's values count, not its name.
    assert make(out, center=file.rename(tmp_path / "moved.txt"), limit=21).shards_done_now == 0
    (tmp_path / "moved.txt").write_text("\n".join(["7 7 400", *lines[1:]]))
    with pytest.raises(FingerprintError, match="centers: "):
        make(out, center=tmp_path / "moved.txt", limit=21)
    (tmp_path / "moved.txt").write_text("\n".join(lines[:-1]))
    with pytest.raises(DatasetError, match="43 centres, the data set has 44 frames"):
        make(out, center=tmp_path / "moved.txt", limit=21)


# The rest


def test_a_dry_run_writes_nothing(tmp_path, whole):
    plan = make(tmp_path / "t.zarr", dry_run=True)
    assert list(tmp_path.iterdir()) == []
    shards = sum(len(v) for k, v in whole.items() if "/c." in k)
    assert plan.estimate.bytes == pytest.approx(shards, rel=0.05)
    assert plan.to_dict()["shards"] == 11
    assert plan.to_dict()["arrays"]["maps/geodesic"] == {"item": [8, 8, 21], "dtype": "float16"}
    json.dumps(plan.to_dict())
    assert "44 frames in 11 shards of 4" in plan.summary()
    assert "maps/geodesic 8x8x21 float16" in plan.summary()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit"),
        ({"workers": -1}, "workers"),
        ({"maps": ("geodesik",)}, "Did you mean 'geodesic'"),
        ({"maps": ("signed_edt",), "dtype": "uint8"}, "signed_edt has no bounded range"),
        ({"half_side": -3}, "half_side"),
        ({"projection": "fisheye"}, "projection"),
        ({"root": "/somewhere"}, "root and dataset_options"),
    ],
)
def test_parameters_that_cannot_be_met(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        make(tmp_path / "t.zarr", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        make(tmp_path / "file" / "t.zarr")


def test_progress_where_there_is_no_terminal(tmp_path, capfd):
    make(tmp_path / "t.zarr", progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 6  # each after 10 % or more, which is two shards of four; and the end
    assert "44 of 44 frames (100%)" in lines[-1]
    assert "frames/s" in lines[0]


def test_progress_on_a_terminal():
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(100, 20, stream=stream) as bar:
        bar.say("a line")
        bar.update(80)
        assert bar.done == 100
    shown = stream.getvalue()
    assert "a line\n" in shown
    assert "20%" in shown
    assert "100/100" in shown


def test_words_for_numbers():
    assert [format_seconds(s) for s in (4.2, 65, 3725)] == ["4 s", "1 min 05 s", "1 h 02 min"]
    assert [format_bytes(n) for n in (999, 12_345_678, 2e15)] == ["999 B", "12.3 MB", "2000.0 TB"]


def test_recomputed_rows_agree(tmp_path, monkeypatch):
    def load(name, root=None, **options):
        assert name == "tiny"
        options.pop("split")
        return TinySet(**options)

    monkeypatch.setattr(recompute_module, "load_dataset", load)
    out = tmp_path / "t.zarr"
    make(out, TinySet(bad={3}))
    store = open_store(out)
    assert recompute_rows(store, range(44)) == []
    # Another shard's bytes in its place: every file is intact, the values are wrong.
    (out / "maps/heatmap/c.0.0.0.0").write_bytes((out / "maps/heatmap/c.1.0.0.0").read_bytes())
    problems = recompute_rows(open_store(out), [0, 4, 3])
    assert len(problems) == 1
    assert problems[0].startswith("row 0, maps/heatmap:")
    monkeypatch.setattr(TinySet, "fingerprint", lambda self: {"release": 2})
    assert any("data set.release: 1 -> 2" in p for p in recompute_rows(store, [0]))


def test_workers_import_no_library_that_few_of_them_need():
    heavy = ("torch", "matplotlib", "zarr", "cv2", "scipy.ndimage")
    used = (
        "gmaps.pipeline.worker, gmaps.datasets.msra, gmaps.datasets.nyu, gmaps.datasets.icvl, gmaps.datasets.hands17"
    )
    code = f"import sys, {used}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
