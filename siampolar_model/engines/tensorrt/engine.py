"""TensorRT on an NVIDIA GPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ...errors import EngineError, EngineMissing, ProcessUnusable
from ...models.folder import (
    FP16_FILE,
    SEARCH_FILE,
    TEMPLATE_FILE,
    TENSORRT_INT8_FILE,
    ModelFolder,
)
from ..base import Candidates, Engine, EngineOptions, choose_precision
from . import api as trt
from .cache import EngineCache, EngineKey, StoredEngine
from .cuda import Cuda, Gpu
from .plan import BatchRunner, Plan, Tensor

#: The ONNX file of the search graph by precision. Templates are encoded once per target, in fp32.
SEARCH_FILES = {"fp16": FP16_FILE, "fp32": SEARCH_FILE, "int8": TENSORRT_INT8_FILE}

#: Logged where INT8 is built or loaded; docs/engines.md gives the sources.
INT8_IS_EXPERIMENTAL = (
    "int8 on TensorRT is experimental and probably slower than fp16: only the convolutions are in "
    "8 bits, everything between them is in fp32, and no GPU has measured it; precision fp16 is "
    "the one to use"
)


class TensorRtEngine(Engine):
    """Runs the engine that was built from a model folder for this GPU and this TensorRT.

    It is the one in :class:`EngineCache`, or the one that ``options.engine_path`` names.

    Raises:
        EngineMissing: it was not built yet, and ``options.build_engine`` does not ask for it.
        EngineError: no TensorRT, driver or device; a precision that the model does not have; an
            engine that may not be loaded or that TensorRT refuses.
        ProcessUnusable: no CUDA call can succeed any more in this process.
        ImportError: cuda-python is not installed.
    """

    name = "tensorrt"
    cheap_batches = True

    def __init__(self, model: ModelFolder, options: EngineOptions) -> None:
        trt.package()
        self.spec = model.spec
        try:
            cuda = Cuda()
            stored = _stored_engine(model, options, cuda.gpu)
            self.precision = str(stored.about["precision"])
            self._load(stored, cuda)
            if self.precision == "int8":
                logging.getLogger(__name__).warning(INT8_IS_EXPERIMENTAL)
        except (EngineError, ProcessUnusable):
            raise
        except RuntimeError as error:  # from CUDA or TensorRT, such as too little memory
            raise EngineError(f"engine tensorrt cannot be used: {error}") from error

    def _load(self, stored: StoredEngine, cuda: Cuda) -> None:
        plans = {
            graph: Plan(data, stored.folder / f"{graph}.plan")
            for graph, data in stored.plans.items()
        }
        template, search = plans["template"], plans["search"]
        given: dict[str, type] = {"crop": np.uint8, "box_xyxy": np.float32}
        if self.spec.takes_mask:
            given["mask"] = np.float32
        _check_tensors(template, given, ("features",))
        _check_tensors(
            search,
            {"crops": np.uint8, "features": np.float32, "prior": np.float32},
            Candidates.names(self.spec),
        )
        if search.batches[-1] < self.spec.max_targets:
            raise EngineError(
                f"{search.path} takes up to {search.batches[-1]} targets, the model up to "
                f"{self.spec.max_targets}; build the engine again"
            )
        scratch = cuda.device_memory(max(plan.scratch_bytes for plan in plans.values()))
        self._cuda = cuda
        self._template = BatchRunner(template, cuda, scratch, on_device={"features"})
        self._search = BatchRunner(search, cuda, scratch, on_device={"features"})
        (features,) = (tensor for tensor in template.tensors if tensor.name == "features")
        self._row_bytes = features.row_bytes
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        # The slot whose features are in each row of the search batch: only changes are copied.
        self._rows: list[int | None] = [None] * search.batches[-1]

    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        for name, values in self.template_inputs(crop, box_xyxy, mask).items():
            self._template.host[name][:1] = values
        if slot not in self._slots:
            self._slots[slot] = (
                self._free.pop() if self._free else self._cuda.device_memory(self._row_bytes)
            )
        self._forget_rows(slot)
        self._template.launch(1)
        self._cuda.copy(self._slots[slot], self._template.device["features"], self._row_bytes)
        self._cuda.synchronize()

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        n = len(slots)
        if not 1 <= n <= len(self._rows):
            raise ValueError(f"{n} targets; the engine searches for 1 to {len(self._rows)}")
        host = self._search.host
        host["crops"][:n] = crops
        host["prior"][:n] = prior
        features = self._search.device["features"]
        for row, slot in enumerate(slots):
            if self._rows[row] != slot:
                target = features + row * self._row_bytes
                self._cuda.copy(target, self._slots[slot], self._row_bytes)
                self._rows[row] = slot
        found = self._search.launch(n)
        self._cuda.synchronize()
        names = Candidates.names(self.spec)
        return Candidates(**{name: found[name][:n].copy() for name in names})

    def release(self, slot: int) -> None:
        if slot in self._slots:
            self._free.append(self._slots.pop(slot))
            self._forget_rows(slot)

    def _forget_rows(self, slot: int) -> None:
        self._rows = [None if held == slot else held for held in self._rows]


def engine_key(model: ModelFolder, precision: str, gpu: Gpu, *, lean: bool = False) -> EngineKey:
    """The key of the engine that a model folder needs on this GPU with this TensorRT.

    Raises:
        EngineError: the model does not have this precision.
    """
    precision = choose_precision(
        TensorRtEngine.name,
        precision,
        {
            "fp16": model.missing(FP16_FILE),
            "fp32": None,
            "int8": model.missing(TENSORRT_INT8_FILE),
        },
    )
    files = {"template": TEMPLATE_FILE, "search": SEARCH_FILES[precision]}
    return EngineKey(
        model=model.spec.name,
        onnx_sha256={graph: model.hashes[file] for graph, file in files.items()},
        precision=precision,
        batches=batch_sizes(model.spec.max_targets),
        tensorrt=trt.version(),
        gpu=str(gpu),
        lean=lean,
    )


def batch_sizes(most: int) -> tuple[int, ...]:
    """1, 2, 4, 8 and so on up to ``most``; other numbers of targets use the next larger one."""
    sizes = [1]
    while sizes[-1] < most:
        sizes.append(min(2 * sizes[-1], most))
    return tuple(sizes)


def _stored_engine(model: ModelFolder, options: EngineOptions, gpu: Gpu) -> StoredEngine:
    cache = EngineCache()
    if options.engine_path is not None:
        stored = cache.read(options.engine_path)
        _check_made_from(stored, model, options.precision)
        return stored
    if trt.is_lean():
        raise EngineError(
            "the lean TensorRT runtime cannot build engines and does not search for them; set "
            "engine_path to one (docs/jetson.md)"
        )
    key = engine_key(model, options.precision, gpu)
    try:
        return cache.find(key)
    except EngineMissing as error:
        if options.build_engine != "if_missing":
            raise EngineMissing(
                f"engine tensorrt cannot be used: {error}; run siampolar build-engine --model "
                f"{model.path} --precision {key.precision}, or set build_engine to if_missing"
            ) from None
    from .build import build_engine

    logging.getLogger(__name__).warning("building a TensorRT engine, which takes minutes")
    build_engine(model.path, key.precision)
    return cache.find(key)


def _check_made_from(stored: StoredEngine, model: ModelFolder, precision: str) -> None:
    """Check that an engine named by its path has the weights and precision that are asked for."""
    built = str(stored.about["precision"])
    if precision not in ("auto", built):
        raise EngineError(f"engine {stored.folder} computes in {built}, not in {precision}")
    for graph, file in (("template", TEMPLATE_FILE), ("search", SEARCH_FILES.get(built, ""))):
        if file in model.files and stored.about["onnx_sha256"][graph] != model.hashes[file]:
            raise EngineError(
                f"engine {stored.folder} was not built from {model.path / file}; build it again"
            )


def _check_tensors(plan: Plan, inputs: dict[str, type], outputs: Sequence[str]) -> None:
    def described(tensors: Sequence[Tensor]) -> dict[str, np.dtype]:
        return {tensor.name: tensor.dtype for tensor in tensors}

    expected: dict[str, np.dtype] = {name: np.dtype(kind) for name, kind in inputs.items()}
    expected |= {name: np.dtype(np.float32) for name in outputs}
    if described(plan.tensors) != expected:
        raise EngineError(
            f"{plan.path} has other inputs or outputs than this version; build it again"
        )
