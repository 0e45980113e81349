"""Straight distances in space from the surface to the joints."""

from __future__ import annotations

from gmaps.maps.base import MapKind, register_map

EUCLIDEAN = register_map(
    MapKind(
        name="euclidean",
        summary="Straight 3D distance from each surface point to each joint, near is 1",
        formula="1 - min(|x(p) - x_j|, theta) / theta, theta = 2 half_side; 0 in the void",
        channels=len,
        value_range=(0.0, 1.0),
        encode=lambda scene: scene.euclidean,
        original="dist2",
    )
)
