"""The documentation is true: its Python runs, its commands parse, its doctests pass."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import click
import pytest
from gmaps.cli import main

import gmaps
import gmaps.distances

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def where_readers_are(tmp_path_factory):
    """A directory with the store of the quickstart, but for its size."""
    folder = tmp_path_factory.mktemp("docs")
    gmaps.build("synthetic", folder / "synthetic.zarr", limit=2000, workers=0, maps=("geodesic",
                "geodesic_weighted"), map_size=32, crop_size=128, progress=False)  # fmt: skip
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_python_of_a_page_runs(page, where_readers_are, monkeypatch):
    monkeypatch.chdir(where_readers_are)
    from gmaps.maps import kind

    monkeypatch.setattr(kind, "_REGISTRY", dict(kind._REGISTRY))
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
    if page.name == "store-format.md":
        sample = gmaps.open_store("synthetic.zarr")[42]
        assert (names["depth"] == sample.depth).all()
    if page.name == "packed-codec.md":
        assert (names["geodesic"] == gmaps.open_store("synthetic.zarr")[42].maps["geodesic"]).all()
    if page.name == "quickstart.md":
        assert names["item"]["maps"]["geodesic_weighted"].shape == (64, 21, 32, 32)
        assert names["mm"].shape == (32, 32, 21)


def command_lines() -> list[str]:
    found = []
    for page in PAGES:
        for block in blocks(page, "sh"):
            found += [line.split(" #")[0].strip() for line in block.splitlines() if line.startswith("gmaps ")]
        found += re.findall(r"`(gmaps [a-z]+(?: [^`]*)?)`", page.read_text())
    return sorted({f for f in found if not re.search(r"\b(NAME|ROOT|STORE)\b", f)})


def test_there_are_commands():
    assert len(command_lines()) > 10


@pytest.mark.parametrize("line", command_lines())
def test_command_parses(line):
    words = shlex.split(line)[1:]
    command, context = main, click.Context(main, info_name="gmaps")
    while isinstance(command, click.Group) and words:
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    if not isinstance(command, click.Group) and words:
        command.parse_args(context, words)


@pytest.mark.parametrize("module", [gmaps.distances])
def test_doctests(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_pictures_and_links_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
