"""Hands the march of a batch to the GPU's kernel, and says what is missing where there is none."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from gmaps.errors import GmapsError, MissingExtraError, UsageError
from gmaps.kernels.march.waves import TOLERANCE
from gmaps.maps.torch_march import Fan
from gmaps.maps.torch_parts import Graph


def check_gpu() -> None:
    """See that kernels can be launched here.

    Raises
    ------
    MissingExtraError
        numba-cuda is not installed.
    GmapsError
        It is, and finds no GPU or no driver.
    """
    try:
        cuda: Any = importlib.import_module("numba.cuda")
    except ImportError:
        raise MissingExtraError("numba-cuda", "cuda", "maps on the GPU") from None
    if not cuda.is_available():
        raise GmapsError(
            "numba-cuda finds no GPU that it can use, or no CUDA toolkit to compile for it: `pip install "
            "'guidance-maps[cuda]'` brings the toolkit; without, train with --maps-on cpu"
        )


def solve_on_gpu(t: Tensor, graph: Graph, fan: Fan) -> Tensor:
    """`gmaps.maps.torch_march.solve` by a kernel: a block of threads a crop, a thread a joint.

    Raises
    ------
    UsageError
        More joints or rows than a block has threads or flags.
    GmapsError
        See `check_gpu`.
    """
    check_gpu()
    from gmaps.kernels.cuda import waves_cuda

    crops, joints = len(graph.start) - 1, t.shape[1]
    if joints > 1024 or graph.blocks > waves_cuda.MOST_BLOCKS:
        raise UsageError(f"the GPU's kernel takes 1,024 joints and {waves_cuda.MOST_BLOCKS} rows at most")
    out = t.contiguous().reshape(-1).clone()
    tables = [graph.ptr[:: graph.blocks].int(), fan.ptr.int(), fan.ends.int().contiguous(), fan.shapes.contiguous()]
    handed, stream = _handed([out, *tables], t.is_cuda)
    most = int((graph.start[1:] - graph.start[:-1]).max()) * joints * 4
    shared = most <= waves_cuda.SHARED
    kernel: Any = waves_cuda.march_shared if shared else waves_cuda.march_global
    values, rows, ptr, ends, shapes = handed
    kernel[crops, joints, stream, most if shared else 0](
        values, rows, graph.blocks, joints, ptr, ends, shapes, TOLERANCE
    )
    return out.reshape(t.shape)


def _handed(tensors: list[Tensor], on_gpu: bool) -> tuple[list[Any], Any]:
    """Tensors as Numba takes them, without a copy, and PyTorch's stream; on the CPU for the simulator."""
    cuda: Any = importlib.import_module("numba.cuda")
    if not on_gpu:
        return [x.numpy() for x in tensors], 0
    stream = cuda.external_stream(torch.cuda.current_stream(tensors[0].device).cuda_stream)
    return [cuda.as_cuda_array(x) for x in tensors], stream
