"""NVIDIA's ONNX parser, from TensorRT for RTX: it runs without a GPU."""

from __future__ import annotations

from pathlib import Path

import tensorrt_rtx_bindings as rtx


def parser_errors(path: Path) -> list[str]:
    """What the parser finds wrong with an ONNX file; empty if it reads all of it."""
    logger = rtx.Logger(rtx.Logger.INTERNAL_ERROR)
    builder = rtx.Builder(logger)
    strongly_typed = 1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)  # not held by the parser
    parser = rtx.OnnxParser(network, logger)
    parsed = parser.parse(path.read_bytes())
    errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    assert parsed == (not errors)
    return errors
