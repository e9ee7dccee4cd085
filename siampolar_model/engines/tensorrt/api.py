"""The names of TensorRT that are used, from whichever of its packages is installed.

``tensorrt`` builds and runs engines; ``tensorrt_lean`` only runs them. Neither is imported before
a name is asked for. Used as ``from . import tensorrt_api as trt``.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...errors import EngineError

if TYPE_CHECKING:
    # From 10.3 to 11 alike (test/engines/test_tensorrt_api.py).
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
    """Of the installed package, such as "10.3.0"."""
    return str(package().__version__)


def is_lean() -> bool:
    """Whether only the runtime without a builder is installed."""
    return package().__name__ == "tensorrt_lean"


def shape(dims: Dims) -> tuple[int, ...]:
    """As a tuple; dynamic sizes are -1."""
    return tuple(int(dims[i]) for i in range(len(dims)))


def make_logger(on_message: Any) -> ILogger:
    """A logger that hands errors and warnings to ``on_message(is_error, text)``.

    TensorRT says in its log alone why something failed.
    """

    class Logger(package().ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:
            if severity in (self.INTERNAL_ERROR, self.ERROR):
                on_message(True, msg)
            elif severity == self.WARNING:
                on_message(False, msg)

    return Logger()
