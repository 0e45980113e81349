"""Modules that were documented under other names: the old names still import the same module.

Nothing inside gmaps uses them.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "gmaps.overlay": "gmaps.plot.overlay",
    "gmaps.evaluation.figures": "gmaps.plot.curves",
    "gmaps.evaluation.report": "gmaps.evaluation.evaluate",
    "gmaps.maps.base": "gmaps.maps",
    "gmaps.pipeline.change": "gmaps.pipeline.edit",
    "gmaps.pipeline.recompute": "gmaps.pipeline.verify",
    "gmaps.store.place": "gmaps.store.object_store",
    "gmaps.store.reader": "gmaps.store",
    "gmaps.store.verify": "gmaps.store.checksums",
    "gmaps.synth.fit": "gmaps.synth.fit_hand",
    "gmaps.synth.scene": "gmaps.synth.stage",
    "gmaps.synth.export": "gmaps.datasets.write.frame_files",
    "gmaps.synth.tree": "gmaps.datasets.write.tree",
    "gmaps.training.augment": "gmaps.augment.changes",
    "gmaps.training.view": "gmaps.augment.view",
    "gmaps.training.model": "gmaps.nets.handmap",
    "gmaps.training.supervision": "gmaps.nets.supervision",
    "gmaps.training.predict": "gmaps.inference.predictor",
}


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self) -> None:
        self.specs: dict[str, ModuleSpec | None] = {}

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(MOVED[spec.name])
        self.specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It ran under its own name, which it keeps."""
        module.__spec__ = self.specs.pop(next(old for old, new in MOVED.items() if new == module.__name__))


def install() -> None:
    """Let the old names be imported."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
