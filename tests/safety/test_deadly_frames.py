"""Frames that end the process which reads them: they are named and rejected, and all else is kept."""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

import gmaps
from gmaps.datasets.children import ChildDied, each_in_child, scout
from gmaps.errors import FrameError, GmapsError
from gmaps.pipeline import suspects
from gmaps.pipeline.verify import recompute_rows
from gmaps.store.checksums import verify_checksums
from tests.safety.kit import in_children

OPTIONS = {"maps": ("geodesic",), "crop_size": 32, "map_size": 8, "shard_samples": 20, "progress": False}
#: Of 120 frames, the estimate looks at the first, and not at the second of these.
PROBED, OTHER = 0, 43


def end(how):
    faulthandler.disable()  # of pytest: its stacks would fill the tests' output
    if how == "exit":
        os._exit(1)
    if how == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sysexit":
        raise SystemExit(3)
    raise KeyboardInterrupt


DIES = """
import sys; sys.path.insert(0, {folder!r})
import gmaps
from tests.safety.test_deadly_frames import Deadly, OPTIONS
gmaps.build(Deadly({{{row}}}, "segv"), {out!r}, workers=0, **OPTIONS)
"""


class Deadly:
    """The synthetic data set, of which some frames end the process."""

    def __init__(self, rows, how):
        self.real, self.rows, self.how = gmaps.load_dataset("synthetic", frames=120, sensor="none"), rows, how

    def __getattr__(self, name):
        if name == "real":
            raise AttributeError(name)
        return getattr(self.real, name)

    def __len__(self):
        return len(self.real)

    def read(self, i):
        if i in self.rows:
            end(self.how)
        return self.real.read(i)


def reasons(report):
    return {r["row"]: r["reason"] for r in report.rejects}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("segv", "ended the process that made it, twice: SIGSEGV"),
        pytest.param("exit", "ended the process that made it, twice: exit code 1", marks=pytest.mark.slow),
        pytest.param("kill", "SIGKILL (also the system's, when memory is out)", marks=pytest.mark.slow),
        pytest.param("sysexit", "synthetic ends the process there: SystemExit(3)", marks=pytest.mark.slow),
        pytest.param("interrupt", "synthetic ends the process there: KeyboardInterrupt()", marks=pytest.mark.slow),
    ],
)
def test_in_a_worker(tmp_path, capsys, how, reason):
    out = tmp_path / "x.zarr"
    report = gmaps.build(
        Deadly({PROBED, OTHER}, how), out, workers=1, **{**OPTIONS, "progress": True, "shard_samples": 60}
    )
    assert list(reasons(report)) == [PROBED, OTHER]
    assert all(r.endswith(reason) for r in reasons(report).values())
    said = "rows 0 to 59 were being made when workers died" in capsys.readouterr().err
    assert said == (how not in ("sysexit", "interrupt"))
    assert verify_checksums(out) == []
    good = gmaps.build("synthetic", tmp_path / "g.zarr", workers=0, dataset_options=SAME, **OPTIONS)
    assert good.rejected == 0
    left, right = gmaps.open_store(out), gmaps.open_store(tmp_path / "g.zarr")
    for i in {*range(120)} - {PROBED, OTHER}:
        assert left[i].depth.tobytes() == right[i].depth.tobytes()
        assert left[i].maps["geodesic"].tobytes() == right[i].maps["geodesic"].tobytes()


SAME = {"frames": 120, "sensor": "none"}


@pytest.mark.parametrize("how", ["segv", "exit"])
def test_where_the_estimate_looks(tmp_path, how):
    report = gmaps.build(Deadly({PROBED}, how), tmp_path / "x.zarr", workers=0, **OPTIONS)
    assert list(reasons(report)) == [PROBED]
    assert report.rejects[0]["name"].startswith("S0/")
    assert gmaps.plan(Deadly({PROBED}, how), tmp_path / "y.zarr", workers=0, **OPTIONS).estimate.deadly == (PROBED,)
    # Who compares the rows again does not die of it, either.
    store = gmaps.open_store(tmp_path / "x.zarr")
    assert recompute_rows(store, [PROBED, OTHER], dataset=Deadly({PROBED}, how)) == []


