"""A store as a PyTorch data set: maps as they were stored, or computed from the crop on the fly."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from gmaps.augment.augment_rows import augment_rows
from gmaps.augment.changes import Augment
from gmaps.augment.view import Change
from gmaps.errors import StoreError, UsageError, unknown_name
from gmaps.formats.open_files import make_room
from gmaps.frame import BACKGROUND
from gmaps.maps import Encoder, MapParams, get_map
from gmaps.rows import one_row, row_numbers
from gmaps.skeleton import Skeleton, get_skeleton
from gmaps.store import Store, open_store
from gmaps.training.collate import Batch, Item, allocate
from gmaps.training.worker_files import FILES_HERE, require_files_in_worker


class GuidanceDataset(Dataset[Item]):
    """Crops, joints and guidance maps of a store.

    Parameters
    ----------
    store
        A store, or its path.
    maps
        Kinds to give; all in the store by default, none for (). A bare name is that one kind.
    on_the_fly
        Compute the maps from the crop, by the function that a build uses, instead of reading them: bit-equal to a
        store of float32, and any kind can be had. By default only with `augment`.
    valid_only
        Leave out rejected frames. With False they come with depth 1, maps 0 and joints NaN.
    augment
        Changes each crop anew in every epoch; see `Augment` and `set_epoch`. With `on_the_fly=False` stored maps are
        carried over, which exact changes allow.
    transform
        Called with each item; its result is given instead.
    skeleton
        Give joints, and the channels of maps, in the order of this skeleton, which may have fewer joints than the
        store's: stores of several data sets then go into one `torch.utils.data.ConcatDataset`. Or its name.
    subjects
        Only frames of these people, as the data set calls them: "S9", or ("S1", "S2"). All by default.

    arrays
        Names of further arrays of the store (`Store.further`), as its data set declares them: each item has them by
        name. They are the frame's own, whatever `augment` does to the crop; "undo" leads from one to the other.

    Notes
    -----
    An item is a dict, which PyTorch's default collation stacks:

    - "depth": (1, S, S) float32 in [-1, 1], background 1
    - "maps": kind -> (C, H, H) float32
    - "silhouette": (1, H, H) bool, the cells in which maps mean something
    - "joints": (J, 3) float32, cube units
    - "joints_mm": (J, 3) float32, mm, camera axes
    - "cube": (4,) float32, centre and half side, mm
    - "index": int, row in the store
    - "undo": (3, 3) float32, with `augment`: `mm @ undo.T` are joints in mm in the original camera's axes

    A loader reads a batch in one call. With `gmaps.training.collate` as its `collate_fn` the batch is handed on
    without a further copy.

    Nothing is opened before the first item, and nothing open travels to a worker: all start methods work.

    Raises
    ------
    StoreError
        A kind that the store does not hold is asked for, and not on the fly; or one whose channels are not one a
        joint, for another skeleton.
    UsageError
        Stored maps are asked for that the augmentation does not carry over; or a skeleton with joints that the
        store's lacks.
    UnknownNameError
        A person whom the store does not know.

    Examples
    --------
    >>> data = GuidanceDataset("msra.zarr", ("geodesic",))  # doctest: +SKIP
    >>> loader = DataLoader(data, batch_size=128, num_workers=2, collate_fn=collate)  # doctest: +SKIP
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        maps: Sequence[str] | str | None = None,
        *,
        on_the_fly: bool | None = None,
        valid_only: bool = True,
        augment: Augment | None = None,
        transform: Callable[[Item], Item] | None = None,
        skeleton: Skeleton | str | None = None,
        subjects: Sequence[str] | str | None = None,
        arrays: Sequence[str] = (),
    ) -> None:
        self.store = store if isinstance(store, Store) else open_store(os.fspath(store))
        self.maps = (maps,) if isinstance(maps, str) else tuple(self.store.maps if maps is None else maps)
        self.on_the_fly = augment is not None if on_the_fly is None else on_the_fly
        self.augment, self.transform = augment, transform
        self._looked = os.getpid()
        make_room(FILES_HERE)  # raises the limit where that is allowed; workers inherit it
        # Shared with workers that live on from epoch to epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        for name in self.maps:
            get_map(name)
        missing = [name for name in self.maps if name not in self.store.maps]
        if missing and not self.on_the_fly:
            raise StoreError(
                f"{self.store.path} does not hold {', '.join(missing)}, only {', '.join(self.store.maps)}: "
                f"`gmaps store add {self.store.path} {' '.join(missing)}` adds what is missing, and on_the_fly=True "
                "computes it while training"
            )
        self.arrays = (arrays,) if isinstance(arrays, str) else tuple(arrays)
        for name in self.arrays:
            if name not in self.store.further:
                raise unknown_name(f"further array of {self.store.path}", name, self.store.further)
        self.skeleton = self.store.skeleton
        self._taken: list[int] = []  # where the store holds the skeleton's joints; empty: where they are asked for
        if skeleton is not None:
            self._map_to(get_skeleton(skeleton) if isinstance(skeleton, str) else skeleton)
        self.params = MapParams.from_dict(self.store.attributes["maps"])
        if self.maps:
            self.params = replace(self.params, maps=self.maps)
        if augment is not None and not self.on_the_fly:
            size, projection = self.store.attributes["crop"]["size"], self.store.attributes["crop"]["projection"]
            lost = [n for n in self.maps if not augment.carries(n, self.params, size, projection, self.skeleton)]
            if lost:
                raise UsageError(
                    f"stored maps of {', '.join(lost)} cannot be carried over by {augment}: leave out "
                    "on_the_fly=False, which computes them, or use Augment.exact()"
                )
        if self.store.flat and self.maps:
            Encoder(self.params, self.skeleton).refuse_flat(str(self.store.path))
        self.rows = np.arange(len(self.store))
        if valid_only:
            self.rows = self.rows[np.asarray(self.store.column("valid"), bool)]
        if subjects is not None:
            self.rows = self.rows[self._of(subjects)]

    def _of(self, subjects: Sequence[str] | str) -> NDArray[np.bool_]:
        """Which of the rows are of these people."""
        known = list(self.store.attributes["dataset"].get("subjects", []))
        wanted = [subjects] if isinstance(subjects, str) else list(subjects)
        for name in wanted:
            if name not in known:
                raise unknown_name(f"subject in {self.store.path}", str(name), known)
        return np.isin(np.asarray(self.store.column("subject"))[self.rows], [known.index(name) for name in wanted])

    def _map_to(self, skeleton: Skeleton) -> None:
        taken = self.skeleton.mapping_to(skeleton)
        if taken != tuple(range(len(self.skeleton))):
            self._taken = list(taken)
            mixed = [name for name in self.maps if get_map(name).depends == "joints"]
            if mixed and not self.on_the_fly:
                raise StoreError(
                    f"{self.store.path} holds {', '.join(mixed)} of {self.skeleton.name}, with channels that "
                    f"are not one a joint, so {skeleton.name} cannot be taken out: on_the_fly=True computes them"
                )
        self.skeleton = skeleton

    def __len__(self) -> int:
        return len(self.rows)

    def set_epoch(self, epoch: int) -> None:
        """Decides, with the seed and the row, what augmentation does; call it before each pass. Workers follow."""
        self._epoch.fill_(epoch)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Item: ...
    @overload
    def __getitem__(self, index: slice | list[int] | NDArray[Any]) -> list[Item]: ...
    def __getitem__(self, index: Any) -> Item | list[Item]:
        if isinstance(index, slice | list) or np.ndim(index):
            return list(self.__getitems__(index))
        self._look_at_files()
        item = self.read_batch([one_row(index, len(self), self._what)])[0]
        return item if self.transform is None else self.transform(item)

    def _look_at_files(self) -> None:
        """Once a process: a loader that somebody made himself may start workers as it likes."""
        if self._looked != os.getpid():
            require_files_in_worker(self)
            self._looked = os.getpid()

    @property
    def _what(self) -> str:
        return f"the data set of {self.store.path}"

    def __getitems__(self, indices: Sequence[int] | slice) -> Sequence[Item]:
        """Several items, read in one call: PyTorch's loader asks so for a batch."""
        self._look_at_files()
        batch = self.read_batch(indices)
        return batch if self.transform is None else [self.transform(item) for item in batch]

    def read_batch(self, indices: Sequence[int] | slice | NDArray[Any]) -> Batch:
        """Several items as one: `Batch.stacked` holds what collation would make of them, without a further copy.

        Parameters
        ----------
        indices
            Positions in this data set; or a slice of them, or a mask of as many booleans as it has items.

        Raises
        ------
        RowError, IndexError
            What is no position: a float, a mask of another length, an item that does not exist.
        """
        rows = self.rows[row_numbers(indices, len(self), self._what)]
        stored = [] if self.on_the_fly else [f"maps/{name}" for name in self.maps]
        big = {"depth": (self.store.shape("depth"), torch.float32)}
        big |= {f"maps/{name}": ((*self._map_shape(name),), torch.float32) for name in self.maps}
        made = allocate({name: ((len(rows), *shape), dtype) for name, (shape, dtype) in big.items()})
        buffers = {name: t.numpy() for name, t in made.items()}
        masked = ["mask"] if self.store.masked and "mask" not in self.arrays else []
        names = ["joints", "cube", "depth", *stored, *self.arrays, *masked]
        moved = [f"maps/{m}" for m in self.maps if self._taken and stored and get_map(m).depends == "joint"]
        read = self.store.read(rows, names, out={n: buffers[n] for n in ("depth", *stored) if n not in moved})
        if self._taken:
            read["joints"] = read["joints"][:, self._taken]
            for name in moved:
                np.take(read[name], self._taken, axis=-1, out=buffers[name])
        changes = self._change(read, rows)
        cube, joints = read["cube"], read["joints"]
        encoder = Encoder(self.params, self.skeleton)
        # Maps are of the hand, where it is told from the scene; what a network reads is the whole scene.
        hand = np.where(read["mask"], read["depth"], BACKGROUND) if self.store.masked else read["depth"]
        silhouette = encoder.silhouettes(hand, cube)
        maps = {name: buffers[f"maps/{name}"] for name in self.maps}
        if self.on_the_fly and self.maps:
            projection = self.store.attributes["crop"]["projection"]
            encoder.batch(hand, cube, joints, projection, silhouette, maps)
        else:
            for k, change in enumerate(changes):
                for name, m in maps.items():
                    m[k] = m[k] if change is None else change.carry(m[k], name)
        stacked: Item = {
            "depth": made["depth"][:, None],
            "joints_mm": torch.from_numpy(joints),
            "cube": torch.from_numpy(cube),
            "index": torch.from_numpy(rows),
            # Channels last in the store, first in PyTorch: the same memory, seen otherwise.
            "maps": {name: made[f"maps/{name}"].movedim(-1, 1) for name in self.maps},
            "silhouette": torch.from_numpy(silhouette[:, None]),
            # As `Crop.joints`; NaN where there is no cube.
            "joints": torch.from_numpy((joints - cube[:, None, :3]) / cube[:, None, 3:]),
        }
        stacked |= {name: torch.from_numpy(read[name]) for name in self.arrays}
        if self.augment is not None:
            turned = [np.eye(3, dtype=np.float32) if c is None else c.undo for c in changes]
            stacked["undo"] = torch.from_numpy(np.stack(turned))
        return Batch(stacked)

    def _change(self, read: dict[str, Any], rows: NDArray[np.int64]) -> list[Change | None]:
        """Augment what was read, in place; nothing without augmentation."""
        if self.augment is None:
            return []
        read["cube"], read["joints"] = read["cube"].copy(), read["joints"].copy()
        projection = self.store.attributes["crop"]["projection"]
        epoch = int(self._epoch)
        cubes = read["depth"], read["cube"], read["joints"]
        moved = {}
        for name, there in (("mask", self.store.masked), ("color", "color" in self.arrays and self.store.colored)):
            if there:
                moved[name] = read[name] = read[name].copy()
        known = moved.get("mask"), moved.get("color")
        return augment_rows(self.augment, *cubes, projection, epoch, rows, self.skeleton, *known)

    def _map_shape(self, name: str) -> tuple[int, ...]:
        if self.on_the_fly:
            return get_map(name).shape(self.params.size, self.skeleton)
        shape = self.store.shape(f"maps/{name}")
        return (*shape[:-1], len(self.skeleton)) if get_map(name).depends == "joint" else shape
