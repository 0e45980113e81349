"""What is written of the package in more than one place agrees, and what a wheel takes from a list is in the list."""

from __future__ import annotations

import re
import tomllib
import warnings
from pathlib import Path

import pytest

import gmaps

HERE = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())


def test_the_version_stands_in_one_place_and_the_changelog_dates_it():
    assert "version" not in PYPROJECT["project"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "gmaps.__version__"}
    assert re.search(
        rf"^## {re.escape(gmaps.__version__)}, \d{{4}}-\d\d-\d\d$", (HERE / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert f"\nversion: {gmaps.__version__}\n" in (HERE / "CITATION.cff").read_text()


def test_every_folder_with_code_is_in_the_wheel():
    folders = {file.parent for file in (HERE / "gmaps").rglob("*.py")}
    found = {".".join(folder.relative_to(HERE).parts) for folder in folders}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == found | {"gmaps.cli"}


def test_every_file_that_is_no_code_is_in_the_wheel():
    packages = PYPROJECT["tool"]["setuptools"]["packages"]
    listed = {
        file
        for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for file in (HERE / package.replace(".", "/")).glob(pattern)
    }
    there = {
        file
        for package in packages
        for file in (HERE / package.replace(".", "/")).glob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert there <= listed


def test_constraints_pin_every_package_that_pyproject_names():
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (HERE / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    lines = [*PYPROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    named = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in lines}
    assert named - {"guidance-maps"} <= pinned
    assert pins["torch"] == "2.13.0"  # another one pulls gigabytes of CUDA


def test_a_deprecation_is_an_error_in_our_own_code_alone():
    warnings.warn_explicit("old", DeprecationWarning, "x.py", 1, module="numba.core.types")
    warnings.warn_explicit("old", DeprecationWarning, "x.py", 1, module="gmapsite.x")
    for module in ("gmaps", "gmaps.store.local", "gmaps.cli.build", "tests.unit.test_maps", "benchmarks.kernels"):
        with pytest.raises(DeprecationWarning):
            warnings.warn_explicit("old", DeprecationWarning, "x.py", 1, module=module)
