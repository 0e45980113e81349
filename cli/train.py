"""`gmaps train`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ._common import json_option, print_json
from ._terminal import echo


class _Pair(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3 alone
    """KEY=VALUE; the value becomes a number, a yes or no, or several of them where there are commas."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        key, sign, text = str(value).partition("=")
        if not sign or not key.strip():
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key.strip(), _value(text.strip())


class _Widths(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3 alone
    name = "widths"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        try:
            return tuple(int(v) for v in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 16,32", param, ctx)


class _Pairs(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3 alone
    name = "pairs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def _value(text: str) -> Any:
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(",") if part.strip())
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


#: Parameters that most networks have, by options of their own; -P gives any.
_NETWORK = (
    click.option("--size", type=int, metavar="S", help="Rows and columns that the network reads."),
    click.option("--stem", type=_Widths(), metavar="C,C", help="Channels of the layers that halve S."),
    click.option("--width", type=int, metavar="C", help="Channels that are guided."),
    click.option("--repeats", type=int, metavar="R", help="Stages of guidance."),
    click.option("--branch", metavar="NAME", help="What each stage begins with: residual or hourglass."),
    click.option("--head", type=_Widths(), metavar="C,C,C", help="Channels of the layers behind guidance."),
    click.option("--hidden", type=int, metavar="N", help="Width of the layer before the last."),
    click.option("--dropout", type=float, help="Share of it left out in training."),
    click.option(
        "--pairs",
        type=_Pairs(),
        metavar="A:B,...",
        help="What crossmodal_vae encodes and decodes: depth, color, joints2d, joints3d.",
    ),
)
_TRAINING = (
    click.option("--epochs", type=int, default=10, show_default=True, help="Times through the data."),
    click.option("--minutes", type=float, metavar="M", help="Stop after so much time in training."),
    click.option("--batch", type=int, default=64, show_default=True, help="Samples a step, of each process."),
    click.option("--lr", type=float, default=1e-3, show_default=True, help="Learning rate."),
    click.option(
        "--schedule", type=click.Choice(["original", "cosine"]), default="original", show_default=True,
        help="original: x 0.94 every million samples. cosine: up, then down to 0 over epochs or minutes.",
    ),
    click.option("--weight-decay", type=float, default=0.01, show_default=True, help="Of AdamW."),
    click.option("--clip", type=float, default=1.0, show_default=True, help="Largest norm of the gradient; 0: none."),
    click.option("--patience", type=int, default=5, show_default=True,
                 help="Stop after so many epochs without a better validation, or at 1.1 times the best; 0: never."),
    click.option("--validation", default="auto", show_default=True, metavar="0.1|subjects:0.1|S9,...",
                 help="Validate on a share of the frames, on a share of the people, or on these people; 0: not. "
                 "auto: a tenth of the people where there are several, else of the frames."),
    click.option("--shuffle", type=click.Choice(["uniform", "blocks"]), default="uniform", show_default=True,
                 help="blocks: rows of eight files at a time, for a store larger than memory."),
    click.option("--seed", type=int, default=0, show_default=True, help="Decides weights, order and dropout."),
    click.option("--workers", type=int, default=1, show_default=True, help="Processes that read; 0: this one."),
    click.option("--precision", type=click.Choice(["auto", "float32", "bf16", "fp16"]), default="auto",
                 show_default=True, help="auto: bf16 where the device has it."),
    click.option("--compile", is_flag=True, help="Use torch.compile."),
    click.option("--augment", default="off", show_default=True, metavar="on|off|rotation=30,noise=1,...",
                 help="Change frames anew in each epoch; maps are then computed while training."),
    click.option("--drop-unlabelled", is_flag=True, help="Leave frames without labels out."),
    click.option("--on-the-fly", is_flag=True, help="Compute the maps while training; the store need not hold them."),
    click.option("--maps-on", type=click.Choice(["auto", "gpu", "cpu", "stored"]), default="auto", show_default=True,
                 help="Maps are made on the GPU, in the step; on the CPU, as crops are read; or read. "
                 "auto: on the GPU where there is one."),
)  # fmt: skip
_LOSS = (
    click.option("--map-weight", type=float, help="Of the map loss; 0 turns it off. By default the map kind's own."),
    click.option("--pose-weight", type=float, help="Of the pose loss; 1 by default."),
    click.option("--pose-loss", "pose", type=click.Choice(["l1", "smooth_l1", "l2"]), default="l1",
                 show_default=True, help="Of residuals in half sides of the cube."),
)  # fmt: skip


def _options(group: tuple[Callable[..., Any], ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(group):
            command = option(command)
        return command

    return add


@click.command()
@click.argument("stores", nargs=-1, required=True, metavar="STORE [STORE ...]")
@click.option(
    "--model",
    default="geodesic_weighted",
    show_default=True,
    metavar="NAME|MODULE:NAME",
    help="A network of gmaps, such as baseline, unguided, heatmap, euclidean, offset, geodesic, "
    "geodesic_weighted, geodesic_surface, limb, views, voxel, voxel_geodesic, dense, deephps, crossmodal_vae, cpm or "
    "nsrm; or one of your own.",
)
@click.option("-P", "params", multiple=True, type=_Pair(), help="A parameter of the network; may be repeated.")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    type=_Pair(),
    metavar="TERM=W",
    help="Of a term of the network's loss; may be repeated.",
)
@click.option("--out", required=True, metavar="RUN", help="Folder of checkpoints and log.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--overwrite", is_flag=True, help="Begin anew, in the place of the run that RUN holds.")
@click.option("--checkpoint-minutes", type=float, default=5.0, show_default=True, help="Between checkpoints.")
@click.option("--log-steps", type=click.IntRange(min=1), default=50, show_default=True, help="Between log rows.")
@click.option("--quiet", is_flag=True, help="No progress.")
@_options(_TRAINING)
@_options(_LOSS)
@_options(_NETWORK)
@json_option
def train(
    stores: tuple[str, ...], model: str, out: str, device: str, quiet: bool, as_json: bool,
    params: tuple[tuple[str, Any], ...], weights: tuple[tuple[str, Any], ...], **options: Any,
) -> None:  # fmt: skip
    """Train a network from STORE, or from several as one.

    Of several, crops are of one size, cube and projection, and joints are matched by name; what frames of one store
    lack, such as meshes of real hands, is not learnt from them.

    The same command again goes on where a run was stopped. RUN gets best.pt, of the smallest validation error,
    last.pt and log.csv. On several GPUs: `torchrun --nproc-per-node 4 -m gmaps.cli train ...`.
    """
    from dataclasses import asdict
    from pathlib import Path

    from gmaps.nets.registry import NamedNetwork
    from gmaps.store import open_store
    from gmaps.training.fit import train as run
    from gmaps.training.joined import join_stores
    from gmaps.training.loss import LossParams
    from gmaps.training.params import TrainParams

    changes = {k: options.pop(k) for k in _names(_NETWORK)}
    network = NamedNetwork(model, {k: v for k, v in changes.items() if v is not None} | dict(params))
    for name, weight in weights:
        if not isinstance(weight, int | float):
            raise click.UsageError(f"--weight {name}={weight}: a weight is a number")
    loss = LossParams(**{k: options.pop(k) for k in _names(_LOSS)}, weights=dict(weights))
    how = TrainParams(**{k: options.pop(k) for k in _names(_TRAINING)}, loss=loss)
    ended = run(
        join_stores([open_store(s) for s in stores]),
        Path(out),
        network,
        how,
        device=device,
        progress=not quiet,
        **options,
    )
    if as_json:
        print_json({**asdict(ended), "waiting": ended.waited / max(ended.seconds, 1e-9)})
    else:
        echo(
            f"{out}: {ended.step:,} steps in {ended.seconds / 60:.1f} min ({ended.finished}), "
            f"{ended.waited / max(ended.seconds, 1e-9):.1%} of it waiting for data; "
            f"best validation error {ended.best_mm:.2f} mm"
        )


def _names(group: tuple[Callable[..., Any], ...]) -> list[str]:
    """What the options of a group are called as arguments."""

    def probe() -> None: ...

    for option in group:
        option(probe)
    return [str(p.name) for p in probe.__click_params__]  # type: ignore[attr-defined]
