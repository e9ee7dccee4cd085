"""What a benchmark finds. All of it can be written as JSON by ``dataclasses.asdict``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..evaluation.timing import Percentiles


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds per frame, in total and by stage, see :mod:`siampolar_model.bench.stages`."""

    total: Percentiles
    crop: Percentiles
    infer: Percentiles
    decode: Percentiles
    state: Percentiles

    def stages(self) -> dict[str, Percentiles]:
        """All but the total, by name."""
        return {
            "crop": self.crop, "infer": self.infer, "decode": self.decode, "state": self.state,
        }  # fmt: skip


@dataclass(frozen=True)
class TrackerResult:
    """What the tracker costs.

    Attributes:
        fps: one over the median seconds per frame.
        cpu_ms: processor time of all threads per frame.
        memory_mb: megabytes (10^6 bytes) that engine and tracker added to the process.
    """

    fps: float
    ms: StageTimes
    cpu_ms: float
    memory_mb: float


@dataclass(frozen=True)
class PeerTimes:
    """Milliseconds per frame of a peer, whose stages are not known."""

    total: Percentiles


@dataclass(frozen=True)
class PeerRun:
    """Frames per second of both in one pair of alternating runs."""

    tracker_fps: float
    peer_fps: float


@dataclass(frozen=True)
class PeerResult:
    """What a peer costs in the same process on the same frames.

    Attributes:
        fps, cpu_ms: as in :class:`TrackerResult`.
        fps_ratio: frames per second of our tracker over the peer's, the median of the runs.
    """

    fps: float
    ms: PeerTimes
    cpu_ms: float
    fps_ratio: float
    runs: tuple[PeerRun, ...]


@dataclass(frozen=True)
class CaseResult:
    """One case, measured.

    Attributes:
        choice: why this engine was taken, in words.
        image_size: width and height in pixels.
        box_xywh: the target in the first image, in its pixels.
        peers: by name; empty if our tracker ran alone.
        threads: of the engine; None: its own choice.
        max_isa, busy_cores: see :class:`siampolar_model.bench.case.Case`.
    """

    engine: str
    precision: str
    choice: str
    model: str
    threads: int | None
    targets: int
    frames: int
    image_size: tuple[int, int]
    box_xywh: tuple[float, float, float, float]
    tracker: TrackerResult
    peers: dict[str, PeerResult]
    max_isa: str | None = None
    busy_cores: int = 0

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> CaseResult:
        """From the JSON of ``asdict``, as another process writes it."""
        tracker, peers = fields["tracker"], fields["peers"]
        return cls(
            **{
                **fields,
                "image_size": tuple(fields["image_size"]),
                "box_xywh": tuple(fields["box_xywh"]),
                "tracker": TrackerResult(**{**tracker, "ms": StageTimes(**_times(tracker["ms"]))}),
                "peers": {name: _peer(one) for name, one in peers.items()},
            }
        )


@dataclass(frozen=True)
class EngineListing:
    """An engine in one precision.

    Attributes:
        obstacle: why it cannot run here; empty if it can.
    """

    engine: str
    precision: str
    obstacle: str = ""


@dataclass(frozen=True)
class NamedResult:
    """A case of the suite.

    Attributes:
        result: None if it could not be measured.
        obstacle: why not; empty if it was.
    """

    name: str
    result: CaseResult | None
    obstacle: str = ""


@dataclass(frozen=True)
class SuiteResult:
    """All engines, numbers of targets and image sizes.

    Attributes:
        engines: all that run here, next to the peer.
        full_rate: the larger numbers again, with all targets searched for on every image.
        laptop: OpenVINO with :func:`siampolar_model.bench.suite.laptop_isa`.
        not_run: the engines that cannot run here, and why.
    """

    engines: tuple[NamedResult, ...]
    laptop: tuple[NamedResult, ...]
    targets_by_number: tuple[NamedResult, ...]
    full_rate: tuple[NamedResult, ...]
    sizes: tuple[NamedResult, ...]
    not_run: tuple[EngineListing, ...]


@dataclass(frozen=True)
class NodeResult:
    """The ROS 2 node at one image size and rate.

    Attributes:
        image_size: width and height in pixels.
        sent, lost: images, and those among them for which no targets came.
        tracking: share of the others on which the target was tracked.
        latency_ms: from an image's stamp to its targets.
        node_cpu: processor time over wall time; 1 is one core.
        busy_cores: cores that other processes kept busy meanwhile.
        stages_ms: mean milliseconds of each part, by name; those inside the node as its diagnostics
            report them.
    """

    image_size: tuple[int, int]
    rate_hz: float
    sent: int
    lost: int
    tracking: float
    latency_ms: Percentiles
    node_cpu: float
    node_memory_mb: float
    busy_cores: int = 0
    stages_ms: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> NodeResult:
        """From the JSON of ``asdict``, as another process writes it."""
        width, height = fields["image_size"]
        latency_ms = Percentiles(**fields["latency_ms"])
        return cls(**{**fields, "image_size": (width, height), "latency_ms": latency_ms})


@dataclass(frozen=True)
class Machine:
    """A processor.

    Attributes:
        cpu_flags: its instructions for networks.
        cores: how many this process may use.
    """

    cpu: str
    cpu_flags: tuple[str, ...]
    cores: int


@dataclass(frozen=True)
class Report:
    """Everything that ``siampolar bench`` found.

    Attributes:
        command: what was typed, without folders.
        versions: of the libraries that figures depend on, by name.
        suite: with ``--full``.
        loads: with ``--loaded``.
        node: with ``--node``.
    """

    case: CaseResult
    command: str
    versions: dict[str, str]
    machine: Machine
    suite: SuiteResult | None = None
    node: tuple[NodeResult, ...] = ()
    loads: tuple[NamedResult, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields of the case and of the suite stand next to the others."""
        fields = asdict(self)
        case, suite = fields.pop("case"), fields.pop("suite")
        return {**case, **fields, **(suite or {})}


def _times(fields: dict[str, Any]) -> dict[str, Percentiles]:
    return {name: Percentiles(**one) for name, one in fields.items()}


def _peer(fields: dict[str, Any]) -> PeerResult:
    ms, runs = PeerTimes(**_times(fields["ms"])), tuple(PeerRun(**one) for one in fields["runs"])
    return PeerResult(**{**fields, "ms": ms, "runs": runs})
