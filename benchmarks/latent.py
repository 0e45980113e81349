"""What a trained cross-modal VAE makes of hands that it has never seen: from one modality to another, in mm.

`python -m benchmarks.latent RUN STORE` prints errors of depth -> 3D, 2D -> 3D, 3D -> 3D, 3D -> 2D and of the way
3D -> 2D -> 3D, in which joints in the plane, as the first decoder gives them, are all that the second encoder sees;
and how far the 2D and 3D joints of sampled hands are apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import torch
from torch import Tensor

import gmaps
from gmaps.inference.latent import LatentSpace
from gmaps.nets.crossmodal_vae import CrossModalVAE
from gmaps.store import Store
from gmaps.training.collate import collate
from gmaps.training.dataset import GuidanceDataset


def crossings(space: LatentSpace, store: Store, count: int = 2000) -> dict[str, float]:
    """Mean errors, mm, of `count` rows of a store of orthographic crops, of which all joints are known."""
    net, data = space.net, GuidanceDataset(store, ())
    sums: dict[str, float] = {}
    rows = range(min(count, len(data)))
    with torch.inference_mode():
        for k in range(0, len(rows), 250):
            batch = collate(data.read_batch(list(rows[k : k + 250])))
            for name, error in _errors(net, batch).items():
                sums[name] = sums.get(name, 0.0) + float(error.mean(dim=1).sum())
    found = {name: value / len(rows) for name, value in sums.items()}
    return found | {"2D and 3D of a sample": space.sample(1000).disagreement_mm}


def _errors(net: CrossModalVAE, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    cube, half, joints = batch["cube"], batch["cube"][:, 3, None], batch["joints"]

    def off(found: Tensor) -> Tensor:
        distance: Tensor = (found - joints[..., : found.shape[-1]]).norm(dim=-1)
        return distance * half

    def mean(name: str, entry: Tensor) -> Tensor:
        return net.encode(name, entry, cube).mean

    errors = {}
    for source, entry in (("depth", batch["depth"]), ("joints2d", joints), ("joints3d", joints)):
        if source in net.sources:
            z = mean(source, entry)
            for aim in {"joints2d", "joints3d"} & {*net.aims}:
                errors[f"{source} -> {aim}"] = off(net.decoders[aim](z))
    if {"joints2d", "joints3d"} <= {*net.sources} & {*net.aims}:
        flat = net.decoders["joints2d"](mean("joints3d", joints))
        again = mean("joints2d", torch.cat([flat, torch.zeros_like(flat[..., :1])], dim=-1))
        errors["joints3d -> joints2d -> joints3d"] = off(net.decoders["joints3d"](again))
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a checkpoint of crossmodal_vae, or its run's folder")
    parser.add_argument("store", help="of hands that it has not learnt")
    options = parser.parse_args()
    print("| way | mm |\n|---|---|")
    for name, value in crossings(LatentSpace(options.run, device="cpu"), gmaps.open_store(options.store)).items():
        print(f"| {name} | {value:.2f} |")


if __name__ == "__main__":
    main()
