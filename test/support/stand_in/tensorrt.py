"""Stand-in for tensorrt on machines without a GPU; see README.md in this folder.

Its classes have only names that the real packages have, which test_tensorrt_api.py checks. What
may go wrong on a real machine is chosen by the variables at the top.
"""

from __future__ import annotations

import ctypes
import enum
import json
import weakref
from importlib import import_module
from typing import Any

import numpy as np
import onnxruntime

cuda = import_module("cuda.bindings.runtime")

__version__ = "10.3.0"

#: What a Runtime or Builder is where TensorRT's own CUDA library cannot use the driver: "" works;
#: "null" is the object of TensorRT 11, whose first use ends the process; "TypeError" is raised by
#: older versions.
without_driver = ""

#: What happens to a network that is enqueued during a capture: "" works, "refused" or "invalid",
#: where a forbidden call spoils the capture.
capture_failure = ""

#: Texts that the builder logs as errors before it gives up; none: it builds.
build_errors: list[str] = []

#: Whether an engine with a single fixed profile names that batch size instead of -1.
names_fixed_batch = False

_NO_DRIVER = (
    "createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: 35 "
    "In checkCudaInstallation)"
)
#: TensorRT logs the cause first and its consequences after it.
_CONSEQUENCE = "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime ()"


class _SegmentationFault(BaseException):
    """Stands for the end of the process."""


class _Null:
    """An object around a null pointer."""

    def __getattribute__(self, name: str) -> Any:
        raise _SegmentationFault(name)

    def __del__(self) -> None:
        cuda.log.append("segmentation fault")


def _without_driver(logger: ILogger) -> Any:
    """The object to be returned in place of a usable one, or None if there is a driver."""
    if without_driver == "TypeError":
        logger.log(ILogger.WARNING, _NO_DRIVER)
        raise TypeError("pybind11::init(): factory function returned nullptr")
    if without_driver == "null":
        logger.log(ILogger.ERROR, _NO_DRIVER)
        logger.log(ILogger.ERROR, _CONSEQUENCE)
        return _Null()
    return None


_ORT_TYPES = {"tensor(float)": "FLOAT", "tensor(uint8)": "UINT8", "tensor(int64)": "INT64"}
_DTYPES = {"FLOAT": np.float32, "UINT8": np.uint8, "INT64": np.int64}


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...

    def step_complete(self, phase_name: str, step: int) -> bool:
        return True

    def phase_finish(self, phase_name: str) -> None: ...


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(enum.IntEnum):
    TF32, VERSION_COMPATIBLE, EXCLUDE_LEAN_RUNTIME = range(3)


class MemoryPoolType(enum.IntEnum):
    WORKSPACE = 0


