"""Why the weights that ship are worse on real hands than on synthetic ones: one thing changed at a time.

Two tables. A synthetic hand, bare and seen by a perfect camera, and the same hand with one thing more: an arm, a
table, something held, and so on. The rig's real frames, and the same frames with one thing less: the cloth, the arm,
all that is not hand; what is taken away is told by the labels, so this judges and cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.real_hands import DATA, Shot, rig_shots
from benchmarks.shipped_hands import HALF, body, held, make_person, stereo, table, without_arm
from benchmarks.timing import write
from gmaps.camera import Camera
from gmaps.crop import crop_frame
from gmaps.frame import Cube, Frame
from gmaps.inference import Detector, Predictor, load_pretrained
from gmaps.inference.detector import middle
from gmaps.skeleton import get_skeleton
from gmaps.synth import turns
from gmaps.synth.hand import place_pose
from gmaps.synth.poses import FAMILIES, random_pose, random_turn
from gmaps.synth.render import render_mesh
from gmaps.synth.scenery import Thing, add_things
from gmaps.synth.sensor import TimeOfFlight
from gmaps.synth.skin import skin

Array = NDArray[np.float64]
Depth = NDArray[np.float32]
#: A real hand's flesh, smeared, is no further than this from a bone; the cloth's own unevenness, mm.
FLESH, CLOTH = 32.0, 12.0
#: A joint is seen where the surface is no further than this from it; a hand whose joints' mean height above the cloth
#: is less than this lies on it, mm.
NEAR, LOW = 40.0, 50.0
_CAMERA = Camera(480.0, 480.0, 160.0, 160.0, 321, 321)
_SPOT = np.array([0.0, 0.0, 600.0])


def synthetic(predictor: Predictor, count: int) -> dict[str, float]:
    """Mean error, mm, of `count` hands in each setting; the cube is around the true joints unless it is said."""
    found: dict[str, list[float]] = {}
    for number in range(count):
        rng = np.random.default_rng([21, number])
        person = make_person(rng)
        _, pose = random_pose(FAMILIES[number % len(FAMILIES)], person[0], rng)
        for name, turn in (("upright", random_turn(rng)), ("any side", turns.unit(rng.normal(size=4)))):
            placed = place_pose(pose, turn, np.zeros(3))
            placed = placed._replace(joints=placed.joints + (_SPOT - middle(placed.joints[0])))
            joints = placed.joints[0]
            vertices = skin(placed, person[1], person[2])[0]
            image = render_mesh(vertices, _CAMERA)
            bare = without_arm(image, _CAMERA, joints[0], 0)
            scenes = {f"bare, {name}": (bare, joints)} | (_scenes(rng, bare, image.depth, joints, vertices)
                                                          if name == "any side" else {})  # fmt: skip
            for what, (depth, true) in scenes.items():
                center = middle(joints) if "moved" not in what else middle(joints) + rng.normal(0, 12, 3)
                crop = crop_frame(Frame(depth, _CAMERA, true.astype(np.float32)), Cube(tuple(center), HALF), size=96)
                guess = predictor.crops([crop])[0]
                found.setdefault(what, []).append(float(np.linalg.norm(guess - true, axis=1).mean()))
    return {what: float(np.mean(errors)) for what, errors in found.items()}


def _scenes(
    rng: np.random.Generator, bare: Depth, with_arm: Depth, joints: Array, vertices: Array
) -> dict[str, tuple[Depth, Array]]:
    """A bare hand with one thing more."""

    def scene(*things: Thing) -> Depth:
        return add_things(bare, _CAMERA, list(things))

    plane, block, behind = table(rng, joints, vertices), held(rng, joints), body(rng, joints)
    cut = bare.copy()
    cut[:, round(_CAMERA.cx + 20 * _CAMERA.fx / _SPOT[2]) :] = 0
    everything = add_things(with_arm, _CAMERA, [plane, block, behind])
    depths = {
        "an arm": with_arm, "a table": scene(plane), "something held": scene(block), "a body behind": scene(behind),
        "time of flight's faults": TimeOfFlight(0.8, 1.0, 0.2, 0.2).apply(bare, _CAMERA, rng),
        "stereo's faults": stereo(bare, _CAMERA, rng, smeared=False),
        "stereo's faults, smeared": stereo(bare, _CAMERA, rng),
        "a table, smeared": stereo(scene(plane), _CAMERA, rng),
        "cut by the image's edge at 20 mm": cut, "the cube moved by 12 mm": bare,
        "arm, table, held thing, body": everything, "all of it, smeared": stereo(everything, _CAMERA, rng),
    }  # fmt: skip
    return {what: (depth, joints) for what, depth in depths.items()}


def _points(depth: Depth, camera: Camera) -> Array:
    """(H, W, 3) mm."""
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
    return camera.unproject(np.stack([u, v, depth], axis=-1).astype(np.float64))


def cloth(shots: Sequence[Shot]) -> tuple[Array, float]:
    """The cloth's plane in the rig's axes, by random samples, then least squares: normal, up, and n . p, mm."""
    rng, near = np.random.default_rng(0), []
    for shot in shots[:: max(1, len(shots) // 16)]:
        points = _points(shot.depth, shot.camera)[shot.depth > 0]
        points = points[np.linalg.norm(points - shot.center, axis=1) < 350]
        near.append(shot.to_world(rng.permutation(points)[:1500]))
    cloud = np.concatenate(near)
    best, most = (np.zeros(3), 0.0), 0
    for _ in range(400):
        a, b, c = cloud[rng.choice(len(cloud), 3, replace=False)]
        n = np.cross(b - a, c - a)
        if np.linalg.norm(n) < 1:
            continue
        n /= np.linalg.norm(n)
        count = int((np.abs(cloud @ n - n @ a) < 8).sum())
        if count > most:
            best, most = (n, float(n @ a)), count
    for _ in range(5):
        inside = cloud[np.abs(cloud @ best[0] - best[1]) < 8]
        mean = inside.mean(axis=0)
        n = np.linalg.svd(inside - mean, full_matrices=False)[2][2]
        best = n, float(n @ mean)
    up = best[0] @ np.mean([s.to_world(np.zeros((1, 3)))[0] for s in shots], axis=0) > best[1]
    return (best[0], best[1]) if up else (-best[0], -best[1])


def _to_bones(points: Array, joints: Array) -> Array:
    """(N,): how far points are from the nearest bone, mm; bones with an unknown end are left out."""
    nearest = np.full(len(points), np.inf)
    for child, parent in enumerate(get_skeleton("msra21").parents):
        if parent < 0 or not np.isfinite(joints[[child, parent]]).all():
            continue
        a, d = joints[parent], joints[child] - joints[parent]
        along = np.clip((points - a) @ d / (d @ d), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - a - along[:, None] * d, axis=1))
    return nearest


def changes(plane: tuple[Array, float]) -> dict[str, Callable[[Shot], Depth]]:
    """The rig's frames with one thing less."""

    def without(shot: Shot, gone: Callable[[Array], NDArray[np.bool_]]) -> Depth:
        points = _points(shot.depth, shot.camera)
        close = (shot.depth > 0) & (np.abs(points - shot.center) < 1.2 * HALF).all(axis=-1)
        depth = np.where(close, shot.depth, np.float32(0))
        depth[close] *= ~gone(points[close])
        return depth

    def arm(points: Array, shot: Shot) -> NDArray[np.bool_]:
        wrist, knuckles = shot.joints[0], np.nanmean(shot.joints[[1, 5, 9, 13]], axis=0)
        if not np.isfinite(wrist).all():
            return np.zeros(len(points), bool)
        back = turns.unit(wrist - knuckles)
        along = (points - wrist) @ back
        aside = np.linalg.norm(points - wrist - along[:, None] * back, axis=1)
        gone: NDArray[np.bool_] = (along > 10) & (aside < 90)
        return gone

    def on_cloth(points: Array, shot: Shot) -> NDArray[np.bool_]:
        low: NDArray[np.bool_] = shot.to_world(points) @ plane[0] < plane[1] + CLOTH
        return low

    return {
        "as they are": lambda s: s.depth,
        "without the arm": lambda s: without(s, lambda p: arm(p, s)),
        "without the cloth": lambda s: without(s, lambda p: on_cloth(p, s)),
        "without cloth and arm": lambda s: without(s, lambda p: on_cloth(p, s) | arm(p, s)),
        "nothing but what is near the labelled bones": lambda s: without(s, lambda p: _to_bones(p, s.joints) > FLESH),
    }


def seen(shot: Shot) -> float:
    """Share of the labelled joints at whose pixels something was seen within `NEAR`.

    The rest of the hand is out of the image, gave no depth, or lies behind something.
    """
    joints = shot.joints[np.isfinite(shot.joints).all(axis=1)]
    uv = np.round(shot.camera.project(joints)[:, :2]).astype(int)
    inside: NDArray[np.bool_] = np.all((uv >= 0) & (uv < np.array(shot.depth.shape[::-1])), axis=1)
    u, v = np.where(inside[:, None], uv, 0).T
    return float((inside & (np.abs(shot.depth[v, u] - joints[:, 2]) < NEAR)).mean())


def real(predictor: Predictor, folder: Path) -> list[dict[str, Any]]:
    """Mean errors of the rig's frames, mm.

    Of all, of those that show less than 70 % of the joints, of the others those of a hand that lies on the cloth, and
    of the rest.
    """
    shots = list(rig_shots(folder))
    plane = cloth(shots)
    known = [np.isfinite(s.joints).all(axis=1) for s in shots]
    above = [s.to_world(s.joints[k]) @ plane[0] - plane[1] for s, k in zip(shots, known, strict=True)]
    hidden = np.array([seen(s) < 0.7 for s in shots])
    lies = ~hidden & (np.array([float(np.mean(a)) for a in above]) < LOW)
    groups = {"all": hidden | ~hidden, "hidden": hidden, "lies": lies, "free": ~hidden & ~lies}
    rows = []
    for what, change in changes(plane).items():
        errors = []
        for shot, k in zip(shots, known, strict=True):
            looks = Detector(predictor, shot.camera).look(change(shot), [shot.center], ("right",))
            # Where nothing is left there is nothing to be said but where the cube is.
            guess = looks[0].joints if looks else np.broadcast_to(shot.center, (21, 3))
            errors.append(float(np.linalg.norm(guess - shot.joints, axis=1)[k].mean()))
        e = np.array(errors)
        rows.append(
            {"what": what, **{g: float(e[m].mean()) for g, m in groups.items()}}
            | {f"{g}_frames": int(m.sum()) for g, m in groups.items()}
        )
    return rows


