"""Builds on Dask workers: the bytes of a build in one process, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import dask
import psutil
import pytest
from distributed import Client, LocalCluster

from gmaps.errors import DatasetError, GmapsError, RowError, UsageError
from gmaps.pipeline import BuildSpec, build, dispatch, recompute_rows, source
from gmaps.store import open_store, verify_checksums
from tests.unit.store_kit import content

OPTIONS = {
    "maps": ("geodesic",),
    "limit": 24,
    "crop_size": 32,
    "map_size": 8,
    "shard_samples": 3,
    "progress": False,
    "dataset_options": {"frames": 40, "seed": 3},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "w.zarr"
    build("synthetic", path, workers=0, **OPTIONS)
    return content(path)


@pytest.fixture(scope="module")
def cluster():
    """One worker on a scheduler that gives up when it dies."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    with cluster:
        yield cluster


def test_on_a_scheduler_that_is_there(tmp_path, whole, cluster, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = build("synthetic", scheduler=cluster.scheduler_address, **OPTIONS)
    assert report.path == str(tmp_path / "synthetic.zarr")
    assert (report.frames, report.shards_total, report.shards_done_now) == (24, 8, 8)
    assert content(tmp_path / "synthetic.zarr") == whole
    store = open_store("synthetic.zarr")
    assert recompute_rows(store, range(-24, 24, 5)) == []
    assert recompute_rows(store, slice(2, 4)) == []
    with pytest.raises(RowError, match="a mask of 3 for 24 rows"):
        recompute_rows(store, [True, False, True])
    assert BuildSpec.of_store(store).maps.maps == ("geodesic",)


def test_centres_and_rejects_travel(tmp_path, cluster):
    lines = ["0 0 400"] * 40
    lines[7] = lines[20] = "invalid"
    (tmp_path / "c.txt").write_text("\n".join(lines))
    options = OPTIONS | {"center": tmp_path / "c.txt", "half_side": 400, "max_rejects": 2}
    report = build("synthetic", tmp_path / "a.zarr", scheduler=cluster.scheduler_address, **options)
    assert [(r["row"], r["name"]) for r in report.rejects if "invalid" in r["reason"]] == [
        (7, "S7/" + open_store(tmp_path / "a.zarr").attributes["dataset"]["sequences"][0]),
        (20, "S0/" + open_store(tmp_path / "a.zarr").attributes["dataset"]["sequences"][2]),
    ]
    store = open_store(tmp_path / "a.zarr")
    with pytest.raises(UsageError, match="built with a centre file"):
        recompute_rows(store, [0])
    assert recompute_rows(store, range(24), center=tmp_path / "c.txt") == []
    build("synthetic", tmp_path / "b.zarr", workers=0, **options)
    assert content(tmp_path / "a.zarr") == content(tmp_path / "b.zarr")


class Faulty:
    """A data set in a worker of which one frame does something bad; the others are the synthetic ones."""

    def __init__(self, source, row, deed):
        self.source, self.row, self.deed = source, row, deed

    def __getattr__(self, name):
        return getattr(self.source, name)

    def read(self, i):
        if i == self.row:
            self.deed()
        return self.source.read(i)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _raise():
    raise DatasetError("labels.txt: cut off")


def _divide():
    return 1 / 0


@pytest.fixture
def spoil(cluster):
    """Makes the worker's data set do something bad at a row that no estimate looks at."""

    def spoil(row, deed):
        def patch():
            from gmaps.datasets import load_dataset

            source.sent_source.cache_clear()
            source.load_dataset = lambda **spec: Faulty(load_dataset(**spec), row, deed)

        with Client(cluster, set_as_default=False) as client:
            client.run(patch)

    yield spoil

    def heal():
        from gmaps.datasets import load_dataset

        source.sent_source.cache_clear()
        source.load_dataset = load_dataset

    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=30)
        client.run(heal)


@pytest.mark.parametrize(
    ("deed", "kind", "message"),
    [
        (_raise, DatasetError, r"^labels\.txt: cut off$"),
        (_divide, GmapsError, r"row 13 \(S3/.*frame 13\) of synthetic stopped the build: ZeroDivisionError"),
    ],
)
def test_what_stops_a_worker_is_told(tmp_path, whole, cluster, spoil, deed, kind, message):
    spoil(13, deed)
    out = tmp_path / "t.zarr"
    with pytest.raises(kind, match=message):
        build("synthetic", out, scheduler=cluster.scheduler_address, **OPTIONS)
    assert 2 <= len(list((tmp_path / "t.zarr.partial/depth").glob("c.*"))) <= 7
    report = build("synthetic", out, workers=0, **OPTIONS)
    assert report.resumed
    assert 1 <= report.shards_done_now <= 6
    assert content(out) == whole


