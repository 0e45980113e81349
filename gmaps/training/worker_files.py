"""Files that processes which read for training hold open, of which a system may allow too few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.utils.data import get_worker_info

from gmaps.formats.open_files import require_room

if TYPE_CHECKING:
    from gmaps.training.dataset import GuidanceDataset

#: Batches that each worker reads ahead; files that a loader holds open, and for each of its workers; tensors of a
#: batch without maps.
PREFETCH, FILES, FILES_A_WORKER, TENSORS = 4, 16, 10, 6
#: For which a data set asks where the system allows more than the process has: no loader needs as many.
FILES_HERE = 2048


def require_files(data: GuidanceDataset, workers: int) -> None:
    """Refuse to read by so many workers where they would hold more files open than a process may.

    Raises
    ------
    GmapsError
        Else PyTorch would wait for ever for a batch, or end in the midst of its own code.
    """
    # Each tensor of a batch that is made and not yet taken is an open file of its worker, and some are here.
    tensors = TENSORS + 2 * len(data.maps) + len(data.arrays)
    here, there = FILES + (FILES_A_WORKER + 2 * tensors) * workers, FILES + (PREFETCH + 1) * tensors
    require_room(max(here, there), f"reading by {workers} workers", "take --workers 0 (num_workers=0)")


def require_files_in_worker(data: GuidanceDataset) -> None:
    """In a worker of a loader that somebody made himself, as `require_files`; elsewhere nothing.

    A worker has the limit of the process that started it, which fails, or waits, only when a batch arrives.
    """
    info = get_worker_info()
    if info is not None:
        require_files(data, info.num_workers)
