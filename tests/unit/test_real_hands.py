"""What the benchmarks of real hands take for labels, on a rig that is made up here."""

import cv2
import numpy as np
import pytest

from benchmarks.causes import cloth
from benchmarks.real_hands import ORDER, rig_shots
from gmaps.synth import turns

#: A camera 700 mm above a cloth, askew, looking down at it.
TILT = turns.matrix(turns.about(0, np.radians(205.0)))
CLOTH_MM = 0.0


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rig")
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = TILT, (0.0, 0.3, 0.65)
    k = np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]])
    rng = np.random.default_rng(0)
    joints = rng.uniform(-0.05, 0.05, (4, 21, 3)) + np.array([0, 0, 0.02])
    joints[2] = joints[1]  # the labels end, and the last is written again
    joints[3, 9:] = np.nan  # too few
    v, u = np.mgrid[:480, :640]
    rays = np.stack([(u - 320) / 600, (v - 240) / 600, np.ones_like(u, float)], axis=-1) @ TILT.T
    depth = np.where(rays[..., 2] < -0.1, -650 / rays[..., 2], 0)
    for moment in range(4):
        cv2.imwrite(str(folder / f"a_{moment:06d}.png"), np.clip(depth, 0, 5000).astype(np.uint16))
    np.savez(
        folder / "labels.npz", K=k[None], camera_to_world=pose[None], keypoints_px=np.zeros((4, 1, 21, 2)),
        joints_world_m=joints, serials=np.array(["a"]),
    )  # fmt: skip
    return folder, joints


def test_a_label_that_is_written_again_is_none(rig):
    folder, joints = rig
    shots = list(rig_shots(folder))
    assert len(shots) == 2
    for shot, true in zip(shots, joints[:2], strict=True):
        np.testing.assert_allclose(shot.to_world(shot.joints), 1000 * true[ORDER], atol=1e-6)
        np.testing.assert_allclose(shot.center, (shot.joints.min(axis=0) + shot.joints.max(axis=0)) / 2)


def test_the_cloth_is_found_in_the_rigs_axes(rig):
    normal, height = cloth(list(rig_shots(rig[0])))
    assert normal @ (0, 0, 1) > 0.999
    assert abs(height - CLOTH_MM) < 5
