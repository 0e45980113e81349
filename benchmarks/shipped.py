"""The weights that ship: how they were trained, anew by anyone.

`python -m benchmarks.shipped --minutes 60 --folder F --out gmaps/inference/hand.pt` trains the network `votes` on the
hands of `benchmarks.shipped_hands`, two processes: one makes hands for as long as the other trains. The folder keeps
all, and the same command goes on where it stopped. Nothing real is trained on.
"""

from __future__ import annotations

import argparse
import csv
import math
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.shipped_hands import HALF, ROWS, WIDE, Sample, make_samples
from gmaps.nets.votes import VoteNet, vote_loss
from gmaps.skeleton import get_skeleton
from gmaps.training.checkpoint import load_checkpoint, restore_model, save_checkpoint
from gmaps.training.device import find_device

SEED, TEST_SEED = 1, 2
SIZE, WIDTHS = 64, (16, 32, 64, 128)
BATCH, RATE = 48, 2e-3
#: Poses in a file, files of the test, and hands that are kept: older ones make room.
CHUNK, TEST_CHUNKS, MOST = 100, 2, 60_000
#: Files before the training begins, and how often each hand is then seen, in one way or another: a hand takes as long
#: to make as to be seen three times, and two cores are all there is.
FIRST, SEEN = 12, 10
#: Seconds between two looks at the test: it takes time that training lacks.
JUDGED = 300
#: Joints of what is no hand: far from every cell.
NOWHERE = 100.0
POSE_WEIGHT = 10.0


