"""What of the template's box is the target, drawn before anything is compared with it.

A box shows more than its target: of a swan's box two thirds are water. With the mean of the whole
box as the template, water counts as the target. What lies outside the box is certainly not the
target, so what looks like it inside is most likely not either.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .correlation import cell_overlap, weighted_mean
from .head import tower
from .neck import lateral

#: Channels from the coarsest to the finest stride.
WIDTHS = (64, 48, 32)

#: Likenesses of every place, see :meth:`TemplateMask._likeness`, and the box itself.
_HINTS = 4


#: How sharply a logit is cut: what is unlikely to be the target must hardly count, since there is
#: often more of it.
_SHARPNESS = 4.0

#: Least share of the box's cells, so that an empty mask means the whole box.
_LEAST = 0.01


def target_share(logit: torch.Tensor) -> torch.Tensor:
    """How much each place counts as the target, in (0, 1]."""
    return _LEAST + (1 - _LEAST) * torch.sigmoid(_SHARPNESS * logit)


def with_given(drawn: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """How much each place counts as the target where some of a mask is given.

    Args:
        drawn: (N, 1, h, w), in (0, 1], what counts where nothing is given.
        given: (N, h, w), share of the target in each cell; below 0 where it is not known.
    """
    given = given.unsqueeze(1).to(drawn.dtype)
    unknown = (-given).clamp(0, 1)
    known = _LEAST + (1 - _LEAST) * given.clamp(0, 1)
    return unknown * drawn + (1 - unknown) * known


def coverage(box_xyxy: torch.Tensor, stride: int, height: int, width: int) -> torch.Tensor:
    """Share of every cell that lies in a box: (N, 4) in crop pixels to (N, 1, height, width)."""
    x1, y1, x2, y2 = (box_xyxy / stride).unbind(1)
    rows, columns = cell_overlap(y1, y2, height), cell_overlap(x1, x2, width)
    return (rows[:, :, None] * columns[:, None, :]).unsqueeze(1)


class TemplateMask(nn.Module):
    """Decoder on the template's backbone, run once a target.

    Args:
        channels: of the backbone's features, finest first.
        strides: their strides, each twice the one before.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        widths = [*WIDTHS, *WIDTHS[-1:] * len(strides)][: len(strides)]
        self.laterals = nn.ModuleList(
            lateral(c, width) for c, width in zip(reversed(channels), widths, strict=True)
        )
        before = [widths[0], *widths[:-1]]
        self.enlarge = nn.ModuleList(
            nn.Conv2d(a, b, 1, bias=False) for a, b in zip(before[1:], widths[1:], strict=True)
        )
        self.towers = nn.ModuleList(tower(width + _HINTS, width, 2)[0] for width in widths)
        self.out = nn.Conv2d(widths[-1], 1, 3, padding=1)
        nn.init.normal_(self.out.weight, std=0.01)

    def forward(self, features: Sequence[torch.Tensor], box_xyxy: torch.Tensor) -> torch.Tensor:
        """Logits (N, 1, h, w) at the finest stride; they mean something inside the box only.

        Args:
            features: of the backbone, finest first.
            box_xyxy: (N, 4) in crop pixels.
        """
        x: torch.Tensor | None = None
        for i, (level, stride) in enumerate(
            zip(reversed(features), reversed(self.strides), strict=True)
        ):
            h, w = int(level.shape[2]), int(level.shape[3])
            seen = self.laterals[i](level)
            box = coverage(box_xyxy.to(seen.dtype), stride, h, w)
            hints = torch.cat([box, self._likeness(seen, box)], 1)
            if x is not None:
                enlarged = F.interpolate(self.enlarge[i - 1](x), scale_factor=2.0, mode="nearest")
                seen = seen + enlarged[:, :, :h, :w]
            x = self.towers[i](torch.cat([torch.relu(seen), hints], 1))
        assert x is not None
        logit: torch.Tensor = self.out(x)
        return logit

    @staticmethod
    def _likeness(seen: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
        """Cosines (N, 3, h, w) of every place with the most similar place outside the box, and with
        the means inside and outside."""
        h, w = int(seen.shape[2]), int(seen.shape[3])
        # At most 20 cells a side to compare with: finer ones would only cost time.
        cell = 2 if max(h, w) > 20 else 1
        places = F.normalize(seen, dim=1)
        known = F.normalize(F.avg_pool2d(seen, cell, ceil_mode=True), dim=1).flatten(2)
        inside = F.avg_pool2d(box, cell, ceil_mode=True).flatten(2)
        cosines = places.flatten(2).transpose(1, 2) @ known - 2 * (inside > 0.25).to(seen.dtype)
        nearest = cosines.amax(2).clamp(min=-1).view(-1, 1, h, w)
        means = [F.normalize(weighted_mean(seen, share), dim=1) for share in (box, 1 - box)]
        cosine = [(places * mean[:, :, None, None]).sum(1, keepdim=True) for mean in means]
        return torch.cat([nearest, *cosine], 1)
