"""torch to ONNX: a model folder that every engine reads.

Two graphs (network/graphs.py) whose only dynamic axis is N. Checked before it is left behind:
ONNX Runtime gives what torch gives.
"""

from __future__ import annotations

import copy
import json
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

from ..errors import ExportError
from ..models.folder import FILES, FP16_FILE, INT8_FILE, TENSORRT_INT8_FILE, sha256
from ..models.spec import MASK_CELL_PX
from ..network.checkpoint import save_network
from ..network.config import NetworkConfig
from ..network.correlation import PARTS
from ..network.graphs import SearchGraph, TemplateGraph, spec_of
from ..network.siampolar import SiamPolar
from .fp16 import write_fp16

#: ONNX Runtime 1.12 (the oldest tested) ends at 17; TensorRT 10 and OpenVINO know it too.
OPSET = 17

OUTPUTS = ("score", "quality", "box_xyxy", "center_xy", "rays_px")


def example_inputs(config: NetworkConfig, n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random but plausible inputs of both graphs for N targets, by name."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    t, s = config.template_size, config.search_size
    columns = PARTS + 1 + config.template_mask + 2 * config.ridge
    cells = -(-t // MASK_CELL_PX)
    middle = torch.tensor([0.3, 0.15, s / 4, s / 4, s / 2, s / 2])
    return {
        "crop": (noise(n, t, t, 3) * 255).to(torch.uint8),
        "box_xyxy": torch.tensor([[t * 0.25, t * 0.2, t * 0.75, t * 0.8]]).repeat(n, 1),
        "crops": (noise(n, s, s, 3) * 255).to(torch.uint8),
        "features": noise(n, len(config.levels), config.width, columns) - 0.5,
        "prior": middle.repeat(n, 1) * (0.8 + 0.4 * noise(n, 6)),
        "mask": noise(n, cells, cells) * 2 - 1,
    }


def export(model: SiamPolar, folder: str | Path, about: dict[str, Any] | None = None) -> Path:
    """Write both ONNX files, ``search.fp16.onnx``, ``weights.safetensors`` and ``SHA256SUMS``.

    Args:
        model: a trained network; it is not changed.
        folder: made if it does not exist; its files are replaced.
        about: what else than the network's configuration belongs into the files' metadata
            (training data, commit, scores).

    Raises:
        ExportError: ONNX Runtime and torch disagree.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as unchecked:
        files = _export(model, Path(unchecked), about or {})
        sums = [f"{sha256(path)}  {path.name}\n" for path in files]
        for path in files:
            path.replace(folder / path.name)
    for derived in (INT8_FILE, TENSORRT_INT8_FILE):  # from the graph that was just replaced
        (folder / derived).unlink(missing_ok=True)
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def _export(model: SiamPolar, folder: Path, about: dict[str, Any]) -> list[Path]:
    weights = folder / "weights.safetensors"
    save_network(weights, model)
    exact, folded = copy.deepcopy(model).eval(), _without_batch_norms(model)
    for backbone in (folded.template_backbone, folded.search_backbone):
        backbone.fold_colours()
    folded.head.join_outs()
    config = model.config
    spec = asdict(spec_of(model))
    metadata = {"siampolar": json.dumps({"spec": spec, "network": asdict(config), **about})}
    inputs = example_inputs(config, 2)
    template_inputs = ("crop", "box_xyxy", *(("mask",) if config.given_mask else ()))
    graphs: tuple[tuple[str, type[nn.Module], tuple[str, ...], tuple[str, ...]], ...] = (
        ("template.onnx", TemplateGraph, template_inputs, ("features",)),
        ("search.onnx", SearchGraph, ("crops", "features", "prior"), OUTPUTS),
    )
    for file, graph, names, outputs in graphs:
        given = {k: inputs[k] for k in names}
        _write(graph(folded).eval(), given, outputs, folder / file, metadata)
        other = {k: example_inputs(config, 3, 1)[k] for k in names}
        _compare(graph(exact).eval(), other, folder / file)
    write_fp16(folder / "search.onnx", folder / FP16_FILE)
    return [*(folder / file for file in (*FILES, FP16_FILE)), weights]


def _write(
    graph: nn.Module,
    inputs: dict[str, torch.Tensor],
    outputs: tuple[str, ...],
    path: Path,
    metadata: dict[str, str],
) -> None:
    with warnings.catch_warnings():
        # The tracing exporter is the one that still writes opset 17.
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
    # Folds the shape arithmetic that tracing leaves behind: only N is unknown.
    # (onnxslim 0.1.98 gave a template graph with other results.)
    proto, _ = onnxsim.simplify(onnx.load(str(path)))
    proto.ir_version = 8  # ONNX Runtime 1.12 again
    _fix_output_shapes(proto, graph, inputs)
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


def _fix_output_shapes(
    proto: onnx.ModelProto, graph: nn.Module, inputs: dict[str, torch.Tensor]
) -> None:
    """Write down what tracing does not know: only N varies in what comes out."""
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
    """A copy in eval mode whose batch norms are folded into the convolution before them."""
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
