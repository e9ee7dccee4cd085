"""Training and validation make every tensor where the network is, so that they run on a GPU.

Most machines that run these tests have no GPU: fake tensors of torch stand for it. They hold no
values but know their device, and refuse to be mixed with those of another one.
"""

from __future__ import annotations

import pytest

pytest.importorskip("timm")
import torch
import yaml
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from siampolar_model.export.onnx_export import example_inputs
from siampolar_model.network.config import config_from_dict
from siampolar_model.network.graphs import SearchGraph, TemplateGraph, normalise
from siampolar_model.network.siampolar import SiamPolar
from siampolar_training.data.labels import no_target
from siampolar_training.run.losses import head_losses
from support.lightning_runs import EVERYTHING, NETWORK

CONFIG = config_from_dict(yaml.safe_load(NETWORK + EVERYTHING))


def test_nothing_is_made_on_the_cpu() -> None:
    targets = {key: torch.from_numpy(value)[None] for key, value in vars(no_target(36)).items()}
    inputs = example_inputs(CONFIG, 1)
    size = CONFIG.search_size
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=False):
        with torch.device("cuda"):
            model = SiamPolar(CONFIG)
            graphs = TemplateGraph(model), SearchGraph(model)
            batch = {key: torch.zeros(v.shape, dtype=v.dtype) for key, v in targets.items()}
            batch["mask"] = torch.zeros((1, size, size), dtype=torch.uint8)
            of_template = (1, CONFIG.template_size, CONFIG.template_size)
            batch["template_mask"] = torch.zeros(of_template, dtype=torch.uint8)
            crop, box, crops, features, prior, mask = (
                torch.zeros(v.shape, dtype=v.dtype) for v in inputs.values()
            )
        with pytest.raises(RuntimeError, match="same device"):
            batch["weight"] + torch.zeros(12)
        model.train()
        maps = model(
            normalise(crop, model.template_backbone.statistics),
            box,
            normalise(crops, model.search_backbone.statistics),
        )
        losses = head_losses(maps, batch)
        model.eval()
        outputs = [graphs[0](crop, box, mask), *graphs[1](crops, features, prior)]
    assert set(losses) == {"class", "mask", "box", "quality", "template", "presence"}
    assert {value.device.type for value in [*losses.values(), *outputs]} == {"cuda"}
