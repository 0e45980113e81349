"""What public projects learn, written anew from their formulas: they share no line with gmaps, nor with their code.

Joints are (u, v, d) in [-1, 1] of the crop, images (F, F) in [-1, 1] with 1 for the void, which begins at 0.99; the
grid's places are (i + 0.5) 2 / F - 1.
"""

from __future__ import annotations

import numpy as np

VOID = 0.99


def places(image: np.ndarray) -> np.ndarray:
    """(F, F, 3): u, v and d of every cell."""
    at = (np.arange(len(image)) + 0.5) * 2 / len(image) - 1
    u, v = np.meshgrid(at, at)
    return np.stack([u, v, image], axis=-1)


def awr(joints: np.ndarray, image: np.ndarray, k: float) -> np.ndarray:
    """AWR (Huang et al., AAAI 2020), as IPNet and DSF have it: 3J unit vectors, then J of (k - |o|) / k."""
    o = joints[None, None] - places(image)[:, :, None]
    d = np.sqrt((o**2).sum(axis=-1) + 1e-8)
    inside = (d <= k) & (image < VOID)[..., None]
    unit = np.where(inside[..., None], o / d[..., None], 0)
    close = np.where(inside, (k - d) / k, 0)
    return np.concatenate([unit.reshape(*image.shape, -1), close], axis=-1)


def awr_joints(maps: np.ndarray, image: np.ndarray, k: float) -> np.ndarray:
    """Its way back: softmax of 30 times the closeness over all cells of the image, void and all."""
    n = maps.shape[-1] // 4
    unit, close = maps[..., : 3 * n].reshape(-1, n, 3), maps[..., 3 * n :].reshape(-1, n)
    share = np.exp(30 * (close - close.max(axis=0)))
    share /= share.sum(axis=0)
    votes = places(image).reshape(-1, 1, 3) + unit * (k * (1 - close))[..., None]
    return (votes * share[..., None]).sum(axis=0)


def dense_reg(joints_mm: np.ndarray, points_mm: np.ndarray, hand: np.ndarray, k: float = 80.0) -> np.ndarray:
    """DenseReg (Wan et al., CVPR 2018): in mm of space, 3J unit vectors and J of max(0, (k - |o|) / k)."""
    o = joints_mm[None, None] - points_mm[:, :, None]
    d = np.linalg.norm(o, axis=-1)
    inside = (d < k) & hand[..., None]
    unit = o / np.maximum(d, 1e-9)[..., None] * inside[..., None]
    return np.concatenate([unit.reshape(*hand.shape, -1), np.maximum(0, (k - d) / k) * hand[..., None]], axis=-1)


def ipnet_heat(joints: np.ndarray, size: int, s: float) -> np.ndarray:
    """IPNet's heat map: exp(-r^2 / s^2), r in cells, no half in it."""
    px = (joints[:, :2] + 1) / 2 * size - 0.5
    u, v = np.meshgrid(np.arange(size), np.arange(size))
    return np.exp(-((u[..., None] - px[:, 0]) ** 2 + (v[..., None] - px[:, 1]) ** 2) / s**2)


def depth_behind(joints: np.ndarray, image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """IPNet's depth offset, and the pixel-wise regression's: d_j - depth(p) where there is heat, on the hand."""
    mask = (heat >= 0.01) & (image < VOID)[..., None]
    return (joints[:, 2] - image[..., None]) * mask


def regressed_depth(heat: np.ndarray, behind: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Zhang et al., 2020: the mean of (depth behind + depth), weighted by the heat on the hand."""
    share = heat * ((heat >= 0.01) & (image < VOID)[..., None])
    return (share * (behind + image[..., None])).sum(axis=(0, 1)) / share.sum(axis=(0, 1))


def jgr_offsets(joints: np.ndarray, image: np.ndarray) -> np.ndarray:
    """JGR-P2O (Fang et al., ECCV 2020): pixels over F - 1 in the plane, and the depth behind; joint by joint."""
    size = len(image)
    px = (joints[:, :2] + 1) / 2 * size - 0.5
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    u, v = px[:, 0] / (size - 1) - x[..., None] / (size - 1), px[:, 1] / (size - 1) - y[..., None] / (size - 1)
    return np.stack([u, v, joints[:, 2] - image[..., None]], axis=-1).reshape(size, size, -1)


def ipnet_plane(joints: np.ndarray, image: np.ndarray, k: float) -> np.ndarray:
    """IPNet's offsets in the plane: 2J unit vectors, J closeness, and J depth offsets of the same mask."""
    o = joints[None, None, :, :2] - places(image)[:, :, None, :2]
    d = np.sqrt((o**2).sum(axis=-1) + 1e-8)
    inside = (d <= k) & (image < VOID)[..., None]
    unit = np.where(inside[..., None], o / d[..., None], 0).reshape(*image.shape, -1)
    behind = np.where(inside, joints[:, 2] - image[..., None], 0)
    return np.concatenate([unit, np.where(inside, (k - d) / k, 0), behind], axis=-1)


def p2p(joints: np.ndarray, points: np.ndarray, theta: float) -> np.ndarray:
    """Ge et al., 2018, and SRN on N points: 3J unit vectors and J of (theta - |o|) / theta, within theta."""
    o = joints[None] - points[:, None]
    d = np.linalg.norm(o, axis=-1)
    inside = d < theta
    unit = np.where(inside[..., None], o / np.maximum(d, 1e-9)[..., None], 0).reshape(len(points), -1)
    return np.concatenate([unit, np.where(inside, (theta - d) / theta, 0)], axis=-1)
