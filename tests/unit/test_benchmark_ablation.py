"""The ablation's bookkeeping: finished runs are kept, gains are against the control, other budgets are refused."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

pytest.importorskip("torch")

from benchmarks import __main__ as benchmarks
from benchmarks import ablation


@pytest.fixture
def finished(tmp_path):
    """A folder in which every run of the small size has ended: the control at 20 and 22 mm, kind k at 20 - k +- 1."""
    size = ablation.SIZES["quick"]
    for k, variant in enumerate(ablation.VARIANTS):
        for seed in size.seeds:
            values = {
                "variant": variant, "seed": seed, "mm": 20.0 - k + 2 * seed, "curve": [[10, 30.0], [20, 25.0 - k]],
                "steps": 20, "seconds": 1.0, "gradient_pose": 1.0, "gradient_maps": 0.5 * (k > 0), "map_loss": 0.1,
                "size": asdict(size),
            }  # fmt: skip
            (tmp_path / f"{variant}-{seed}.json").write_text(json.dumps(values))
    return tmp_path


def test_finished_runs_are_summarised(finished, monkeypatch, capsys):
    monkeypatch.setattr(ablation, "stores", lambda folder, size: None)
    monkeypatch.setattr(ablation, "write", lambda name, rows: f"{name}.json")
    rows = ablation.run("quick", str(finished))
    assert [r["variant"] for r in rows] == list(ablation.VARIANTS)
    assert (rows[0]["mm"], rows[0]["gain"]) == (21.0, 0.0)
    assert rows[6]["mm"] == 15.0
    assert rows[6]["gain"] == pytest.approx(6 / 21)
    assert rows[6]["spread"] == pytest.approx(2**0.5)
    said = capsys.readouterr().out
    assert "Best guided: geodesic_surface, 28.6% lower error" in said
    assert "| unguided | 21.00 | 1.41 | +0.0% | 1 : 0 |" in said
    assert (finished / "curves.png").stat().st_size > 10_000


def test_another_budget_is_refused(finished, monkeypatch):
    monkeypatch.setattr(ablation, "stores", lambda folder, size: None)
    path = finished / "offset-1.json"
    values = json.loads(path.read_text())
    values["size"]["epochs"] += 1
    path.write_text(json.dumps(values))
    with pytest.raises(SystemExit, match="another budget"):
        ablation.train_all(finished, "quick")


def test_all_variants_are_one_network_but_for_the_channels_of_the_maps():
    from gmaps.training import model_params

    made = [model_params(v, **ablation.SIZES["cpu"].network) for v in ablation.VARIANTS]
    assert len({(p.size, p.stem, p.width, p.repeats, p.branch, p.head, p.hidden, p.dropout) for p in made}) == 1
    assert made[0].maps == ("geodesic_weighted",)
    assert [p.maps for p in made[1:]] == [(v,) for v in ablation.VARIANTS[1:]]


def test_long_benchmarks_run_only_when_named():
    assert set(benchmarks.LONG) < set(benchmarks.NAMES)
    assert {"training", "ablation"} <= set(benchmarks.LONG)
