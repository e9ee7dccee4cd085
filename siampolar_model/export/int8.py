"""The search graph with 8-bit convolutions, fitted to photographs.

ONNX Runtime's static quantisation, and not NNCF: that gives every depth-wise convolution one scale
a channel for what flows in, which neither ONNX Runtime nor TensorRT runs in 8 bits.

Only convolutions are quantised; for TensorRT not those that see the image, which is an exact 8-bit
input only where there are zero points. What a convolution gives is rounded where the next one takes
it in, and nowhere else, so scores and pixels are not: rounding twice made outlines differ from fp32
three times as much. Ranges are the mean of the calibration crops' extremes.

Two files, with one set of weights: processors multiply unsigned by signed numbers, and ONNX Runtime
wants a zero point that says what a clamp says; TensorRT knows no zero points.
"""

from __future__ import annotations

import json
import logging
import shutil
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
from ..models.folder import INT8_FILE, TENSORRT_INT8_FILE, model_folder, sha256
from ..models.spec import ModelSpec
from .calibration import CropPair, crop_pairs
from .compare import Difference, difference
from .int8_input import center_on_level

#: Pairs of crops: two thirds to take the ranges from, a third to compare on.
PAIRS = 300

#: Below this mean overlap with the outlines of fp32 something is broken.
MIN_OUTLINE_IOU = 0.9


def quantize(
    model: str | Path,
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
        on_step: called with what is being done, how much of it is, and of how much.
        pairs: how many, see :data:`PAIRS`.

    Returns:
        How far each file's answers are from those of ``search.onnx``.

    Raises:
        DatasetError: too few photographs, or a damaged one.
        EngineError: no usable model.
        ExportError: a file whose answers are too far off; ``out`` stays as it was.
    """
    folder = model_folder(model)
    search = folder / "search.onnx"
    runtime = _session(search)
    metadata = runtime.get_modelmeta().custom_metadata_map
    spec = ModelSpec.from_metadata(metadata.get("siampolar"), search)
    feeds = []
    for feed in _feeds(folder, crop_pairs(photos, spec, pairs)):
        feeds.append(feed)
        on_step("crops", len(feeds), pairs)
    # Every third pair is for the comparison, so that both sides see all kinds of photographs.
    fitted = [feed for i, feed in enumerate(feeds) if i % 3]
    compared = feeds[::3]
    expected = [_run(runtime, feed) for feed in compared]
    about = json.loads(metadata["siampolar"])
    about |= {"precision": "int8", "derived_from_sha256": sha256(search)}
    about["calibration"] = {"crops": len(fitted), "photographs": photos.resolve().name}
    differences = {}
    with TemporaryDirectory() as unchecked:
        for number, (file, options) in enumerate(_OPTIONS.items()):
            on_step(file, number, len(_OPTIONS))
            path = Path(unchecked) / file
            _write(search, path, fitted, options, about)
            found = _session(path)
            differences[file] = difference([_run(found, feed) for feed in compared], expected)
            if not differences[file].outline_iou >= MIN_OUTLINE_IOU:
                raise ExportError(
                    f"{file}: outlines overlap those of fp32 by "
                    f"{differences[file].outline_iou:.2f} on average; {MIN_OUTLINE_IOU} are needed"
                )
        _install(folder, Path(unchecked), out)
    return differences


#: How each file differs, in the words of ``quantize_static``.
_OPTIONS: dict[str, dict[str, Any]] = {
    INT8_FILE: {"activation_type": QuantType.QUInt8, "extra_options": {}, "image": True},
    TENSORRT_INT8_FILE: {
        "activation_type": QuantType.QInt8,
        "image": False,
        # TensorRT takes no 32-bit integers for biases.
        "extra_options": {"ActivationSymmetric": True, "QuantizeBias": False},
    },
}


def first_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions that no other one precedes."""
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
    about: dict[str, Any],
) -> None:  # fmt: skip
    model = onnx.load(str(source))
    version, opsets = model.ir_version, {entry.domain for entry in model.opset_import}
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"  # to be excluded by
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
                "CalibMovingAverage": True,  # what ONNX Runtime calls the mean
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "QDQKeepRemovableActivations": True,  # runtimes drop them where they can
                "WeightSymmetric": True,
                **({"TensorQuantOverrides": image.overrides} if image else {}),
                **options["extra_options"],
            },
        )
    quantized = onnx.load(str(target))
    quantized.ir_version = version
    for entry in [one for one in quantized.opset_import if one.domain not in opsets]:
        quantized.opset_import.remove(entry)
    del quantized.metadata_props[:]
    onnx.helper.set_model_props(quantized, {"siampolar": json.dumps(about)})
    onnx.checker.check_model(quantized, full_check=True)
    onnx.save(quantized, str(target))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _feeds(folder: Path, pairs: Iterator[CropPair]) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of the search graph for each pair, with the features of its template."""
    template = _session(folder / "template.onnx")
    for pair in pairs:
        inputs = {"crop": pair.template[None], "box_xyxy": pair.box_xyxy[None]}
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


def _install(folder: Path, made: Path, out: Path) -> None:
    """The model's files and the new ones, with the hashes of all."""
    out.mkdir(parents=True, exist_ok=True)
    listed = [line.split(maxsplit=1)[1].lstrip("*") for line in _lines(folder / "SHA256SUMS")]
    names = [name for name in dict.fromkeys(listed) if name not in _OPTIONS]
    if out.resolve() != folder.resolve():
        for name in names:
            if (folder / name).is_file():
                shutil.copy2(folder / name, out / name)
    for name in _OPTIONS:
        shutil.move(made / name, out / name)
    lines = [line for line in _lines(folder / "SHA256SUMS") if line.split()[1] not in _OPTIONS]
    lines += [f"{sha256(out / name)}  {name}" for name in _OPTIONS]
    (out / "SHA256SUMS").write_text("".join(line + "\n" for line in lines))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without ONNX Runtime's advice, which it gives through the root logger."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
