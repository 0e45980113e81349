"""The documentation is true: its commands parse, its doctests pass. test_docs_in_order.py runs what it prints."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import click
import pytest
from gmaps.cli import main

import gmaps.distances

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


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
