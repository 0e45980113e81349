"""What a store is made of, said once: plan file, fingerprint, attributes of the store, arguments of a build."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gmaps
from gmaps.crop import CropParams
from gmaps.errors import DatasetError, GmapsError, UsageError
from gmaps.maps import Encoder, MapParams, fingerprint, get_map, list_maps
from gmaps.maps.encoder import name_maps
from gmaps.pipeline.center_file import check_centers, check_label_axes
from gmaps.pipeline.fingerprint import array_digest, digest, plain
from gmaps.skeleton import Skeleton
from gmaps.store.schema import FORMAT, ArraySpec, MapArray, further_array, make_layout

if TYPE_CHECKING:
    from gmaps.pipeline.source import FrameCrops
    from gmaps.store.local import Store

#: Of the plan file. Its first form had the arguments of a build alone, from which nothing could be finished.
PLAN_FORMAT = 2


@dataclass(frozen=True)
class BuildSpec:
    """All that decides a store's bytes, and where its crops come from.

    Parameters
    ----------
    attributes
        JSON values: the attributes of the store's group but for its counts; see docs/store-format.md. They hold
        `fingerprint_of`, all that decides a value.
    source
        JSON values from which `gmaps.pipeline.source.open_source` makes the crops' source again. Paths on this
        machine are in here, and nowhere in a store.
    """

    attributes: dict[str, Any]
    source: dict[str, Any]

    @classmethod
    def of_frames(
        cls,
        source: FrameCrops,
        maps: MapParams,
        *,
        limit: int | None,
        dtype: str,
        layout: str,
        shard_samples: int,
    ) -> BuildSpec:
        """The spec of a build from a data set's frames.

        Parameters
        ----------
        source
            The crops.
        maps
            The maps.
        limit, dtype, layout, shard_samples
            As for `gmaps.build`.

        Raises
        ------
        UsageError
            Parameters that cannot be met.
        DatasetError
            A data set without frames, or a centre file that does not fit it.
        """
        if limit is not None and limit < 1:
            raise UsageError(f"limit must be at least 1, got {limit}")
        if shard_samples < 1:
            raise UsageError(f"a shard has at least 1 sample, got {shard_samples}")
        dataset, crop = source.dataset, source.params
        maps.check_crop(crop.size)
        further = [a.to_dict() for a in source.arrays]
        if crop.silhouette == "segmentation":
            if not getattr(dataset, "segmented", False):
                raise UsageError(f"{source.name} does not say which pixels are hand: take --silhouette depth")
            about = "True on the hand, where the depth is of the whole scene"
            further.append({"name": "mask", "shape": [crop.size] * 2, "dtype": "bool", "unit": "", "about": about})
        if crop.color:
            about = "red, green and blue; black where nothing is seen"
            further.append(
                {"name": "color", "shape": [crop.size] * 2 + [3], "dtype": "uint8", "unit": "", "about": about}
            )
        if crop.flat:
            Encoder(maps, dataset.skeleton).refuse_flat(source.name)
            if crop.projection != "orthographic":
                raise UsageError(f"{source.name} has no depth to project: its crops are orthographic")
        _store_arrays(maps, dataset.skeleton, crop, dtype, layout, further)  # refuses what cannot be kept so
        _check_labels(source, maps)
        check_label_axes(dataset)
        if source.centers is not None and source.center_file is not None:
            check_centers(dataset, source.centers, source.center_file)
        frames = len(dataset.index())
        rows = frames if limit is None else min(limit, frames)
        if rows == 0:
            raise DatasetError(f"{dataset.info.name}: the split has no frames")
        declared = {"arrays": further} if further else {}
        how = {"dtype": dtype, "layout": layout}
        decides = _frames_fingerprint(source, rows) | {
            "maps": maps.to_dict(), "versions": fingerprint(), **how, "shard_samples": shard_samples, **declared,
        }  # fmt: skip
        attributes = {
            "format": FORMAT,
            "gmaps_version": gmaps.__version__,
            "dataset": _dataset_attributes(source, decides["dataset"]),
            "skeleton": dataset.skeleton.to_dict(),
            "camera": dataset.camera.to_dict(),
            "crop": crop.to_dict(),
            "maps": {**maps.to_dict(), **how},
            **declared,
            "fingerprint": digest(plain(decides)),
            "fingerprint_of": decides,
        }
        return cls(plain(attributes), source.spec())

    @classmethod
    def of_store(cls, store: Store, kinds: Sequence[str] | None = None) -> BuildSpec:
        """What a finished store is made of, or would be with other kinds of map; its source is the store itself."""
        a = dict(store.attributes)
        if kinds is not None:
            decides = a["fingerprint_of"] | {"maps": _renamed(a["fingerprint_of"]["maps"], kinds)}
            a["maps"] = _renamed(a["maps"], kinds)
            a |= {"fingerprint": digest(decides), "fingerprint_of": decides}
        return cls(a, {"store": str(store.path)})

    @property
    def name(self) -> str:
        """The data set's."""
        return str(self.attributes["dataset"]["name"])

    @property
    def fingerprint(self) -> dict[str, Any]:
        """JSON values that decide every value of the store."""
        decides: dict[str, Any] = self.attributes["fingerprint_of"]
        return decides

    @property
    def rows(self) -> int:
        """N."""
        return int(self.fingerprint["rows"])

    @property
    def shard_samples(self) -> int:
        """Rows in a shard."""
        return int(self.fingerprint["shard_samples"])

    @cached_property
    def crop(self) -> CropParams:
        """How crops are cut."""
        return CropParams(**self.attributes["crop"])

    @cached_property
    def maps(self) -> MapParams:
        """Which maps are made, and how."""
        return MapParams.from_dict(self.attributes["maps"])

    @cached_property
    def skeleton(self) -> Skeleton:
        """Of the joints."""
        return Skeleton.from_dict(self.attributes["skeleton"])

    @cached_property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """The arrays of the store, and how they lie on disk."""
        kept = self.attributes["maps"]  # stores of the first commits have no layout
        further = self.attributes.get("arrays", [])
        return _store_arrays(self.maps, self.skeleton, self.crop, kept["dtype"], kept.get("layout", "plain"), further)

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `gmaps.build` that decide what is built, but for the data set."""
        crop, maps, kept = self.crop, self.maps, self.attributes["maps"]
        return {
            "maps": maps.maps, "map_size": maps.size, "profile": maps.profile, "normalize": maps.normalize,
            "bridge": maps.bridge, "limit": self.rows, "silhouette": crop.silhouette,
            "center": self.source.get("center") or crop.center,
            "half_side": crop.half_side, "crop_size": crop.size, "projection": crop.projection,
            "dtype": kept["dtype"], "layout": kept.get("layout", "plain"), "shard_samples": self.shard_samples,
        }  # fmt: skip

    def to_json(self) -> str:
        """The plan file."""
        return json.dumps({"plan": PLAN_FORMAT, "source": self.source, "attributes": self.attributes}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> BuildSpec:
        """The inverse of `to_json`.

        Raises
        ------
        ValueError
            The text is no plan; the message says what is wrong.
        """
        values = json.loads(text)
        if isinstance(values, dict) and "plan" not in values and "dataset" in values:
            raise ValueError(
                "an earlier gmaps wrote it: run `gmaps plan` again with the same options, which keeps all shards"
            )
        if not isinstance(values, dict) or values.get("plan") != PLAN_FORMAT:
            raise ValueError("it is no plan of this gmaps")
        spec = cls(values["attributes"], values["source"])
        _check_source(spec.source)
        try:
            if spec.attributes["fingerprint"] != digest(spec.fingerprint):
                raise ValueError("its fingerprint does not fit what it says")
            _ = spec.arrays, spec.rows, spec.shard_samples, spec.name, spec.arguments()
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise ValueError(f"it lacks something: {error!r}") from error
        except GmapsError as error:
            raise ValueError(str(error)) from error
        return spec


def _renamed(maps: dict[str, Any], kinds: Sequence[str]) -> dict[str, Any]:
    """A store's `maps` with other kinds, and their parameters."""
    return {k: v for k, v in maps.items() if k != "parameters"} | name_maps(kinds)


