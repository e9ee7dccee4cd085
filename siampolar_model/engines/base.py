"""What every runtime offers the tracker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EngineError
from ..models.folder import FP16_FILE, INT8_FILE
from ..models.spec import ModelSpec


@dataclass(frozen=True, eq=False)
class Candidates:
    """Best K places of N targets, in search-crop pixels, the prior's favourite first.

    Attributes:
        score: float32 (N, K), raw classification score in [0, 1], without the prior.
        quality: float32 (N, K), predicted IoU of the polygon, [0, 1].
        box_xyxy: float32 (N, K, 4).
        center_xy: float32 (N, K, 2), origin of the rays.
        rays_px: float32 (N, K, R).
    """

    score: np.ndarray
    quality: np.ndarray
    box_xyxy: np.ndarray
    center_xy: np.ndarray
    rays_px: np.ndarray


#: Columns of a prior row: window weight, scale penalty, previous width and height, window centre.
PRIOR_COLUMNS = 6


#: What a network can compute in; "auto": the fastest that the engine, the processor and the model
#: offer together.
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

#: When TensorRT engines are built: only by ``siampolar build-engine``, or also when one is missing.
BUILD_ENGINE = ("never", "if_missing")


@dataclass(frozen=True)
class EngineOptions:
    """How to run a network, for every engine alike.

    Attributes:
        precision: one of :data:`PRECISIONS`.
        num_threads: of the runtime, on a CPU; None: one per core.
        build_engine: one of :data:`BUILD_ENGINE`, for TensorRT; the build blocks for minutes.
        engine_path: folder of a built TensorRT engine in the user's cache; None: the one that was
            built for this model, GPU and TensorRT.

    Raises:
        EngineError: an unknown precision or ``build_engine``, or fewer than one thread.
    """

    precision: str = "auto"
    num_threads: int | None = None
    build_engine: str = "never"
    engine_path: Path | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise EngineError(
                f"precision {self.precision!r} is unknown; allowed: {', '.join(PRECISIONS)}"
            )
        if self.num_threads is not None and self.num_threads < 1:
            raise EngineError(f"num_threads is {self.num_threads}; it must be at least 1")
        if self.build_engine not in BUILD_ENGINE:
            raise EngineError(
                f"build_engine is {self.build_engine!r}; allowed: {', '.join(BUILD_ENGINE)}"
            )


def choose_precision(engine: str, wanted: str, obstacles: Mapping[str, str | None]) -> str:
    """The precision to run in.

    Args:
        engine: its name, for messages.
        wanted: one of :data:`PRECISIONS`.
        obstacles: every precision of this engine, the preferred one first, with what stands in
            its way here; None: nothing.

    Raises:
        EngineError: the engine cannot run in ``wanted``; the message says what is missing.
    """
    if wanted == "auto":
        wanted = next((name for name, obstacle in obstacles.items() if obstacle is None), "auto")
    obstacle = obstacles.get(wanted, f"it can run in {', '.join(obstacles)}")
    if obstacle is not None:
        raise EngineError(f"{engine} cannot run in {wanted}: {obstacle}")
    return wanted


def int8_obstacle(folder: Path, file: str = INT8_FILE) -> str | None:
    """What keeps a model folder from being run in 8 bits; None: nothing."""
    path = folder / file
    return None if path.is_file() else f"{path} is missing; siampolar quantize makes it"


def fp16_obstacle(folder: Path) -> str | None:
    """What keeps TensorRT from running a model folder in fp16; None: nothing."""
    path = folder / FP16_FILE
    if path.is_file():
        return None
    return f"{path} is missing; siampolar quantize {folder} --precision fp16 makes it"


class Engine(ABC):
    """One loaded network. Template features stay in the engine's memory, by slot."""

    #: Short name used in logs and in ``engine:`` settings.
    name: str
    spec: ModelSpec
    #: What the search graph is computed in, one of :data:`PRECISIONS` but "auto".
    precision: str = "fp32"
    #: How this engine came to be chosen, for one line of a log; load_engine writes it.
    choice: str = ""

    @abstractmethod
    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        """Keep the template features of one target in ``slot``.

        Args:
            crop: uint8 (T, T, 3), BGR.
            box_xyxy: float32 (4,), the target's box in crop pixels.
        """

    @abstractmethod
    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        """Look for the target of each slot in its crop.

        Args:
            slots: 1 to ``spec.max_targets`` slots filled by :meth:`encode`; one may stand
                several times.
            crops: uint8 (N, S, S, 3), BGR.
            prior: float32 (N, 6): window weight [0, 1], scale penalty, previous width and
                height, window centre x and y, all in crop pixels.
        """

    @abstractmethod
    def release(self, slot: int) -> None:
        """Forget a slot; unknown slots are ignored."""
