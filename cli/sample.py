"""`gmaps sample`."""

from __future__ import annotations

import math

import click

from ._common import json_option, print_json
from ._terminal import echo


@click.command()
@click.option(
    "--checkpoint", required=True, metavar="C", help="A crossmodal_vae: a file of `gmaps train`, or its run."
)
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=64, show_default=True, help="How many hands.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Decides which.")
@click.option("--out", metavar="HANDS.npz", help="Where their points, depth, 2D and 3D joints go.")
@click.option("--save", metavar="P.png", help="Draw them.")
@click.option("--walk", metavar="P.png", help="Draw walks from one hand to another.")
@click.option("--steps", type=click.IntRange(2, 64), default=8, show_default=True, help="Hands in a walk.")
@click.option("--walks", type=click.IntRange(1, 64), default=6, show_default=True, help="How many.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@json_option
def sample(
    checkpoint: str, count: int, seed: int, out: str | None, save: str | None, walk: str | None, steps: int,
    walks: int, device: str, as_json: bool,
) -> None:  # fmt: skip
    """Draw hands from the latent space of a cross-modal VAE.

    Each is one point, seen by every decoder: a depth crop, joints in its plane, joints in space. The same seed gives
    the same hands.
    """
    if out is save is walk is None:
        raise click.UsageError("say where they go: --out HANDS.npz, --save P.png or --walk P.png")
    from gmaps.inference.latent import LatentSpace
    from gmaps.plot.latent_figure import MOST, latent_figure
    from gmaps.plot.sample import save_figure

    if save is not None and count > MOST:
        raise click.UsageError(f"a picture shows at most {MOST} hands: leave out --save, or take -n {MOST}")
    if walk is not None and walks * steps > MOST:
        raise click.UsageError(f"a picture shows at most {MOST} hands: fewer --walks, or fewer --steps")
    space = LatentSpace(checkpoint, device=device)
    hands = space.sample(count, seed)
    if out is not None:
        hands.save(out)
    if save is not None:
        save_figure(latent_figure(hands), save)
    if walk is not None:
        save_figure(latent_figure(space.walk(walks, steps, seed), columns=steps), walk)
    off = hands.disagreement_mm
    if as_json:
        print_json({"hands": count, "seed": seed, "out": out, "save": save, "walk": walk,
                    "disagreement_mm": None if math.isnan(off) else off})  # fmt: skip
        return
    seen = ", ".join(k for k in ("depth", "color", "joints2d", "joints3d") if getattr(hands, k) is not None)
    near = "" if math.isnan(off) else f"; 2D joints lie {off:.2f} mm from the 3D ones in the plane, on average"
    echo(f"{count:,} hands as {seen}{near}")
