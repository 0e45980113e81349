"""The store room: format 1, its writer and its reader. Knows nothing of data sets or map kinds."""

from gmaps.store.arrays import ArrayInfo
from gmaps.store.reader import Store, open_store
from gmaps.store.sample import Sample, StoreSpec
from gmaps.store.verify import compare_sample, verify_checksums

__all__ = [
    "ArrayInfo",
    "Sample",
    "Store",
    "StoreSpec",
    "compare_sample",
    "open_store",
    "verify_checksums",
]
