"""Locks: held by the system while their holder lives, whatever stands in them."""

import json
import os
import signal
import time

import pytest

from gmaps.errors import StoreError, StoreLockedError
from gmaps.pipeline import lock
from gmaps.pipeline.lock import build_lock, part_lock


@pytest.fixture
def out(tmp_path):
    return tmp_path / "x.zarr"


@pytest.fixture
def holder(out):
    """A child that holds the lock until it is killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with build_lock(out):
                os.write(write, b"held")
                time.sleep(60)
        finally:
            os._exit(0)
    os.read(read, 4)
    os.close(read)
    os.close(write)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def file_of(out):
    return out.with_name(out.name + ".lock")


def taken(out):
    with build_lock(out):
        return json.loads(file_of(out).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("change", [{}, {"pid": 2**22 - 1}, {"started": 1.0}, {"started": time.time() + 3600}])
def test_a_live_build_keeps_its_lock_whatever_is_written_in_it(out, holder, change):
    """Its number means nothing in another container, and the time of its start nothing when the clock was set."""
    file = file_of(out)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(StoreLockedError, match="is being built by process"):
        taken(out)
    with pytest.raises(StoreLockedError), part_lock(out, (1, 2), lambda: None):
        pass


def test_a_killed_build_leaves_a_lock_that_is_taken(out, holder):
    os.kill(holder, signal.SIGKILL)
    while os.waitid(os.P_PID, holder, os.WEXITED | os.WNOWAIT) is None:
        pass
    assert file_of(out).exists()
    assert taken(out)
    assert not file_of(out).exists()


@pytest.mark.parametrize(("age", "free"), [(5, False), (3600, True), (-3600, True)])
def test_another_machine_is_dead_when_it_touched_its_lock_long_ago(out, age, free):
    record = {"pid": 7, "host": "node-12", "started": 1.0, "boot": "another"}
    file_of(out).write_text(json.dumps(record))
    os.utime(file_of(out), (time.time() - age,) * 2)
    if free:
        assert taken(out)
    else:
        for _ in range(2):  # to look is no touch
            with pytest.raises(StoreLockedError, match="process 7 on node-12"):
                taken(out)


def test_a_killed_build_of_a_container_of_another_name_is_seen_at_once(out, holder, monkeypatch):
    os.kill(holder, signal.SIGKILL)
    monkeypatch.setattr(lock.socket, "gethostname", lambda: "renamed")
    time.sleep(0.1)
    assert taken(out)


def test_a_holder_touches_its_lock(out, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with build_lock(out):
        os.utime(file_of(out), (1, 1))
        until = time.monotonic() + 10
        while file_of(out).stat().st_mtime < 1000 and time.monotonic() < until:
            time.sleep(0.01)
        assert file_of(out).stat().st_mtime > 1000


@pytest.mark.parametrize(
    "text",
    ["garbage", "[]", "{}", '{"pid": 1e400, "host": "vm", "started": 0}', '{"pid": 1, "host": "vm", "started": NaN}',
     '{"pid": 1, "host": "elsewhere", "started": 1e300}', "[" * 5000, "my notes\n"],
)  # fmt: skip
def test_what_is_no_lock_is_refused_and_left_alone(out, text):
    file_of(out).write_text(text)
    with pytest.raises(StoreError, match=r"x\.zarr\.lock is no lock of ours"):
        taken(out)
    assert file_of(out).read_text() == text


def test_links_directories_and_pipes_are_refused(out, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("thesis")
    for make in (lambda p: p.symlink_to(victim), lambda p: p.mkdir(), os.mkfifo):
        make(file_of(out))
        with pytest.raises(StoreError, match="not a lock: remove it"):
            taken(out)
        file_of(out).rmdir() if file_of(out).is_dir() else file_of(out).unlink()
    assert victim.read_text() == "thesis"


def test_parts_and_the_whole_exclude_each_other(out):
    with part_lock(out, (1, 2), lambda: "made") as made:
        assert made == "made"
        with part_lock(out, (2, 2), lambda: None):
            pass
        with pytest.raises(StoreLockedError, match="this part of"), part_lock(out, (1, 2), lambda: None):
            pass
        with pytest.raises(StoreLockedError, match="a part of"):
            taken(out)
    assert taken(out)
    assert list(out.parent.iterdir()) == []


def test_an_error_inside_is_not_hidden_by_a_lock_that_cannot_go(out, monkeypatch):
    def fails(self, **_):
        raise OSError(30, "Read-only file system")

    def work():
        with build_lock(out):
            monkeypatch.setattr(lock.Path, "unlink", fails)
            raise ValueError("cause")

    with pytest.raises(ValueError, match="cause"):
        work()


def test_a_fork_that_outlives_a_killed_build_holds_nothing(tmp_path):
    out, forked = tmp_path / "x.zarr", tmp_path / "forked"
    holder = os.fork()
    if holder == 0:
        with build_lock(out):
            orphan = os.fork()
            if orphan == 0:
                time.sleep(30)
                os._exit(0)
            forked.with_suffix(".new").write_text(str(orphan))
            forked.with_suffix(".new").rename(forked)
            time.sleep(30)
            os._exit(0)
    until = time.monotonic() + 20
    while not forked.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    orphan = int(forked.read_text())
    try:
        os.kill(orphan, 0)  # it lives
        with build_lock(out):
            pass
    finally:
        os.kill(orphan, signal.SIGKILL)
