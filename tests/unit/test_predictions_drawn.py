"""Predictions of a store, row by row: the worst are found, listed, and drawn where they are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps import viz
from gmaps.errors import PredictionError
from gmaps.evaluation import judge_store, write_table
from tests.unit.store_kit import ROWS, WORST, predicted_store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """See `predicted_store`."""
    folder = tmp_path_factory.mktemp("predictions")
    predicted_store(folder)
    return folder


def run(*words):
    return CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)


def test_rows_and_joints_are_the_stores(place):
    store = gmaps.open_store(place / "h.zarr")
    found = judge_store(store, place / "pred.txt")
    assert found.worst(3) == WORST
    assert [round(found.error_of(row)) for row in (*WORST, 0)] == [60, 50, 40, 5]
    np.testing.assert_allclose(found.of_row(7), store[7].joints + np.array([60, 0, 0]), atol=2e-2)
    assert found.of_row(ROWS) is None
    assert np.isnan(found.error_of(ROWS))


def test_a_rejected_row_moves_no_other(place, tmp_path):
    """Of a store whose row 2 is rejected, a file with all rows and one with the valid ones are told apart."""
    root = tmp_path / "p"
    assert run("synth", root, "--frames", 12, "--layout", "folder", "--workers", 0, "--quiet").exit_code == 0
    image = sorted(root.glob("*/*/*.png"))[2]
    image.write_bytes(image.read_bytes()[:200])
    gmaps.build("folder", tmp_path / "f.zarr", ("geodesic",), root=root, workers=0, progress=False, max_rejects=1.0)
    store = gmaps.open_store(tmp_path / "f.zarr")
    (rejected,) = [r["row"] for r in store.rejects]
    from gmaps.evaluation import protocol_of_place

    protocol = protocol_of_place(store.path)
    joints = np.asarray(store.column("joints"), np.float64)
    joints[rejected] = joints[(rejected + 1) % 12]  # as `gmaps predict` repeats a line there
    joints[5] += [30, 0, 0]
    for name, rows in (("all", range(12)), ("valid", [k for k in range(12) if k != rejected])):
        write_table(tmp_path / f"{name}.txt", protocol.to_file(protocol.select(joints)[list(rows)]))
        found = judge_store(store, tmp_path / f"{name}.txt")
        assert found.worst(1) == [5]
        assert found.of_row(rejected) is None
        figure = viz.sheet_figure([store[rejected], store[5]], store.skeleton, predicted=found)
        titles = [axes.get_title() for axes in figure.axes]
        assert titles[0] == f"row {rejected}: rejected"
        assert titles[1].startswith("row 5: 30.0 mm")


def test_the_worst_are_listed(place):
    said = run("evaluate", place / "pred.txt", "--groundtruth", place / "h.zarr", "--worst", 3).output
    listed = said[said.index("worst of") :].splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        ["pred", str(r), f"{e}.0"] for r, e in zip(WORST, (60, 50, 40), strict=True)
    ]
    command = ["evaluate", place / "pred.txt", "--groundtruth", place / "h.zarr", "--worst", 2, "--json"]
    values = json.loads(run(*command).output)["worst"]
    assert [v["row"] for v in values] == WORST[:2]
    assert values[0]["mean_error_mm"] == pytest.approx(60, abs=0.05)


def test_they_are_drawn_where_they_are(place, tmp_path):
    store = gmaps.open_store(place / "h.zarr")
    found = judge_store(store, place / "pred.txt")
    panel = viz.sheet_figure([store[7]], store.skeleton, predicted=found).axes[0]
    (crosses,) = [line for line in panel.lines if line.get_marker() == "x"]
    px = store[7].crop.joints_px(64)
    np.testing.assert_allclose(crosses.get_xdata(), px[:, 1] + 60 / 240 * 64, atol=0.02)
    np.testing.assert_allclose(crosses.get_ydata(), px[:, 0], atol=0.02)
    for words in (["samples", "--worst", 3], ["samples", 1, 2], ["sample", 7]):
        picture = tmp_path / f"{len(words)}{words[0]}.png"
        done = run(
            "inspect", *words, "--predictions", place / "pred.txt", "--store", place / "h.zarr", "--save", picture
        )
        assert done.exit_code == 0, done.output
        assert picture.stat().st_size > 5000
    assert (
        "rows 7, 19, 3 drawn"
        in run(
            "inspect",
            "samples",
            "--worst",
            3,
            "--predictions",
            place / "pred.txt",
            "--store",
            place / "h.zarr",
            "--save",
            tmp_path / "w.png",
        ).output
    )


def test_what_cannot_be_drawn_is_refused(place, tmp_path):
    store = gmaps.open_store(place / "h.zarr")
    short = tmp_path / "short.txt"
    short.write_text("".join((place / "pred.txt").read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(PredictionError, match=r"23 rows, but .* has 24"):
        judge_store(store, short)
    assert run("inspect", "samples", "--worst", 3, "--save", "x.png").exit_code == 2
    assert run("inspect", "sample", 3, "--predictions", "x.txt").exit_code == 2
    assert run("inspect", "samples", 3, "--worst", 2, "--predictions", "x.txt", "--save", "x.png").exit_code == 2
