"""Dense guidance maps for depth-based hand-pose networks.

The public names load on first use, so that `import gmaps` costs next to nothing and pulls in neither numba, dask
nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gmaps import _moved

#: The one place of the version; the distribution takes it from here.
__version__ = "0.1.0"

_moved.install()

_HOME = {
    "signed_edt": "gmaps.distances",
    "geodesic_distance": "gmaps.distances",
    "encode": "gmaps.maps",
    "decode": "gmaps.maps",
    "list_maps": "gmaps.maps",
    "build": "gmaps.pipeline",
    "BuildReport": "gmaps.pipeline",
    "plan": "gmaps.pipeline.run",
    "Plan": "gmaps.pipeline",
    "open_store": "gmaps.store",
    "Store": "gmaps.store",
    "Sample": "gmaps.store",
    "list_datasets": "gmaps.datasets",
    "load_dataset": "gmaps.datasets",
    "Camera": "gmaps.camera",
    "Frame": "gmaps.frame",
    "Cube": "gmaps.frame",
    "Crop": "gmaps.frame",
    "Skeleton": "gmaps.skeleton",
    "crop_frame": "gmaps.crop",
    "GmapsError": "gmaps.errors",
}

__all__ = [
    "BuildReport",
    "Camera",
    "Crop",
    "Cube",
    "Frame",
    "GmapsError",
    "Plan",
    "Sample",
    "Skeleton",
    "Store",
    "__version__",
    "build",
    "crop_frame",
    "decode",
    "encode",
    "geodesic_distance",
    "list_datasets",
    "list_maps",
    "load_dataset",
    "open_store",
    "plan",
    "signed_edt",
]

if TYPE_CHECKING:
    from gmaps.camera import Camera
    from gmaps.crop import crop_frame
    from gmaps.datasets import list_datasets, load_dataset
    from gmaps.distances import geodesic_distance, signed_edt
    from gmaps.errors import GmapsError
    from gmaps.frame import Crop, Cube, Frame
    from gmaps.maps import decode, encode, list_maps
    from gmaps.pipeline import BuildReport, Plan, build
    from gmaps.pipeline.run import plan
    from gmaps.skeleton import Skeleton
    from gmaps.store import Sample, Store, open_store


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'gmaps' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
