"""ONNX Runtime's execution providers: which the installed package has, and whether they are used.

ONNX Runtime goes on with the CPU where a provider cannot start, and says so only in its own log.
Here that is an error, and how many nodes were left to the CPU is counted where it can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from ..errors import EngineError
from ..models.folder import FP16_FILE, INT8_FILE, SEARCH_FILE

#: The search graph by precision.
SEARCH_FILES = {"fp32": SEARCH_FILE, "fp16": FP16_FILE, "int8": INT8_FILE}

_CPU = "CPUExecutionProvider"
_NODE_COUNT = "session.record_ep_graph_assignment_info"


@dataclass(frozen=True)
class Provider:
    """One way in which ONNX Runtime computes.

    Attributes:
        label: ONNX Runtime's own name for it.
        packages: distributions of ONNX Runtime that have it, for messages.
        precisions: what it can compute in; "auto" takes the first possible one.
        on_gpu: the graph's inputs and outputs lie in the memory of a CUDA device.
        options: what ONNX Runtime passes on to it.
    """

    label: str
    packages: str
    precisions: tuple[str, ...]
    on_gpu: bool = False
    options: tuple[tuple[str, str], ...] = ()


#: By the names that ``provider:`` takes, which are those of base.PROVIDERS.
PROVIDERS = {
    "cpu": Provider(_CPU, "onnxruntime", ("int8", "fp32")),
    "cuda": Provider(
        "CUDAExecutionProvider", "onnxruntime-gpu", ("fp16", "fp32"), True, (("use_tf32", "0"),)
    ),
    "tensorrt": Provider("TensorrtExecutionProvider", "onnxruntime-gpu", ("fp16", "fp32"), True),
    "openvino": Provider(
        "OpenVINOExecutionProvider", "onnxruntime-openvino", ("int8", "fp32"), False,
        (("device_type", "CPU"), ("precision", "FP32")),
    ),
    "coreml": Provider("CoreMLExecutionProvider", "onnxruntime on macOS", ("fp32",)),
    "xnnpack": Provider(
        "XnnpackExecutionProvider", "onnxruntime built with --use_xnnpack", ("fp32",)
    ),
}  # fmt: skip


def installed_provider(name: str) -> Provider:
    """The provider of a name.

    Raises:
        EngineError: the installed ONNX Runtime does not have it; the message lists those it has.
    """
    provider = PROVIDERS[name]
    has = ort.get_available_providers()
    if provider.label not in has:
        ours = ", ".join(key for key, one in PROVIDERS.items() if one.label in has)
        raise EngineError(
            f"ONNX Runtime {ort.__version__} as installed here has no provider {name}; it has "
            f"{ours}; install {provider.packages} in its place"
        )
    return provider


def open_session(
    path: Path, provider: Provider, options: ort.SessionOptions
) -> tuple[ort.InferenceSession, tuple[int, int] | None]:
    """A loaded graph, and how many of its nodes run on the provider, and how many there are.

    Args:
        options: changed to have the nodes counted.

    Returns:
        The session; None in place of the numbers where ONNX Runtime cannot tell (before 1.24).

    Raises:
        EngineError: the file cannot be loaded, or the provider did not start or took no node.
    """
    counted = provider.label != _CPU
    if counted:
        options.add_session_config_entry(_NODE_COUNT, "1")
    providers: list[Any] = [(provider.label, dict(provider.options))]
    if counted:
        providers.append(_CPU)
    try:
        session = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime has one exception class per status code
        reason = str(error).splitlines()[0]
        raise EngineError(f"ONNX Runtime cannot load {path}: {reason}") from error
    # A call that fails must fail, and not be repeated on the CPU.
    session.disable_fallback()
    if provider.label not in session.get_providers():
        raise EngineError(
            f"ONNX Runtime could not start its {provider.label} and would run {path.name} on the "
            "CPU; its own messages above say why (a driver or a library is missing)"
        )
    share = _share(session, provider) if counted else None
    if share is not None and share[0] == 0:
        raise EngineError(
            f"ONNX Runtime's {provider.label} takes no node of {path.name}; all would run on the "
            "CPU"
        )
    return session, share


def _share(session: ort.InferenceSession, provider: Provider) -> tuple[int, int] | None:
    """Nodes on the provider and nodes in all, as ONNX Runtime divided the graph."""
    try:
        parts = session.get_provider_graph_assignment_info()
    except AttributeError:
        return None
    nodes = [(part.ep_name, len(part.get_nodes())) for part in parts]
    return sum(count for name, count in nodes if name == provider.label), sum(n for _, n in nodes)
