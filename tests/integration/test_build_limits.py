"""What a build may take: memory, and the disk while it fills."""

from __future__ import annotations

import os

import psutil
import pytest

from gmaps.errors import DiskFullError, UsageError
from gmaps.pipeline import build, probe
from gmaps.pipeline.probe import parse_memory

OPTIONS = {
    "maps": ("geodesic",), "limit": 22, "crop_size": 32, "map_size": 8, "shard_samples": 3,
    "progress": False, "dataset_options": {"frames": 40, "seed": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("8GB", 8e9), ("500 MB", 5e8), ("2g", 2e9), ("1.5GiB", 1.5e9), (123456, 123456), ("1T", 1e12)],
)
def test_memory_is_read(text, expected):
    assert parse_memory(text) == expected


def test_a_share_of_memory():
    assert parse_memory("50%") == pytest.approx(psutil.virtual_memory().total / 2, rel=1e-6)


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "nan", "inf", "%", "8 G G"])
def test_memory_that_is_none(text):
    with pytest.raises(UsageError, match="memory is like 8GB"):
        parse_memory(text)


def test_fewer_workers_where_more_would_not_fit(tmp_path):
    def plan(memory, workers=64):
        return build("synthetic", tmp_path / "m.zarr", dry_run=True, memory=memory, workers=workers, **OPTIONS)

    # A worker is taken to be as large as this process, which tests that ran before may have made large.
    mine = psutil.Process().memory_info().rss
    one = plan(None).estimate.memory
    assert 50e6 < one < mine + 1e9
    assert plan(None).workers == 64
    assert plan("900GB").workers == 64
    # One share for this process, the rest for workers, which take a little more each.
    few = plan(int(one * 5.5)).workers
    assert few == 3
    with pytest.raises(UsageError, match=r"this process and one worker take about .* or --workers 0"):
        plan("60MB")
    assert plan("60MB", workers=0).workers == 0


def test_a_build_within_a_budget_says_that_it_has_fewer_workers(tmp_path, capfd):
    budget = int(psutil.Process().memory_info().rss * 2.6)
    report = build("synthetic", tmp_path / "m.zarr", workers=6, memory=budget, **(OPTIONS | {"progress": True}))
    assert report.frames == 22
    assert "1 workers: more would not fit" in capfd.readouterr().err


def test_the_disk_is_watched_while_it_fills(tmp_path, monkeypatch):
    """Room for all at the start; then somebody else fills the disk."""
    free = iter([10**12] * 4)
    monkeypatch.setattr(probe, "free_bytes", lambda path: next(free, 1000))
    out = tmp_path / "d.zarr"
    with pytest.raises(DiskFullError, match=r"only 1\.0 kB are free, and the shards being written need about"):
        build("synthetic", out, workers=0, **OPTIONS)
    monkeypatch.undo()
    done = len(list((tmp_path / "d.zarr.partial/depth").glob("c.*")))
    assert done == 4
    report = build("synthetic", out, workers=0, **OPTIONS)
    assert report.resumed
    assert report.shards_done_now == 8 - done


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_small_disk_fills_up_and_the_build_goes_on_elsewhere_made_room(tmp_path):
    """A real disk of 256 kB with something else on it that is then removed."""
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (disk / "other").write_bytes(b"x" * 420_000)
        with pytest.raises(DiskFullError):
            build("synthetic", disk / "d.zarr", workers=0, **OPTIONS)
        (disk / "other").unlink()
        assert build("synthetic", disk / "d.zarr", workers=0, **OPTIONS).frames == 22
    finally:
        subprocess.run(["umount", disk], check=True)
