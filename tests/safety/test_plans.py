"""A plan that somebody else wrote: no address and no program is taken from it, and nothing of it is a traceback."""

from __future__ import annotations

import json
import os
import random
import socket

import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.errors import StoreError
from gmaps.pipeline import planned, prepare
from tests.safety.kit import bad, in_children
from tests.safety.test_parsers import mutated


@pytest.fixture
def plan(tmp_path):
    out = tmp_path / "x.zarr"
    how = {"crop_size": 32, "map_size": 8, "dataset_options": {"frames": 8}, "workers": 0}
    prepare("synthetic", out, ("geodesic",), **how)
    return out.with_name("x.zarr.partial") / "plan.json"


def command(plan, *more):
    out = str(plan.parent.with_name("x.zarr"))
    return CliRunner().invoke(main, ["build", "--part", "1/1", "--workers", "0", "--quiet", "--out", out, *more])


def rewrite(plan, change):
    said = json.loads(plan.read_text())
    change(said)
    plan.write_text(json.dumps(said))


def test_no_scheduler_is_taken_from_it(plan):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def change(said):
            for place in (said, said["source"], said["attributes"], said["attributes"]["fingerprint_of"]):
                place["scheduler"] = address

        rewrite(plan, lambda said: said.update(scheduler=address))
        assert command(plan).exit_code == 0
        rewrite(plan, change)
        assert command(plan).exit_code != 0
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", ["os:system", "nothing_of_this_name:load", "this:d"])
def test_no_program_is_taken_from_it(plan, tmp_path, name):
    touched = tmp_path / "touched"
    rewrite(plan, lambda said: said["source"].update(dataset={"name": name, "command": f"touch {touched}"}))
    ended = command(plan)
    assert ended.exit_code == 2
    assert f"the plan says to run {name}, and a plan alone runs no code" in ended.output
    assert not touched.exists()
    assert planned(plan.parent.with_name("x.zarr"))["dataset"] == name  # it is mine alone to write
    for place in (plan, plan.parent):
        mode = place.stat().st_mode
        os.chmod(place, mode | 0o020)
        with pytest.raises(StoreError, match="is not yours alone to write"):
            planned(plan.parent.with_name("x.zarr"))
        os.chmod(place, mode)


@pytest.mark.parametrize(
    "source",
    [
        None, 5, [], {}, {"dataset": None}, {"dataset": []}, {"dataset": {"name": None}},
        {"dataset": {"name": ["a"]}}, {"dataset": {"name": "msra", "root": "/dev/zero"}},
        {"dataset": {"name": "synthetic", "frames": {}}}, {"dataset": {"name": "synthetic", "frames": [8]}},
        {"dataset": {"name": "synthetic", "split": 5}}, {"dataset": {"name": "msra", "root": 7}},
        {"dataset": {"name": "synthetic", "frames": 8, "nonsense": 1}}, {"dataset": {"name": "\x1b[2J"}},
        {"dataset": {"name": "synthetic", "frames": 8}, "center": 5},
        {"dataset": {"name": "synthetic", "frames": 8}, "center": "/dev/zero"}, {"store": "/nowhere"},
    ],
)  # fmt: skip
def test_another_source(plan, source):
    rewrite(plan, lambda said: said.update(source=source))

    def work(k):
        ended = command(plan)
        assert isinstance(ended.exception, SystemExit), ended.exception
        assert ended.exit_code in (1, 2)
        assert "\x1b" not in ended.output

    assert in_children(work, [0], seconds=30)[0] == ("value", None)


@pytest.mark.parametrize("make", [lambda p: os.mkfifo(p), lambda p: p.mkdir(), lambda p: p.symlink_to("/dev/zero")])
def test_what_is_no_file(plan, make):
    plan.unlink()
    make(plan)
    assert in_children(lambda k: command(plan).exit_code, [0], seconds=10)[0] == ("value", 1)


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_changed_bytes(plan, count):
    content = plan.read_bytes()
    planned(plan.parent.with_name("x.zarr"))

    def work(k):
        plan.write_bytes(mutated(content, random.Random(k)))
        planned(plan.parent.with_name("x.zarr"))

    assert not bad(in_children(work, range(count), seconds=10, memory=1 << 30))


def test_parts_are_cut_as_was_planned(tmp_path):
    """A part that is built without options has the plan's silhouettes, not those that the data set has by default."""
    out = tmp_path / "y.zarr"
    how = {"crop_size": 32, "map_size": 8, "dataset_options": {"frames": 8, "mask": "hand"}, "workers": 0}
    prepare("synthetic", out, ("geodesic",), silhouette="depth", **how)
    assert planned(out)["silhouette"] == "depth"
