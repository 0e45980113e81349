"""The weights that ship on real frames that they have never seen: a rig of eight cameras, and NYU's frame.

Each hand is looked at as `find_hand` looks at the one it chose, in eight ways, and once, for comparison.

`--data` is the folder of the real files. Nothing here trains. The rig's joints are triangulated from labels by hand,
good to about 1 cm; each cube is centred at the middle of its labels, "box given". Half of its frames have no label of
their own: see `rig_shots`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.shipped_hands import HALF, make_samples
from benchmarks.timing import write
from gmaps.camera import Camera
from gmaps.capture.depth_file import read_depth
from gmaps.center import find_center
from gmaps.datasets import load_dataset
from gmaps.evaluation.metrics import align
from gmaps.inference import Detector, Predictor, load_pretrained
from gmaps.inference.detector import Side, middle
from gmaps.skeleton import get_skeleton
from gmaps.synth.nyu_joints import nyu_joints

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
#: From wrist, thumb, index, middle, ring, little to skeleton msra21.
ORDER = [0, *range(5, 21), *range(1, 5)]
Array = NDArray[np.float64]


def mean_pose() -> Array:
    """(21, 3): the mean of synthetic hands, mm from their middle: what guesses that look at nothing say."""
    made = [s.joints for k in range(40) for s in make_samples(3, k) if np.isfinite(s.joints).all()]
    result: Array = np.mean([j - middle(j) for j in made], axis=0)
    return result


class Shot(NamedTuple):
    """One frame of the rig.

    Parameters
    ----------
    serial
        The camera.
    depth : (H, W) float32
        mm.
    camera
        Its intrinsics.
    pose : (4, 4)
        The camera's axes to the rig's, metres.
    joints : (21, 3)
        mm, camera axes; NaN where fewer than two cameras have a label.
    px : (21, 2)
        Labels in this image; NaN where there is none.
    """

    serial: str
    depth: NDArray[np.float32]
    camera: Camera
    pose: Array
    joints: Array
    px: Array

    @property
    def center(self) -> Array:
        """(3,): the box that is given, mm."""
        return middle(self.joints[np.isfinite(self.joints).all(axis=1)])

    def to_world(self, points: Array) -> Array:
        """(N, 3) mm in the rig's axes, of points in the camera's."""
        result: Array = points @ self.pose[:3, :3].T + 1000 * self.pose[:3, 3]
        return result


def rig_shots(folder: Path) -> Iterator[Shot]:
    """The rig's frames with 12 joints or more.

    The labels end at moment 75: from there on each repeats it bit by bit, while the hand moves on. What repeats the
    moment before it is no label, and its frames are left out.
    """
    with np.load(folder / "labels.npz") as data:
        k, to_world, px = data["K"], data["camera_to_world"], data["keypoints_px"]
        world, serials = data["joints_world_m"], [str(s) for s in data["serials"]]
    for file in sorted(folder.glob("*.png")):
        serial, moment = file.stem.split("_")
        c, t = serials.index(serial), int(moment)
        joints = ((world[t] - to_world[c, :3, 3]) @ to_world[c, :3, :3])[ORDER] * 1000
        repeated = t > 0 and np.array_equal(world[t], world[t - 1], equal_nan=True)
        if repeated or np.isfinite(joints).all(axis=1).sum() < 12:
            continue
        depth = read_depth(file)
        camera = Camera(k[c, 0, 0], k[c, 1, 1], k[c, 0, 2], k[c, 1, 2], depth.shape[1], depth.shape[0])
        yield Shot(serial, depth, camera, to_world[c], joints, px[t, c][ORDER])


def rig(predictor: Predictor, folder: Path, side: Side) -> list[dict[str, Any]]:
    """One row a frame: errors of its labelled joints, mm and px, those of the mean pose, and confidence."""
    rows, pose = [], mean_pose()
    for shot in rig_shots(folder):
        known = np.isfinite(shot.joints).all(axis=1)
        detector = Detector(predictor, shot.camera, side=side)
        looks = detector.look(shot.depth, [shot.center], (side,))
        found = detector.look_closely(shot.depth, shot.center, side)
        if not looks or found is None:
            continue
        off = np.linalg.norm(found.joints - shot.joints, axis=1)[known]
        blind = np.linalg.norm(pose + shot.center - shot.joints, axis=1)[known]
        guess, true = found.joints[known].astype(np.float64), shot.joints[known]
        turn, _ = Rotation.align_vectors(true - true.mean(axis=0), guess - guess.mean(axis=0))
        shape = align(guess[None], true[None], "procrustes")[0]
        flat = np.linalg.norm(shot.camera.project(found.joints)[:, :2] - shot.px, axis=1)
        rows.append(
            {"serial": shot.serial, "off": off, "once": np.linalg.norm(looks[0].joints - shot.joints, axis=1)[known],
             "blind": blind, "px": flat[np.isfinite(flat)],
             "confidence": found.confidence, "degrees": float(np.degrees(turn.magnitude())),
             "shape": np.linalg.norm(shape - true, axis=1)}
        )  # fmt: skip
    return rows


def made_up(predictor: Predictor, count: int = 400) -> NDArray[np.float64]:
    """Mean errors, mm, of frames of the data set `synthetic`: ten unseen people, centre from depth alone.

    Returns
    -------
    (count, 2)
        Of one look at the cube that depth gives; of the closest look around what the first one found.
    """
    data = load_dataset("synthetic", split="test", frames=10 * count, people=100)
    errors = []
    for i in range(count):
        frame = data.read(i)
        detector = Detector(predictor, frame.camera)
        (once,) = detector.look(frame.depth, [find_center(frame, "com", HALF, (100.0, 700.0))], ("right",))
        close = detector.look_closely(frame.depth, once.center, "right") or once
        errors.append([np.linalg.norm(f.joints - frame.joints, axis=1).mean() for f in (once, close)])
    return np.array(errors)


def nyu(predictor: Predictor, folder: Path) -> dict[str, float]:
    """NYU's first test frame: error of its 14 joints, mm, and the side that the network saw."""
    image = np.asarray(cv2.imread(str(folder / "depth_1_0000001.png")))
    depth = (image[..., 1].astype(np.float32) * 256 + image[..., 0]) * (image[..., 1] < 7)  # beyond is the wall
    camera = Camera(588.03, 587.07, 320.0, 240.0, 640, 480)
    lines = (folder / "test_depth_1_0000001_joints36_uvd.txt").read_text().split("\n")
    uvd = np.array([[float(v) for v in line.split()[-3:]] for line in lines if line.strip()])
    joints = camera.unproject(uvd)
    chosen = list(get_skeleton("nyu36").evaluation)
    with np.errstate(invalid="ignore"):
        first = (folder / "center_test_uvd.txt").read_text().split("\n")[0]
        center = camera.unproject(np.array(first.split(), float))
    detector, image = Detector(predictor, camera), np.ascontiguousarray(depth, np.float32)
    looks = [f for side in detector.sides if (f := detector.look_closely(image, center, side)) is not None]
    errors = {
        f.side: float(np.linalg.norm(nyu_joints(f.joints[None])[0] - joints, axis=1)[chosen].mean()) for f in looks
    }
    best = max(detector.look(image, [center], detector.sides), key=lambda f: f.confidence)
    return {"mm": errors[best.side], **{f"mm_{s}": e for s, e in errors.items()}}


