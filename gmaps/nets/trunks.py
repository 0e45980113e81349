"""What networks begin with: a crop down to features of an eighth or a quarter of its rows, or to one vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmaps.errors import UsageError
from gmaps.nets.blocks import CONV, ConvPool, Residual, conv, norm, pool

#: VGG-19 up to its fourth block: channels of convolutions, and 0 where the maximum of 2 x 2 is taken.
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512)


class Trunk(nn.Module):
    """A crop (B, 1 or 3, S, S), resized where it is of another size, to features (B, C, S / step, S / step).

    Parameters
    ----------
    size
        S.
    step
        Of how many rows one is made.
    body
        The layers.
    colours
        Channels that they read; depth is given as often.
    loads
        Whether torchvision has weights of it.
    """

    def __init__(self, size: int, step: int, body: nn.Module, colours: int = 1, loads: bool = False) -> None:
        super().__init__()
        if size % step or not 4 <= size // step <= 512:
            raise UsageError(
                f"the trunk makes one row of {step}: size is a multiple of that, 4 to 512 rows of it, not {size}"
            )
        self.size, self.step, self.body, self.colours, self.loads = size, step, body, colours, loads

    def forward(self, crop: Tensor) -> Tensor:
        """(B, 1 or 3, S', S') -> (B, C, H, H)."""
        if crop.shape[-1] > self.size:
            crop = functional.adaptive_avg_pool2d(crop, self.size)
        elif crop.shape[-1] < self.size:
            crop = functional.interpolate(crop, size=(self.size, self.size))
        found: Tensor = self.body(crop.expand(-1, self.colours, -1, -1))
        return found

    def load(self, path: str) -> None:
        """Weights of the convolutions from a file of torchvision's.

        Raises
        ------
        UsageError
            It cannot be read, or holds other layers; or this trunk has none that fit.
        """
        if not self.loads:
            raise UsageError("pretrained weights are of the trunk vgg19: leave out pretrained, or say trunk=vgg19")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            own = self.body[0].state_dict()  # type: ignore[index]
            found = {name: state[f"features.{name}"] for name in own}
            self.body[0].load_state_dict(found)  # type: ignore[index]
        except Exception as error:  # whatever a file that is none makes torch raise
            raise UsageError(
                f"{path} holds no weights of VGG-19 ({type(error).__name__}: {error}): give torchvision's "
                "vgg19-dcbb9e9d.pth"
            ) from None


def crop_encoder(
    size: int, stem: tuple[int, ...], width: int, head: tuple[int, ...], hidden: int, inputs: int = 1
) -> nn.Sequential:
    """A crop (B, inputs, S, S) to a vector (B, hidden).

    Parameters
    ----------
    size
        S, a multiple of 2 to the power of the number of layers that halve it: those of `stem` and of `head`.
    stem
        Channels of the layers that halve it first.
    width
        Channels after these, a multiple of 4.
    head
        Channels of the layers that halve it further.
    hidden
        Numbers that come out.
    inputs
        Channels of the crop.

    Raises
    ------
    UsageError
        Sizes that cannot be.
    """
    least = 2 ** (len(stem) + len(head))
    if size % least or min((size, width, hidden, *stem, *head)) < 1 or width % 4:
        raise UsageError(f"size is a multiple of {least}, widths are positive, width a multiple of 4")
    if max((size, width, hidden, *stem, *head)) > 2**14:
        raise UsageError("size and widths are at most 16,384")
    before = inputs
    layers: list[nn.Module] = []
    for k, channels in enumerate(stem):
        layers += [conv(2, before, channels, 5 if k == 0 else 3, stride=2 if k == 0 else 1)]
        layers += [pool(2)] if k else []
        before = channels
    layers += [conv(2, before, width, 3), Residual(width), Residual(width)]
    before = width
    for channels in head:
        layers.append(ConvPool(before, channels))
        before = channels
    layers += [CONV[2](before, hidden, size // least, bias=False), norm(2, hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Flatten())


def vgg19(size: int, width: int, colours: int = 1) -> Trunk:
    """VGG-19's layers to the end of its fourth block, numbered as torchvision's are, and three more.

    It reads three channels, of depth as of colour.
    """
    layers: list[nn.Module] = []
    before = 3
    for channels in _VGG:
        if not channels:
            layers.append(nn.MaxPool2d(2))
            continue
        layer = nn.Conv2d(before, channels, 3, padding=1)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        layers += [layer, nn.ReLU(inplace=True)]
        before = channels
    last = nn.Sequential(conv(2, before, 512, 3), conv(2, 512, 512, 3), conv(2, 512, width, 3))
    return Trunk(size, 8, nn.Sequential(nn.Sequential(*layers), last), 3, loads=True)


def handmap(size: int, width: int, colours: int = 1) -> Trunk:
    """HandMap's stem, of depth or of colours."""
    if width % 4:
        raise UsageError(f"the trunk handmap has a width that is a multiple of 4, not {width}")
    body = nn.Sequential(
        conv(2, colours, 16, 5, stride=2), conv(2, 16, 32, 3), pool(2), conv(2, 32, width, 3), Residual(width, 2)
    )
    return Trunk(size, 4, body, colours)


TRUNKS: dict[str, Callable[[int, int, int], Trunk]] = {"vgg19": vgg19, "handmap": handmap}
