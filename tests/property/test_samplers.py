"""Samplers: every row once, by seed, epoch and rank, and on from any point."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmaps.errors import UsageError

torch = pytest.importorskip("torch")
from gmaps.training import BlockShuffle, UniformShuffle  # noqa: E402


class Rows(SimpleNamespace):
    """All that a sampler looks at in a data set: some rows of a store are rejected."""

    def __len__(self):
        return len(self.rows)


@st.composite
def cases(draw):
    total = draw(st.integers(1, 200))
    kept = sorted(draw(st.sets(st.integers(0, total - 1), min_size=1, max_size=200)))
    return {
        "data": Rows(rows=np.array(kept), store=SimpleNamespace(shard_samples=draw(st.integers(1, 40)))),
        "window": draw(st.integers(1, 5)),
        "seed": draw(st.integers(0, 2**40)),
        "replicas": draw(st.integers(1, min(4, len(kept)))),
        "epoch": draw(st.integers(0, 1000)),
        "stop": draw(st.floats(0, 1)),
    }


def make(kind, case, rank):
    more = {"seed": case["seed"], "rank": rank, "replicas": case["replicas"]}
    if kind is BlockShuffle:
        more["window"] = case["window"]
    sampler = kind(case["data"], **more)
    sampler.set_epoch(case["epoch"])
    return sampler


@pytest.mark.parametrize("kind", [UniformShuffle, BlockShuffle])
@given(cases())
def test_ranks_share_the_rows_and_go_on_in_mid_epoch(kind, case):
    share = len(case["data"]) // case["replicas"]
    seen = []
    for rank in range(case["replicas"]):
        sampler = make(kind, case, rank)
        assert len(sampler) == share
        own = list(sampler)
        assert own == list(make(kind, case, rank)) == sampler.order(case["epoch"]).tolist()
        seen += own
        done = round(case["stop"] * share)
        resumed = make(kind, case, rank)
        resumed.set_epoch(0)
        resumed.load_state_dict(sampler.state_dict(done))
        resumed.set_epoch(case["epoch"])
        assert len(resumed) == share - done
        assert list(resumed) == own[done:]
        resumed.set_epoch(case["epoch"] + 1)
        assert len(list(resumed)) == share
    assert len(seen) == len(set(seen)) == share * case["replicas"]
    assert set(seen) <= set(range(len(case["data"])))


@given(cases())
def test_blocks_keep_few_shards_warm(case):
    data, window = case["data"], case["window"]
    for rank in range(case["replicas"]):
        order = make(BlockShuffle, case, rank).order(case["epoch"])
        shards = data.rows[order] // data.store.shard_samples
        first = list(dict.fromkeys(shards.tolist()))
        known = [set(first[k : k + window]) for k in range(0, len(first), window)]
        # Rows come window by window: once another window began, none of an earlier one follows.
        at = [next(k for k, w in enumerate(known) if s in w) for s in shards.tolist()]
        assert at == sorted(at)


@pytest.mark.parametrize("kind", [UniformShuffle, BlockShuffle])
def test_orders_differ_by_seed_and_epoch_and_mix_well(kind):
    data = Rows(rows=np.arange(3000), store=SimpleNamespace(shard_samples=100))
    a, b = kind(data, seed=1), kind(data, seed=2)
    assert (a.order(0) == kind(data, seed=1).order(0)).all()
    assert (a.order(0) != a.order(1)).mean() > 0.99
    assert (a.order(0) != b.order(0)).mean() > 0.99
    # Within a batch neighbours are no neighbours of the store.
    assert (np.abs(np.diff(a.order(3))) == 1).mean() < 0.01
    # Over many epochs every row comes early as often as late.
    places = np.zeros(3000)
    for epoch in range(60):
        places[a.order(epoch)] += np.arange(3000) / 60
    assert abs(places[:1500].mean() - places[1500:].mean()) < 60


def test_as_pytorch_uses_it():
    data = Rows(rows=np.arange(50), store=SimpleNamespace(shard_samples=10))
    sampler = BlockShuffle(data, window=2)
    batches = list(torch.utils.data.BatchSampler(sampler, 8, drop_last=True))
    assert [len(b) for b in batches] == [8] * 6
    assert [i for b in batches for i in b] == sampler.order(0)[:48].tolist()
    given_out = iter(sampler)
    firsts = [next(given_out) for _ in range(5)]
    assert sampler.state_dict()["start"] == 5
    sampler.load_state_dict(sampler.state_dict())
    assert firsts + list(sampler) == sampler.order(0).tolist()
    assert list(UniformShuffle(7, seed=3)) == UniformShuffle(7, seed=3).order(0).tolist()


def test_what_cannot_be():
    data = Rows(rows=np.arange(5), store=SimpleNamespace(shard_samples=10))
    with pytest.raises(UsageError, match="rank 2 of 2 replicas"):
        UniformShuffle(data, rank=2, replicas=2)
    with pytest.raises(UsageError, match="5 rows are too few for 6"):
        UniformShuffle(data, replicas=6)
    with pytest.raises(UsageError, match="at least 1 shard, got 0"):
        BlockShuffle(data, window=0)
    with pytest.raises(UsageError, match="a seed is 0 or more"):
        UniformShuffle(data, seed=-1)
    state = UniformShuffle(data, seed=1).state_dict(2)
    with pytest.raises(UsageError, match="seed was 1, is 2"):
        UniformShuffle(data, seed=2).load_state_dict(state)
    with pytest.raises(UsageError, match="order was UniformShuffle, is BlockShuffle"):
        BlockShuffle(data, seed=1).load_state_dict(state)
    with pytest.raises(UsageError, match="starts at 6"):
        UniformShuffle(data, seed=1).load_state_dict({**state, "start": 6})
