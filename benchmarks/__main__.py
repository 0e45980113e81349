"""`python -m benchmarks [NAME ...]`: run all benchmarks but the long ones, or those named."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "kernels", "build", "scale", "fidelity", "synth", "augment", "training", "ablation", "storage", "reading",
    "readers", "png", "index", "maps_on_gpu", "relatives", "poses", "tracking", "real_hands", "causes",
    "viewer", "labels", "structure", "fit_depth",
)  # fmt: skip
#: Take more than ten minutes, or files that are not ours, and run only when named.
LONG = ("training", "ablation", "relatives", "poses", "labels", "structure")


def main() -> None:
    names = sys.argv[1:] or [name for name in NAMES if name not in LONG]
    for name in names:
        if name not in NAMES:
            sys.exit(f"there is no benchmark called {name!r}; known: {', '.join(NAMES)}")
    for name in names:
        importlib.import_module(f"benchmarks.{name}").run()


if __name__ == "__main__":
    main()