class TensorIOMode(enum.IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class ExecutionContextAllocationStrategy(enum.IntEnum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class DataType(enum.IntEnum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, INT64 = range(7)


class Dims:
    """Indexed like a tuple, and no more: the real one is not one either."""

    def __init__(self, shape: Any) -> None:
        self._shape = tuple(shape)

    def __len__(self) -> int:
        return len(self._shape)

    def __getitem__(self, index: int) -> int:
        return self._shape[index]


class IHostMemory(bytes):
    """Bytes that support the buffer protocol."""


class ITensor:
    def __init__(self, name: str, shape: Any) -> None:
        self.name, self.shape = name, Dims(shape)


class INetworkDefinition:
    def __init__(self) -> None:
        self._model = b""
        self._inputs: list[ITensor] = []

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network = network
        self._errors: list[ParserError] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def parse(self, model: bytes) -> bool:
        try:
            session = _session(model)
        except Exception as error:
            self._errors.append(ParserError(str(error)))
            return False
        self._network._model = model
        for i in session.get_inputs():
            self._network._inputs.append(ITensor(i.name, _shape(i)))
        return True


class IOptimizationProfile:
    def __init__(self) -> None:
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, input: str, min: Dims, opt: Dims, max: Dims) -> None:
        self._shapes[input] = [list(dims._shape) for dims in (min, opt, max)]


class ITimingCache:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def serialize(self) -> IHostMemory:
        return IHostMemory(self._data)


class IBuilderConfig:
    max_aux_streams = -1
    progress_monitor = IProgressMonitor()

    def __init__(self) -> None:
        self._flags = {BuilderFlag.TF32}
        self._profiles: list[IOptimizationProfile] = []
        self._timing: ITimingCache | None = None

        self._pools: dict[str, int] = {}
        self._logger: ILogger | None = None

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        self._pools[pool.name] = pool_size

    def set_flag(self, flag: BuilderFlag) -> None:
        self._flags.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags.discard(flag)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        data = serialized_timing_cache
        if data and not data.startswith(__version__.encode()):
            assert self._logger is not None
            self._logger.log(ILogger.ERROR, "Failed to deserialize timing cache.")
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        if cache._data and not cache._data.startswith(__version__.encode()):
            return False
        self._timing = cache
        return True

    def get_timing_cache(self) -> ITimingCache:
        assert self._timing is not None
        return self._timing


class Builder:
    def __new__(cls, logger: ILogger) -> Any:
        return _without_driver(logger) or super().__new__(cls)

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        config = IBuilderConfig()
        config._logger = self._logger
        return config

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        inputs = {network.get_input(i).name for i in range(network.num_inputs)}
        for profile in config._profiles:
            assert set(profile._shapes) == inputs, "every input has to have its shapes"
        for text in build_errors:
            self._logger.log(ILogger.ERROR, text)
        if build_errors:
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 2)
        monitor.phase_start("Tactics", "Building", 1)
        monitor.step_complete("Tactics", 0)
        monitor.phase_finish("Tactics")
        for step in range(2):
            if not monitor.step_complete("Building", step):
                self._logger.log(ILogger.ERROR, "cancelled")
                return None
        monitor.phase_finish("Building")
        assert config._timing is not None
        measured = config._timing._data or __version__.encode()
        config._timing = ITimingCache(measured + b" measured")
        header = {
            "version": __version__,
            "flags": sorted(flag.name for flag in config._flags),
            "aux_streams": config.max_aux_streams,
            "pools": config._pools,
            "profiles": [profile._shapes for profile in config._profiles],
        }
        return IHostMemory(json.dumps(header).encode() + b"\n" + network._model)


class Runtime:
    def __new__(cls, logger: ILogger) -> Any:
        return _without_driver(logger) or super().__new__(cls)

    def __init__(self, logger: ILogger) -> None:
        assert "cudaGetDeviceCount" in cuda.log, "the driver has to be looked for first"
        self._logger = logger
        # Like pybind11's keep_alive: a reference that no garbage collector sees.
        weakref.finalize(self, lambda _: None, logger)

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        try:
            header, model = serialized_engine.split(b"\n", 1)
            about = json.loads(header)
        except ValueError:
            return self._refuse("magic tag does not match")
        if about["version"] != __version__:
            return self._refuse(f"Version tag does not match: built by version {about['version']}")
        return ICudaEngine(self._logger, model, about["profiles"])

    def _refuse(self, why: str) -> None:
        self._logger.log(ILogger.ERROR, why)
        self._logger.log(ILogger.ERROR, "Engine deserialization failed.")


class ICudaEngine:
    device_memory_size_v2 = 4096

    def __init__(self, logger: ILogger, model: bytes, profiles: list[Any]) -> None:
        self._logger = logger
        self._session = _session(model)
        self._inputs = [i.name for i in self._session.get_inputs()]
        self._outputs = [o.name for o in self._session.get_outputs()]
        values = [*self._session.get_inputs(), *self._session.get_outputs()]
        self._tensors = {v.name: (_ORT_TYPES[v.type], _shape(v)) for v in values}
        self._profiles = profiles

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType[self._tensors[name][0]]

    def get_tensor_shape(self, name: str) -> Dims:
        shape = self._tensors[name][1]
        if names_fixed_batch and len(self._profiles) == 1:
            return Dims([self._profiles[0][self._inputs[0]][1][0], *shape[1:]])
        return Dims(shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        return [Dims(shape) for shape in self._profiles[profile_index][name]]

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> IExecutionContext:
        assert strategy == ExecutionContextAllocationStrategy.USER_MANAGED
        cuda.log.append("create_execution_context")
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine = engine
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = 0
        self._changes = 0
        #: The value of ``_changes`` at the last run outside a capture.
        self._warm = -1

    def __del__(self) -> None:
        cuda.log.append("context freed")

    def set_device_memory(self, memory: int, size: int) -> None:
        cuda.log.append("set_device_memory")
        assert size >= self._engine.device_memory_size_v2 and memory % 16 == 0
        assert cuda.inside(cuda.device, memory, size)
        self._scratch = memory

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        cuda.log.append("set_optimization_profile_async")
        self._profile = profile_index
        self._shapes.clear()
        self._scratch = 0  # no document says that it is kept
        self._changes += 1
        return profile_index < self._engine.num_optimization_profiles

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        cuda.log.append("set_input_shape")
        low, _, high = self._engine._profiles[self._profile][name]
        self._shapes[name] = tuple(shape)
        self._changes += 1
        return all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))

    def set_tensor_address(self, name: str, memory: int) -> bool:
        cuda.log.append("set_tensor_address")
        self._addresses[name] = memory
        self._changes += 1
        return name in self._engine._tensors

    def execute_async_v3(self, stream_handle: int) -> bool:
        cuda.log.append("execute_async_v3")
        engine = self._engine
        stream = cuda.stream_of(stream_handle)
        batch = self._shapes[engine._inputs[0]][0]
        arrays = {}
        for name, (kind, shape) in engine._tensors.items():
            dtype, rows = _DTYPES[kind], (batch, *shape[1:])
            nbytes = int(np.prod(rows)) * np.dtype(dtype).itemsize
            address = self._addresses.get(name, 0)
            if not cuda.inside(cuda.device, address, nbytes):
                return self._refuse(f"{name} has no memory of {nbytes} bytes")
            memory = (ctypes.c_uint8 * nbytes).from_address(address)
            arrays[name] = np.frombuffer(memory, dtype).reshape(rows)
        if set(self._shapes) != set(engine._inputs) or not self._scratch:
            return self._refuse("a shape or the device memory was not set")
        if stream.capturing and capture_failure:
            if capture_failure == "invalid":
                cuda.forbidden_in_capture()
            return self._refuse("the stream is capturing, but this engine is not stream capturable")
        if stream.capturing and self._warm != self._changes:
            return self._refuse("captured before it was run once with these shapes")
        made_for = self._changes
        # Enqueued work and graphs need their context and do not keep it.
        reference = weakref.ref(self)

        def run() -> None:
            context = reference()
            assert context is not None, "the graph of a context that is gone"
            assert context._changes == made_for, "the graph of a context that was changed since"
            engine = context._engine
            found = engine._session.run(
                engine._outputs, {name: arrays[name] for name in engine._inputs}
            )
            for name, values in zip(engine._outputs, found, strict=True):
                arrays[name][...] = values

        if not stream.capturing:
            self._warm = self._changes  # what the first run sets up
        cuda.enqueue(stream, run)
        return True

    def _refuse(self, why: str) -> bool:
        self._engine._logger.log(ILogger.ERROR, why)
        self._engine._logger.log(ILogger.ERROR, _CONSEQUENCE)
        return False


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _shape(value: Any) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in value.shape]