def test_a_build_without_workers_goes_on_behind_the_row_at_which_it_died(tmp_path, capsys):
    out = tmp_path / "x.zarr"

    def build(k):
        gmaps.build(Deadly({OTHER}, "segv"), out, workers=0, **{**OPTIONS, "progress": True})

    assert in_children(build, [0])[0] == ("killed", "signal 11")
    assert not (tmp_path / "x.zarr").exists()
    script = tmp_path / "b.py"
    script.write_text(DIES.format(folder=os.getcwd(), out=str(tmp_path / "y.zarr"), row=OTHER))
    died = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200)
    assert died.returncode == -signal.SIGSEGV
    assert f"the build ended without a word at row {OTHER} (S" in died.stderr
    assert "Run the same command again: that row is then made in a process of its own" in died.stderr
    script.unlink()
    shutil.rmtree(tmp_path / "y.zarr.partial")
    (tmp_path / "y.zarr.lock").unlink(missing_ok=True)
    build(1)
    assert f"ended without a word at row {OTHER}" in capsys.readouterr().err
    assert [r["row"] for r in gmaps.open_store(out).rejects] == [OTHER]
    assert verify_checksums(out) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.zarr"]


def test_a_note_is_written_beside_no_link(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "l.row").symlink_to(tmp_path / "precious")
    note = suspects.RowNote(tmp_path / "l.row")
    assert note.left() is None
    with note as say:
        say(7)
        assert suspects.RowNote(tmp_path / "l.row").left() == 7
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"\xff" * 20, b"1" * 300, b"\x00" * 20])
def test_a_note_of_anything_is_no_row(tmp_path, content):
    (tmp_path / "l.row").write_bytes(content)
    assert suspects.RowNote(tmp_path / "l.row").left() is None
    assert list(tmp_path.iterdir()) == []


def test_where_every_row_ends_its_process_it_is_no_fault_of_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(suspects, "MOST", 2)
    with pytest.raises(GmapsError, match=r"row 15 ends the process that makes it .SIGSEGV., as 2 rows before it did"):
        gmaps.build(Deadly({0, 7, 15, 19}, "segv"), tmp_path / "x.zarr", workers=0, **OPTIONS)


def test_children_tell_all_in_order():
    class Odd(Exception):
        def __reduce__(self):
            raise TypeError("stays here")

    def work(k):
        if k == 1:
            raise FrameError("no hand")
        if k == 2:
            raise Odd("odd")
        if k == 3:
            end("segv")
        if k == 4:
            os._exit(0)
        if k == 5:
            time.sleep(100)
        return bytes(3_000_000) if k == 6 else k

    found = dict(each_in_child(work, range(8), patience=1))
    assert list(found) == list(range(8))
    assert (found[0], len(found[6]), found[7]) == (0, 3_000_000, 7)
    assert [str(found[k]) for k in (1, 2)] == ["no hand", "Odd: odd"]
    assert [str(found[k]) for k in (3, 4, 5)] == ["SIGSEGV", "exit code 0", "it did not end"]
    assert all(isinstance(found[k], ChildDied) for k in (3, 4, 5))


def test_what_no_fork_can_use_is_done_here():
    me, lock = os.getpid(), threading.Lock()
    assert [k for k, _ in scout(lambda k: os.getpid() == me, [1, 2])] == [1, 2]

    def work(k):
        if os.getpid() != me:
            raise RuntimeError("cannot be used in a forked process")
        return lock.locked()

    assert list(scout(work, [1, 2])) == [(1, False), (2, False)]
    with pytest.raises(ZeroDivisionError):
        list(scout(lambda k: 1 // k, [1, 0]))
