"""The interface between the tracker and every runtime of the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import EngineError
from ..models.spec import ModelSpec, mask_cells


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best K places for each of N crops, in search-crop pixels; the prior's top one first.

    Attributes:
        score: float32 (N, K), raw classification score in [0, 1], without the prior.
        quality: float32 (N, K), predicted IoU of the polygon, [0, 1].
        box_xyxy: float32 (N, K, 4).
        center_xy: float32 (N, K, 2), origin of the rays.
        rays_px: float32 (N, K, R).
        mask: float32 (N, h, w) over the whole crop, how far each place is inside, in [0, 1]; None
            for a model whose ``spec.gives_mask`` is false.
        mask_gain: float32 (N, K), what ``mask`` is multiplied with for a candidate; None if
            ``mask`` is.
    """

    score: np.ndarray
    quality: np.ndarray
    box_xyxy: np.ndarray
    center_xy: np.ndarray
    rays_px: np.ndarray
    mask: np.ndarray | None = None
    mask_gain: np.ndarray | None = None

    @staticmethod
    def names(spec: ModelSpec) -> tuple[str, ...]:
        """The fields that a model's search graph gives, in the order of its outputs."""
        names = tuple(field.name for field in fields(Candidates))
        return names if spec.gives_mask else names[:-2]


class Prior(NamedTuple):
    """Where a target is expected and how large: one row of the search graph's input ``prior``.

    Attributes:
        window_weight: how much nearness to the expected place counts against the score, [0, 1].
        scale_penalty: how strongly another size or aspect counts against a candidate.
        width, height: the target's last size, in search-crop pixels.
        center_x, center_y: the expected place, in search-crop pixels.
    """

    window_weight: float
    scale_penalty: float
    width: float
    height: float
    center_x: float
    center_y: float


#: What a network can compute in; "auto": the fastest that engine, processor and model offer.
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

#: What ONNX Runtime computes with, see onnx_providers.py; torch takes "cpu" and "cuda".
PROVIDERS = ("cpu", "cuda", "tensorrt", "openvino", "coreml", "xnnpack")

#: When TensorRT engines are built: only by ``siampolar build-engine``, or also when one is missing.
BUILD_ENGINE = ("never", "if_missing")

#: As "if_missing", but the caller builds it: a missing engine raises EngineMissing.
BUILT_BY_CALLER = "by_caller"


@dataclass(frozen=True)
class EngineOptions:
    """How to run a network, for every engine.

    Attributes:
        precision: one of :data:`PRECISIONS`.
        num_threads: threads of the runtime on a CPU; None for one per core, or fewer while other
            processes keep cores busy (thread_choice.py).
        build_engine: one of :data:`BUILD_ENGINE`, for TensorRT, whose build blocks for minutes; or
            :data:`BUILT_BY_CALLER`.
        engine_path: folder of a built TensorRT engine in the user's cache; None for the one that
            was built for this model, GPU and TensorRT.
        provider: one of :data:`PROVIDERS`, for the engines ``onnxruntime`` and ``torch``.

    Raises:
        EngineError: an unknown precision, ``build_engine`` or provider, or fewer than one thread.
    """

    precision: str = "auto"
    num_threads: int | None = None
    build_engine: str = "never"
    engine_path: Path | None = None
    provider: str = "cpu"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise EngineError(
                f"precision {self.precision!r} is unknown; allowed: {', '.join(PRECISIONS)}"
            )
        if self.num_threads is not None and self.num_threads < 1:
            raise EngineError(f"num_threads is {self.num_threads}; it must be at least 1")
        if self.build_engine not in (*BUILD_ENGINE, BUILT_BY_CALLER):
            raise EngineError(
                f"build_engine is {self.build_engine!r}; allowed: {', '.join(BUILD_ENGINE)}"
            )
        if self.provider not in PROVIDERS:
            raise EngineError(
                f"provider {self.provider!r} is unknown; allowed: {', '.join(PROVIDERS)}"
            )


def choose_precision(engine: str, wanted: str, obstacles: Mapping[str, str | None]) -> str:
    """The precision to run in.

    Args:
        engine: its name, for messages.
        wanted: one of :data:`PRECISIONS`.
        obstacles: every precision of this engine, the preferred one first, with the reason why it
            cannot be used here; None if it can.

    Raises:
        EngineError: the engine cannot run in ``wanted``; the message says what is missing.
    """
    if wanted == "auto":
        wanted = next((name for name, obstacle in obstacles.items() if obstacle is None), "auto")
    obstacle = obstacles.get(wanted, f"it can run in {', '.join(obstacles)}")
    if obstacle is not None:
        raise EngineError(f"{engine} cannot run in {wanted}: {obstacle}")
    return wanted


class Engine(ABC):
    """One loaded network. Template features stay in the engine's memory, by slot.

    ``load_engine`` constructs a subclass as ``Subclass(model, options)``, with a
    :class:`~siampolar_model.models.folder.ModelFolder` and :class:`EngineOptions`. The constructor
    raises EngineError if the model cannot be run this way on this machine.

    Attributes:
        name: short name, used in logs and in ``engine:`` settings.
        spec: what the tracker must know about the network.
        precision: what the search graph is computed in, one of :data:`PRECISIONS` except "auto".
        cheap_batches: a batch costs little more than a single crop, as on a GPU.
        remark: what else a log should say of it, such as the provider; empty: nothing.
        choice: one line for a log that says why this engine was chosen; ``load_engine`` writes it.
    """

    name: str
    spec: ModelSpec
    precision: str = "fp32"
    cheap_batches: bool = False
    remark: str = ""
    choice: str = ""

    @abstractmethod
    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        """Compute the template features of one target and keep them in ``slot``.

        Args:
            crop: uint8 (T, T, 3), BGR.
            box_xyxy: float32 (4,), the target's box in crop pixels.
            mask: uint8 (T, T), 1 on the target, for a model whose ``spec.takes_mask`` is true;
                None: the network draws it.
        """

    @abstractmethod
    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        """Look for the target of each slot in its crop.

        Args:
            slots: 1 to ``spec.max_targets`` slots filled by :meth:`encode`; a slot may occur
                several times, with different crops.
            crops: uint8 (N, S, S, 3), BGR.
            prior: float32 (N, 6), a :class:`Prior` per crop.

        Returns:
            The candidates of every crop, in the same order.
        """

    def template_inputs(
        self, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """What the template graph takes, by name, in a batch of one; arguments as :meth:`encode`'s.

        Raises:
            EngineError: a mask for a model that takes none.
        """
        inputs = {"crop": crop[None], "box_xyxy": box_xyxy[None]}
        if self.spec.takes_mask:
            inputs["mask"] = mask_cells(self.spec, mask)[None]
        elif mask is not None:
            raise EngineError(f"{self.spec.name} takes no mask; it draws that of its target itself")
        return inputs

    @abstractmethod
    def release(self, slot: int) -> None:
        """Forget a slot; unknown slots are ignored."""
