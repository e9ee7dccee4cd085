"""Real pairs: two frames of one sequence, as a template and a search crop."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.errors import DatasetError
from siampolar_model.geometry.crops import search_window
from siampolar_model.network.config import NetworkConfig
from siampolar_model.settings import check_settings, setting

from .augment.border import border
from .augment.motion import Placement, source_grid
from .augment.view import View, look_up
from .instances import MIN_AREA_PX, Instance, Pool, instances_of
from .photometry import PhotometrySettings
from .readers.base import Reader
from .sample import Crop, cut_template, finish

_TRIES = 50


@dataclass(frozen=True)
class VideoSettings:
    """Which two frames make a pair, and how far the search crop is off."""

    max_gap: int = setting(
        40, 1, 1000000,
        help="Largest distance of the two frames in the video, in frames, in either direction.",
    )  # fmt: skip
    shift_sigma: float = setting(
        0.1, 0, 1,
        help="Spread of the search crop's centre, in units of its side.",
    )  # fmt: skip
    log_scale: float = setting(
        0.35, 0, 1,
        help="The search crop is up to e^+-log_scale times as large as it should be.",
    )  # fmt: skip
    border: float = setting(
        0.08, 0, 1,
        help="Chance of a border of the camera's image; half of the borders cut the target.",
    )  # fmt: skip
    negative: float = setting(
        0.15, 0, 1,
        help="Chance that the search crop shows another object; half of those are of a similar "
        "class.",
    )  # fmt: skip
    box_jitter: float = setting(
        0.04, 0, 1,
        help="Error of the template's box, in units of its sides.",
    )  # fmt: skip
    min_visible: float = setting(
        0.55, 0, 1,
        help="Smallest share of a target that the border leaves visible.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)


class VideoPairs:
    """Pairs from the videos of a data set.

    Raises:
        DatasetError: fewer than two sequences, so that no negative pair exists.
    """

    def __init__(
        self,
        reader: Reader,
        network: NetworkConfig,
        settings: VideoSettings,
        photometry: PhotometrySettings,
    ) -> None:
        self._reader = reader
        self._pool = Pool(reader)
        self._network = network
        self._settings = settings
        self._photometry = photometry

    def sample(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One pair, see :func:`siampolar_training.data.sample.make_sample`."""
        s, network = self._settings, self._network
        target, shown = self._two_frames(rng)
        negative = rng.random() < s.negative
        if negative:
            similar = bool(rng.random() < 0.5)
            shown = self._pool.other(rng, target, target, similar=similar)
        mirror = bool(rng.random() < 0.5)
        view = self._search_view(rng, shown, mirror)
        mask = (view.alpha >= 0.5).astype(np.uint8) * (not negative)
        beyond = ~view.covered
        if rng.random() < s.border:
            beyond |= border(rng, mask, s.min_visible * cv2.countNonZero(mask))
            mask[beyond] = 0
        template = cut_template(
            rng,
            target.source.image,
            target.mask,
            target.box,
            s.box_jitter,
            mirror,
            network.template_size,
        )
        search = Crop(view.image, beyond)
        return finish(rng, network, self._photometry, template, search, mask)

    def _two_frames(self, rng: np.random.Generator) -> tuple[Instance, Instance]:
        """One object on two frames; a sequence of one frame gives the same one twice."""
        reach = max(self._settings.max_gap // self._reader.frame_step, 1)
        for _ in range(_TRIES):
            sequence = int(rng.integers(len(self._reader)))
            last = self._reader.frames(sequence) - 1
            first = int(rng.integers(last + 1))
            among = instances_of(self._reader.read(sequence, first))
            if not among:
                continue
            target = among[int(rng.integers(len(among)))]
            low, high = max(first - reach, 0), min(first + reach, last)
            second = low + int(rng.integers(max(high - low, 1)))
            second += second >= first and second < high  # not the same frame again
            shown = Instance.of(self._reader.read(sequence, second), target.value)
            if shown is not None:
                return target, shown
        raise DatasetError(
            f"{self._reader.root}: no object of {MIN_AREA_PX} px or more on two frames of one "
            f"sequence, {self._settings.max_gap} apart at most, in {_TRIES} tries"
        )

    def _search_view(self, rng: np.random.Generator, shown: Instance, mirror: bool) -> View:
        """The crop of a tracker whose last position and size were off."""
        s, size = self._settings, self._network.search_size
        shift = np.clip(rng.normal(0, s.shift_sigma, 2), -0.35, 0.35) * size
        log_scale = float(rng.uniform(-s.log_scale, s.log_scale))
        box = shown.box
        window = search_window(
            box.center_xy, box.width, box.height, self._network.search_factor, size
        )
        linear = np.diag([-1.0, 1.0]) if mirror else np.eye(2)
        placement = Placement(
            size / 2 + shift, np.array(box.center_xy), linear, window.scale * np.exp(log_scale)
        )
        return look_up(shown.source.image, shown.mask, source_grid(placement, size))
