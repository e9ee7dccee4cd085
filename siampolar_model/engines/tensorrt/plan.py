"""A built TensorRT network (a "plan"), loaded and run for a few fixed batch sizes.

For every batch size there is one context and one captured CUDA graph, which holds the copies in,
the network and the copy out: a frame costs one launch. A graph is invalid once its context
changes shape, so each has a context of its own. All contexts work in the same device memory: one
stream runs them one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from ...errors import EngineError
from . import api as trt
from .cuda import Cuda
from .messages import Messages

#: What addresses are multiples of; setTensorAddress asks for it.
_ALIGNMENT = 256

#: NumPy types by the name of TensorRT's; the other types do not occur in our graphs.
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

    @property
    def row_bytes(self) -> int:
        """Size of one target's part."""
        return int(np.prod(self.row)) * self.dtype.itemsize


class Plan:
    """The network in a plan file.

    Args:
        data: the file's content; it is code that runs in this process.
        path: for messages.

    Raises:
        EngineError: TensorRT cannot use the driver, or refuses the plan (built by another version
            or for another GPU), or the plan's tensors are not like those of our graphs.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        self._messages = Messages()
        self._logger = trt.make_logger(self._messages)
        self._runtime: trt.Runtime = trt.construct(trt.Runtime, self._logger, self._messages)
        self._messages.clear()
        self._engine: trt.ICudaEngine = self._runtime.deserialize_cuda_engine(data)
        self.path = path
        if self._engine is None:
            raise EngineError(
                f"TensorRT {trt.version()} cannot load {path}: {self._messages.cause()}"
            )
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self.tensors = tuple(self._tensor(name) for name in names)
        #: Batch sizes, smallest first, by the index of their optimization profile.
        self.batches = tuple(
            trt.shape(self._engine.get_tensor_profile_shape(self.inputs[0].name, i)[2])[0]
            for i in range(self._engine.num_optimization_profiles)
        )
        if list(self.batches) != sorted(self.batches):
            raise EngineError(f"{path}: batch sizes {self.batches} are not in order")
        for name in names:
            self._check_batch(name)
        #: Bytes of device memory that a context of any of the profiles works in.
        self.scratch_bytes = int(self._engine.device_memory_size_v2)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in self.tensors if tensor.is_input)

    def enqueuer(
        self, index: int, addresses: dict[str, int], scratch: int, cuda: Cuda
    ) -> Callable[[], None]:
        """A context for one batch size; the returned function enqueues the network on the stream.

        Args:
            index: of the batch size in :attr:`batches`.
            addresses: device memory of every tensor, by name.
            scratch: device memory of at least :attr:`scratch_bytes`.

        Raises:
            RuntimeError: TensorRT refuses a call; the returned function raises it as well.
        """
        self._messages.clear()
        context = self._engine.create_execution_context(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        self._check(context is not None, "cannot create an execution context")
        cuda.keep(context)  # a captured graph works in its memory and does not hold it
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
        # Last: no document promises that another profile or shape keeps it.
        context.set_device_memory(scratch, self.scratch_bytes)

        def enqueue() -> None:
            self._messages.clear()
            self._check(context.execute_async_v3(cuda.stream), "the network cannot be enqueued")

        return enqueue

    def _tensor(self, name: str) -> Tensor:
        kind = self._engine.get_tensor_dtype(name).name
        shape = trt.shape(self._engine.get_tensor_shape(name))
        if kind not in DTYPES or len(shape) < 1 or min(shape[1:], default=1) < 1:
            raise self._not_ours(name)
        is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        return Tensor(name, is_input, np.dtype(DTYPES[kind]), shape[1:])

    def _check_batch(self, name: str) -> None:
        """That the batch size varies (-1), or is the only one that the plan was built for."""
        batch = trt.shape(self._engine.get_tensor_shape(name))[0]
        if batch != -1 and self.batches != (batch,):
            raise self._not_ours(name)

    def _not_ours(self, name: str) -> EngineError:
        kind = self._engine.get_tensor_dtype(name).name
        shape = trt.shape(self._engine.get_tensor_shape(name))
        return EngineError(f"{self.path}: tensor {name} is {kind} {shape}; not one of our graphs")

    def _check(self, succeeded: bool, what: str) -> None:
        if not succeeded:
            raise RuntimeError(f"TensorRT failed on {self.path} ({what}): {self._messages.cause()}")


class BatchRunner:
    """Runs a plan; its inputs have the size of the largest batch.

    Args:
        scratch: device memory shared with other runners on the same stream.
        on_device: tensors that only the device uses, without a copy on the host.

    Attributes:
        host: pinned array of every input that is copied, (largest batch, ...): write rows there.
        device: device address of every input, and of every output in ``on_device``.
    """

    def __init__(self, plan: Plan, cuda: Cuda, scratch: int, on_device: Collection[str]) -> None:
        most = plan.batches[-1]
        self.device: dict[str, int] = {}
        self.host: dict[str, np.ndarray] = {}
        copied_out = []
        for tensor in plan.tensors:
            if not tensor.is_input and tensor.name not in on_device:
                copied_out.append(tensor)
                continue
            self.device[tensor.name] = cuda.device_memory(most * tensor.row_bytes)
            if tensor.name not in on_device:
                self.host[tensor.name] = cuda.pinned((most, *tensor.row), tensor.dtype)
                # Rows that no target has filled yet are computed as well: avoid zero divisors.
                self.host[tensor.name].fill(1)
        self._outputs = _OutputBlock(copied_out, most, cuda)
        self._batches = plan.batches
        self._launch = [
            self._captured(plan, index, cuda, scratch) for index in range(len(plan.batches))
        ]

    def _captured(self, plan: Plan, index: int, cuda: Cuda, scratch: int) -> Callable[[], None]:
        n, outputs = plan.batches[index], self._outputs
        enqueue = plan.enqueuer(index, self.device | outputs.addresses(n), scratch, cuda)
        copies_in = [(self.device[name], rows[:n]) for name, rows in self.host.items()]
        copied_out = outputs.host[: outputs.nbytes(n)]

        def work() -> None:  # must not lead back to this object, which keeps it
            for address, rows in copies_in:
                cuda.copy_in(address, rows)
            enqueue()
            if copied_out.nbytes:
                cuda.copy_out(copied_out, outputs.device)

        # The first run after a change of shape sets things up, which a capture must not see.
        work()
        cuda.synchronize()
        launch = cuda.capture(work)
        # A graph's first launch uploads it, and a network that was not captured still has to run.
        launch()
        cuda.synchronize()
        return launch

    def launch(self, n: int) -> dict[str, np.ndarray]:
        """Enqueue the smallest batch that holds ``n`` rows.

        Returns:
            Pinned array of every output that is copied, (that batch, ...): valid after the next
            synchronization and until the next launch. Rows beyond ``n`` are meaningless.
        """
        index = next(i for i, size in enumerate(self._batches) if size >= n)
        self._launch[index]()
        return self._outputs.arrays(self._batches[index])


class _OutputBlock:
    """Outputs next to each other on the device and on the host, so that one copy takes them all.

    For every batch size they lie as close together as :data:`_ALIGNMENT` allows.
    """

    def __init__(self, tensors: Sequence[Tensor], most: int, cuda: Cuda) -> None:
        self._tensors = tuple(tensors)
        self.device = cuda.device_memory(self.nbytes(most)) if tensors else 0
        self.host = (
            cuda.pinned((self.nbytes(most),), np.uint8) if tensors else np.empty(0, np.uint8)
        )
        self._views: dict[int, dict[str, np.ndarray]] = {}

    def nbytes(self, n: int) -> int:
        """Size of the outputs of a batch."""
        return sum(_aligned(n * tensor.row_bytes) for tensor in self._tensors)

    def addresses(self, n: int) -> dict[str, int]:
        """Device address of each output of a batch."""
        return {name: self.device + offset for name, offset in self._offsets(n).items()}

    def arrays(self, n: int) -> dict[str, np.ndarray]:
        """Each output of a batch on the host, (n, ...)."""
        if n not in self._views:
            offsets = self._offsets(n)
            self._views[n] = {
                tensor.name: self.host[offsets[tensor.name] :][: n * tensor.row_bytes]
                .view(tensor.dtype)
                .reshape(n, *tensor.row)
                for tensor in self._tensors
            }
        return self._views[n]

    def _offsets(self, n: int) -> dict[str, int]:
        sizes = [_aligned(n * tensor.row_bytes) for tensor in self._tensors]
        starts = accumulate(sizes, initial=0)
        return {tensor.name: start for tensor, start in zip(self._tensors, starts, strict=False)}


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT
