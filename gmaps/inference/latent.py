"""Hands drawn from the latent space of a cross-modal VAE: one point, seen as depth, as joints in 2D and in 3D."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.formats.outputs import holds_arrays, replacing
from gmaps.inference.predictor import Predictor
from gmaps.nets.crossmodal_vae import CrossModalVAE
from gmaps.skeleton import Skeleton

Array = NDArray[np.float32]
#: More at once is a mistake of the keyboard.
MOST = 100_000
_BATCH = 256
_OURS = holds_arrays("z", "half_side", "perspective")


class LatentHands(NamedTuple):
    """Hands of the latent space. What no pair of the network leads to is None.

    Parameters
    ----------
    z : (N, Z) float32
        The points.
    depth : (N, S, S) float32 or None
        Crops, cube units, 1 where there is no hand.
    color : (N, S, S, 3) uint8 or None
    joints2d : (N, J, 2) float32 or None
        In the crop's plane, -1 to 1: u to the right, v down.
    joints3d : (N, J, 3) float32 or None
        mm, from the cube's centre, camera axes.
    half_side
        Of the cube, mm.
    perspective
        Whether crops are; else they are orthographic, and `joints2d` times `half_side` are the first two of
        `joints3d`, but for what the decoders disagree.
    skeleton
        Of the joints.
    """

    z: Array
    depth: Array | None
    color: NDArray[np.uint8] | None
    joints2d: Array | None
    joints3d: Array | None
    half_side: float
    perspective: bool
    skeleton: Skeleton

    @property
    def disagreement_mm(self) -> float:
        """Mean distance of 2D joints from where the 3D joints lie in the plane, mm; NaN where that is not known."""
        if self.joints2d is None or self.joints3d is None or self.perspective:
            return float("nan")
        return float(np.linalg.norm(self.joints2d * self.half_side - self.joints3d[..., :2], axis=-1).mean())

    def save(self, path: str | os.PathLike[str]) -> None:
        """An .npz of all that is not None, and the skeleton's joints' names.

        Raises
        ------
        OutputError
            It cannot be written, or something is there that is not its like.
        """
        arrays = {k: v for k, v in self._asdict().items() if v is not None and k != "skeleton"}
        with replacing(path, _OURS) as new, open(new, "wb") as file:
            np.savez_compressed(file, joint_names=np.array(self.skeleton.joints), **arrays)


class LatentSpace:
    """The space of a trained `crossmodal_vae`.

    Parameters
    ----------
    checkpoint
        A file of `gmaps train`, or its run's folder, of which best.pt is taken.
    device
        "auto", "cpu" or "cuda".

    Raises
    ------
    CheckpointError
        It is damaged.
    UsageError
        It is of another network.
    """

    def __init__(self, checkpoint: str | os.PathLike[str], *, device: str = "auto") -> None:
        self.predictor = Predictor(checkpoint, device=device)
        net = self.predictor.net
        if not isinstance(net, CrossModalVAE):
            name = net.origin[0] if net.origin else type(net).__name__
            raise UsageError(
                f"{os.fspath(checkpoint)} is of network {name}, which has no latent space: "
                "`gmaps train STORE --model crossmodal_vae --out RUN` makes one that has"
            )
        self.net = net

    def sample(self, count: int, seed: int = 0) -> LatentHands:
        """Hands at points of N(0, 1); the first of them are the same whatever the count.

        Raises
        ------
        UsageError
            None, or more than anybody looks at; or a seed that is none.
        """
        if not 1 <= count <= MOST:
            raise UsageError(f"sample 1 to {MOST:,} hands, not {count:,}")
        if not 0 <= seed < 2**32:
            raise UsageError(f"a seed is 0 to 2**32 - 1, got {seed}")
        return self.decode(np.random.default_rng(seed).standard_normal((count, self.net.latent), np.float32))

    def walk(self, count: int, steps: int, seed: int = 0) -> LatentHands:
        """Ways between points of N(0, 1): (count x steps) hands, a way after the other; see `way`.

        Raises
        ------
        UsageError
            No way, fewer than two steps, or too many of both.
        """
        if count < 1 or steps < 2 or count * steps > MOST:
            raise UsageError(f"walk 1 way or more of 2 steps or more, {MOST:,} in all, not {count} of {steps}")
        ends = self.sample(2 * count, seed).z
        return self.decode(np.concatenate([way(ends[2 * k], ends[2 * k + 1], steps) for k in range(count)]))

    def decode(self, z: Array) -> LatentHands:
        """What points (N, Z) look like."""
        parts: list[dict[str, Array]] = []
        with torch.inference_mode():
            for k in range(0, len(z), _BATCH):
                some = torch.from_numpy(z[k : k + _BATCH]).to(self.predictor.device)
                parts.append({name: t.cpu().numpy() for name, t in self.net.show(some).items()})
        made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        half, depth, joints = self.predictor.half_side, made.get("depth"), made.get("joints3d")
        color = made.get("color")
        return LatentHands(
            z, None if depth is None else depth[:, 0], None if color is None else color.astype(np.uint8),
            made.get("joints2d"), None if joints is None else joints * np.float32(half), half,
            self.net.projection == "perspective", self.predictor.skeleton,
        )  # fmt: skip


def way(begin: Array, end: Array, steps: int) -> Array:
    """(steps, Z): from one point to another along the great circle, each as far from 0 as lies between.

    On the straight line, points halfway lie nearer to 0 than nearly all of N(0, 1) does (White, 2016,
    arXiv 1609.04468).
    """
    a, b = begin.astype(np.float64), end.astype(np.float64)
    long = np.linalg.norm(a), np.linalg.norm(b)
    t = np.linspace(0, 1, steps)[:, None]
    if min(long) < 1e-9:
        return (a + t * (b - a)).astype(np.float32)
    u, v = a / long[0], b / long[1]
    angle = np.arccos(np.clip(u @ v, -1, 1))
    between = u + t * (v - u) if np.sin(angle) < 1e-6 else (
        np.sin((1 - t) * angle) * u + np.sin(t * angle) * v
    ) / np.sin(angle)  # fmt: skip
    found: Array = (between * (long[0] + t * (long[1] - long[0]))).astype(np.float32)
    return found
