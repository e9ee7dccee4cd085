"""The names of TensorRT that are used, from whichever of its packages is installed.

``tensorrt`` builds and runs engines; ``tensorrt_lean`` only runs them. Neither is imported before
a name is asked for. Used as ``from . import api as trt``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import EngineError
from .cuda import driver_cuda_major
from .messages import Messages

if TYPE_CHECKING:
    # The same names from 10.3 to 11 (test/engines/test_tensorrt_api.py).
    from tensorrt import Builder as Builder
    from tensorrt import BuilderFlag as BuilderFlag
    from tensorrt import DataType as DataType
    from tensorrt import Dims as Dims
    from tensorrt import ExecutionContextAllocationStrategy as ExecutionContextAllocationStrategy
    from tensorrt import IBuilderConfig as IBuilderConfig
    from tensorrt import ICudaEngine as ICudaEngine
    from tensorrt import IExecutionContext as IExecutionContext
    from tensorrt import ILogger as ILogger
    from tensorrt import INetworkDefinition as INetworkDefinition
    from tensorrt import IProgressMonitor as IProgressMonitor
    from tensorrt import MemoryPoolType as MemoryPoolType
    from tensorrt import NetworkDefinitionCreationFlag as NetworkDefinitionCreationFlag
    from tensorrt import OnnxParser as OnnxParser
    from tensorrt import Runtime as Runtime
    from tensorrt import TensorIOMode as TensorIOMode

_T = TypeVar("_T")

_PACKAGES = ("tensorrt", "tensorrt_lean")
_UNUSABLE = "engine tensorrt cannot be used:"


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # asked for by Python itself
        raise AttributeError(name)
    return getattr(package(), name)


def package() -> ModuleType:
    """The installed package, the full one first.

    Raises:
        EngineError: neither is installed, or one cannot be loaded.
    """
    for name in _PACKAGES:
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise EngineError(f"{_UNUSABLE} {name} cannot be loaded: {error}") from error
            continue
        except (ImportError, OSError) as error:  # libraries of another CUDA version
            raise EngineError(f"{_UNUSABLE} {name} cannot be loaded: {error}") from error
        # Type stubs alone are importable too, as an empty package.
        if hasattr(module, "Runtime"):
            return module
    raise EngineError(
        f"{_UNUSABLE} neither {' nor '.join(_PACKAGES)} is installed (docs/jetson.md)"
    )


def version() -> str:
    """Version of the installed package, such as "10.3.0"."""
    return str(package().__version__)


def is_lean() -> bool:
    """Whether only the runtime without a builder is installed."""
    return package().__name__ == "tensorrt_lean"


def shape(dims: Dims) -> tuple[int, ...]:
    """The sizes as a tuple; dynamic ones are -1."""
    return tuple(int(dims[i]) for i in range(len(dims)))


def make_logger(
    messages: Messages, echo: Callable[[bool, str], None] = lambda is_error, text: None
) -> ILogger:
    """A logger that collects errors and warnings.

    TensorRT holds its logger where Python's collector cannot see it: ``messages`` and ``echo``
    must not lead back to an object that holds a TensorRT object.

    Args:
        echo: called with every collected text as well, and whether it is an error.
    """

    class Logger(package().ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:
            is_error = severity in (self.INTERNAL_ERROR, self.ERROR)
            if is_error or severity == self.WARNING:
                messages.add(is_error, msg)
                echo(is_error, msg)

    return Logger()


def construct(kind: Callable[[ILogger], _T], logger: ILogger, messages: Messages) -> _T:
    """A Runtime or a Builder, if it can be used.

    TensorRT contains a CUDA library of its own. If that one cannot use the driver, TensorRT 11
    returns an object whose first use ends the process with a segmentation fault, and older
    versions raise a TypeError. Only the log contains the reason.

    Args:
        kind: the class.
        logger: writes into ``messages``.

    Raises:
        EngineError: TensorRT cannot be used here.
    """
    messages.clear()
    try:
        made = kind(logger)
    except (RuntimeError, TypeError) as error:  # pybind11: factory function returned nullptr
        cause = messages.cause(otherwise=" ".join(str(error).split()))
        raise EngineError(f"{_UNUSABLE} {cause}{_driver_hint(messages)}") from None
    if messages.has_error:
        # Its destructor would end the process too, even at exit: it must never be called.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
        raise EngineError(f"{_UNUSABLE} {messages.cause()}{_driver_hint(messages)}")
    return made


def _driver_hint(messages: Messages) -> str:
    """Which TensorRT the driver asks for, if that is what went wrong."""
    major = driver_cuda_major() if messages.has_no_cuda else None
    if major is None:
        return ""
    name = "tensorrt-lean" if is_lean() else "tensorrt"
    return (
        f" (the driver supports CUDA {major}; TensorRT {version()} may be for a newer one: "
        f"pip install {name}-cu{major})"
    )
