"""Changes of a batch on tensors against those of its crops one by one."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.augment.changes import Augment
from gmaps.frame import Crop, Cube
from gmaps.skeleton import get_skeleton
from tests.shapes import blob, stick_hand

torch = pytest.importorskip("torch")
from gmaps.training.augment_torch import TorchAugment  # noqa: E402

CASES = {
    "as by default": Augment(seed=3),
    "mirrored": Augment(mirror=0.5, seed=4),
    "quarters": Augment.exact(mirror=0.5, depth=20.0, seed=5),
    "nothing": Augment(rotation=0.0, scale=0.0, translation=0.0, depth=0.0, seed=6),
    "too far": Augment(translation=200.0, seed=7),
    "spoilt": Augment(cutouts=4, cutout_size=0.6, noise=2.0, edge_loss=0.4, seed=8),
    "lost": Augment(rotation=0.0, scale=0.0, noise=1.0, edge_loss=1.0, seed=9),
}


def crops(rng, pixels, joints, projection):
    made = []
    for shape in range(6):
        mask = stick_hand(rng, pixels) if shape % 2 else blob(rng, pixels, rng.uniform(0.2, 0.7), connected=False)
        slope = np.cumsum(rng.normal(0, 0.02, mask.shape), axis=1) + np.where(blob(rng, pixels, 0.4), -0.4, 0.1)
        depth = np.where(mask, np.clip(slope, -0.9, 0.9), 1).astype(np.float16).astype(np.float32)
        if shape == 4:
            depth[:] = 1  # no hand
        cube = Cube((*rng.uniform(-90, 90, 2), rng.uniform(300, 700)), float(rng.uniform(80, 150)))
        at = np.asarray(cube.center) + rng.uniform(-1, 1, (joints, 3)) * cube.half_side
        made.append(Crop(depth, cube, at.astype(np.float32), projection))
    return made


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_changed_as_its_crops_are(case, projection):
    augment, skeleton = CASES[case], get_skeleton("msra21")
    some = crops(np.random.default_rng(1), 48, len(skeleton), projection)
    want = [augment(c, 2, 10 + k, skeleton=skeleton) for k, c in enumerate(some)]
    depth, cube, joints = (
        torch.from_numpy(np.stack(v))
        for v in ([c.depth for c in some], [c.cube.to_array() for c in some], [c.joints_mm for c in some])
    )
    before = depth.clone()
    found = TorchAugment(augment, projection, skeleton)(depth, cube, joints, 2, range(10, 16))
    assert torch.equal(depth, before)
    for k, (crop, change) in enumerate(want):
        np.testing.assert_array_equal(found.cube[k].numpy(), crop.cube.to_array())
        np.testing.assert_allclose(found.joints[k].numpy(), crop.joints_mm, rtol=1e-6, atol=1e-4)
        np.testing.assert_array_equal(found.undo[k].numpy(), change.undo)
        same = found.depth[k].numpy() == crop.depth
        assert same.mean() > 0.999, (k, same.mean())  # but for a rounding, at most, between two pixels
    changed = [not np.array_equal(c.depth, w.depth) for c, (w, _) in zip(some, want, strict=True)]
    assert any(changed) or case in ("nothing", "too far", "lost")


def test_joints_that_swap_in_a_mirror_are_swapped_and_rejected_rows_left_alone():
    skeleton = get_skeleton("msra21")
    augment = Augment(mirror=1.0, seed=1)
    some = crops(np.random.default_rng(2), 32, len(skeleton), "orthographic")[:2]
    cube = torch.from_numpy(np.stack([c.cube.to_array() for c in some]))
    depth, joints = (torch.from_numpy(np.stack(v)) for v in ([c.depth for c in some], [c.joints_mm for c in some]))
    cube[1] = torch.nan
    found = TorchAugment(augment, "orthographic", skeleton)(depth, cube, joints, 0, [0, 1])
    assert torch.equal(found.depth[1], depth[1])
    assert torch.equal(found.joints[1], joints[1])
    assert torch.equal(found.undo[1], torch.eye(3))
    assert found.cube[1].isnan().all()
    want, _ = augment(some[0], 0, 0, skeleton=skeleton)
    np.testing.assert_allclose(found.joints[0].numpy(), want.joints_mm, rtol=1e-6, atol=1e-4)
