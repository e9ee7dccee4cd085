"""The search graph with 8-bit convolutions, fitted to photographs.

Made with ONNX Runtime's static quantization. NNCF was not used: it gives the input of a depth-wise
convolution one scale per channel, which neither ONNX Runtime nor TensorRT runs in 8 bits.

Only convolutions are quantized. For TensorRT the first one stays in float: without zero points the
image cannot be represented exactly. Activations are quantized at the input of the next convolution
only, so scores and coordinates stay in float; with rounding at outputs as well, outlines differed
from fp32 three times as much. Ranges are the mean of the extremes of all calibration crops.

Two files with the same weights: processors multiply unsigned by signed numbers, and ONNX Runtime
uses the zero point to express the lower clamp (ReLU); TensorRT does not support zero points.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from ..engines.base import Candidates
from ..errors import EngineError, ExportError
from ..models.folder import (
    INT8_FILE,
    SEARCH_FILE,
    TEMPLATE_FILE,
    TENSORRT_INT8_FILE,
    ModelFolder,
)
from .calibration import CropPair, crop_pairs
from .compare import Difference, difference
from .int8_input import center_on_level
from .metadata import derived_from, write_metadata

#: Pairs of crops: two thirds for the ranges, one third to compare with fp32.
PAIRS = 300

#: Below this mean IoU with the outlines of fp32, a quantized graph is refused.
MIN_OUTLINE_IOU = 0.9


def quantize(
    model: str | Path | ModelFolder,
    photos: Path,
    out: Path,
    on_step: Callable[[str, int, int], None] = lambda name, done, total: None,
    pairs: int = PAIRS,
) -> dict[str, Difference]:
    """Write both INT8 files of a model, and the rest of its folder, into ``out``.

    Args:
        model: shipped model, or the folder of one.
        photos: see :data:`siampolar_model.export.calibration.LAYOUT`.
        out: may be the model's own folder.
        on_step: called with the name of the step, how much of it is done, and the total.
        pairs: number of photographs, see :data:`PAIRS`.

    Returns:
        By file name, how far its results are from those of ``search.onnx``.

    Raises:
        DatasetError: too few photographs, or a damaged one.
        EngineError: the model cannot be used.
        ExportError: the results of a file are too far off; ``out`` stays as it was.
    """
    folder = ModelFolder.open(model)
    search = folder.file(SEARCH_FILE)
    runtime = _session(search)
    feeds = []
    for feed in _feeds(folder.file(TEMPLATE_FILE), crop_pairs(photos, folder.spec, pairs)):
        feeds.append(feed)
        on_step("crops", len(feeds), pairs)
    # Every third pair is for the comparison, so that both sides see all kinds of photographs.
    fitted = [feed for i, feed in enumerate(feeds) if i % 3]
    compared = feeds[::3]
    expected = [_run(runtime, feed) for feed in compared]
    calibration = {"crops": len(fitted), "photographs": photos.resolve().name}
    differences = {}
    with TemporaryDirectory() as unchecked:
        for number, (file, options) in enumerate(_OPTIONS.items()):
            on_step(file, number, len(_OPTIONS))
            path = Path(unchecked) / file
            _write(search, path, fitted, options, calibration)
            found = _session(path)
            differences[file] = difference([_run(found, feed) for feed in compared], expected)
            if not differences[file].outline_iou >= MIN_OUTLINE_IOU:
                raise ExportError(
                    f"{file}: the mean IoU with the outlines of fp32 is "
                    f"{differences[file].outline_iou:.2f}; at least {MIN_OUTLINE_IOU} is needed"
                )
        folder.copy_to(out).add(*(Path(unchecked) / file for file in _OPTIONS))
    return differences


#: How the files differ: arguments of ``quantize_static``, and in ``image`` whether the first
#: convolution reads the image as 8-bit numbers.
_OPTIONS: dict[str, dict[str, Any]] = {
    INT8_FILE: {"activation_type": QuantType.QUInt8, "extra_options": {}, "image": True},
    TENSORRT_INT8_FILE: {
        "activation_type": QuantType.QInt8,
        "image": False,
        # TensorRT does not accept biases as 32-bit integers.
        "extra_options": {"ActivationSymmetric": True, "QuantizeBias": False},
    },
}


def first_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions that do not depend on another one."""
    makers = {name: node for node in graph.node for name in node.output}

    def is_first(node: onnx.NodeProto) -> bool:
        seen: set[str] = set()
        waiting = list(node.input)
        while waiting:
            name = waiting.pop()
            maker = makers.get(name)
            if maker is None or name in seen:
                continue
            if maker.op_type == "Conv":
                return False
            seen.add(name)
            waiting += maker.input
        return True

    return [node.name for node in graph.node if node.op_type == "Conv" and is_first(node)]


def _write(
    source: Path, target: Path, feeds: list[dict[str, np.ndarray]], options: dict[str, Any],
    calibration: dict[str, Any],
) -> None:  # fmt: skip
    model = onnx.load(str(source))
    about = {**derived_from(source, model, "int8"), "calibration": calibration}
    version, opsets = model.ir_version, {entry.domain for entry in model.opset_import}
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"  # nodes_to_exclude needs names
    try:
        image = center_on_level(model) if options["image"] else None
    except ValueError as error:
        raise ExportError(f"{source}: {error}; export the model again") from None
    with _quiet():
        quantize_static(
            model,
            str(target),
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[] if image else first_convolutions(model.graph),
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=options["activation_type"],
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "CalibMovingAverage": True,  # ONNX Runtime's name for the mean of all extremes
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "QDQKeepRemovableActivations": True,  # runtimes remove them where they can
                "WeightSymmetric": True,
                **({"TensorQuantOverrides": image.overrides} if image else {}),
                **options["extra_options"],
            },
        )
    quantized = onnx.load(str(target))
    quantized.ir_version = version
    for entry in [one for one in quantized.opset_import if one.domain not in opsets]:
        quantized.opset_import.remove(entry)
    write_metadata(quantized, about)
    onnx.checker.check_model(quantized, full_check=True)
    onnx.save(quantized, str(target))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _feeds(path: Path, pairs: Iterator[CropPair]) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of the search graph for each pair; ``path`` is the template graph."""
    template = _session(path)
    # A mask that may be given is not.
    absent = {
        one.name: np.full((1, *one.shape[1:]), -1, np.float32)
        for one in template.get_inputs()
        if one.name == "mask"
    }
    for pair in pairs:
        inputs = {"crop": pair.template[None], "box_xyxy": pair.box_xyxy[None], **absent}
        features = template.run(None, inputs)[0]
        yield {"crops": pair.search[None], "features": features, "prior": pair.prior[None]}


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has one exception class per status code
        raise EngineError(f"{path}: {str(error).splitlines()[0]}") from error


def _run(session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> Candidates:
    return Candidates(*session.run(None, feed))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the advice that ONNX Runtime gives through the root logger."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
