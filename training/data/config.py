"""Which data a training sees: sources by weight, and how pairs are made of them.

In YAML::

    data:
      sources:
        - {kind: photos, root: ../shared/data/photos}
        - {kind: davis, root: DAVIS, weight: 0.5}
        - {kind: coco, root: COCO/train2017, annotations: COCO/annotations/instances_train2017.json}
      synthetic: {negative: 0.2}
      video: {max_gap: 30}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from siampolar_model.errors import ConfigError, DatasetError, SiampolarError
from siampolar_model.network.config import NetworkConfig, check_keys
from siampolar_model.settings import check_settings, setting

from .mixture import Mixture
from .photometry import PhotometrySettings
from .readers.base import Reader
from .readers.coco import Coco
from .readers.davis import YEARS, Davis, refuse_val, sequence_of
from .readers.installed import installed_kinds, installed_reader
from .readers.own import own_readers
from .readers.photos import Photos
from .readers.preloaded import preload
from .readers.videos import VideoReader
from .sample import PairSource
from .synthetic_pairs import SyntheticPairs, SyntheticSettings
from .video_pairs import VideoPairs, VideoSettings

T = TypeVar("T")

#: Data sets of photographs: one side of each is held out. All of the others is for training.
STILLS = ("photos", "coco")
KINDS = (*STILLS, "davis", *own_readers())
PAIRS = ("synthetic", "video")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


@dataclass(frozen=True)
class SourceConfig:
    """One data set."""

    kind: str = setting(
        "",
        help=f"One of {', '.join(KINDS)}, or the name of an installed entry point of "
        "siampolar.datasets.",
    )
    root: str = setting("", help="Its folder; of coco, the folder of the images.")
    weight: float = setting(
        1.0, 1e-6, 1e6, help="How often it is drawn, as a share of the sum of all weights."
    )
    pairs: str = setting(
        "",
        help="synthetic (two views of one image) or video (two frames); if empty, a set of videos "
        "gives video pairs. For both, name the set twice.",
    )
    annotations: str = setting("", help="Of coco: the JSON file.")
    year: int = setting(YEARS[-1], *YEARS, help="Of davis.")
    sequences: tuple[str, ...] = setting(
        "",
        help="Of davis: a list of the only sequences to take; none of DAVIS val is ever accepted.",
        convert=_names,
    )
    hold_out: int = setting(
        0, 0, 1000,
        help="Of a set of videos: of this number of sequences, in order of names, one is held out "
        "whole, to be tracked in validation. If 0, none is.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
        if self.kind not in (kinds := (*KINDS, *installed_kinds())):
            raise ConfigError(f"kind {self.kind!r} is not one of {kinds}")
        if not self.root:
            raise ConfigError(f"root of {self.kind} is empty; it must be a folder")
        if self.pairs not in ("", *PAIRS) or (self.kind in STILLS and self.pairs == "video"):
            allowed = PAIRS[:1] if self.kind in STILLS else PAIRS
            raise ConfigError(f"pairs {self.pairs!r} of {self.kind} is not one of {allowed}")
        if bool(self.annotations) != (self.kind == "coco"):
            wanted = "must be a JSON file" if self.kind == "coco" else "belongs to coco alone"
            raise ConfigError(f"annotations of {self.kind} is {self.annotations!r}; it {wanted}")
        if isinstance(self.sequences, str) or not all(isinstance(n, str) for n in self.sequences):
            raise ConfigError(f"sequences is {self.sequences!r}; it must be a list of names")
        if self.sequences and self.kind != "davis":
            raise ConfigError(f"sequences of {self.kind} is given; it belongs to davis alone")
        if self.hold_out == 1 or (self.hold_out and not _holds_videos(self.kind)):
            raise ConfigError(
                f"hold_out of {self.kind} is {self.hold_out}; it must be 0 (none), or 2 or more "
                "for a set of videos"
            )
        if self.kind == "davis":
            refuse_val(self.sequences, Path(self.root))


@dataclass(frozen=True)
class DataConfig:
    """All data of a training."""

    sources: Sequence[SourceConfig]
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    photometry: PhotometrySettings = field(default_factory=PhotometrySettings)
    cache_mb: int = setting(
        2048, 0, 10**6,
        help="Memory for decoded images, of all sources and all processes of a machine together. "
        "In their order, sets that fit whole are read before the start, and workers share them.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.sources:
            raise ConfigError("sources is empty; a training needs at least one")


def open_reader(source: SourceConfig, *, validation: bool = False) -> Reader:
    """Open a data set for training, or the held-out side of one of photographs.

    Raises:
        DatasetError: it is missing, damaged, holds sequences of DAVIS val, or has no such side.
    """
    root = Path(source.root)
    if validation and source.kind not in STILLS and not source.hold_out:
        raise DatasetError(
            f"{root}: {source.kind} has no validation side; only {STILLS} have one, and videos "
            "with hold_out"
        )
    reader: Reader
    if source.kind == "photos":
        return Photos(root, validation=validation)
    if source.kind == "coco":
        reader = Coco(source.annotations, root, validation=validation)
        # A conversion of DAVIS is DAVIS still.
        whole = root.resolve()
        refuse_val((sequence_of(whole / reader.name(i)) for i in range(len(reader))), root)
        return reader
    if source.kind == "davis":
        # Folders in DAVIS layout may come without lists.
        split = "train" if (root / "ImageSets").is_dir() else None
        reader = Davis(root, year=source.year, split=split, sequences=source.sequences)
    else:
        reader = _reader_of_folder(source.kind)(root)  # type: ignore[call-arg]
    refuse_val((reader.name(i) for i in range(len(reader))), root)
    if source.hold_out:
        assert isinstance(reader, VideoReader)  # SourceConfig allows it for videos alone
        reader.keep_side(source.hold_out, validation=validation)
    return reader


def _reader_of_folder(kind: str) -> type[Reader]:
    """The class of a reader that is made from the set's folder alone, ours or an installed one."""
    return own_readers().get(kind) or installed_reader(kind)