def _check_source(source: Any) -> None:
    """Refuse what is no source of frames: a plan lies where others may be able to write.

    Raises
    ------
    ValueError
        Saying what is none.
    """
    dataset = source.get("dataset") if isinstance(source, dict) else None
    if not isinstance(dataset, dict) or not isinstance(dataset.get("name"), str):
        raise ValueError("it names no data set")
    wrong = [k for k, v in dataset.items() if not isinstance(v, str | int | float | None)]
    wrong += [k for k in ("root", "split") if not isinstance(dataset.get(k), str | None)]
    wrong += [] if isinstance(source.get("center"), str | None) else ["center"]
    if wrong:
        raise ValueError(f"its {wrong[0]} is neither a text nor a number")


def _frames_fingerprint(source: FrameCrops, rows: int) -> dict[str, Any]:
    """What decides the crops of the first rows of a data set."""
    dataset, index, centers = source.dataset, source.index(), source.centers
    return {
        "format": FORMAT,
        "dataset": dataset.fingerprint(),
        "split": source.dataset_spec.get("split"),
        "rows": rows,
        "index": array_digest(index.frame[:rows], index.subject[:rows], index.sequence[:rows]),
        "skeleton": dataset.skeleton.name,
        "crop": source.params.to_dict(),
        "centers": None if centers is None else array_digest(centers[:rows]),
    }


def _dataset_attributes(source: FrameCrops, known: dict[str, Any]) -> dict[str, Any]:
    """What a store says of its data set."""
    index = source.index()
    return {
        "name": source.name,
        # Where the data lie on this machine is nobody else's business, and changes no value.
        "spec": {k: v for k, v in source.dataset_spec.items() if k != "root"},
        "fingerprint": known,
        "subjects": index.subjects,
        "sequences": index.sequences,
    }


def _store_arrays(
    maps: MapParams, skeleton: Skeleton, crop: CropParams, dtype: str, layout: str, further: list[dict[str, Any]]
) -> tuple[ArraySpec, ...]:
    kinds = [map_array(m, maps, skeleton) for m in maps.maps]
    return make_layout(len(skeleton), crop.size, kinds, dtype, layout, [further_array(**a) for a in further])


def map_array(name: str, params: MapParams, skeleton: Skeleton) -> MapArray:
    """What the store must know of a kind."""
    kind = get_map(name)
    shape = kind.shape(params.size, skeleton)
    return MapArray(name, shape, kind.scaled, kind.value_range, kind.keep_as, kind.smooth)


def _check_labels(source: FrameCrops, maps: MapParams) -> None:
    """Frames without joints are known before they are read: then not all of them need be rejected, one by one."""
    if getattr(source.dataset, "labelled", True):
        return
    name = source.dataset.info.name
    needy = [m for m in maps.maps if get_map(m).depends != "depth"]
    if needy:
        alone = ",".join(m for m in list_maps() if get_map(m).depends == "depth")
        raise UsageError(
            f"the frames of {name} have no joints, and {', '.join(needy)} must have them: take --center com and "
            f"--maps of {alone}"
        )
    if source.params.center in ("joints", "mean"):
        raise UsageError(f"the frames of {name} have no joints to take the centre from: say --center com")