def run(data: Path = DATA, count: int = 85) -> list[dict[str, Any]]:
    """Measure and print."""
    torch.set_num_threads(1)
    predictor = load_pretrained(device="cpu")
    rows: list[dict[str, Any]] = [{"what": w, "synthetic": mm} for w, mm in synthetic(predictor, count).items()]
    print(f"\n## One thing at a time\n\n| {count} synthetic hands | mean error, mm |\n|---|---|")
    for row in rows:
        print(f"| {row['what']} | {row['synthetic']:.1f} |")
    if (data / "multiview" / "labels.npz").exists():
        frames = real(predictor, data / "multiview")
        head = " | ".join(f"{name}: {frames[0][g + '_frames']}" for g, name in (
            ("all", "all"), ("hidden", "less than 70 % of the joints seen"), ("lies", "lies on the cloth"),
            ("free", "the others")))  # fmt: skip
        print(f"\n| the rig's frames | {head} |\n|---|---|---|---|---|")
        for row in frames:
            print(
                f"| {row['what']} | " + " | ".join(f"{row[g]:.1f}" for g in ("all", "hidden", "lies", "free")) + " |"
            )
        rows += frames
    print(f"written to {write('causes', rows)}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds multiview/")
    run(parser.parse_args().data)


if __name__ == "__main__":
    main()
