"""The cross-modal variational autoencoder: one latent space of hands, seen as depth, colour, joints in 2D or in 3D.

After Spurr et al., "Cross-modal Deep Variational Hand Pose Estimation", CVPR 2018, whose training code was never
published: layers, weights and schedule are gmaps' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gmaps.errors import UsageError, unknown_name
from gmaps.maps.torch_decode import to_mm
from gmaps.nets.modalities import SHRINK, Modality, Sizes, modalities
from gmaps.nets.network import Network
from gmaps.nets.registry import register_network
from gmaps.skeleton import Skeleton

#: What a pair weighs, by what it leads to: pictures are to shape the space, not to fill it.
WEIGHTS = {"depth": 0.1, "color": 0.1, "joints2d": 0.5, "joints3d": 1.0}
PAIRS = (
    "depth:joints3d", "depth:joints2d", "depth:depth", "joints2d:joints3d", "joints3d:joints2d", "joints3d:joints3d",
)  # fmt: skip
#: Least and largest log variance of a posterior: what is smaller is no noise, and what is larger overflows.
_LEAST, _LARGEST = -14.0, 6.0


class Posterior(NamedTuple):
    """q(z | x) of each row: mean and log variance, (B, Z); and which rows have this x at all, (B,) bool."""

    mean: Tensor
    log_variance: Tensor
    known: Tensor


class Latent(NamedTuple):
    """What the VAE gives.

    Parameters
    ----------
    joints : (B, J, 3)
        Cube units, of the mean of q(z | x) of what is predicted from.
    posteriors
        Modality -> `Posterior`; in training of every one that a pair begins with.
    made
        "from:to" -> what the decoder made of one draw, in training.
    features : (B, F)
        What the mean and the variance of `reads` are made of.
    """

    joints: Tensor
    posteriors: dict[str, Posterior]
    made: dict[str, Tensor]
    features: Tensor


class CrossModalVAE(Network):
    """Encoders and decoders around one latent space, and pairs of them that are trained.

    Parameters
    ----------
    skeleton
        Whose joints it finds.
    pairs
        "FROM:TO", of "depth", "color", "joints2d" and "joints3d": encode the one, decode the other.
    reads
        What is predicted from: one that a pair begins with.
    latent
        Z, numbers of the latent space.
    warmup
        Frames over which the weight of the KL divergence rises from 0.
    size
        Rows and columns at which pictures are encoded and decoded; a multiple of 16.
    stem, width, head
        Of the encoders of pictures: see `gmaps.nets.trunks.crop_encoder`.
    hidden, layers
        Of the encoders and decoders of joints: width and number.
    up
        Channels of the decoders of pictures, four.
    projection
        Of the crops, which decides where joints lie in their plane: "orthographic" or "perspective".

    Notes
    -----
    A pair's term is minus the mean log likelihood of what it leads to, of one draw of q(z | x): a Laplace one, |x| in
    cube units, and for the hand's cells of depth a cross entropy; and "kl" is KL(q(z | x) || N(0, 1)), nats, summed
    over the latent space, mean over the rows and over what pairs begin with. With a weight of w, the sum is the ELBO
    of joints whose Laplace scale is 63 w: 19 mm in a cube of 240 mm for 0.0025, 4 for 0.0005.
    A row whose label is NaN is left out of the pairs that begin or end with it: so frames without labels learn
    "depth:depth".
    """

    samples_seen: Tensor

    def __init__(
        self, skeleton: Skeleton, pairs: tuple[str, ...] | str = PAIRS, reads: str = "depth", latent: int = 30,
        warmup: int = 50_000, size: int = 64, stem: tuple[int, ...] = (32, 48), width: int = 96,
        head: tuple[int, ...] = (128, 256), hidden: int = 512, layers: int = 3,
        up: tuple[int, ...] = (128, 64, 32, 16), projection: str = "orthographic",
    ) -> None:  # fmt: skip
        named = (pairs,) if isinstance(pairs, str) else tuple(pairs)
        self.pairs = parse_pairs(named)
        super().__init__(skeleton, {**{f"{a}:{b}": WEIGHTS[b] for a, b in self.pairs}, "kl": 0.0005})
        stem, head, up = (tuple(v) if isinstance(v, tuple | list) else (v,) for v in (stem, head, up))
        if projection not in ("orthographic", "perspective"):
            raise unknown_name("projection", projection, ("orthographic", "perspective"))
        if size % SHRINK or len(up) != 4 or min(latent, hidden, layers, *up) < 1 or warmup < 0:
            raise UsageError(
                f"crossmodal_vae: size is a multiple of {SHRINK}, up four widths, latent, hidden, layers 1 or more, "
                f"warmup 0 or more: got {size}, {up}, {latent}, {hidden}, {layers}, {warmup}"
            )
        if max(latent, hidden, *up) > 2**14 or layers > 64:
            raise UsageError("crossmodal_vae: widths are at most 16,384, layers at most 64")
        self.sources = tuple(dict.fromkeys(a for a, _ in self.pairs))
        self.aims = tuple(dict.fromkeys(b for _, b in self.pairs))
        self.reads, self.warmup, self.rows, self.projection = reads, warmup, size, projection
        if reads not in self.sources:
            raise UsageError(
                f"crossmodal_vae predicts from {reads}, and no pair begins with it: add --pairs {reads}:joints3d, or "
                f"say -P reads={self.sources[0]}"
            )
        if not {"joints2d", "joints3d"} & set(self.aims):
            raise UsageError("no pair of crossmodal_vae leads to joints: add --pairs depth:joints3d")
        self.modalities: dict[str, Modality] = modalities(projection == "perspective")
        sizes = Sizes(len(skeleton), latent, size, stem, width, head, hidden, layers, up)
        self.latent = latent
        self.encoders = nn.ModuleDict({name: self.modalities[name].encoder(sizes) for name in self.sources})
        self.posteriors = nn.ModuleDict({name: nn.Linear(hidden, 2 * latent) for name in self.sources})
        for layer in self.posteriors.values():
            nn.init.constant_(layer.bias[latent:], -4.0)  # type: ignore[index]  # little noise at first
        self.decoders = nn.ModuleDict({name: self.modalities[name].decoder(sizes) for name in self.aims})
        # How far the warm-up is; in a checkpoint, so that a run that goes on does so exactly.
        self.register_buffer("samples_seen", torch.zeros((), dtype=torch.int64))

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is predicted from, and the cube."""
        return (self.modalities[self.reads].entry, "cube")

    @property
    def training_inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the other pairs begin or end with."""
        return tuple(dict.fromkeys(self.modalities[n].entry for n in (*self.sources, *self.aims)))

    @property
    def learns_unlabelled(self) -> bool:
        """By a picture that is encoded and decoded again."""
        pictures = [f"{a}:{b}" for a, b in self.pairs if not {"joints2d", "joints3d"} & {a, b}]
        return any(self.weights.get(pair) for pair in pictures)

    def check_crops(self, crop: Mapping[str, Any]) -> None:
        """See `Network.check_crops`."""
        if crop["projection"] != self.projection:
            raise UsageError(
                f"crossmodal_vae is made for {self.projection} crops, the store holds {crop['projection']} ones: "
                f"-P projection={crop['projection']}"
            )
        if crop.get("flat") and {"depth", "joints3d"} & {*self.sources, *self.aims}:
            raise UsageError(
                "the store holds colour alone, of which nothing is known in depth: say --pairs "
                "color:joints2d,color:color,joints2d:joints2d -P reads=color"
            )

    def forward(self, seen: Tensor, cube: Tensor, *others: Tensor) -> Latent:  # type: ignore[override]
        """See `Latent`.

        Parameters
        ----------
        seen
            The entry of `reads`.
        cube : (B, 4)
            Centre and half side, mm.
        *others
            `training_inputs`, in training.
        """
        entries = dict(zip(self.training_inputs, others, strict=False))
        entries[self.modalities[self.reads].entry] = seen
        sources = self.sources if others else (self.reads,)
        posteriors: dict[str, Posterior] = {}
        features: dict[str, Tensor] = {}
        for name in sources:
            posteriors[name], features[name] = self._posterior(name, entries[self.modalities[name].entry], cube)
        made: dict[str, Tensor] = {}
        if others:
            for name in sources:
                z = self._draw(posteriors[name])
                made |= {f"{a}:{b}": self.decoders[b](z) for a, b in self.pairs if a == name}
        joints = self._joints(posteriors[self.reads].mean)
        return Latent(joints, posteriors, made, features[self.reads])

    def encode(self, name: str, entry: Tensor, cube: Tensor) -> Posterior:
        """q(z | x) of the entry of a modality that a pair begins with.

        Raises
        ------
        UsageError
            None does.
        """
        if name not in self.sources:
            raise UsageError(
                f"this crossmodal_vae encodes {', '.join(self.sources)}, not {name}: train it with a pair"
            )
        return self._posterior(name, entry, cube)[0]

    def show(self, z: Tensor) -> dict[str, Tensor]:
        """What points (B, Z) of the latent space look like: modality -> its entry's units; joints in cube units."""
        return {name: self.modalities[name].show(self.decoders[name](z).float()) for name in self.aims}

    def _posterior(self, name: str, entry: Tensor, cube: Tensor) -> tuple[Posterior, Tensor]:
        x = self.modalities[name].read(entry, cube, self.rows)
        known = torch.isfinite(x).flatten(1).all(dim=1)
        features = self.encoders[name](torch.where(torch.isfinite(x), x, 0.0))
        mean, spread = self.posteriors[name](features).float().chunk(2, dim=1)
        return Posterior(mean, spread.clamp(_LEAST, _LARGEST), known), features

    def _draw(self, q: Posterior) -> Tensor:
        return q.mean + torch.randn_like(q.mean) * (0.5 * q.log_variance).exp() if self.training else q.mean

    def _joints(self, z: Tensor) -> Tensor:
        if "joints3d" in self.aims:
            found: Tensor = self.decoders["joints3d"](z).float()
            return found
        flat = self.decoders["joints2d"](z).float()
        return torch.cat([flat, torch.zeros_like(flat[..., :1])], dim=-1)

    def loss(self, output: Latent, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """A term a pair, and "kl"; see the class."""
        terms = {}
        aims = {b: self.modalities[b].read(batch[self.modalities[b].entry], batch["cube"], self.rows)
                for b in self.aims}  # fmt: skip
        for a, b in self.pairs:
            seen = aims[b]
            known = output.posteriors[a].known & torch.isfinite(seen).flatten(1).all(dim=1)
            # Filled before anything is computed: the gradient of what is NaN is NaN, whatever it is multiplied by.
            each = self.modalities[b].cost(output.made[f"{a}:{b}"], torch.where(torch.isfinite(seen), seen, 0.0))
            terms[f"{a}:{b}"] = (each * known).sum() / known.sum().clamp(min=1)
        warm = 1.0 if not self.warmup else min(1.0, self.samples_seen.item() / self.warmup)
        terms["kl"] = warm * torch.stack([divergence(q) for q in output.posteriors.values()]).mean()
        if self.training:
            self.samples_seen += len(output.joints)
        return terms

    def decode(self, output: Latent, batch: Mapping[str, Any]) -> Tensor:
        """(B, J, 3) mm; joints of the plane alone lie at the depth of the cube's centre."""
        if "joints3d" in self.aims:
            return super().decode(output, batch)
        cube = batch["cube"].float()
        return to_mm(
            output.joints * cube[:, None, 3:], cube, perspective=self.projection == "perspective", axes="uvd"
        )


def divergence(q: Posterior) -> Tensor:
    """KL(q || N(0, 1)), nats, summed over the space, mean over the rows that are known (Kingma 2014, App. B)."""
    each = 0.5 * (q.mean.square() + q.log_variance.exp() - 1 - q.log_variance).sum(dim=1)
    return (each * q.known).sum() / q.known.sum().clamp(min=1)


def parse_pairs(pairs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """("depth:joints3d", ...) as (("depth", "joints3d"), ...).

    Raises
    ------
    UsageError, UnknownNameError
        No pair, one twice, or one of something else.
    """
    found = []
    for pair in pairs:
        first, sign, second = str(pair).strip().partition(":")
        if not sign:
            raise UsageError(f"a pair is FROM:TO, such as depth:joints3d, got {pair!r}")
        for name in (first, second):
            if name not in WEIGHTS:
                raise unknown_name("modality", name, tuple(WEIGHTS))
        if (first, second) in found:
            raise UsageError(f"the pair {pair} is there twice")
        found.append((first, second))
    if not found:
        raise UsageError(f"crossmodal_vae learns at least one pair, such as {PAIRS[0]}")
    return tuple(found)


register_network("crossmodal_vae", CrossModalVAE)
