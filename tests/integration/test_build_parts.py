"""Builds in parts: each on its own, in any order, and at the end the bytes of one build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.errors import FingerprintError, StoreError, StoreLockedError, UsageError
from gmaps.pipeline import build, finalize, planned, prepare
from gmaps.pipeline.lock import build_lock, part_lock
from gmaps.store import verify_checksums
from tests.unit.store_kit import content

OPTIONS = {
    "maps": ("geodesic",), "limit": 22, "crop_size": 32, "map_size": 8, "shard_samples": 3,
    "dataset_options": {"frames": 40, "seed": 3},
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "w.zarr"
    build("synthetic", path, workers=0, progress=False, **OPTIONS)
    return content(path)


def make(out, k, n, **options):
    return build(**{**planned(out), **options}, part=(k, n), workers=0, progress=False)


def test_parts_in_any_order_make_the_same_store(tmp_path, whole):
    out = tmp_path / "p.zarr"
    plan = prepare("synthetic", out, **OPTIONS)
    assert plan.job.shards == 8
    reports = {k: make(out, k, 3) for k in (3, 1, 2)}
    assert [reports[k].shards_total for k in (1, 2, 3)] == [3, 3, 2]
    assert sum(r.frames for r in reports.values()) == 22
    assert "part 3/3 of" in reports[3].summary()
    assert "gmaps finalize" in reports[3].summary()
    report = finalize(out, progress=False)
    assert (report.frames, report.shards_done_now, report.part) == (22, 0, "")
    assert "of 8 shards that were made before" in report.summary()
    assert content(out) == whole
    again = finalize(out, progress=False)
    assert (again.frames, again.shards_total, again.bytes) == (22, 8, report.bytes)
    assert "already complete" in again.summary()
    assert verify_checksums(out) == []
    assert [p.name for p in tmp_path.iterdir()] == ["p.zarr"]
    # A part of what is finished has nothing to do.
    assert build("synthetic", out, part=(1, 3), workers=0, progress=False, **OPTIONS).shards_done_now == 0


def test_a_part_needs_no_plan_when_it_is_given_all(tmp_path, whole):
    out = tmp_path / "p.zarr"
    for k in (1, 2):
        build("synthetic", out, part=(k, 2), workers=0, progress=False, **OPTIONS)
    finalize(out, progress=False)
    assert content(out) == whole


def test_the_same_part_again_goes_on_and_a_plain_build_takes_parts_over(tmp_path, whole):
    out = tmp_path / "p.zarr"
    prepare("synthetic", out, **OPTIONS)
    make(out, 1, 2)
    damaged = out.with_name("p.zarr.partial") / "depth/c.4.0.0"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    again = make(out, 1, 2)
    assert (again.shards_done_now, again.shards_total, again.resumed) == (1, 4, True)
    report = build("synthetic", out, workers=0, progress=False, **OPTIONS)
    assert (report.shards_done_now, report.shards_total) == (4, 8)
    assert content(out) == whole


def test_parts_take_over_what_a_plain_build_had_finished(tmp_path, whole, monkeypatch):
    from gmaps.pipeline import dispatch

    made = []

    def stopped(source, job, k):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(k)
        return write(source, job, k)

    write = dispatch.write_shard
    out = tmp_path / "p.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "write_shard", stopped)
        with pytest.raises(KeyboardInterrupt, match="3 of 8 shards are kept"):
            build("synthetic", out, workers=0, progress=False, **OPTIONS)
    first, second = make(out, 1, 2), make(out, 2, 2)
    assert (first.shards_done_now, second.shards_done_now) == (2, 3)
    finalize(out, progress=False)
    assert content(out) == whole


def test_finalize_says_what_is_missing(tmp_path):
    out = tmp_path / "p.zarr"
    with pytest.raises(StoreError, match="no plan can be read there"):
        finalize(out)
    prepare("synthetic", out, **OPTIONS)
    make(out, 2, 3)
    with pytest.raises(StoreError, match=r"5 of 8 shards are not made yet \(1, 3, 4, 6, 7\)"):
        finalize(out, progress=False)
    assert not out.exists()


def test_parts_and_whole_builds_keep_out_of_each_others_way(tmp_path):
    out = tmp_path / "p.zarr"
    prepare("synthetic", out, **OPTIONS)
    with part_lock(out, (1, 2), lambda: None):
        with pytest.raises(StoreLockedError, match=r"this part of .*p\.zarr is being built by process"):
            make(out, 1, 2)
        with pytest.raises(StoreLockedError, match=r"^a part of .*remove .*p\.zarr\.part-1-of-2\.lock"):
            build("synthetic", out, workers=0, progress=False, **OPTIONS)
        assert make(out, 2, 2).shards_done_now == 4  # the other part may
    with build_lock(out), pytest.raises(StoreLockedError, match="is being built by process"):
        make(out, 1, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.zarr.partial"]


def test_another_plan_is_refused(tmp_path):
    out = tmp_path / "p.zarr"
    prepare("synthetic", out, **OPTIONS)
    with pytest.raises(FingerprintError, match="map"):
        build("synthetic", out, part=(1, 2), workers=0, progress=False, **(OPTIONS | {"map_size": 16}))
    with pytest.raises(FingerprintError):
        prepare("synthetic", out, **(OPTIONS | {"map_size": 16}))
    prepare("synthetic", out, overwrite=True, **(OPTIONS | {"map_size": 16}))
    assert planned(out)["map_size"] == 16
    with pytest.raises(UsageError, match="K from 1 to N, got 3/2"):
        make(out, 3, 2)
    with pytest.raises(UsageError, match="replaces nothing"):
        make(out, 1, 2, overwrite=True)


def test_a_killed_part_goes_on(tmp_path, whole):
    out = tmp_path / "p.zarr"
    prepare("synthetic", out, **OPTIONS)
    script = (
        "import sys, time; from gmaps.pipeline import build, dispatch, planned\n"
        "write = dispatch.write_shard\n"
        "def slow(*a):\n    time.sleep(0.2); return write(*a)\n"
        "dispatch.write_shard = slow\n"
        "build(**planned(sys.argv[1]), part=(1, 2), workers=0, progress=False)"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(out)])
    ledger = out.with_name("p.zarr.partial") / "ledger.part-1-of-2.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 3):
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    report = make(out, 1, 2)
    assert report.resumed
    assert 1 <= report.shards_done_now <= 2
    make(out, 2, 2)
    finalize(out, progress=False)
    assert content(out) == whole


def test_on_the_command_line(tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    options = [
        "--maps",
        "geodesic",
        "--limit",
        "22",
        "--crop-size",
        "32",
        "--map-size",
        "8",
        "-O",
        "frames=40",
        "-O",
        "seed=3",
    ]

    def gmaps(*words, code=0):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        return result.output

    assert "say --out, or make a plan" in gmaps("build", "--part", "1/2", code=1)
    assert "gmaps build --part K/N --out" in gmaps("plan", *options)
    assert "leave out --maps" in gmaps("build", "--part", "1/1", "--maps", "geodesic", code=2)
    assert "is not K/N" in gmaps("build", "--part", "2/1", code=2)
    assert "shards are not made yet" in gmaps("finalize", code=1)
    made = json.loads(gmaps("build", "--part", "1/1", "--workers", "0", "--quiet", "--json"))
    assert (made["part"], made["frames"]) == ("1/1", 22)
    done = json.loads(gmaps("finalize", "--json", "--quiet"))
    assert (done["frames"], done["path"]) == (22, str(tmp_path / "synthetic.zarr"))
    assert verify_checksums(tmp_path / "synthetic.zarr") == []
