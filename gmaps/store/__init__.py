"""The store room: format 1, its writer and its reader. Knows nothing of data sets or map kinds."""

from gmaps.store.arrays import ArrayInfo
from gmaps.store.checksums import compare_sample, verify_checksums
from gmaps.store.local import Store
from gmaps.store.opening import open_store
from gmaps.store.row import Sample, StoreSpec

__all__ = [
    "ArrayInfo",
    "Sample",
    "Store",
    "StoreSpec",
    "compare_sample",
    "open_store",
    "verify_checksums",
]
