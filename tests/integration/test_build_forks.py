"""Workers of short builds are forks: the bytes of a build in one process, and what becomes of those that die."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from gmaps.datasets.children import ChildDied
from gmaps.errors import DatasetError, GmapsError
from gmaps.pipeline import build, dispatch, worker
from gmaps.pipeline.forks import share_out
from tests.unit.store_kit import content

OPTIONS = {
    "maps": ("geodesic",), "limit": 24, "crop_size": 32, "map_size": 8, "shard_samples": 3, "progress": False,
    "dataset_options": {"frames": 40, "seed": 3},
}  # fmt: skip


def pid_of(number):
    return number, os.getpid()


def test_every_number_once_from_several_processes():
    found = dict(share_out(pid_of, range(40), 3, 60))
    assert sorted(found) == list(range(40))
    assert all(found[k][0] == k for k in found)
    pids = {pid for _, pid in found.values()}
    assert 1 <= len(pids) <= 3
    assert os.getpid() not in pids


def dies_of(number, deadly=(7,)):
    if number in deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_number_that_ends_children_is_told_and_the_rest_is_made():
    found = dict(share_out(dies_of, range(20), 2, 60))
    assert sorted(found) == list(range(20))
    assert isinstance(found[7], ChildDied)
    assert found[7].status == signal.SIGKILL
    # What waited behind it may have been blamed, too, and nothing else.
    assert sum(isinstance(outcome, ChildDied) for outcome in found.values()) <= 3


def test_errors_travel_and_silence_is_not_waited_for():
    def work(number):
        if number == 3:
            raise DatasetError("labels.txt: cut off")
        return number

    found = dict(share_out(work, range(6), 2, 60))
    assert isinstance(found.pop(3), DatasetError)
    assert found == {k: k for k in (0, 1, 2, 4, 5)}
    outcomes = list(share_out(lambda _: threading.Event().wait(60), range(3), 1, 0.3))
    assert [type(outcome) for _, outcome in outcomes] == [ChildDied]
    assert outcomes[0][1].status is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "w.zarr"
    build("synthetic", path, workers=0, **OPTIONS)
    return content(path)


def no_cluster(monkeypatch):
    monkeypatch.setattr(dispatch, "_client", lambda *_: pytest.fail("a cluster was started"))


def test_no_cluster_is_started(tmp_path, whole, monkeypatch):
    no_cluster(monkeypatch)
    assert build("synthetic", tmp_path / "t.zarr", workers=2, **OPTIONS).shards_done_now == 8
    assert content(tmp_path / "t.zarr") == whole
    options = OPTIONS | {"shard_samples": 24}
    assert build("synthetic", tmp_path / "one.zarr", workers=2, **options).shards_done_now == 1
    assert content(tmp_path / "one.zarr")["depth/c.0.0.0"]


def spoil(monkeypatch, deed):
    """Something bad at row 13, which no estimate looks at, in forks alone."""
    here, make = os.getpid(), worker.job_row

    def job_row(source, maps, i):
        if i == 13 and os.getpid() != here:
            deed()
        return make(source, maps, i)

    monkeypatch.setattr(worker, "job_row", job_row)


def test_a_row_that_ends_workers_is_rejected_and_the_rest_kept(tmp_path, whole, monkeypatch, capsys):
    no_cluster(monkeypatch)
    spoil(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    report = build("synthetic", tmp_path / "t.zarr", workers=1, **OPTIONS | {"progress": True, "max_rejects": "100%"})
    assert [r["row"] for r in report.rejects] == [13]
    assert "rows 12 to 14 were being made when workers died" in capsys.readouterr().err


def test_what_is_known_to_be_wrong_is_told_by_a_fork(tmp_path, monkeypatch):
    no_cluster(monkeypatch)

    def deed():
        raise DatasetError("labels.txt: cut off")

    spoil(monkeypatch, deed)
    with pytest.raises(DatasetError, match=r"^labels\.txt: cut off$"):
        build("synthetic", tmp_path / "t.zarr", workers=2, **OPTIONS)


def test_what_forks_cannot_do_is_left_to_a_cluster(tmp_path, monkeypatch):
    def client(*_):
        raise GmapsError("a cluster is asked for")

    monkeypatch.setattr(dispatch, "_client", client)
    spoil(monkeypatch, lambda: 1 / 0)
    with pytest.raises(GmapsError, match="a cluster is asked for"):
        build("synthetic", tmp_path / "t.zarr", workers=2, **OPTIONS)
    # Known from the estimate, before a shard is tried.
    with monkeypatch.context() as patch:
        patch.setattr("gmaps.datasets.children.CAN_FORK", False)
        patch.setattr(dispatch, "share_out", lambda *_: pytest.fail("forks were started"))
        with pytest.raises(GmapsError, match="a cluster is asked for"):
            build("synthetic", tmp_path / "u.zarr", workers=2, **OPTIONS)
    # A long build has a cluster from the beginning.
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "SHORT", 0)
        patch.setattr(dispatch, "share_out", lambda *_: pytest.fail("forks were started"))
        with pytest.raises(GmapsError, match="a cluster is asked for"):
            build("synthetic", tmp_path / "v.zarr", workers=2, **OPTIONS)
    monkeypatch.undo()
    assert build("synthetic", tmp_path / "t.zarr", workers=0, **OPTIONS).resumed