def run(data: Path = DATA, checkpoint: Path | None = None) -> list[dict[str, Any]]:
    """Measure and print."""
    torch.set_num_threads(1)
    if not (data / "multiview" / "labels.npz").exists():
        print(f"no real frames at {data}: say --data FOLDER")
        return []
    predictor = load_pretrained(device="cpu") if checkpoint is None else Predictor(checkpoint, device="cpu")
    rows = rig(predictor, data / "multiview", "right")
    off, blind, px, once = (np.concatenate([r[name] for r in rows]) for name in ("off", "blind", "px", "once"))
    degrees = np.array([r["degrees"] for r in rows])
    mirror = np.concatenate([r["off"] for r in rig(predictor, data / "multiview", "left")])
    simple, made = made_up(predictor).T
    one = nyu(predictor, data / "nyu")
    summary: dict[str, Any] = {
        "frames": len(rows), "mean_mm": float(off.mean()), "median_mm": float(np.median(off)),
        "once_mm": float(once.mean()), "synthetic_once_mm": float(simple.mean()),
        "mean_pose_mm": float(blind.mean()), "mean_px": float(px.mean()), "median_px": float(np.median(px)),
        "pck20": float((off < 20).mean()), "pck40": float((off < 40).mean()), "left_mm": float(mirror.mean()),
        "confidence": float(np.mean([r["confidence"] for r in rows])), "nyu_mm": one["mm"],
        "synthetic_mm": float(made.mean()), "synthetic_median_mm": float(np.median(made)),
        "degrees": float(np.median(degrees)), "turned": float((degrees > 90).mean()),
        "right_way_mm": float(np.concatenate([r["off"] for r in rows if r["degrees"] <= 45]).mean()),
        "shape_mm": float(np.concatenate([r["shape"] for r in rows]).mean()),
    }  # fmt: skip
    print("\n## The weights that ship, on real frames\n")
    print("| what | measured | must | aim |\n|---|---|---|---|")
    mm, share = float(off.mean()), float(off.mean() / blind.mean())
    print(f"| rig, {len(rows)} frames, box given: mean (median) | {mm:.1f} ({np.median(off):.1f}) | 40 | 25 |")
    print(f"| the same, looked at once | {once.mean():.1f} ({np.median(once):.1f}) | | |")
    print(f"| as a share of that of the mean pose at the centre, {blind.mean():.1f} mm | {share:.2f} | 0.5 | 0.33 |")
    print(f"| 2D error against the labels, px: mean (median) | {px.mean():.1f} ({np.median(px):.1f}) | | |")
    print(f"| joints within 20 mm; within 40 mm | {summary['pck20']:.1%}; {summary['pck40']:.1%} | | |")
    print(f"| the hand's turn is off by: median | {summary['degrees']:.0f} degrees | | |")
    print(f"| frames in which it is off by more than 90 degrees | {summary['turned']:.1%} | | |")
    print(f"| mean 3D error where it is off by no more than 45 degrees | {summary['right_way_mm']:.1f} mm | | |")
    print(f"| mean 3D error, turned, moved and scaled to the labels | {summary['shape_mm']:.1f} mm | | |")
    print(f"| mean 3D error, seen as a left hand | {mirror.mean():.1f} mm | | |")
    print(f"| data set `synthetic`, {len(made)} frames, centre from depth alone: mean (median) "
          f"| {made.mean():.1f} ({np.median(made):.1f}) | 8 | 6 |")  # fmt: skip
    print(f"| the same, looked at once | {simple.mean():.1f} ({np.median(simple):.1f}) | | |")
    sides = f"as a right hand {one['mm_right']:.1f}, as a left one {one['mm_left']:.1f}"
    print(f"| NYU's frame, 14 joints ({sides}) | {one['mm']:.1f} mm | 25 | 12 |")
    print("\n| camera | mean 3D error, mm | mean pose | confidence |\n|---|---|---|---|")
    for serial in sorted({r["serial"] for r in rows}):
        mine = [r for r in rows if r["serial"] == serial]
        print(f"| {serial} | {np.concatenate([r['off'] for r in mine]).mean():.1f} "
              f"| {np.concatenate([r['blind'] for r in mine]).mean():.1f} "
              f"| {np.mean([r['confidence'] for r in mine]):.2f} |")  # fmt: skip
    print(f"written to {write('real_hands', [summary])}")
    return [summary]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds multiview/ and nyu/")
    parser.add_argument("--checkpoint", type=Path, help="of a network, in the place of the weights that ship")
    options = parser.parse_args()
    run(options.data, options.checkpoint)


if __name__ == "__main__":
    main()
