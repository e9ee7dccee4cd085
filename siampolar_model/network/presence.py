"""Whether the target is in the search crop at all, scored from one summary of the crop.

The score of a cell compares its neighbourhood only, so the best of a thousand cells is often high
where there is no target. This score is computed from the best places together with the template.
"""

from __future__ import annotations

import torch
from torch import nn


class Presence(nn.Module):
    """Two layers on features pooled where the class map is high, and the template's mean.

    Args:
        width: channels of the fused, the search and the template features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4 * width + 1, 64), nn.ReLU(inplace=True), nn.Linear(64, 1)
        )

    def forward(
        self,
        class_logit: torch.Tensor,
        fused: torch.Tensor,
        search: torch.Tensor,
        template: torch.Tensor,
    ) -> torch.Tensor:
        """Logit (N,).

        Args:
            class_logit: (N, 1, H, W).
            fused, search: (N, C, H, W), after and before the correlation.
            template: (N, C), the template's mean feature.
        """
        logit = class_logit.flatten(1)
        weight = torch.softmax(logit, 1).unsqueeze(1)
        at_best, seen = (
            # Channels last, as convolutions leave them in memory.
            (weight @ maps.permute(0, 2, 3, 1).flatten(1, 2)).squeeze(1)
            for maps in (fused, search)
        )
        best = logit.amax(1, keepdim=True)
        out: torch.Tensor = self.layers(
            torch.cat([at_best, seen, template, seen * template, best], 1)
        )
        return out.squeeze(1)