def test_what_ends_workers_is_made_here(tmp_path, whole, cluster, spoil, capsys):
    spoil(13, _die)
    report = build(
        "synthetic", tmp_path / "t.zarr", scheduler=cluster.scheduler_address, **OPTIONS | {"progress": True}
    )
    assert report.rejected == 0  # here, row 13 can be made
    assert content(tmp_path / "t.zarr") == whole
    # Dask blames what waited on the worker, too, when it died for the last time.
    assert "rows 12 to 14 were being made when workers died" in capsys.readouterr().err


def test_many_shards_that_end_workers_are_no_matter_of_frames(tmp_path, whole, cluster, spoil, monkeypatch):
    monkeypatch.setattr(dispatch, "MOST_DEADLY", 0)
    spoil(13, _die)
    out = tmp_path / "t.zarr"
    with pytest.raises(GmapsError, match=r"last with rows (9|12|15) to .*out of memory.*fewer --workers"):
        build("synthetic", out, scheduler=cluster.scheduler_address, **OPTIONS)
    assert build("synthetic", out, workers=0, **OPTIONS).resumed
    assert content(out) == whole


def test_no_scheduler(tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "CONNECT", 1)
    with pytest.raises(GmapsError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        build("synthetic", tmp_path / "t.zarr", scheduler="tcp://127.0.0.1:9", **OPTIONS)


def test_a_killed_worker_is_replaced(tmp_path, whole):
    """Two workers of our own; one is killed while it works. Its shard is made again, and nothing else is lost."""
    out, killed = tmp_path / "t.zarr", []

    def kill_one():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            if list((tmp_path / "t.zarr.partial").glob("depth/.c.*.tmp")):
                pids = {int(f.name.split(".")[-2].split("-")[0]) for f in tmp_path.rglob(".c.*.tmp")}
                for pid in pids - {os.getpid()}:
                    psutil.Process(pid).kill()
                    killed.append(pid)
                    return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_one)
    killer.start()
    report = build("synthetic", out, workers=2, **OPTIONS)
    killer.join()
    assert len(killed) == 1
    assert report.shards_done_now == 8
    assert content(out) == whole
    assert verify_checksums(out) == []


def test_a_script_that_its_own_workers_would_run_is_told_how_to_build(tmp_path):
    script = tmp_path / "careless.py"
    # As on a system that cannot fork.
    script.write_text(
        "from gmaps.pipeline import build, dispatch\ndispatch.CAN_FORK = False\n"
        f"build('synthetic', 'c.zarr', workers=1, **{OPTIONS!r})\n"
    )
    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "no worker could be started" in ended.stderr.splitlines()[-1]
    assert 'call gmaps.build below `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]
    assert "a worker process imports the script that builds" in ended.stderr
    assert not (tmp_path / "c.zarr").exists()


SCRIPT = """
from gmaps.pipeline import build
if __name__ == "__main__":
    build("synthetic", {out!r}, workers=2, **({options!r} | {{"limit": 400, "dataset_options": {{"frames": 400}}}}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_whole_program_is_stopped(tmp_path, how):
    """Ctrl-C reaches every process of the terminal; a kill only the parent, and its workers must not outlive it."""
    out = tmp_path / "t.zarr"
    script = SCRIPT.format(out=str(out), options=OPTIONS)
    process = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    while len(list((tmp_path / "t.zarr.partial").glob("depth/c.*"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.kill()
    _, errors = process.communicate(timeout=30)
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert gone
    if how == signal.SIGINT:
        last = errors.strip().splitlines()[-1]
        assert "of 134 shards are kept. Run the same command again to go on" in last, errors
        assert errors.count("Traceback") == 1, errors
    options = OPTIONS | {"limit": 400, "dataset_options": {"frames": 400}}
    report = build("synthetic", out, workers=0, **options)
    assert report.resumed
    assert report.shards_done_now <= 133
    build("synthetic", tmp_path / "u.zarr", workers=0, **options)
    assert content(out) == content(tmp_path / "u.zarr")
