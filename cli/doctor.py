"""`gmaps doctor`."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from ._common import json_option, print_json, print_table

_PACKAGES = {
    "guidance-maps": "", "numpy": "", "numba": "", "scipy": "", "zarr": "", "numcodecs": "", "dask": "",
    "distributed": "", "opencv-python-headless": "", "matplotlib": "", "scikit-fmm": "extra skfmm",
    "torch": "extra train", "h5py": "extra export", "s3fs": "extra s3",
}  # fmt: skip


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Versions, cores, memory, caches: what to say in a bug report."""
    import gmaps.kernels

    versions = {}
    for name, extra in _PACKAGES.items():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = f"not installed ({extra})" if extra else "missing"
    kernels = Path(gmaps.kernels.__file__).parent
    beside = kernels / "__pycache__"
    writable = os.access(beside if beside.exists() else kernels, os.W_OK)
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": f"{affinity} usable of {os.cpu_count()}",
        "memory": f"{pages * size / 2**30:.1f} GiB",
        "disk here": f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free",
        "compiled kernels": os.environ.get("NUMBA_CACHE_DIR")
        or (f"kept in {beside}" if writable else f"{beside} is read-only: kept in the user's Numba cache"),
        "GPU": _gpu(),
        "GMAPS_DATA": os.environ.get("GMAPS_DATA", "not set"),
        "GMAPS_STORE": os.environ.get("GMAPS_STORE", "not set"),
    }
    if as_json:
        print_json({"versions": versions, **facts})
        return
    print_table([*versions.items()])
    click.echo()
    print_table([*facts.items()])


def _gpu() -> str:
    """What PyTorch would train on besides the processor."""
    try:
        import torch
    except ImportError:
        return "not asked: torch is not installed"
    if not torch.cuda.is_available():
        return "none that torch can use" if torch.version.cuda else "none: this torch is built for processors alone"
    return ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
