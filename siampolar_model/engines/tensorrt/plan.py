"""A built TensorRT network (a "plan"), loaded and run for a few fixed batch sizes.

For every batch size there is one context and one captured CUDA graph, which holds the copies in,
the network and the copies out: a frame costs one launch. A graph is invalid once its context
changes shape, hence a context each. All contexts work in the same device memory, since one stream
runs them one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import EngineError
from . import api as trt
from .cuda import Cuda

#: What a TensorRT type is in NumPy, by its name; the others do not occur in our graphs.
DTYPES: dict[str, type[np.generic]] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}


@dataclass(frozen=True)
class Tensor:
    """An input or output of a plan; ``row`` is its shape without the batch."""

    name: str
    is_input: bool
    dtype: np.dtype
    row: tuple[int, ...]


class Plan:
    """What a plan file holds.

    Args:
        data: the file's content; whoever wrote it decides what this process does.
        path: for messages.

    Raises:
        EngineError: TensorRT refuses it (built by another version or for another GPU), or its
            tensors are not like those of our graphs.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        self._said: list[str] = []
        # The runtime keeps its logger where Python's collector cannot see it: a logger that led
        # back to this plan would hold both for good.
        self._logger = trt.make_logger(partial(_note, self._said))
        self._runtime = trt.Runtime(self._logger)
        self._engine: trt.ICudaEngine = self._runtime.deserialize_cuda_engine(data)
        self.path = path
        if self._engine is None:
            reason = self._said[-1] if self._said else "no reason given"
            raise EngineError(f"TensorRT {trt.version()} cannot load {path}: {reason}")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self.tensors = tuple(self._tensor(name) for name in names)
        #: Batch sizes, smallest first; the index is that of the optimization profile.
        self.batches = tuple(
            trt.shape(self._engine.get_tensor_profile_shape(self.inputs[0].name, i)[2])[0]
            for i in range(self._engine.num_optimization_profiles)
        )
        if list(self.batches) != sorted(self.batches):
            raise EngineError(f"{path}: batch sizes {self.batches} are not in order")
        #: Bytes of device memory that a context of any of the profiles works in.
        self.scratch_bytes = int(self._engine.device_memory_size_v2)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in self.tensors if tensor.is_input)

    def enqueuer(
        self, index: int, addresses: dict[str, int], scratch: int, cuda: Cuda
    ) -> Callable[[], None]:
        """A context for one batch size; what is returned enqueues the network on the stream.

        Args:
            index: of the batch size in :attr:`batches`.
            addresses: device memory of every tensor.
            scratch: device memory of at least :attr:`scratch_bytes`.
        """
        context = self._engine.create_execution_context(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        self._check(context is not None, "no context can be made")
        cuda.keep(context)  # a captured graph works in its memory and does not hold it
        context.set_device_memory(scratch, self.scratch_bytes)
        self._check(
            context.set_optimization_profile_async(index, cuda.stream), f"no profile {index}"
        )
        cuda.synchronize()
        for tensor in self.tensors:
            shape = (self.batches[index], *tensor.row)
            if tensor.is_input:
                self._check(context.set_input_shape(tensor.name, shape), f"{tensor.name} {shape}")
            address = addresses[tensor.name]
            self._check(context.set_tensor_address(tensor.name, address), tensor.name)

        def enqueue() -> None:
            self._check(context.execute_async_v3(cuda.stream), "the network cannot be enqueued")

        return enqueue

    def _tensor(self, name: str) -> Tensor:
        kind = self._engine.get_tensor_dtype(name).name
        shape = trt.shape(self._engine.get_tensor_shape(name))
        if kind not in DTYPES or shape[:1] != (-1,) or min(shape[1:], default=1) < 1:
            raise EngineError(
                f"{self.path}: tensor {name} is {kind} {shape}; not one of our graphs"
            )
        is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        return Tensor(name, is_input, np.dtype(DTYPES[kind]), shape[1:])

    def _check(self, succeeded: bool, what: str) -> None:
        if not succeeded:
            said = f": {self._said[-1]}" if self._said else ""
            raise RuntimeError(f"TensorRT failed on {self.path} ({what}){said}")


class BatchRunner:
    """Runs a plan; its buffers have the size of the largest batch.

    Args:
        scratch: device memory shared with other runners on the same stream.
        on_device: tensors that only the device sees, without a copy on the host.

    Attributes:
        host: pinned array of every tensor that is copied, (largest batch, ...): write inputs and
            read outputs there.
        device: device address of every tensor.
    """

    def __init__(self, plan: Plan, cuda: Cuda, scratch: int, on_device: Collection[str]) -> None:
        most = plan.batches[-1]
        self.device: dict[str, int] = {}
        self.host: dict[str, np.ndarray] = {}
        for tensor in plan.tensors:
            nbytes = most * int(np.prod(tensor.row)) * tensor.dtype.itemsize
            self.device[tensor.name] = cuda.device_memory(nbytes)
            if tensor.name not in on_device:
                self.host[tensor.name] = cuda.pinned((most, *tensor.row), tensor.dtype)
                # Rows that no target has filled yet are computed as well: no zero to divide by.
                self.host[tensor.name].fill(1)
        self._batches = plan.batches
        self._launch = [
            self._captured(plan, index, cuda, scratch) for index in range(len(plan.batches))
        ]

    def _captured(self, plan: Plan, index: int, cuda: Cuda, scratch: int) -> Callable[[], None]:
        enqueue = plan.enqueuer(index, self.device, scratch, cuda)
        n = plan.batches[index]

        def work() -> None:
            for tensor in plan.tensors:
                if tensor.is_input and tensor.name in self.host:
                    cuda.copy_in(self.device[tensor.name], self.host[tensor.name][:n])
            enqueue()
            for tensor in plan.tensors:
                if not tensor.is_input and tensor.name in self.host:
                    cuda.copy_out(self.host[tensor.name][:n], self.device[tensor.name])

        # The first run after a change of shape sets things up, which a capture must not see.
        work()
        cuda.synchronize()
        return cuda.capture(work)

    def launch(self, n: int) -> None:
        """Enqueue the smallest batch that holds ``n``; rows beyond are computed and ignored."""
        self._launch[next(i for i, size in enumerate(self._batches) if size >= n)]()


def _note(said: list[str], is_error: bool, text: str) -> None:
    if is_error:
        said[:] = [*said[-9:], text]
