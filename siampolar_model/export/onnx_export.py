"""Exports a network from torch to ONNX, as a model folder that every engine reads.

It holds two graphs (network/graphs.py), whose only dynamic axis is N. The folder is written only if
ONNX Runtime gives the same results as torch.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..engines.base import Candidates, Prior
from ..errors import ExportError
from ..models.folder import FP16_FILE, SEARCH_FILE, TEMPLATE_FILE, WEIGHTS_FILE, ModelFolder
from ..models.spec import MASK_CELL_PX
from ..network.checkpoint import save_network
from ..network.config import NetworkConfig
from ..network.correlation import PARTS
from ..network.graphs import SearchGraph, TemplateGraph, spec_of
from ..network.siampolar import SiamPolar
from .fp16 import write_fp16
from .metadata import write_metadata

#: The newest opset that ONNX Runtime 1.12, the oldest tested, supports. TensorRT 10 and OpenVINO
#: support it too.
OPSET = 17


def example_inputs(config: NetworkConfig, n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random but plausible inputs of both graphs for N targets, by name."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    t, s = config.template_size, config.search_size
    columns = PARTS + 1 + config.template_mask + 2 * config.ridge
    cells = -(-t // MASK_CELL_PX)
    middle = torch.tensor(Prior(0.3, 0.15, s / 4, s / 4, s / 2, s / 2))
    return {
        "crop": (noise(n, t, t, 3) * 255).to(torch.uint8),
        "box_xyxy": torch.tensor([[t * 0.25, t * 0.2, t * 0.75, t * 0.8]]).repeat(n, 1),
        "crops": (noise(n, s, s, 3) * 255).to(torch.uint8),
        "features": noise(n, len(config.levels), config.width, columns) - 0.5,
        "prior": middle.repeat(n, 1) * (0.8 + 0.4 * noise(n, len(middle))),
        "mask": noise(n, cells, cells) * 2 - 1,
    }


def export(
    model: SiamPolar, folder: str | Path, about: dict[str, Any] | None = None
) -> ModelFolder:
    """Write a model folder: both graphs, ``search.fp16.onnx``, ``weights.safetensors``, model.json.

    Args:
        model: a trained network. It is not modified.
        folder: made if it does not exist; its model files are replaced.
        about: what to write into model.json and the ONNX files besides the network's configuration
            (training data, commit, scores).

    Raises:
        ExportError: the network ignores an input, or ONNX Runtime and torch disagree.
    """
    spec = spec_of(model)
    about = {"network": asdict(model.config), **(about or {})}
    with tempfile.TemporaryDirectory() as unchecked:
        files = _export(model, Path(unchecked), {"spec": asdict(spec), **about})
        return ModelFolder.write(Path(folder), spec, files, about)


def _export(model: SiamPolar, folder: Path, metadata: dict[str, Any]) -> list[Path]:
    weights = folder / WEIGHTS_FILE
    save_network(weights, model)
    exact, folded = copy.deepcopy(model).eval(), _without_batch_norms(model)
    for backbone in (folded.template_backbone, folded.search_backbone):
        backbone.fold_colours()
    folded.head.join_outs()
    config = model.config
    inputs = example_inputs(config, 2)
    template_inputs = ("crop", "box_xyxy", *(("mask",) if config.given_mask else ()))
    outputs = Candidates.names(spec_of(model))
    graphs: tuple[tuple[str, type[nn.Module], tuple[str, ...], tuple[str, ...]], ...] = (
        (TEMPLATE_FILE, TemplateGraph, template_inputs, ("features",)),
        (SEARCH_FILE, SearchGraph, ("crops", "features", "prior"), outputs),
    )
    for file, graph, names, given_back in graphs:
        given = {k: inputs[k] for k in names}
        _write(graph(folded).eval(), given, given_back, folder / file, metadata)
        other = {k: example_inputs(config, 3, 1)[k] for k in names}
        _compare(graph(exact).eval(), other, folder / file)
    write_fp16(folder / SEARCH_FILE, folder / FP16_FILE)
    return [folder / file for file in (TEMPLATE_FILE, SEARCH_FILE, FP16_FILE, WEIGHTS_FILE)]


def _write(
    graph: nn.Module,
    inputs: dict[str, torch.Tensor],
    outputs: tuple[str, ...],
    path: Path,
    metadata: dict[str, Any],
) -> None:
    with warnings.catch_warnings():
        # Only the tracing exporter (dynamo=False) still writes opset 17.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: "N"} for name in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    # Fold the shape arithmetic that tracing leaves behind: only N is unknown.
    # onnxslim is not used: version 0.1.98 gave a template graph with other results.
    proto, _ = onnxsim.simplify(onnx.load(str(path)))
    proto.ir_version = 8  # the newest that ONNX Runtime 1.12 reads
    unused = set(inputs) - {one.name for one in proto.graph.input}
    if unused:
        raise ExportError(
            f"{path.name} cannot be exported: the network does not use its input "
            f"{', '.join(sorted(unused))} (a network with `correlation: constant` looks for the "
            "same thing whatever its template shows)"
        )
    _fix_output_shapes(proto, graph, inputs)
    write_metadata(proto, metadata)
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


def _fix_output_shapes(
    proto: onnx.ModelProto, graph: nn.Module, inputs: dict[str, torch.Tensor]
) -> None:
    """Write the shapes of the outputs into the graph: tracing leaves them open, but only N is."""
    with torch.inference_mode():
        values = graph(*inputs.values())
    for output, value in zip(
        proto.graph.output, values if isinstance(values, tuple) else (values,), strict=True
    ):
        shape = output.type.tensor_type.shape
        del shape.dim[:]
        shape.dim.add().dim_param = "N"
        for size in value.shape[1:]:
            shape.dim.add().dim_value = size


def _compare(graph: nn.Module, inputs: dict[str, torch.Tensor], path: Path) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    actual = session.run(None, {k: v.numpy() for k, v in inputs.items()})
    with torch.inference_mode():
        expected = graph(*inputs.values())
    for name, a, e in zip(
        [o.name for o in session.get_outputs()],
        actual,
        expected if isinstance(expected, tuple) else (expected,),
        strict=True,
    ):
        error = float(np.max(np.abs(a - e.numpy()) / (1 + np.abs(e.numpy()))))
        if not error < 1e-3:
            raise ExportError(f"{path.name}: {name} differs by {error:.2g} between ONNX and torch")


def _without_batch_norms(model: SiamPolar) -> SiamPolar:
    """A copy in eval mode with every batch norm folded into the convolution before it."""
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        previous: nn.Conv2d | None = None
        for name, child in list(module.named_children()):
            if previous is not None and isinstance(child, nn.BatchNorm2d):
                assert child.running_mean is not None and child.running_var is not None
                weight, bias = fuse_conv_bn_weights(
                    previous.weight, previous.bias, child.running_mean, child.running_var,
                    child.eps, child.weight, child.bias,
                )  # fmt: skip
                previous.weight, previous.bias = weight, bias
                # timm's batch norm carries its activation.
                setattr(module, name, getattr(child, "act", nn.Identity()))
            previous = child if isinstance(child, nn.Conv2d) else None
    return folded
