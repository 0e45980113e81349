"""The weights that ship: small, safe to read, and better than a guess on hands that they have not seen."""

import numpy as np
import torch
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.inference import Detector, find_hand, load_pretrained
from gmaps.inference.detector import middle
from gmaps.nets import load_pretrained as load_network
from gmaps.nets.pretrained import WEIGHTS
from gmaps.synth.room import CAMERA, Room

RANGE = (150.0, 1500.0)


def test_they_are_small_and_hold_nothing_but_numbers():
    assert WEIGHTS.stat().st_size < 6e6
    state = torch.load(WEIGHTS, weights_only=True)
    kinds = {v.dtype for v in state["weights"].values() if v.is_floating_point()}
    assert kinds == {torch.float16}
    net = load_network()
    assert not net.training
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_hands_in_rooms_are_found_and_drawn():
    predictor = load_pretrained(device="cpu")
    errors, close = [], []
    for seed in range(500, 508):
        left = seed % 2 == 1
        frame = next(iter(Room(seed, frames=1, left=left)))
        (look,) = Detector(predictor, CAMERA, depth_range=RANGE).look(
            frame.depth, [middle(frame.joints)], ("left" if left else "right",)
        )
        errors.append(np.linalg.norm(look.joints - frame.joints, axis=1).mean())
        closest = Detector(predictor, CAMERA).look_closely(frame.depth, middle(frame.joints), look.side)
        close.append(np.linalg.norm(closest.joints - frame.joints, axis=1).mean())
        assert np.linalg.norm(find_hand(predictor, frame.depth, CAMERA, depth_range=RANGE).hand.center
                              - middle(frame.joints)) < 80  # fmt: skip
    assert np.mean(close) < np.mean(errors) < 25


def test_one_image_without_a_checkpoint(tmp_path):
    frame = next(iter(Room(500, frames=1)))
    np.save(tmp_path / "d.npy", frame.depth)
    lens = ",".join(str(v) for v in (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy))
    done = CliRunner().invoke(main, ["predict", "--frame", str(tmp_path / "d.npy"), "--camera", lens])
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 21
    assert "hand, confidence" in done.stderr
