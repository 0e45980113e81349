"""Synthetic hands as files of ICVL, HANDS17 and BigHand, which `gmaps synth` does not write, through the readers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.datasets import load_dataset
from gmaps.plot.overlay import measure_fit
from tests.trees import FRAMES, bighand_tree, hands17_tree, icvl_tree


@pytest.mark.parametrize("make", [icvl_tree, hands17_tree, bighand_tree])
def test_hands_come_back_and_lie_in_their_depth(make, tmp_path):
    name, truth = make(tmp_path / "t")
    data = load_dataset(name, tmp_path / "t")
    assert len(data) == FRAMES
    for k, (depth, joints) in enumerate(truth):
        frame = data.read(k)
        np.testing.assert_array_equal(frame.depth, np.rint(depth))
        np.testing.assert_allclose(frame.joints, joints, atol=2e-3)
        assert measure_fit(frame).verdict == "the joints lie in the hand"
    picture = tmp_path / "p.png"
    words = ["datasets", name, "--overlay", "1", "--root", str(tmp_path / "t"), "--save", str(picture), "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["on_surface"] >= 12
    assert picture.stat().st_size > 20_000
