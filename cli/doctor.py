"""`gmaps doctor`."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import click

import gmaps

from ._common import json_option, print_json, print_table
from ._terminal import echo

#: Extras for those who work on gmaps itself; `doctor` speaks of what a user may want.
_DEVELOPERS = {"dev", "docs", "bench"}


def _versions() -> dict[str, str]:
    """Versions of what the core needs and of what the extras bring, as the installed metadata list them."""
    found = {"guidance-maps": gmaps.__version__}
    for line in requires("guidance-maps") or []:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        extra = re.search(r"extra == [\"']([\w-]+)", line)
        if name == "guidance-maps" or (extra and extra[1] in _DEVELOPERS):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = f"not installed: pip install 'guidance-maps[{extra[1]}]'" if extra else "missing"
    return found


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Versions, extras, cores, memory, GPU, caches: what to say in a bug report."""
    import gmaps.kernels

    versions = _versions()
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
    echo()
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
