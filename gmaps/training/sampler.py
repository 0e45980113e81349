"""In which order training sees the rows: exactly uniform, or block by block so that files stay warm.

Both orders follow from seed, epoch and rank alone, and go on in mid-epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from gmaps.errors import UsageError

if TYPE_CHECKING:
    from gmaps.training.dataset import GuidanceDataset


class UniformShuffle(Sampler[int]):
    """Every order of all rows is equally likely.

    Parameters
    ----------
    data
        What is sampled from; a length will do for this class.
    positions : (n,) int64, optional
        The part of the data that is drawn from, in order; all by default.
    seed
        Of all orders.
    rank, replicas
        This process, and how many train together. Every rank gets as many rows, none of them twice: what does not
        divide by `replicas` is left out, other rows in every epoch.

    Raises
    ------
    UsageError
        A rank that does not exist, or fewer rows than replicas.

    Examples
    --------
    >>> sampler = BlockShuffle(data, seed=1)  # doctest: +SKIP
    >>> loader = DataLoader(data, batch_size=128, sampler=sampler, collate_fn=collate)  # doctest: +SKIP
    >>> for epoch in range(80):  # doctest: +SKIP
    ...     sampler.set_epoch(epoch)
    ...     for step, batch in enumerate(loader): ...
    ...     checkpoint["sampler"] = sampler.state_dict(done=128 * (step + 1))
    """

    def __init__(
        self,
        data: GuidanceDataset | int,
        *,
        positions: NDArray[np.int64] | None = None,
        seed: int = 0,
        rank: int = 0,
        replicas: int = 1,
    ) -> None:
        self.positions = np.arange(data if isinstance(data, int) else len(data)) if positions is None else positions
        self.rows = len(self.positions)
        if not 0 <= rank < replicas:
            raise UsageError(f"rank {rank} of {replicas} replicas does not exist: ranks count from 0")
        if self.rows < replicas:
            raise UsageError(f"{self.rows} rows are too few for {replicas} replicas")
        if seed < 0:
            raise UsageError(f"a seed is 0 or more, got {seed}")
        self.seed, self.rank, self.replicas = seed, rank, replicas
        self.epoch = self.start = self._given = 0

    def order(self, epoch: int) -> NDArray[np.int64]:
        """This rank's positions in an epoch, from its start."""
        return self.positions[self._own(self._random(epoch).permutation(self.rows))]

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch; one that `load_state_dict` began already goes on where it was."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0
        self._given = self.start

    def __iter__(self) -> Iterator[int]:
        self._given = self.start
        for position in self.order(self.epoch)[self.start :].tolist():
            self._given += 1
            yield position

    def __len__(self) -> int:
        return self.rows // self.replicas - self.start

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """Where training is.

        Parameters
        ----------
        done
            How many rows of this epoch this rank has trained on. By default those that were given out, which is
            right without workers only: with them a loader asks ahead.
        """
        return {"epoch": self.epoch, "start": self._given if done is None else done, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state: the next iteration gives the rest of its epoch.

        Raises
        ------
        UsageError
            When it is the state of another order.
        """
        own = self._identity()
        changed = [f"{k} was {state.get(k)}, is {v}" for k, v in own.items() if state.get(k) != v]
        if changed:
            raise UsageError(f"the state is that of another order, so it cannot go on: {'; '.join(changed)}")
        start = int(state["start"])
        if not 0 <= start <= self.rows // self.replicas:
            raise UsageError(f"an epoch has {self.rows // self.replicas} rows, the state starts at {start}")
        self.epoch, self.start, self._given = int(state["epoch"]), start, start

    def _identity(self) -> dict[str, Any]:
        """What decides the order, but for rank and epoch."""
        return {"order": type(self).__name__, "rows": self.rows, "seed": self.seed, "replicas": self.replicas}

    def _random(self, epoch: int, *more: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, *more])

    def _own(self, everyone: NDArray[np.int64]) -> NDArray[np.int64]:
        share = self.rows // self.replicas
        return everyone[self.rank * share : (self.rank + 1) * share]


class BlockShuffle(UniformShuffle):
    """Shuffles a store's shards, then rows within a window of some shards.

    A batch comes from few files, which the system reads ahead and keeps: for stores larger than memory, or on slow
    disks. Within a window every order is equally likely.

    Parameters
    ----------
    data
        What is sampled from.
    window
        Shards that are mixed.
    positions, seed, rank, replicas
        See `UniformShuffle`. A rank has shards of its own, but for those that ranks share at the seams.

    Raises
    ------
    UsageError
        A window of no shards, and as `UniformShuffle`.
    """

    def __init__(
        self,
        data: GuidanceDataset,
        *,
        window: int = 8,
        positions: NDArray[np.int64] | None = None,
        seed: int = 0,
        rank: int = 0,
        replicas: int = 1,
    ) -> None:
        super().__init__(data, positions=positions, seed=seed, rank=rank, replicas=replicas)
        if window < 1:
            raise UsageError(f"a window has at least 1 shard, got {window}")
        self.window = window
        self._shard = data.rows[self.positions] // data.store.shard_samples

    def order(self, epoch: int) -> NDArray[np.int64]:
        """This rank's positions in an epoch, from its start."""
        place = self._random(epoch).permutation(int(self._shard.max()) + 1)[self._shard]
        own = self._own(np.argsort(place, kind="stable"))
        # Which of this rank's shards a position lies in, counted from 0; so many of them are a window.
        nth = np.cumsum(np.diff(place[own], prepend=place[own[0]]) != 0)
        mixed = self._random(epoch, self.rank).permutation(len(own))
        return self.positions[own[mixed[np.argsort(nth[mixed] // self.window, kind="stable")]]]

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "window": self.window}
