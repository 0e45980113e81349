"""The command line's manners: environments that cannot work, sheets of samples, summaries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets.base import Check
from gmaps.errors import StoreError, UsageError
from gmaps.plot.sheet import choose_rows, sheet_figure

HANDS = Path(__file__).parents[1] / "golden" / "v1" / "packed.zarr"


def run(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def gmaps_in_a_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = command.replace("gmaps", f"{sys.executable} -m gmaps.cli", 1)
    return subprocess.run(
        command, shell=True, executable="/bin/bash", env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_a_full_disk_under_stdout_is_told_in_a_line():
    done = gmaps_in_a_shell("gmaps maps > /dev/full")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "compiling kernels" not in line]
    assert len(lines) == 1, done.stderr
    assert "No space left on device; make room" in lines[0]


def test_a_reader_that_has_seen_enough_is_no_error():
    done = gmaps_in_a_shell("gmaps maps | head -1 > /dev/null")
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr


@pytest.mark.parametrize(
    "command", ["maps geodesic --save x.png", "build --limit 1 --workers 0 --quiet --out x.zarr"]
)
def test_kernels_that_may_not_be_compiled_are_told_in_a_line(command, tmp_path):
    done = gmaps_in_a_shell(f"gmaps {command}", NUMBA_DISABLE_JIT="1", HOME=str(tmp_path))
    assert done.returncode != 0
    assert "NUMBA_DISABLE_JIT is set: unset it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "cure"), [(13, "permissions"), (24, "ulimit -n"), (30, "can be written"), (5, "disk")]
)
def test_errors_of_the_system_name_file_and_cure(monkeypatch, code, cure):
    def fails(*args, **kwargs):
        raise OSError(code, os.strerror(code), "/data/hands.zarr/depth")

    monkeypatch.setattr("gmaps.store.open_store", fails)
    found = run("inspect", HANDS)
    assert found.exit_code == 1
    assert found.stderr.startswith("gmaps: /data/hands.zarr/depth: ")
    assert cure in found.stderr


def test_inspect_takes_a_store_for_a_command():
    assert run("inspect", HANDS).stdout == run("inspect", "store", "--store", HANDS).stdout
    assert json.loads(run("inspect", HANDS, "--json").stdout)["rows"] == 8
    assert run("inspect", "smaple").exit_code == 2
    assert "nowhere.zarr does not exist" in run("inspect", "nowhere.zarr").stderr


def test_a_sheet_shows_the_rows_that_were_asked_for(tmp_path):
    picture = tmp_path / "sheet.png"
    found = run("inspect", "samples", 5, 0, "--store", HANDS, "--save", picture)
    assert found.exit_code == 0, found.output
    assert found.stdout == f"rows 5, 0 drawn to {picture}\n"
    assert picture.stat().st_size > 5_000
    first = run("inspect", "samples", "--random", 4, "--store", HANDS, "--save", picture).stdout
    assert first == run("inspect", "samples", "--random", 4, "--store", HANDS, "--save", picture).stdout
    assert first != run("inspect", "samples", "--random", 4, "--seed", 1, "--store", HANDS, "--save", picture).stdout
    for wrong in ([], [99], [1, "--random", 2], [1, "--map", "geodesic"], [1, "--map", "offset", "--joint", 1],
                  [1, "--map", "tsdf"], [1, "--joint", "toe"]):  # fmt: skip
        found = run("inspect", "samples", *wrong, "--store", HANDS, "--save", picture)
        assert found.exit_code == 2, (wrong, found.output)
        assert "Traceback" not in found.output


def test_a_sheets_panels_are_the_crops_and_maps():
    store = gmaps.open_store(HANDS)
    samples = [store[2], store[6]]
    figure = sheet_figure(samples, store.skeleton)
    panels = [a for a in figure.axes if a.get_images()]
    assert [a.get_title() for a in panels] == ["row 2", "row 6"]
    for axes, sample in zip(panels, samples, strict=True):
        shown = np.ma.filled(axes.get_images()[0].get_array(), np.nan)
        np.testing.assert_array_equal(shown[sample.crop.mask], sample.depth[sample.crop.mask])
        assert np.isnan(shown[~sample.crop.mask]).all()
    figure = sheet_figure(samples, store.skeleton, kind="heatmap", joint=8)
    shown = np.ma.filled(figure.axes[0].get_images()[0].get_array(), 0)
    np.testing.assert_array_equal(shown, samples[0].maps["heatmap"][..., 8])
    with pytest.raises(UsageError, match="1 to 400"):
        sheet_figure([], store.skeleton)


def test_a_store_without_a_crop_has_no_random_rows(monkeypatch):
    store = gmaps.open_store(HANDS)
    monkeypatch.setattr(type(store), "column", lambda self, name: np.zeros(8, bool))
    with pytest.raises(StoreError, match="no frame with a crop"):
        choose_rows(store, 3, 0)


def test_check_prints_problems_and_a_summary(monkeypatch):
    looked = [
        Check("P0/1", 500, 500),
        Check("P0/2", 3, 500, "3 frames, the release has 500"),
        Check("P0/3", 500, 500),
    ]
    monkeypatch.setattr("gmaps.datasets.check_dataset", lambda name, root: looked)
    short = run("datasets", "msra", "--check", "anywhere")
    assert short.exit_code == 1
    assert [line.split()[0] for line in short.stdout.splitlines()] == ["what", "P0/2", "3"]
    long = run("datasets", "msra", "--check", "anywhere", "--verbose").stdout
    assert [line.split()[0] for line in long.splitlines()] == ["what", "P0/1", "P0/2", "P0/3", "3"]
    del looked[1]
    assert (
        run("datasets", "msra", "--check", "anywhere").stdout == "all is there: 2 folders and files were looked at\n"
    )


def test_export_says_in_json_what_it_wrote(tmp_path):
    said = json.loads(run("export", HANDS, tmp_path / "h5", "--maps", "geodesic", "--quiet", "--json").stdout)
    assert all(Path(path).stat().st_size == size for path, size in said["files"].items())
    assert len(said["files"]) >= 2


def test_verify_without_the_data_says_what_can_be_done():
    found = run("verify", HANDS)
    assert found.exit_code == 1
    assert "all checksums" in found.stderr
    assert "--rows 0" in found.stderr
    assert run("verify", HANDS, "--rows", 0).exit_code == 0


def test_doctor_lists_extras_and_gpu():
    said = json.loads(run("doctor", "--json").stdout)
    assert {"torch", "h5py", "s3fs", "scikit-fmm"} <= set(said["versions"])
    assert said["GPU"]


def test_the_first_compilation_is_told_once(tmp_path):
    code = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "import numpy as np; from gmaps.kernels import joints\n"
        "joints.finite(np.zeros((3, 3), np.float32)); joints.middle(np.zeros((3, 3), np.float32))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    told = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        told.append(done.stderr.count("compiling kernels"))
    assert told == [1, 0]
