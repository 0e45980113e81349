"""Augmentation of crops that keeps joints, cube and maps right.

A change of the view is one that a camera or a detector could have made: the camera rolls about its axis, or sees a
mirror; the cube is found elsewhere, or taken larger. What comes out is again a crop with its own cube and joints in
mm, so a map of it is what `gmaps.encode` makes of it. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.augment.view import JUMP_MM, Change, bounded_shift, move, turn_matrix
from gmaps.errors import UsageError
from gmaps.frame import BACKGROUND, Crop, Cube, Projection
from gmaps.kernels import raster, warp
from gmaps.maps import MapParams, get_map
from gmaps.skeleton import Skeleton

#: A change that leaves less of the hand than this share of its pixels is not made.
LEAST = 0.25


@dataclass(frozen=True)
class Augment:
    """Random changes of crops, drawn anew each epoch.

    Parameters
    ----------
    rotation
        The camera rolls by up to so many degrees either way.
    quarter_turns
        Roll by 0, 90, 180 or 270 degrees instead; `rotation` must be 0.
    mirror
        Share of crops that are mirrored: a right hand becomes a left one.
    scale
        The cube grows or shrinks by up to this share, 0.1 for a factor of 1 / 1.1 to 1.1. Sizes in mm stay true.
    translation
        The cube moves by up to so many mm along x and y each.
    depth
        The cube moves by up to so many mm along z, but never so far that it would cut the hand where it did not.
    cutouts
        Up to so many rectangles are blanked.
    cutout_size
        Their sides, at most, as a share of the crop's.
    noise
        Standard deviation of the depth's noise, mm.
    edge_loss
        Share of lost pixels at edges.
    seed
        With it, the epoch and the row all is drawn: by no worker's state, and the same on every machine.

    Raises
    ------
    UsageError
        A value out of range.

    Notes
    -----
    What lay outside the original cube is not known, and is void in the augmented crop.

    References
    ----------
    Cut-outs: DeVries and Taylor (2017), arXiv 1708.04552.
    """

    rotation: float = 180.0
    quarter_turns: bool = False
    mirror: float = 0.0
    scale: float = 0.1
    translation: float = 8.0
    depth: float = 8.0
    cutouts: int = 0
    cutout_size: float = 0.2
    noise: float = 0.0
    edge_loss: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "rotation": 180.0,
            "mirror": 1.0,
            "scale": 1.0,
            "translation": 1000.0,
            "depth": 1000.0,
            "cutouts": 100,
            "cutout_size": 1.0,
            "noise": 1000.0,
            "edge_loss": 1.0,
        }
        for name, most in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise UsageError(f"augmentation: {name} is from 0 to {most:g}, got {value}")
        if self.quarter_turns and self.rotation:
            raise UsageError("augmentation: either quarter_turns, or a rotation; say rotation=0")
        if self.seed < 0:
            raise UsageError(f"augmentation: seed is not negative, got {self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Augment:
        """The inverse of `to_dict`.

        Raises
        ------
        UsageError
            A name that is none of the parameters.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise UsageError(
                f"augmentation: no {', '.join(unknown)}; known: {', '.join(f.name for f in fields(cls))}"
            )
        return cls(**values)

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Augment | None:
        """From a command line: "on" for the defaults, "rotation=30,noise=1" for others, "off" for None.

        Parameters
        ----------
        text
            What was typed.
        seed
            Unless the text has one.

        Raises
        ------
        UsageError
            A name or a value that is none.
        """
        if text in ("off", "on"):
            return cls(seed=seed) if text == "on" else None
        kinds: dict[str, Callable[[str], Any]] = {
            "quarter_turns": lambda v: {"true": True, "false": False}[v.lower()],
            "cutouts": int,
            "seed": int,
        }
        values: dict[str, Any] = {"seed": seed}
        for part in text.split(","):
            name, _, value = part.partition("=")
            name = name.strip()
            try:
                values[name] = kinds.get(name, float)(value.strip())
            except (KeyError, ValueError):
                raise UsageError(
                    f"augmentation: {part.strip()!r} is no NAME=VALUE; say on, off, or such as rotation=30,noise=1"
                ) from None
        if values.get("quarter_turns"):
            values.setdefault("rotation", 0.0)
        return cls.from_dict(values)

    @classmethod
    def exact(cls, *, mirror: float = 0.0, depth: float = 0.0, seed: int = 0) -> Augment:
        """Only what carries stored maps over exactly: quarter turns, mirroring, and shifts in depth."""
        return cls(0.0, True, mirror, 0.0, 0.0, depth, seed=seed)

    def carries(
        self, kind: str, params: MapParams, crop_size: int, projection: str, skeleton: Skeleton | None = None
    ) -> bool:
        """Whether a stored map of a kind can be carried over, instead of being computed from the augmented crop.

        The kind says so: `MapKind.turns`, `mirrors` and `flat`. Flat maps also bear shifts in depth of an
        orthographic crop, and noise that loses no pixel.

        Parameters
        ----------
        kind
            Its name.
        params
            How the stored maps were made.
        crop_size
            S; cells must be whole pixels.
        projection
            Of the crop.
        skeleton
            Of the maps; by default one whose joints keep their names in a mirror.
        """
        if self.rotation or self.scale or self.translation or self.cutouts or self.edge_loss:
            return False
        if params.profile != "default" or crop_size % params.size:
            return False
        traits = get_map(kind)
        if (self.depth and not (traits.flat and projection == "orthographic")) or (self.noise and not traits.flat):
            return False
        if self.mirror and skeleton is not None and traits.mirrored_channels(skeleton) is None:
            return False
        return (traits.turns or not self.quarter_turns) and (traits.mirrors or not self.mirror)

    def __call__(self, crop: Crop, *key: int, skeleton: Skeleton | None = None) -> tuple[Crop, Change]:
        """An augmented crop.

        Parameters
        ----------
        crop
            The original, left alone.
        *key
            What it depends on besides the seed: epoch and row.
        skeleton
            Of the crop's joints: those that swap in a mirror are swapped. By default none are.

        Returns
        -------
        crop : Crop
            Its cube and joints are in the axes of the changed camera; depth is representable in float16.
        change : Change
            What was done.
        """
        rng = np.random.Generator(np.random.PCG64([self.seed, *key]))
        alone = crop.hand_only()  # of a hand in a scene, the hand is what must stay in view
        held = alone.depth[alone.depth < BACKGROUND]
        ends = (float(held.min()), float(held.max())) if len(held) else (math.inf, math.inf)
        mirrored, quarters, turn, size, shift = self.draw(rng, crop.cube, crop.projection, *ends)
        still = size == crop.cube.half_side and not shift[:2].any()
        if crop.projection == "perspective" and shift[2]:
            still = False  # what is nearer is larger: a shift in depth is a change of scale, too
        depth = np.empty_like(crop.depth)
        least = LEAST * np.count_nonzero(alone.depth < BACKGROUND)
        moved, seen = move(alone, turn, size, shift, depth)
        if seen < max(least, 1) and not crop.flat:
            still, quarters = True, 0 if quarters is None else quarters
            turn, size, shift = turn_matrix(0.0, quarters, mirrored), crop.cube.half_side, np.zeros(3)
            moved, seen = move(alone, turn, size, shift, depth)
        hand = None if crop.hand is None else depth < BACKGROUND
        color = None if crop.color is None else np.empty_like(crop.color)
        if hand is not None or color is not None:
            move(crop, turn, size, shift, depth, color)
        depth = self._spoil(depth, moved, rng, least, hand)
        raster.round_half(depth)
        change = Change(turn, crop.cube, moved, quarters if still else None, mirrored, skeleton)
        joints = (change.swap(crop.joints_mm).astype(np.float64) @ turn.T).astype(np.float32)
        hand = None if hand is None else hand & (depth < BACKGROUND)
        if color is not None and not crop.flat:
            color[depth == BACKGROUND] = 0  # what a cut-out or an edge has lost, and what lies outside
        return Crop(depth, moved, joints, crop.projection, hand=hand, color=color), change

    def draw(
        self, rng: np.random.Generator, cube: Cube, projection: Projection, near: float, far: float
    ) -> tuple[bool, int | None, NDArray[np.float64], float, NDArray[np.float64]]:
        """Another view of a cube.

        Parameters
        ----------
        rng
            Of the sample.
        cube, projection
            Of the crop.
        near, far
            Of the hand, cube units; not finite where there is none.

        Returns
        -------
        mirrored, quarters
            See `Change`.
        turn : (3, 3) float64
        size
            Half the side of the new cube, mm.
        shift : (3,) float64
            Of its centre, mm, in the old axes.
        """
        mirrored, quarters, angle = self._draw_turn(rng)
        h = cube.half_side
        size = h * math.exp(rng.uniform(-1, 1) * math.log1p(self.scale))
        shift = rng.uniform(-1, 1, 3) * (self.translation, self.translation, self.depth)
        shift[2] = bounded_shift(shift[2], near * h, far * h, size)
        if projection == "perspective" and shift[2]:
            shift[2] = max(shift[2], -0.5 * cube.center[2])  # the cube stays before the camera
        return mirrored, quarters, turn_matrix(angle, quarters, mirrored), size, shift

    def _draw_turn(self, rng: np.random.Generator) -> tuple[bool, int | None, float]:
        mirrored = bool(rng.random() < self.mirror)
        angle = math.radians(rng.uniform(-1, 1) * self.rotation)
        if self.quarter_turns:
            return mirrored, int(rng.integers(4)), 0.0
        return mirrored, 0 if angle == 0 else None, angle

    def draw_cutouts(self, rng: np.random.Generator, pixels: int) -> list[tuple[slice, slice]]:
        """Rows and columns of rectangles to be blanked in a crop of so many rows."""
        found = []
        for _ in range(int(rng.integers(self.cutouts + 1)) if self.cutouts else 0):
            height, width = rng.uniform(0, self.cutout_size * pixels, 2)
            row, col = rng.uniform(0, pixels, 2)
            top, left = max(int(row - height / 2), 0), max(int(col - width / 2), 0)
            found.append((slice(top, int(row + height / 2) + 1), slice(left, int(col + width / 2) + 1)))
        return found

    def _spoil(
        self, depth: NDArray[np.float32], cube: Cube, rng: np.random.Generator, least: float,
        hand: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Cut-outs, then noise. Cut-outs that would leave next to nothing are not made."""
        if self.cutouts:
            blank = depth.copy()
            for rectangle in self.draw_cutouts(rng, len(depth)):
                blank[rectangle] = BACKGROUND
            left_over = blank < BACKGROUND if hand is None else hand & (blank < BACKGROUND)
            if np.count_nonzero(left_over) >= max(least, 1):
                depth = blank
        if self.noise or self.edge_loss:
            h = cube.half_side
            out = np.empty_like(depth)
            key = np.uint64(rng.integers(2**63))
            if warp.roughen(depth, key, self.noise / h, self.edge_loss, JUMP_MM / h, out):
                depth = out
        return depth