class Hands:
    """Samples in memory, as many as there is room for.

    Parameters
    ----------
    most
        How many.
    """

    def __init__(self, most: int) -> None:
        self.depth = torch.ones((most, 1, ROWS, ROWS), dtype=torch.float16)
        self.joints, self.com = torch.zeros((most, 21, 3)), torch.zeros((most, 3))
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, len(self.depth))

    def add(self, file: Path) -> None:
        """Samples of a file, in the place of the oldest."""
        with np.load(file) as data:
            at = torch.arange(self.added, self.added + len(data["com"])) % len(self.depth)
            self.depth[at, 0] = torch.from_numpy(data["depth"])
            self.joints[at], self.com[at] = torch.from_numpy(data["joints"]), torch.from_numpy(data["com"])
        self.added += len(at)

    def batch(self, at: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        """Crops, joints and half sides: changed at random, or centred by depth alone without `rng`.

        Returns
        -------
        depth : (B, 1, S, S), joints : (B, 21, 3), half : (B,)
            Cube units; `NOWHERE` where there is no hand; mm.
        """
        n, com = len(at), self.com[at]
        half, angle, center = torch.full((n,), HALF), torch.zeros(n), com
        if rng is not None:
            half = HALF * torch.exp((torch.rand(n, generator=rng) - 0.5) * 0.24)
            wide = torch.rand(n, generator=rng) < 0.4
            angle = torch.where(
                wide,
                (torch.rand(n, generator=rng) - 0.5) * 2 * math.pi,
                torch.randn(n, generator=rng) * 0.3,
            )
            share = torch.rand((n, 1), generator=rng) * (torch.rand((n, 1), generator=rng) < 0.6)
            center = share * com + torch.randn((n, 3), generator=rng) * 9
        center = center.clamp(-45, 45)
        c, s = torch.cos(angle), torch.sin(angle)
        turn = torch.stack([torch.stack([c, -s], 1), torch.stack([s, c], 1)], 1)  # new axes to old ones
        scale = (half / WIDE)[:, None, None]
        theta = torch.cat([turn * scale, (center[:, :2] / WIDE)[:, :, None]], dim=2)
        grid = functional.affine_grid(theta, [n, 1, SIZE, SIZE], align_corners=False)
        # What lies outside is void, which is 1: of 1 - depth it is 0, as grid_sample has it.
        seen = functional.grid_sample(1 - self.depth[at].float(), grid, mode="nearest", align_corners=False)
        z = ((1 - seen) * WIDE - center[:, 2].view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)
        depth = torch.where((seen <= 0) | (z.abs() >= 1), torch.ones_like(z), z)
        joints = self.joints[at] - center[:, None]
        joints = torch.cat([joints[..., :2] @ turn, joints[..., 2:]], dim=2) / half[:, None, None]
        return depth, torch.nan_to_num(joints, nan=NOWHERE), half


def make_file(file: Path, seed: int, number: int) -> None:
    """Samples of `CHUNK` poses."""
    samples = [s for k in range(number * CHUNK, (number + 1) * CHUNK) for s in make_samples(seed, k)]
    columns: dict[str, Any] = {name: np.stack([getattr(s, name) for s in samples]) for name in Sample._fields}
    temporary = file.with_suffix(".tmp")
    with open(temporary, "wb") as f:
        np.savez(f, **columns)
    os.replace(temporary, file)


def make_hands(folder: str, wanted: Any) -> None:
    """Make as many files as are wanted, until the parent ends."""
    torch.set_num_threads(1)
    place, parent, number = Path(folder), os.getppid(), 0
    while os.getppid() == parent:
        file = place / f"train-{number:05}.npz"
        while number >= wanted.value and os.getppid() == parent:
            time.sleep(0.5)
        if not file.exists():
            make_file(file, SEED, number)
        number += 1


def judge(net: VoteNet, hands: Hands) -> tuple[float, float, float]:
    """Mean error, mm, of hands whose centre is found from depth alone; mean confidence of hands, and of no hands."""
    errors, sure, unsure = [], [], []
    net.eval()
    with torch.inference_mode():
        for at in torch.arange(len(hands)).split(128):
            depth, joints, half = hands.batch(at, None)
            found = net(depth)
            true = joints[:, 0, 0] < NOWHERE / 10
            off = (found.joints - joints).norm(dim=2).mean(dim=1) * half
            # Where the nearest thing is not the hand there is no hand to be found.
            right = true & (joints.abs().amax(dim=(1, 2)) < 1.2)
            errors.append(off[right])
            sure.append(net.confidence(found)[right])
            unsure.append(net.confidence(found)[~true])
    net.train()
    mm, yes, no = (float(torch.cat(values).mean()) for values in (errors, sure, unsure))
    return mm, yes, no


class Average:
    """A running average of weights, which is what is judged and shipped."""

    def __init__(self, net: VoteNet, share: float = 0.999) -> None:
        self.net, self.share = VoteNet(net.skeleton, SIZE, WIDTHS), share
        self.net.load_state_dict(net.state_dict())

    def follow(self, net: VoteNet, step: int) -> None:
        """One step of training was made."""
        share = min(self.share, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, its in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(its.to(mine.dtype), 1 - share)
                else:
                    mine.copy_(its)


def new_files(place: Path) -> Iterator[Path]:
    """Files in their order, each once; None where there is none yet."""
    number = 0
    while True:
        file = place / f"train-{number:05}.npz"
        if file.exists():
            number += 1
            yield file
        else:
            yield Path()


def train(place: Path, minutes: float, wanted: Any, start: Path | None = None) -> VoteNet:
    """Train until the minutes, those of earlier calls included, are over; from weights of a file if one is named."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    device = find_device("cpu", "auto")
    net = device.place(VoteNet(get_skeleton("msra21"), SIZE, WIDTHS))
    if start is not None:
        net.load_state_dict(restore_model(load_checkpoint(start), start).state_dict())
    average, step, spent = Average(net), 0, 0.0
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01, fused=True)
    if (place / "last.pt").exists():
        state = torch.load(place / "last.pt", weights_only=True)
        net.load_state_dict(state["net"])
        average.net.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    test, hands, files = Hands(TEST_CHUNKS * CHUNK * 5), Hands(MOST), new_files(place)
    for k in range(TEST_CHUNKS):
        file = place / f"test-{k}.npz"
        if not file.exists():
            make_file(file, TEST_SEED, k)
        test.add(file)
    rng = torch.Generator().manual_seed(SEED + step)
    began, last = time.monotonic() - spent, -math.inf
    while (now := time.monotonic() - began) < 60 * minutes:
        for file in files:
            if not file.name:
                break
            hands.add(file)
        if len(hands) < 1500:
            time.sleep(1)
            continue
        rate = RATE * max(0.5 * (1 + math.cos(math.pi * now / (60 * minutes))), 0.005) * min(1, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = rate
        depth, joints, _ = hands.batch(torch.randint(len(hands), (BATCH,), generator=rng), rng)
        with device.autocast():
            found = net(device.lay_out(depth))
        real = joints[:, 0, 0] < NOWHERE / 10
        pose = functional.smooth_l1_loss(found.joints[real], joints[real], beta=0.05)
        loss = POSE_WEIGHT * pose + vote_loss(found, depth, joints)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        step += 1
        wanted.value = FIRST + step * BATCH // (SEEN * 4 * CHUNK)
        average.follow(net, step)
        if now - last > JUDGED:
            last = now
            keep(place, net, average, optimizer, step, now, judge(average.net, test), len(hands), hands.added)
    keep(place, net, average, optimizer, step, now, judge(average.net, test), len(hands), hands.added)
    return average.net


def keep(
    place: Path, net: VoteNet, average: Average, optimizer: Any, step: int, spent: float,
    judged: tuple[float, float, float], hands: int, made: int,
) -> None:  # fmt: skip
    """The state, and a line of the log."""
    state = {"net": net.state_dict(), "average": average.net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**state, "step": step, "spent": spent}, place / "last.tmp")
    os.replace(place / "last.tmp", place / "last.pt")
    with open(place / "log.csv", "a", newline="") as f:
        csv.writer(f).writerow([round(spent, 1), step, made, *(round(v, 3) for v in judged)])
    print(f"{spent / 60:5.1f} min  step {step}  {made} hands made  {judged[0]:.2f} mm  "
          f"confidence {judged[1]:.2f}, without a hand {judged[2]:.2f}", flush=True)  # fmt: skip


def half_weights(net: VoteNet) -> dict[str, Tensor]:
    """Weights as they ship: numbers in float16."""
    return {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}


def ship(net: VoteNet, path: Path) -> int:
    """Write the weights as a checkpoint of gmaps; its size, bytes."""
    origin = net.origin or ("votes", {})
    save_checkpoint(path, {
        "network": origin[0], "model": origin[1], "skeleton": net.skeleton.to_dict(), "maps": {},
        "crop": {"size": SIZE, "half_side": HALF, "projection": "orthographic"}, "weights": half_weights(net),
    })  # fmt: skip
    return path.stat().st_size


def draw(log: Path, path: Path) -> None:
    """Error over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows: NDArray[np.float64] = np.loadtxt(log, delimiter=",", ndmin=2)
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(rows[:, 0] / 60, rows[:, 3], "o-", ms=3)
    axes.set_yscale("log")
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("mean error of unseen people, mm")
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training in all, those of earlier calls too")
    parser.add_argument("--folder", type=Path, required=True, help="keeps hands, checkpoints and log")
    parser.add_argument("--start", type=Path, help="weights to begin with, in the place of random ones")
    parser.add_argument("--out", type=Path, help="writes the weights there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    wanted = context.Value("l", FIRST)
    maker = context.Process(target=make_hands, args=(str(options.folder), wanted), daemon=True)
    maker.start()
    try:
        net = train(options.folder, options.minutes, wanted, options.start)
    finally:
        maker.terminate()
    draw(options.folder / "log.csv", options.folder / "curve.png")
    if options.out is not None:
        print(f"{options.out}: {ship(net, options.out):,} bytes")


if __name__ == "__main__":
    main()
