"""Compiled code that is kept is that of today's sources, wherever it is kept, and only if its bytes are whole."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gmaps
from gmaps.kernels._jit import _read

# `to_floats` is kept for `unpack.py`; the helper that it calls stands in `half.py`.
SCRIPT = """
import numpy as np
from gmaps.kernels.packed import half, unpack
out = np.empty(1, np.float32)
code = np.array([15360], np.uint16)
half.half_to_float(code, out.view(np.uint32))
halved = out[0]
unpack.to_floats(code.view(np.int16), unpack.ORDERED, np.float32(1), np.float32(0), out)
print(halved, out[0])
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, without compiled code."""
    skip = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(Path(gmaps.__file__).parent, tmp_path / "copy" / "gmaps", ignore=skip))


def _run(package: Path, cache: Path | None) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-c", SCRIPT]  # finds the copy because it runs beside it
    done = subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def _edit(package: Path, old: str, new: str) -> None:
    file = package / "kernels" / "packed" / "half.py"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside the source", "NUMBA_CACHE_DIR"])
def test_an_edited_helper_is_compiled_into_its_callers(package, tmp_path, elsewhere):
    cache = tmp_path / "cache" if elsewhere else None
    assert _run(package, cache).split() == ["1.0", "1.0"]
    made = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")}
    assert made
    # A file of tomorrow, as of a clock that is ahead, is no reason to compile again.
    os.utime(package / "kernels" / "edt.py", (2**32, 2**32))
    assert _run(package, cache).split() == ["1.0", "1.0"]
    # Nor is an edit of a file that has nothing to do with these kernels.
    (package / "kernels" / "edt.py").open("a").write("\n# more\n")
    assert _run(package, cache).split() == ["1.0", "1.0"]
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == made
    _edit(package, "U(magnitude | ", "U((magnitude + _ONE_EXPONENT) | ")
    assert _run(package, cache).split() == ["2.0", "2.0"]


def test_damaged_code_is_compiled_again(package):
    _run(package, None)
    kept = sorted(package.rglob("*.nbc")) + sorted(package.rglob("*.nbi"))
    for k, file in enumerate(kept):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0xFF
        file.write_bytes(bytes(data[: len(data) // 3]) if k % 2 else bytes(data))
    assert _run(package, None).split() == ["1.0", "1.0"]


def test_compiled_code_lies_among_the_kernels_alone():
    root = Path(gmaps.__file__).parent
    other = [p for p in root.rglob("*.py") if root / "kernels" not in p.parents and "numba" in p.read_text().split()]
    assert other == []
    plain = [
        p.name
        for p in (root / "kernels").rglob("*.py")
        if p.name != "_jit.py" and ("njit" in p.read_text() or "nb.jit" in p.read_text())
    ]
    assert plain == []


def test_a_kernels_sources_are_all_that_it_imports():
    """The guard looks for imports by a pattern: Python must not import more kernels than it sees."""
    kernels = Path(gmaps.__file__).parent / "kernels"
    for file in sorted(kernels.rglob("*.py")):
        seen = {file, *_read(file)[1]}
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative imports are not looked for"
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                assert not any(name.startswith("gmaps.kernels") for name in names), f"{file}: say from ... import"
            else:
                continue
            for name in names:
                imported = kernels.parent.parent.joinpath(*name.split(".")).with_suffix(".py")
                assert not (kernels in imported.parents and imported.is_file()) or imported in seen
