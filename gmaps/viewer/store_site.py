"""A store in the browser: what its page asks, answered from the rows that are shown and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube
from gmaps.store import Store
from gmaps.viewer.choice import Choice, Wish
from gmaps.viewer.packet import Packet
from gmaps.viewer.query import Query
from gmaps.viewer.tiles import depth_codes, shrink_factor, small_colors

if TYPE_CHECKING:
    from gmaps.viewer.predicted import Predicted
    from gmaps.viewer.server import Answer

#: Tiles of one question.
MOST_TILES = 400
#: Subjects that the page lists by name.
_MOST_SUBJECTS = 1000


class StoreSite:
    """Answers for a store's page.

    Parameters
    ----------
    store
        What is looked at; only rows that are shown are read.
    name
        What the page calls it.
    predicted
        Joints beside the true ones.
    """

    def __init__(self, store: Store, name: str, predicted: Predicted | None = None) -> None:
        self.store, self.name, self.predicted = store, name, predicted
        self.choice = Choice(store, predicted)

    @property
    def calls(self) -> Mapping[str, Callable[[Query], Answer]]:
        """See `Site`."""
        own: dict[str, Callable[[Query], Answer]] = {
            "about": self.about, "tiles": self.tiles, "place": self.place, "sample": self.sample,
            "subjects": self.subjects, "progress": self.progress, "kinds": self.kinds, "map": self.map,
            "geodesic": self.geodesic,
        }  # fmt: skip
        return own

    def close(self) -> None:
        """See `Site`."""
        if self.predicted is not None:
            self.predicted.close()

    def about(self, query: Query) -> Answer:
        """What the page needs to know before it shows a row."""
        skeleton, crop = self.store.skeleton, self.store.attributes["crop"]
        return {
            "kind": "store", "name": self.name, "rows": len(self.store),
            "dataset": str(self.store.attributes.get("dataset", {}).get("name", "")),
            "size": self.store.shape("depth")[0], "projection": crop["projection"], "flat": self.store.flat,
            "colored": self.store.colored, "rejected": len(self.store.rejects),
            "joints": list(skeleton.joints), "bones": [list(bone) for bone in skeleton.bones],
            "colours": [skeleton.colour(j) for j in range(len(skeleton))],
            "evaluated": None if self.predicted is None else list(self.predicted.evaluated),
            "predicted": None if self.predicted is None else self.predicted.name,
        }  # fmt: skip

    def subjects(self, query: Query) -> Answer:
        """The subjects' numbers, with their names where the store has some."""
        numbers = np.unique(self.choice.column("subject"))
        names = self.store.attributes.get("dataset", {}).get("subjects", [])
        listed = [[int(n), names[n] if 0 <= n < len(names) else f"subject {n}"] for n in numbers[:_MOST_SUBJECTS]]
        return {"subjects": listed, "more": max(0, len(numbers) - _MOST_SUBJECTS)}

    def progress(self, query: Query) -> Answer:
        """How far predictions are."""
        if self.predicted is None:
            return {"version": 0, "done": 0, "of": 0, "problem": None}
        return {"version": self.predicted.version, **self.predicted.state()}

    def place(self, query: Query) -> Answer:
        """At which position of the order a row stands, -1 for nowhere, and of how many."""
        wish = Wish.of(query)
        return {"place": self.choice.place(wish, self._row(query)), "of": len(self.choice.rows(wish))}

    def tiles(self, query: Query) -> Answer:
        """Small pictures of the rows from position `from` on, `count` of them."""
        order = self.choice.rows(Wish.of(query))
        start = query.whole("from", 0, len(self.store))
        rows = order[start : start + query.whole("count", 1, MOST_TILES)]
        factor = shrink_factor(self.store.shape("depth")[0], query.whole("pixels", 1, 4096, 64))
        colored = self.store.flat and self.store.colored
        names = ["color" if colored else "depth", "joints", "cube", "frame", "subject", "valid"]
        read = self.store.read(rows, names)
        picture = small_colors(read["color"], factor) if colored else depth_codes(read["depth"], factor)
        shape = (len(rows), len(self.store.skeleton), 2)
        true, found = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        for k, row in enumerate(rows.tolist()):
            if not read["valid"][k]:
                continue
            crop = self._crop(np.ones((1, 1), np.float32), read["cube"][k], read["joints"][k])
            true[k] = _shares(crop)
            guess = None if self.predicted is None else self.predicted.of_row(row)
            if guess is not None and self.predicted is not None:
                found[k, list(self.predicted.evaluated)] = _shares(_moved(crop, guess))
        errors = None if self.predicted is None else self.predicted.errors[rows].tolist()
        return Packet(
            {"of": len(order), "from": start, "rows": rows.tolist(), "frames": read["frame"].tolist(),
             "subjects": read["subject"].tolist(), "valid": read["valid"].tolist(), "errors": errors,
             "reasons": [self._reasons.get(row, "") for row in rows.tolist()]},
            {"picture": picture, "true": true, "found": found},
        )  # fmt: skip

    def sample(self, query: Query) -> Answer:
        """One row, all but its maps."""
        row = self._row(query)
        names = ["depth", "joints", "cube", "frame", "subject", "sequence", "valid"]
        names += [*(["color"] if self.store.colored else []), *(["mask"] if self.store.masked else [])]
        read = {name: values[0] for name, values in self.store.read([row], names).items()}
        values: dict[str, Any] = {
            "row": row, "valid": bool(read["valid"]), "reason": self._reasons.get(row, ""),
            **{name: int(read[name]) for name in ("frame", "subject", "sequence")},
        }  # fmt: skip
        if not values["valid"]:
            return Packet(values, {})
        crop = self._crop(read["depth"], read["cube"], read["joints"], read.get("mask"), read.get("color"))
        arrays: dict[str, NDArray[Any]] = {
            "depth": np.ascontiguousarray(crop.depth, np.float32), "hand": crop.mask.astype(np.uint8),
            "joints": np.ascontiguousarray(crop.joints_mm, np.float32), "true": _shares(crop),
        }  # fmt: skip
        if crop.color is not None:
            arrays["color"] = np.ascontiguousarray(crop.color)
        values["cube"] = [*crop.cube.center, crop.cube.half_side]
        guess = None if self.predicted is None else self.predicted.of_row(row)
        if guess is not None and self.predicted is not None:
            arrays["predicted"] = np.ascontiguousarray(guess, np.float32)
            arrays["found"] = _shares(_moved(crop, guess))
            values["error"] = float(self.predicted.errors[row])
        return Packet(values, arrays)

    def kinds(self, query: Query) -> Answer:
        """Kinds of map: those of the store, and those that can be computed of its crops."""
        from gmaps.viewer.maps_now import list_kinds

        return {"kinds": list_kinds(self.store)}

    def map(self, query: Query) -> Answer:
        """One channel of a map of a row: of the store, or computed now."""
        from gmaps.viewer.maps_now import one_channel

        row, crop = self._row(query), self._whole_crop(query)
        return one_channel(self.store, row, crop, query.text("kind"), query.whole("channel", 0, 10**6, 0))

    def geodesic(self, query: Query) -> Answer:
        """Distances over the hand from any point of a row's crop, computed now."""
        from gmaps.viewer.maps_now import distances_from

        crop = self._whole_crop(query)
        at = query.number("r", -1, crop.size), query.number("c", -1, crop.size)
        return distances_from(crop, at, along=query.choice("along", ("surface", "plane")))

    def _whole_crop(self, query: Query) -> Crop:
        """A row's crop, without reading its maps."""
        names = ["depth", "joints", "cube", *(["mask"] if self.store.masked else [])]
        names += ["color"] if self.store.flat else []  # by which a crop knows that it is flat
        read = {name: values[0] for name, values in self.store.read([self._valid_row(query)], names).items()}
        return self._crop(read["depth"], read["cube"], read["joints"], read.get("mask"), read.get("color"))

    def _row(self, query: Query) -> int:
        if len(self.store) == 0:
            raise UsageError("the store has no rows")
        return query.whole("row", 0, len(self.store) - 1)

    def _valid_row(self, query: Query) -> int:
        row = self._row(query)
        if not self.store.read([row], ["valid"])["valid"][0]:
            raise UsageError(f"row {row} was rejected, and holds no crop")
        return row

    @cached_property
    def _reasons(self) -> dict[int, str]:
        """Why rows were rejected."""
        found: dict[int, str] = {}
        for reject in self.store.rejects:
            before = found.get(reject["row"])
            found[reject["row"]] = f"{before}; {reject['reason']}" if before else str(reject["reason"])
        return found

    def _crop(
        self, depth: NDArray[np.float32], cube: NDArray[np.float32], joints: NDArray[np.float32],
        hand: NDArray[np.bool_] | None = None, color: NDArray[np.uint8] | None = None,
    ) -> Crop:  # fmt: skip
        return Crop(
            depth, Cube.from_array(cube), joints, self.store.attributes["crop"]["projection"], hand=hand, color=color
        )


def _moved(crop: Crop, joints_mm: NDArray[np.floating]) -> Crop:
    """The crop with other joints."""
    return Crop(crop.depth, crop.cube, np.ascontiguousarray(joints_mm, np.float32), crop.projection)


def _shares(crop: Crop) -> NDArray[np.float32]:
    """(J, 2): row and column of the joints, 0 to 1 from one side of the picture to the other."""
    return (crop.joints_px(1) + 0.5).astype(np.float32)
