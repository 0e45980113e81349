"""Who imports whom: one way, in no circle, and torch only where it is meant to be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import gmaps
from gmaps._moved import MOVED

ROOT = Path(gmaps.__file__).parent
#: What each room may import besides itself. Single files stand for themselves; `errors` is open to all.
BELOW = {
    "_moved": set(),
    "errors": set(),
    "kernels": set(),
    "formats": {"kernels"},
    "camera": set(),
    "rows": set(),
    "shared_memory": set(),
    "conventions": {"camera"},
    "skeleton": set(),
    "frame": {"camera", "kernels"},
    "center": {"camera", "frame", "formats", "kernels"},
    "crop": {"camera", "center", "frame", "kernels"},
    "distances": {"kernels"},
}
#: A table of a TOML file, and one of predicted joints, which is a public name.
ALLOWED_TWICE = ["Table"]
_CROPS = set(BELOW) - {"_moved"}
BELOW |= {
    "maps": _CROPS - {"formats"},  # no files
    "synth": _CROPS - {"formats"},
    "store": _CROPS,  # knows no data set and no kind of map
    "datasets": _CROPS | {"synth"},
    "augment": _CROPS | {"maps"},
    "nets": _CROPS | {"maps", "augment", "synth"},
}
_ROOMS = set(BELOW)
BELOW |= {
    "pipeline": _CROPS | {"maps", "store", "datasets", "synth"},
    "evaluation": _CROPS | {"store", "datasets"},
    "training": _ROOMS,
    "inference": _ROOMS | {"training", "capture", "pipeline"},  # a fit of all rows reports and writes as builds do
    "capture": _ROOMS,
    "plot": _ROOMS | {"evaluation"},
    "viz": {"plot"},
    "viewer": _ROOMS | {"evaluation", "plot", "pipeline", "capture", "inference", "training"},
}


def _modules() -> dict[str, Path]:
    found = {}
    for file in ROOT.rglob("*.py"):
        parts = ("gmaps", *file.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = _modules()


def _imports(file: Path) -> set[str]:
    """Modules of gmaps that a file imports, within functions too; what only type checkers see is left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(a.name for a in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                whole = [f"{child.module}.{a.name}" for a in child.names]
                found.update(name if name in MODULES else child.module for name in whole)
            visit(child)

    visit(ast.parse(file.read_text()))
    return found & set(MODULES)


GRAPH = {name: _imports(file) - {name} for name, file in MODULES.items()}


def test_the_graph_is_not_empty():
    assert len(GRAPH) > 100
    assert "gmaps.pipeline.spec" in GRAPH["gmaps.pipeline.run"]
    assert "gmaps.store.remote" in GRAPH["gmaps.store.opening"]  # imported in a function


def test_no_circles():
    seen: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, "circle: " + " -> ".join((*path[path.index(name) :], name))
        if name not in seen:
            for other in sorted(GRAPH[name]):
                follow(other, (*path, name))
            seen.add(name)

    for name in GRAPH:
        follow(name, ())


def test_imports_point_one_way():
    wrong = []
    for name, others in GRAPH.items():
        room = name.split(".")[1] if "." in name else ""
        for other in others:
            there = other.split(".")[1] if "." in other else ""
            if room and there and there not in {room, "errors"} | BELOW[room]:
                wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_no_file_name_stands_twice():
    names = Counter(f.name for f in MODULES.values() if f.name != "__init__.py")
    assert [name for name, n in names.items() if n > 1] == []


def test_no_class_name_stands_twice():
    """But for private ones, each at home in its file."""
    classes = Counter(
        node.name
        for file in MODULES.values()
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, n in classes.items() if n > 1] == ALLOWED_TWICE


def test_modules_keep_their_documented_names():
    lines = [f"import {old}; assert {old}.__name__ == {new!r}" for old, new in sorted(MOVED.items())]
    code = "\n".join([*lines, "from gmaps.maps.base import MapKind, Scene, list_maps, register_map",
                      "from gmaps.store.reader import Sample, Store, open_store",
                      "from gmaps.store.verify import verify_checksums"])  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    ["gmaps", "gmaps.pipeline", "gmaps.pipeline.worker", "gmaps.store", "gmaps.maps", "gmaps.augment", "gmaps.plot",
     "gmaps.datasets.synthetic", "gmaps.evaluation", "gmaps.cli", "gmaps.cli.build", "gmaps.cli.train"],
)  # fmt: skip
def test_torch_is_imported_where_it_is_used_alone(module):
    code = f"import {module}, sys; print(sorted({{'torch'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
