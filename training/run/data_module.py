"""Training pairs, validation clips and held-out videos for Lightning."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import cv2
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from siampolar_model.errors import ConfigError
from siampolar_model.network.config import load_config
from siampolar_model.settings import check_ranges

from ..clips.moving import Clip, clip_photographs, film_clip, render_clip
from ..data.config import (
    DataConfig,
    SourceConfig,
    open_training,
    open_validation,
    open_validation_videos,
    source_configs,
)
from ..data.mixture import Mixture
from ..data.photometry import PhotometrySettings
from ..data.synthetic_pairs import SyntheticSettings
from ..data.video_pairs import VideoSettings
from ..errors import TrainingError, refuse_changed

#: Allowed range of every number, both ends included.
RANGES: dict[str, tuple[float, float]] = {
    "pairs": (1, 10**9),
    "batch": (1, 65536),
    "seed": (0, 2**32 - 1),
    "workers": (0, 256),
    "clips": (0, 1000),
    "video_frames": (2, 10**6),
}

_SYNTHETIC, _VIDEO, _PHOTOMETRY = SyntheticSettings(), VideoSettings(), PhotometrySettings()


class PairsDataModule(LightningDataModule):
    """Pairs for training, held-out photographs set in motion and held-out videos for validation.

    Sample i is a pure function of (seed, i), and step s of W processes takes the samples from
    ``s * batch`` on, in W equal parts: so a run gives the same weights on one process and on
    several, and when it goes on after a kill.

    Args:
        network: the network's YAML file (its crops' sizes, strides and rays).
        sources: data sets by weight, a list of groups such as {kind: photos, root: FOLDER}.
        pairs: pairs seen in the whole run.
        batch: pairs of one step, of all processes together.
        seed: of the pairs; ``seed_everything`` gives it.
        workers: processes that make pairs; null: one per core.
        clips: validation clips of held-out photographs, 30 frames each; 0: none.
        video_frames: how many frames are tracked of each sequence that a source holds out.
        synthetic: how synthetic pairs are made.
        video: how pairs of two frames are made.
        photometry: changes of light and sharpness.
        cache_mb: memory for decoded images, see DataConfig.
    """

    def __init__(
        self,
        network: str,
        sources: list[dict[str, Any]],
        pairs: int,
        batch: int = 16,
        seed: int = 1,
        workers: int | None = None,
        clips: int = 40,
        video_frames: int = 60,
        synthetic: SyntheticSettings = _SYNTHETIC,
        video: VideoSettings = _VIDEO,
        photometry: PhotometrySettings = _PHOTOMETRY,
        cache_mb: int = DataConfig.cache_mb,
    ) -> None:
        super().__init__()
        self.pairs, self.batch, self.seed, self.clips = pairs, batch, seed, clips
        self.workers, self.video_frames = workers, video_frames
        listed = source_configs(sources, "data")
        try:
            check_ranges(self, {k: v for k, v in RANGES.items() if getattr(self, k) is not None})
            self._data = DataConfig(listed, synthetic, video, photometry, cache_mb)
        except ConfigError as error:
            raise ConfigError(f"data: {error}") from None
        if pairs < batch:
            raise ConfigError(f"data: pairs is {pairs}; it must fill a batch of {batch}")
        #: Steps of the whole run.
        self.steps = pairs // batch
        self._network = load_config(network)
        self._training: Mixture | None = None
        self._clips: list[Callable[[], Clip]] | None = None
        #: Whether there is anything to score weights on.
        self.validates = clips > 0 or any(source.hold_out for source in self._data.sources)

    def setup(self, stage: str) -> None:
        """Open the data sets.

        Raises:
            DatasetError: one is missing or cannot be used.
            TrainingError: a batch that cannot be divided among the processes.
        """
        n_processes = self.trainer.world_size if self.trainer else 1
        if self.batch % n_processes:
            raise TrainingError(
                f"data: batch is {self.batch}; it must be a multiple of {n_processes}, the "
                "number of processes"
            )
        # Forked workers would wait for ever for OpenCV threads of this process.
        cv2.setNumThreads(1)
        if self._clips is None:
            self._clips = self._open_clips()
            if 0 < len(self._clips) < n_processes:
                raise TrainingError(
                    f"data: clips is {self.clips}; with {len(self._clips) - self.clips} held-out "
                    f"videos these must be 0, or 1 at least for each of {n_processes} processes"
                )
        if stage == "fit" and self._training is None:
            data = replace(self._data, cache_mb=self._data.cache_mb // self._processes_here())
            self._training = open_training(data, self._network, length=self.pairs, seed=self.seed)

    def _open_clips(self) -> list[Callable[[], Clip]]:
        """What renders or reads each clip."""
        clips: list[Callable[[], Clip]] = []
        if self.clips:
            photos = clip_photographs(open_validation(self._data))
            clips += [partial(render_clip, photos, seed) for seed in range(self.clips)]
        for reader in open_validation_videos(self._data):
            clips += [partial(film_clip, reader, i, self.video_frames) for i in range(len(reader))]
        return clips

    def train_dataloader(self) -> ResumableLoader:
        assert self._training is not None and self.trainer is not None
        workers = self._workers()
        return ResumableLoader(
            self._training,
            StepSampler(
                self.steps,
                self.batch,
                self.trainer.global_rank,
                self.trainer.world_size,
            ),
            **loader_settings(workers),
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            prefetch_factor=4 if workers else None,
        )

    def val_dataloader(self) -> DataLoader[Clip] | list[Any]:
        if not self._clips:
            return []
        assert self.trainer is not None
        return DataLoader(
            _Clips(self._clips[self.trainer.global_rank :: self.trainer.world_size]),
            batch_size=None,
            **loader_settings(min(self._workers(), 4)),
        )

    def _workers(self) -> int:
        """One for each core of this machine, divided among the processes on it."""
        if self.workers is not None:
            return self.workers
        return max(len(os.sched_getaffinity(0)) // self._processes_here(), 1)

    def _processes_here(self) -> int:
        return self.trainer.world_size // self.trainer.num_nodes if self.trainer else 1

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Clips stay where they are: the tracker cuts crops from them."""
        if isinstance(batch, Clip):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def state_dict(self) -> dict[str, Any]:
        """What decides which pairs a step sees, and on what it is scored; plain values."""
        data = asdict(self._data)
        del data["cache_mb"]
        keys = ("pairs", "batch", "seed", "clips", "video_frames")
        mine = {key: getattr(self, key) for key in keys}
        state: dict[str, Any] = json.loads(json.dumps({**mine, **data}))
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on with other pairs or clips. More or fewer pairs are allowed, and data sets
        in another place; a checkpoint of an older version says less.

        Raises:
            TrainingError: naming the setting that differs.
        """
        if self.trainer is not None and self.trainer.state.fn == "validate":
            return  # any weights may be scored
        ours = self.state_dict()
        refuse_changed(
            {f"data.{key}": (state_dict.get(key, ours[key]), ours[key]) for key in _DECISIVE}
        )
        theirs = [_unplaced(source) for source in state_dict["sources"]]
        if theirs != [_unplaced(source) for source in ours["sources"]]:
            raise TrainingError(
                f"has other data.sources, {state_dict['sources']}; this run has {ours['sources']}"
            )


#: What, besides the sources, decides the pairs of a step, and what checkpoints are scored on.
_DECISIVE = ("batch", "seed", "clips", "video_frames", "synthetic", "video", "photometry")


def _unplaced(source: dict[str, Any]) -> dict[str, Any]:
    """A source without where it lies, with defaults where an older version did not write them."""
    defaults = json.loads(json.dumps(asdict(SourceConfig(kind="photos", root="-"))))
    whole = {**defaults, **source}
    return {key: value for key, value in whole.items() if key not in ("root", "annotations")}


def loader_settings(workers: int) -> dict[str, Any]:
    """Arguments of a DataLoader with this number of worker processes."""
    if not workers:
        return {"num_workers": 0}
    # Forked workers share the photographs with this process; others would copy them.
    fork = {"persistent_workers": True, "multiprocessing_context": "fork"}
    return {"num_workers": workers, "worker_init_fn": _give_way, **fork}


def _give_way(worker: int) -> None:
    """Take only what training leaves of the cores: where one of its threads is held up, all wait.

    On two cores that is a fifth more images a second (docs/training.md).
    """
    os.nice(19)


class _Clips(Dataset[Clip]):
    def __init__(self, made_by: Sequence[Callable[[], Clip]]) -> None:
        self._made_by = made_by

    def __len__(self) -> int:
        return len(self._made_by)

    def __getitem__(self, index: int) -> Clip:
        return self._made_by[index]()


class StepSampler(Sampler[list[int]]):
    """Indices of one process's part of every step, from step ``first`` on.

    Args:
        steps: steps of the whole run, which is also the length: Lightning counts the steps done
            before.
        batch: samples of a step, of all processes.
    """

    def __init__(self, steps: int, batch: int, rank: int = 0, n_processes: int = 1) -> None:
        self.first = 0
        self._steps, self._batch = steps, batch
        self._part = batch // n_processes
        self._offset = rank * self._part

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first, self._steps):
            start = step * self._batch + self._offset
            yield list(range(start, start + self._part))


class ResumableLoader(DataLoader[Any]):
    """A loader that Lightning can save and load in the middle of an epoch.

    Attributes:
        waited_s: seconds that the loop has waited for a batch, so far.
    """

    def __init__(self, dataset: Any, steps: StepSampler, **settings: Any) -> None:
        super().__init__(dataset, batch_sampler=steps, **settings)
        self.waited_s = 0.0
        self._steps = steps
        self._given = 0

    def __iter__(self) -> Any:
        # Not a generator as a whole: the workers start now.
        return self._timed(super().__iter__())

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self.waited_s += time.perf_counter() - asked
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._steps.first = self._given = state_dict["steps"]
