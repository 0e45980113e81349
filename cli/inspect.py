"""`gmaps inspect store`, `gmaps inspect sample N`, `gmaps inspect samples`; `gmaps inspect STORE` is the first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ._common import find_store, json_option, print_json, print_table, store_option
from ._terminal import echo

if TYPE_CHECKING:
    from gmaps.evaluation.of_store import Judged
    from gmaps.skeleton import Skeleton
    from gmaps.store import Sample, Store


class _StoreIsMeant(click.Group):
    """`gmaps inspect hands.zarr` means `gmaps inspect store --store hands.zarr`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        first = args[0]
        if first not in self.commands and (
            first.rstrip("/").endswith(".zarr") or "/" in first or Path(first).is_dir()
        ):
            args = ["store", "--store", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_StoreIsMeant)
def inspect() -> None:
    """Look into a store, or at samples of it.

    \b
    gmaps inspect STORE                              what a store holds
    gmaps inspect sample 42 --save P.png             one sample
    gmaps inspect samples --random 24 --save P.png   a sheet of many
    """


@inspect.command()
@store_option
@json_option
def store(store: str | None, as_json: bool) -> None:
    """Rows, arrays, sizes, parameters and rejected frames of a store."""
    from gmaps.errors import CorruptStoreError
    from gmaps.pipeline.progress import format_bytes
    from gmaps.store import open_store

    opened = open_store(find_store(store))
    spec = opened.spec
    if as_json:
        print_json(spec.to_dict())
        return
    a = spec.attributes
    lacking = [key for key in ("dataset", "skeleton", "crop", "maps", "fingerprint_of", "counts") if key not in a]
    if lacking:
        raise CorruptStoreError(f"{spec.path}/zarr.json lacks the attributes {', '.join(lacking)}: build it again")
    crop, maps = a["crop"], a["maps"]
    skeleton = opened.skeleton
    stored = sum(i.stored_bytes for i in spec.arrays.values())
    raw = sum(i.raw_bytes for i in spec.arrays.values())
    each = stored / max(spec.rows, 1)
    facts: list[tuple[str, Any]] = [
        ("store", spec.path),
        ("samples", f"{spec.rows:,}, {spec.rows - len(spec.rejects):,} of them valid"),
        ("size", f"{format_bytes(stored)}, {format_bytes(each)} a sample, raw/disk {raw / stored:.1f}"),
        ("data set", a["dataset"]["name"]),
        ("skeleton", f"{skeleton.name}, {len(skeleton)} joints"),
        ("crop", ", ".join(f"{k} {v}" for k, v in crop.items())),
        ("maps", ", ".join(f"{k} {v}" for k, v in maps.items() if k != "maps")),
        ("maps' version", _version(a["fingerprint_of"].get("versions", {}).get("maps_version"))),
        ("joints outside", f"in {a['counts']['joints_outside']:,} frames a joint lies outside the cube"),
        ("fingerprint", a["fingerprint"]),
    ]
    print_table(facts)
    echo()
    rows = [
        (i.name, "x".join(map(str, i.shape)), i.dtype, i.codec, format_bytes(i.stored_bytes), f"{i.ratio:.1f}")
        for i in spec.arrays.values()
    ]
    print_table(rows, ("array", "shape", "type", "codec", "on disk", "raw/disk"), right=(4, 5))
    shards = -(-spec.rows // a["fingerprint_of"]["shard_samples"])
    torn = [i.name for i in spec.arrays.values() if i.files < shards]
    if torn:
        raise CorruptStoreError(f"{spec.path}: files of {', '.join(torn)} are missing; `gmaps verify` tells which")
    if spec.rejects:
        echo(f"\n{len(spec.rejects):,} frames rejected")
        print_table([(f"  row {r['row']}", r["name"], r["reason"]) for r in spec.rejects[:20]])
        if len(spec.rejects) > 20:
            echo(f"  ... and {len(spec.rejects) - 20:,} more in rejects.json")


def _version(found: Any) -> str:
    from gmaps.maps.scene import MAPS_VERSION

    if found == MAPS_VERSION:
        return f"{found}, as this gmaps makes them"
    return f"{found}, read as they are; this gmaps makes version {MAPS_VERSION}, and adds no maps to them"


def _joint_number(skeleton: Skeleton, joint: str | None) -> int | None:
    """A joint by number or name."""
    from gmaps.errors import UsageError, unknown_name

    if joint is None:
        return None
    if joint in skeleton.joints:
        return skeleton.joints.index(joint)
    try:
        number = int(joint)
    except ValueError:
        raise unknown_name(f"joint of {skeleton.name}", joint, skeleton.joints) from None
    if not 0 <= number < len(skeleton):
        raise UsageError(f"{skeleton.name} has joints 0 to {len(skeleton) - 1}, there is no joint {number}")
    return number


def _summary(sample: Sample, skeleton: Skeleton, joint: int | None) -> dict[str, Any]:
    """A sample as plain values."""
    if sample.cube is None:
        return {"row": sample.index, "frame": sample.frame, "valid": False}
    chosen = range(len(skeleton)) if joint is None else [joint]
    inside = sample.crop.inside()
    maps = {}
    for name, values in sample.maps.items():
        shown = values if joint is None or values.shape[-1] != len(skeleton) else values[..., joint]
        maps[name] = {
            "shape": list(values.shape), "min": float(shown.min()), "mean": float(shown.mean()),
            "max": float(shown.max()),
        }  # fmt: skip
        if name in sample.scale:
            maps[name]["scale_mm"] = [float(sample.scale[name][j]) for j in chosen]
    return {
        "row": sample.index,
        "frame": sample.frame,
        "valid": True,
        "subject": sample.subject,
        "sequence": sample.sequence,
        "cube_mm": [float(v) for v in sample.cube.to_array()],
        "hand_pixels": int(sample.crop.mask.sum()),
        "depth_mm": None
        if sample.crop.flat
        else [
            float(v) * sample.cube.half_side + sample.cube.center[2]
            for v in (sample.depth[sample.crop.mask].min(), sample.depth[sample.crop.mask].max())
        ],
        "joints_mm": {skeleton.joints[j]: [float(v) for v in sample.joints[j]] for j in chosen},
        "joints_outside": [skeleton.joints[j] for j in np.flatnonzero(~inside)],
        "maps": maps,
    }


@inspect.command(short_help="One sample, as text and as a picture.")
@click.argument("row", type=int)
@store_option
@click.option("--joint", metavar="N", help="Show one joint only: its number or name.")
@click.option("--predictions", metavar="PRED.txt", help="With --save: draw these joints over the true ones.")
@click.option("--save", metavar="P.png", type=click.Path(dir_okay=False), help="Draw the sample.")
@json_option
def sample(
    row: int, store: str | None, joint: str | None, predictions: str | None, save: str | None, as_json: bool
) -> None:
    """One sample: its cube, joints and maps, as text and, with --save, as a picture."""
    from gmaps.errors import UsageError
    from gmaps.store import open_store

    if predictions and not save:
        raise click.UsageError("--predictions are drawn: say --save P.png, or judge them by `gmaps evaluate`")
    opened = open_store(find_store(store))
    try:
        found = opened[row]
    except IndexError as error:
        raise UsageError(str(error)) from None
    skeleton = opened.skeleton
    number = _joint_number(skeleton, joint)
    values = _summary(found, skeleton, number)
    if as_json:
        print_json(values)
    else:
        _print_summary(values)
    if not values["valid"]:
        reasons = [r["reason"] for r in opened.rejects if r["row"] == found.index]
        echo(f"This frame was rejected: {'; '.join(reasons)}", err=True, lines=False)
        return
    if save:
        from gmaps.plot.sample import sample_figure, save_figure

        profile = opened.attributes["maps"].get("profile", "default")
        judged = _judged(opened, predictions)
        save_figure(sample_figure(found, skeleton, joint=number, profile=profile, predicted=judged), save)
        echo(f"drawn to {save}", err=as_json)


def _judged(store: Store, predictions: str | None) -> Judged | None:
    from gmaps.evaluation.of_store import judge_store

    return None if predictions is None else judge_store(store, predictions)


def _print_summary(v: dict[str, Any]) -> None:
    echo(f"row {v['row']}, frame {v['frame']}" + ("" if v["valid"] else ": rejected"))
    if not v["valid"]:
        return
    x, y, z, h = v["cube_mm"]
    where = ("box", f"centre ({x:.1f}, {y:.1f}) px, half side {h:g} px; colour, no depth")
    facts = [where]
    if v["depth_mm"] is not None:
        near, far = v["depth_mm"]
        facts = [
            ("cube", f"centre ({x:.1f}, {y:.1f}, {z:.1f}) mm, half side {h:g} mm"),
            ("hand", f"{v['hand_pixels']:,} pixels, {near:.1f} to {far:.1f} mm away"),
        ]
    print_table(
        [
            *facts,
            ("outside", ", ".join(v["joints_outside"]) or "no joint lies outside the cube"),
        ]
    )
    echo()
    rows = [(n, *(f"{c:.1f}" for c in xyz)) for n, xyz in v["joints_mm"].items()]
    print_table(rows, ("joint", "x mm", "y mm", "z mm"), right=(1, 2, 3))
    echo()
    rows = []
    for name, m in v["maps"].items():
        scale = m.get("scale_mm")
        span = "" if not scale else f"{min(scale):.0f} to {max(scale):.0f}" if len(scale) > 1 else f"{scale[0]:.0f}"
        numbers = (f"{m[k]:.3f}" for k in ("min", "mean", "max"))
        rows.append((name, "x".join(map(str, m["shape"])), *numbers, span))
    print_table(rows, ("map", "shape", "min", "mean", "max", "1 is, mm"), right=(2, 3, 4, 5))


@inspect.command(short_help="A sheet of many samples.")
@click.argument("rows", type=int, nargs=-1)
@store_option
@click.option("--random", "count", type=click.IntRange(min=1), metavar="N", help="N random rows instead of ROWS.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides which.")
@click.option("--predictions", metavar="PRED.txt", help="Draw these joints over the true ones, as crosses.")
@click.option("--worst", type=click.IntRange(min=1), metavar="N", help="The N rows that PRED.txt misses most.")
@click.option("--map", "kind", metavar="KIND", help="Draw this map instead of the depth.")
@click.option("--joint", metavar="N", help="Mark this joint, and draw its channel of the map: number or name.")
@click.option("--save", metavar="P.png", type=click.Path(dir_okay=False), required=True, help="The picture.")
def samples(
    rows: tuple[int, ...],
    store: str | None,
    count: int | None,
    seed: int,
    predictions: str | None,
    worst: int | None,
    kind: str | None,
    joint: str | None,
    save: str,
) -> None:
    """Draw many samples on one sheet: ROWS, --random N that hold a crop, or the --worst N of a prediction."""
    from gmaps.errors import UsageError
    from gmaps.plot.sample import save_figure
    from gmaps.plot.sheet import choose_rows, sheet_figure
    from gmaps.store import open_store

    if bool(rows) + (count is not None) + (worst is not None) != 1:
        raise click.UsageError("give either ROWS, or --random N, or --worst N")
    if worst is not None and predictions is None:
        raise click.UsageError("--worst N is of a prediction: say --predictions PRED.txt")
    opened = open_store(find_store(store))
    judged = _judged(opened, predictions)
    if worst is not None and judged is not None:
        chosen = judged.worst(worst)
    else:
        chosen = list(rows) if count is None else choose_rows(opened, count, seed)
    try:
        found = [opened[row] for row in chosen]
    except IndexError as error:
        raise UsageError(str(error)) from None
    skeleton = opened.skeleton
    number = _joint_number(skeleton, joint)
    save_figure(sheet_figure(found, skeleton, kind=kind, joint=number, predicted=judged), save)
    echo(f"rows {', '.join(map(str, chosen))} drawn to {save}")