def _holds_videos(kind: str) -> bool:
    """Whether the images of this kind of set follow each other."""
    if kind in STILLS:
        return False
    return kind == "davis" or issubclass(_reader_of_folder(kind), VideoReader)


def open_training(data: DataConfig, network: NetworkConfig, *, length: int, seed: int) -> Mixture:
    """All sources as one data set of pairs.

    Raises:
        DatasetError: a source that cannot be used.
    """
    free_bytes = data.cache_mb * 10**6
    readers: dict[tuple[Any, ...], Reader] = {}
    sources: list[tuple[PairSource, float]] = []
    for source in data.sources:
        # One set may be named twice, for both kinds of pairs.
        place = (
            source.kind, source.root, source.annotations, source.year, source.hold_out,
            *source.sequences,
        )  # fmt: skip
        if place not in readers:
            readers[place], used_bytes = preload(open_reader(source), free_bytes)
            free_bytes -= used_bytes
        reader = readers[place]
        made: PairSource
        if source.pairs == "video" or (not source.pairs and _holds_videos(source.kind)):
            made = VideoPairs(reader, network, data.video, data.photometry)
        else:
            made = SyntheticPairs(reader, network, data.synthetic, data.photometry)
        sources.append((made, source.weight))
    return Mixture(sources, length=length, seed=seed)


def open_validation(data: DataConfig) -> Reader:
    """The held-out side of the first source of photographs, for synthetic clips.

    Raises:
        DatasetError: there is none, or it cannot be used.
    """
    for source in data.sources:
        if source.kind in STILLS:
            return open_reader(source, validation=True)
    raise DatasetError(
        f"sources has no photographs ({', '.join(STILLS)}) to hold out for validation; "
        "data.clips 0 goes without"
    )


def open_validation_videos(data: DataConfig) -> list[Reader]:
    """The held-out sequences of every set of videos that holds some out.

    Raises:
        DatasetError: a set that cannot be used.
    """
    # A set may be named twice, for both kinds of pairs.
    places = {source.root: source for source in data.sources if source.hold_out}
    return [open_reader(source, validation=True) for source in places.values()]


#: The groups of settings of a DataConfig.
GROUPS = {"synthetic": SyntheticSettings, "video": VideoSettings, "photometry": PhotometrySettings}


def data_config(values: Any, where: str) -> DataConfig:
    """Build a configuration from plain values, as YAML gives them.

    Raises:
        ConfigError: an unknown or missing key, or a value that is not allowed.
        DatasetError: a source names sequences of DAVIS val.
    """
    check_keys(DataConfig, values, where, ConfigError)
    values = {**values, "sources": source_configs(values["sources"], where)}
    for name, cls in GROUPS.items():
        if name in values:
            values[name] = _build(cls, values[name], f"{where}, {name}")
    return _build(DataConfig, values, where)


def source_configs(listed: Any, where: str) -> tuple[SourceConfig, ...]:
    """Build sources from a list of plain values.

    Raises:
        ConfigError, DatasetError: see :func:`data_config`.
    """
    if not isinstance(listed, list):
        raise ConfigError(f"{where}, sources: is {listed!r}; it must be a list")
    return tuple(
        _build(SourceConfig, one, f"{where}, sources, {i}") for i, one in enumerate(listed, 1)
    )


def _build(cls: type[T], values: Any, where: str) -> T:
    check_keys(cls, values, where, ConfigError)
    try:
        return cls(**values)
    except SiampolarError as error:
        raise type(error)(f"{where}: {error}") from None
