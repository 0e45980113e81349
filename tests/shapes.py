"""Random silhouettes for tests and benchmarks: blobs, lines, single cells, hands of sticks, empty and full."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage


def blob(rng: np.random.Generator, size: int, fill: float = 0.35, connected: bool = True) -> np.ndarray:
    """A smooth random shape; its largest part when `connected`."""
    noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), max(size / 12, 0.7))
    mask = noise > np.quantile(noise, 1 - fill)
    if connected:
        labels, _ = ndimage.label(mask)
        mask = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return mask


def stick_hand(rng: np.random.Generator, size: int) -> np.ndarray:
    """A palm with five fingers, thin enough that neighbours are far apart along the hand."""
    r, c = np.mgrid[:size, :size] / size
    mask = ((r - 0.68) / 0.2) ** 2 + ((c - 0.5) / 0.19) ** 2 <= 1
    for k, lean in enumerate(np.linspace(-0.6, 0.6, 5) + rng.uniform(-0.08, 0.08, 5)):
        base = np.array([0.6, 0.36 + 0.07 * k])
        tip = base + rng.uniform(0.3, 0.48) * np.array([-np.cos(lean), np.sin(lean)])
        along = np.clip(
            ((r - base[0]) * (tip - base)[0] + (c - base[1]) * (tip - base)[1]) / ((tip - base) ** 2).sum(), 0, 1
        )
        away = np.hypot(r - base[0] - along * (tip - base)[0], c - base[1] - along * (tip - base)[1])
        mask |= away <= max(0.03, 0.6 / size)
    return mask


@st.composite
def masks(draw: st.DrawFn, low: int = 1, high: int = 24) -> np.ndarray:
    """Any silhouette: noise, blobs, lines, single cells, empty, full, square or not."""
    rows, cols = draw(st.integers(low, high)), draw(st.integers(low, high))
    kind = draw(st.sampled_from(["noise", "blob", "lines", "cell", "empty", "full"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "noise":
        return rng.random((rows, cols)) < draw(st.floats(0.1, 0.95))
    if kind == "blob":
        return blob(rng, max(rows, cols), draw(st.floats(0.1, 0.9)), connected=False)
    mask = np.zeros((rows, cols), bool)
    if kind == "full":
        mask[:] = True
    if kind == "cell":
        mask[rng.integers(rows), rng.integers(cols)] = True
    if kind == "lines":
        for _ in range(draw(st.integers(1, 4))):
            mask[rng.integers(rows), :] = True
            mask[:, rng.integers(cols)] = True
    return mask
