"""A trained network as an ONNX file: crop and cube in, joints in mm out; for programs without PyTorch."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gmaps.datasets import load_dataset
from gmaps.errors import MissingExtraError, OutputError, UsageError
from gmaps.formats.outputs import check_place, holds, replacing
from gmaps.inference.predictor import Predictor
from gmaps.nets.inputs import entries
from gmaps.nets.network import Network

#: Of the cube's half side: what the file's joints may differ from PyTorch's by.
TOLERANCE = 1e-4
#: Of the standard: the oldest that PyTorch's exporter writes without a conversion.
OPSET = 18
#: The file's metadata, which stand at its end.
_OURS = holds(b"gmaps")
#: Frames of the synthetic hand that the file is checked on.
_CHECKED = 5


class JointsOf(nn.Module):
    """A network with its decoding: tensors in, joints out, nothing of Python between.

    `forward(cube, *inputs)`: the cubes (B, 4), mm, and the network's `inputs`, in their order; gives (B, J, 3)
    float32 joints, mm, camera axes. `torch.export` and `torch.compile` are given this.

    Parameters
    ----------
    net
        In evaluation mode.
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, cube: Tensor, *inputs: Tensor) -> Tensor:
        """Joints (B, J, 3), mm."""
        batch: dict[str, Any] = {"cube": cube, "maps": {}}
        for name, value in zip(self.net.inputs, inputs, strict=True):
            if name.startswith("maps/"):
                batch["maps"][name.removeprefix("maps/")] = value
            else:
                batch[name] = value
        return self.net.decode(self.net(*inputs), batch)


def export_onnx(
    checkpoint: str | os.PathLike[str], out: str | os.PathLike[str], *, network: str | None = None,
    overwrite: bool = False,
) -> float:  # fmt: skip
    """Write a trained network as an ONNX file and check it against PyTorch.

    The file takes "cube" (B, 4) float32, the cubes' centres and half sides, mm, and the network's inputs, "depth"
    (B, 1, S, S) float32 of -1 to 1 for most, B being free; it gives "joints" (B, J, 3) float32, mm, camera axes. Its
    metadata, "gmaps", is JSON of the crop (size, half_side, projection) and of the joints' names.

    Parameters
    ----------
    checkpoint
        A file of `gmaps train`, or its run's folder.
    out
        The file to write; it appears when it is whole and was checked.
    network
        MODULE:NAME, where the checkpoint is of a network of one's own.
    overwrite
        Replace an earlier export.

    Returns
    -------
    float
        Largest difference of a coordinate between ONNX Runtime and PyTorch, in half sides of the cube, on frames of
        the synthetic hand in batches of 1 and more; at most `TOLERANCE`.

    Raises
    ------
    MissingExtraError
        onnx, onnxscript or onnxruntime is not installed.
    OutputError
        There is such a file, or it cannot be written; or what is there is no export of ours.
    UsageError
        The network does something that ONNX cannot say, or ONNX Runtime's joints are others.
    """
    runtime = _libraries()
    path = Path(out)
    if path.is_file() and not overwrite:
        raise OutputError(f"{path} is there already; choose another name, or --overwrite to replace it")
    check_place(path, _OURS, [checkpoint])  # before the work, not after it
    predictor = Predictor(checkpoint, device="cpu", network=network)
    names, tensors = _examples(predictor)
    joints_of = JointsOf(predictor.net).eval()
    # The program takes any batch but one: a size of 1 would be taken for a constant.
    batch = torch.export.Dim("batch", min=1)
    try:
        with _quiet():
            program = torch.onnx.export(
                joints_of, tensors, dynamo=True, opset_version=OPSET, input_names=names, output_names=["joints"],
                dynamic_shapes={"cube": {0: batch}, "inputs": tuple({0: batch} for _ in tensors[1:])}, verbose=False,
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise UsageError(f"{os.fspath(checkpoint)}: its network cannot be written as ONNX: {why}") from error
    if program is None:
        raise UsageError(f"{os.fspath(checkpoint)}: PyTorch's exporter gave no program")
    program.model.metadata_props["gmaps"] = json.dumps(_about(predictor))
    with replacing(path, _OURS) as new:
        program.save(new)
        worst = _difference(runtime, new, joints_of, names, tensors)
        if not worst <= TOLERANCE:
            raise UsageError(
                f"{os.fspath(checkpoint)}: ONNX Runtime's joints differ from PyTorch's by {worst:.2g} half sides of "
                f"the cube, more than {TOLERANCE:g}: this network is not for ONNX"
            )
    return worst


def _libraries() -> Any:
    """ONNX Runtime, with what writes files for it."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            found = __import__(name)
        except ImportError:
            raise MissingExtraError(name, "onnx", "gmaps export-model") from None
    return found


def _examples(predictor: Predictor) -> tuple[list[str], tuple[Tensor, ...]]:
    """Names of a file's inputs, and a batch of them: crops of the synthetic hand."""
    made = load_dataset("synthetic", frames=_CHECKED, seed=11)
    crops = [predictor.crop(made.read(i), made.read(i).joints.mean(0)) for i in range(_CHECKED)]
    batch = predictor.batch(crops)
    names = ["cube", *(name.removeprefix("maps/") for name in predictor.net.inputs)]
    return names, (batch["cube"], *entries(batch, predictor.net.inputs))


def _about(predictor: Predictor) -> dict[str, Any]:
    return {"crop": predictor.crop_settings, "joints": list(predictor.skeleton.joints)}


def _difference(
    runtime: Any, path: Path, joints_of: JointsOf, names: list[str], tensors: tuple[Tensor, ...]
) -> float:
    """Largest difference of the file's joints from PyTorch's, half sides of the cube."""
    session = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for rows in (slice(0, 1), slice(1, None)):
        part = tuple(t[rows].contiguous() for t in tensors)
        with torch.inference_mode():
            truth = joints_of(*part).numpy()
        (found,) = session.run(["joints"], {n: t.numpy() for n, t in zip(names, part, strict=True)})
        worst = max(worst, float(np.max(np.abs(found - truth) / part[0][:, None, 3:].numpy())))
    return worst


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself: its steps, and what will change in its later versions."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
