"""A data set that is edited while a store is built of it."""

import pytest

from gmaps.errors import DatasetError
from gmaps.pipeline.run import plan
from gmaps.pipeline.source import open_source, sent_source
from gmaps.pipeline.worker import build_shard, check_source
from tests.trees import icvl_tree


def test_a_worker_that_reads_other_labels_makes_nothing_of_them(tmp_path):
    icvl_tree(tmp_path / "icvl")
    options = {"root": tmp_path / "icvl", "split": "test", "maps": ("geodesic",), "crop_size": 32, "map_size": 8}
    planned = plan("icvl", tmp_path / "t.zarr", **options)
    payload = open_source(planned.spec.source).payload()
    planned.partial.mkdir()
    assert build_shard(payload, planned.job, 0).rows == 3
    labels = tmp_path / "icvl" / "Testing" / "test_seq_1.txt"
    words = labels.read_text().split(" ")
    words[1] = f"{float(words[1]) + 1:.4f}"
    labels.write_text(" ".join(words))
    sent_source.cache_clear()  # as in a worker that takes the place of one that died
    check_source.cache_clear()
    with pytest.raises(DatasetError, match="icvl: its labels have changed since the build began"):
        build_shard(payload, planned.job, 0)
    sent_source.cache_clear()
