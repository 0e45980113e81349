"""A MANO file behind the interface of `HandLayer`: for those who have one; gmaps neither has nor needs it.

MANO (Romero, Tzionas, Black, SIGGRAPH Asia 2017): v = template + shape blend + pose blend; sixteen joints by a
regressor; linear blend skinning. Nothing of it comes with gmaps; its licence is its owners'.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gmaps.errors import FrameError, UsageError
from gmaps.formats.npy import parse_npz
from gmaps.formats.numpy_pickle import Record, array_of, parse_pickle
from gmaps.formats.regular import read_regular
from gmaps.nets import quaternions as turns
from gmaps.nets.hand_layer import Hand
from gmaps.nets.hand_penalties import anatomical_angles
from gmaps.synth.hand import STARTS, follow_joints, mean_shape

#: MANO's sixteen joints and five tips, in the order of msra21: index, middle, ring, little finger, thumb.
_TO_MSRA = [0, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20, 13, 14, 15, 16]
#: Vertices at the tips of thumb, index, middle, ring and little finger, as MANO's users take them.
TIPS = (745, 317, 444, 556, 673)
#: The MANO joint whose turn each of gmaps' bones follows: forearm and palm the root, then three a finger.
_OF_BONE = [0] * 5 + [1, 2, 3, 4, 5, 6, 10, 11, 12, 7, 8, 9, 13, 14, 15]
_SPARSE = ("scipy.sparse.csc.csc_matrix", "scipy.sparse._csc.csc_matrix")
#: What else MANO's own files hold: read as inert records, never run.
_RECORDS = (
    *_SPARSE, "chumpy.ch.Ch", "chumpy.reordering.Select", "copy_reg._reconstructor", "copyreg._reconstructor",
    "__builtin__.object", "builtins.object",
)  # fmt: skip
_MOST_BYTES = 2**28
#: Arrays that are needed of an .npz.
_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")


class ManoLayer(nn.Module):
    """Joints and mesh of MANO's hand, with the `forward` of `HandLayer`.

    Parameters
    ----------
    path
        A file of MANO's layout, .pkl as it is published, or .npz with the same names: `v_template` (V, 3),
        `shapedirs` (V, 3, S), `posedirs` (V, 3, 135), `J_regressor` (16, V), `weights` (V, 16), `f` (T, 3),
        `kintree_table` (2, 16) and `hands_mean` (45,). Metres. A pickle is read without running anything.
    tips
        Vertices at the tips of thumb, index, middle, ring and little finger.
    flat
        True: a pose of zeros is the flat hand; False: MANO's mean pose.
    dtype
        Of its constants and of what it gives.

    Raises
    ------
    FrameError
        No file of that layout.

    Notes
    -----
    Its pose are 45 numbers, rotation vectors (radians) of the fifteen joints in MANO's order, its shape S numbers.
    Bone lengths follow from the shape: `lengths` is refused. `Hand.radii` are gmaps' own, scaled to the palm.
    """

    triangles: Tensor
    template: Tensor
    shape_blend: Tensor
    pose_blend: Tensor
    regressor: Tensor
    weights: Tensor
    mean_pose: Tensor
    mean_radii: Tensor
    rest_turns: Tensor
    pose_size = 45

    def __init__(
        self, path: str | os.PathLike[str], *, tips: tuple[int, ...] = TIPS, flat: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        super().__init__()
        data = read_mano(path)
        vertices = len(data["v_template"])
        if len(tips) != 5 or not all(0 <= t < vertices for t in tips):
            raise UsageError(f"tips are five vertices from 0 to {vertices - 1}, got {tips}")
        self.shape_size = data["shapedirs"].shape[2]
        self._parents = [int(p) for p in data["kintree_table"][0]]
        self._tips = list(tips)
        template = 1000.0 * data["v_template"]
        fixed = {
            "template": template, "shape_blend": 1000.0 * data["shapedirs"],
            "pose_blend": 1000.0 * data["posedirs"], "regressor": data["J_regressor"], "weights": data["weights"],
            "mean_pose": np.zeros(45) if flat else data["hands_mean"],
        }  # fmt: skip
        sixteen = data["J_regressor"] @ template
        rest = np.concatenate([sixteen, template[list(tips)]])[_TO_MSRA]
        # Bones begin, at rest, where gmaps' own would through the same joints.
        fixed["rest_turns"] = follow_joints(rest[None])[0].turns[0]
        fixed["mean_radii"] = mean_shape().radii
        for name, values in fixed.items():
            self.register_buffer(name, torch.from_numpy(np.array(values, np.float64)).to(dtype), persistent=False)
        self.register_buffer("triangles", torch.from_numpy(data["f"].astype(np.int64)), persistent=False)

    def forward(
        self, pose: Tensor, shape: Tensor | None = None, lengths: Tensor | None = None, *,
        turn: Tensor | None = None, shift: Tensor | None = None, mesh: bool = True,
    ) -> Hand:  # fmt: skip
        """Hands in a pose, see `HandLayer.forward`: (B, 45) radians, (B, S); `turn` is about the wrist."""
        if lengths is not None:
            raise UsageError("a MANO hand's bones follow from its shape: leave lengths out")
        if pose.ndim != 2 or pose.shape[1] != 45:
            raise UsageError(f"a MANO pose is (B, 45) radians, got {tuple(pose.shape)}")
        count = len(pose)
        shape = pose.new_zeros(count, self.shape_size) if shape is None else shape
        if shape.ndim != 2 or shape.shape[1] != self.shape_size:
            raise UsageError(f"this MANO file's shapes are (B, {self.shape_size}), got {tuple(shape.shape)}")
        own = turns.from_vector((pose + self.mean_pose).unflatten(1, (15, 3)))
        matrices = turns.matrix(own)
        shaped = self.template + torch.einsum("vck,bk->bvc", self.shape_blend, shape)
        joints = self.regressor @ shaped
        bent = (matrices - torch.eye(3, dtype=pose.dtype, device=pose.device)).flatten(1)
        posed = shaped + torch.einsum("vck,bk->bvc", self.pose_blend, bent)
        root = pose.new_tensor([1.0, 0.0, 0.0, 0.0]).expand(count, 4) if turn is None else turn
        wrist = torch.zeros_like(joints[:, 0]) if shift is None else shift
        spun, placed = [root], [wrist]
        for k in range(1, 16):
            parent = self._parents[k]
            placed.append(placed[parent] + turns.apply(spun[parent], joints[:, k] - joints[:, parent]))
            spun.append(turns.product(spun[parent], own[:, k - 1]))
        q, begin = torch.stack(spun, dim=1), torch.stack(placed, dim=1)
        linear = turns.matrix(q)
        move = begin - (linear @ joints[..., None])[..., 0]
        affine = self.weights @ torch.cat([linear.flatten(2), move], dim=-1)
        vertices = (affine[..., :9].unflatten(-1, (3, 3)) @ posed[..., None])[..., 0] + affine[..., 9:]
        found = torch.cat([begin, vertices[:, self._tips]], dim=1)[:, _TO_MSRA]
        return self._hand(found, vertices if mesh else None, turns.product(q[:, _OF_BONE], self.rest_turns), root)

    def _hand(self, joints: Tensor, vertices: Tensor | None, axes: Tensor, root: Tensor) -> Hand:
        corner = torch.cat([turns.matrix(axes), joints[:, STARTS.tolist()][..., None]], dim=-1)
        last = joints.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*axes.shape[:2], 1, 4)
        reach = (joints[:, [1, 5, 9, 13]] - joints[:, :1]).norm(dim=-1).mean(dim=1, keepdim=True) / 71.0
        palm = axes[:, 1]  # the metacarpals have the palm's axes
        angles = anatomical_angles(axes, palm)
        return Hand(joints, vertices, torch.cat([corner, last], dim=-2), angles, self.mean_radii * reach)


def read_mano(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float64]]:
    """The arrays of a MANO file, checked against each other; see `ManoLayer`.

    Raises
    ------
    FrameError
        The file is not there, not of the layout, or holds what is no array.
    """
    file = Path(path)
    try:
        content = read_regular(file, most=_MOST_BYTES)
    except OSError as error:
        raise FrameError(f"{file}: {error.strerror}; give the path of MANO_RIGHT.pkl or of an .npz of it") from None
    if not content:
        raise FrameError(f"{file}: no bytes, where a MANO file has some 4 MB")
    if content[:2] == b"PK":
        found: dict[str, Any] = {key: parse_npz(content, str(file), key) for key in _KEYS}
        with contextlib.suppress(FrameError):  # not all have it
            found["hands_mean"] = parse_npz(content, str(file), "hands_mean")
    else:
        found = {k: _plain(v, str(file)) for k, v in parse_pickle(content, str(file), _RECORDS).items()}
    return _checked(found, str(file))


def _plain(value: Any, name: str) -> Any:
    """Arrays out of SciPy's and chumpy's records; what is none of them stays."""
    if not isinstance(value, Record):
        return value
    try:
        state = value.state
        if value.name in _SPARSE:
            rows, columns = (int(n) for n in state.get("_shape", state.get("shape")))
            parts = [array_of(state[k]) for k in ("data", "indices", "indptr")]
            from scipy.sparse import csc_matrix

            if rows * columns > 10**7:
                raise FrameError(f"a sparse matrix of {rows} x {columns}")
            made = csc_matrix((parts[0], parts[1], parts[2]), (rows, columns))
            made.check_format(full_check=True)
            return made.toarray()
        if "a" in state and "idxs" in state:  # chumpy's Select: some of another's numbers, in a shape
            whole = np.asarray(_plain(state["a"], name)).ravel()
            shape = tuple(int(n) for n in state["preferred_shape"])
            return whole[array_of(state["idxs"]).astype(np.int64)].reshape(shape)
        return array_of(state["x"])
    except FrameError as error:
        raise FrameError(f"{name}: {error}") from None
    except Exception as error:  # a record's state is whatever the file says
        raise FrameError(f"{name}: a {value.name} that holds no array ({type(error).__name__})") from None


def _checked(found: dict[str, Any], name: str) -> dict[str, NDArray[np.float64]]:
    """The arrays that are needed, as float64, with shapes that fit each other."""
    count = np.shape(found.get("v_template", ()))[:1]
    wanted: dict[str, tuple[int | None, ...]] = {
        "v_template": (*count, 3), "shapedirs": (*count, 3, None), "posedirs": (*count, 3, 135),
        "J_regressor": (16, *count), "weights": (*count, 16), "f": (None, 3), "kintree_table": (2, 16),
        "hands_mean": (45,),
    }  # fmt: skip
    out: dict[str, NDArray[np.float64]] = {}
    for key, shape in wanted.items():
        value: Any = found.get(key)
        if key == "hands_mean" and value is None:
            value = np.zeros(45)
        fits = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and len(value.shape) == len(shape)
        if not fits or any(s not in (None, n) for s, n in zip(shape, value.shape, strict=True)):
            is_ = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else "none"
            size = ", ".join("any" if n is None else str(n) for n in shape)
            raise FrameError(f"{name}: a MANO file has numbers {key} ({size}), this one has {is_}")
        out[key] = value.astype(np.float64)
        if key == "kintree_table":  # the root's parent is -1 or 4294967295
            out[key][0, 0] = -1
    parents = out["kintree_table"][0]
    if not all(0 <= parents[k] < k for k in range(1, 16)) or not np.isfinite([v.sum() for v in out.values()]).all():
        raise FrameError(f"{name}: its joints do not follow their parents, or it holds numbers that are not finite")
    if out["f"].min() < 0 or out["f"].max() >= count[0]:
        raise FrameError(f"{name}: triangles of vertices that are not there")
    return out
