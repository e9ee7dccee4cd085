"""All parameters of all nodes, one dataclass per node; docs/nodes.md is made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from siampolar_model.engines.base import BUILD_ENGINE, PRECISIONS, PROVIDERS
from siampolar_model.engines.loading import engine_names
from siampolar_model.session.settings import SessionSettings
from siampolar_model.settings import setting
from siampolar_model.tracking.settings import TrackerSettings

from .settings import DetectionSettings, ImageSettings, OutputSettings, names_of
from .table import Changes, ParameterError


def _number_or_none(value: int) -> int | None:
    return value or None


def _path_or_none(value: str) -> Path | None:
    return Path(value) if value else None


@dataclass(frozen=True)
class Settings:
    """The tracker node's parameters, valid as a whole."""

    autostart: bool = setting(
        True,
        changes=Changes.START,
        help="Configure and activate when the node starts, without being asked to; false: wait for "
        "a manager, such as Nav2's, and form a bond with it where bondpy is installed.",
    )
    auto_recover: bool = setting(
        True,
        help="Configure and activate again after the tracker failed, waiting longer every time. "
        "After a CUDA error that only a new process can fix, end with status 1 instead.",
    )
    model: str = setting(
        "siampolar_lite0",
        changes=Changes.UNCONFIGURED,
        help="Name of shipped weights, or a model folder (model.json, template.onnx, search.onnx, "
        "SHA256SUMS).",
    )
    engine: str = setting(
        "auto",
        changes=Changes.UNCONFIGURED,
        choices=("auto", *engine_names()),
        listed="auto, or one of [Engines](engines.md)",
        help="Runtime of the network; auto takes the fastest that runs here and logs which one "
        "and why.",
    )
    precision: str = setting(
        "auto",
        changes=Changes.UNCONFIGURED,
        choices=PRECISIONS,
        help="What the network computes in; auto takes the fastest that engine, processor and "
        "model offer together.",
    )
    num_threads: int | None = setting(
        0, 0, 256,
        convert=_number_or_none,
        changes=Changes.UNCONFIGURED,
        help="Threads of the runtime; 0: one per core, or fewer while other processes keep cores "
        "busy.",
    )  # fmt: skip
    provider: str = setting(
        "cpu",
        changes=Changes.UNCONFIGURED,
        choices=PROVIDERS,
        help="What the engine `onnxruntime` computes with; `torch` takes cpu and cuda.",
    )
    build_engine: str = setting(
        "never",
        changes=Changes.UNCONFIGURED,
        choices=BUILD_ENGINE,
        help="Whether a missing TensorRT engine is built when the node is configured. That takes "
        "minutes, in a separate process, after which the node starts.",
    )
    engine_path: Path | None = setting(
        "",
        convert=_path_or_none,
        changes=Changes.UNCONFIGURED,
        help="Folder of a built TensorRT engine in the user's own cache; empty: the one built for "
        "this model, GPU and TensorRT.",
    )
    images: ImageSettings = ImageSettings()
    tracker: TrackerSettings = TrackerSettings()
    session: SessionSettings = SessionSettings()
    detections: DetectionSettings = DetectionSettings()
    outputs: OutputSettings = OutputSettings()


def _index_or_none(value: int) -> int | None:
    return value if value >= 0 else None


@dataclass(frozen=True)
class VideoSettings:
    """The video publisher's parameters, valid as a whole; ``last_frame`` None: to the end."""

    path: str = setting(
        "", changes=Changes.START, help="Video file or folder of images; give this or `device`."
    )
    device: str = setting(
        "", changes=Changes.START, help="Camera: its number or a path like /dev/video0."
    )
    rate: float = setting(
        0.0, 0.0, 1000.0,
        changes=Changes.START,
        help="Images per second; 0: the rate of the video, 30 for a folder, or what a camera "
        "gives.",
    )  # fmt: skip
    loop: bool = setting(False, changes=Changes.START, help="Start again at the end of the video.")
    first_frame: int = setting(
        0, 0, changes=Changes.START, help="Index of the first frame to publish."
    )
    last_frame: int | None = setting(
        -1, -1,
        convert=_index_or_none,
        changes=Changes.START,
        help="Index of the last frame to publish; -1: to the end.",
    )  # fmt: skip
    frame_id: str = setting("camera", changes=Changes.START, help="`frame_id` of every header.")
    horizontal_fov: float = setting(
        0.0, 0.0, 170.0,
        changes=Changes.START,
        help="Angle of view in degrees of the ideal camera that `camera_info` describes; 0: "
        "`camera_info` is not published.",
    )  # fmt: skip
    wait_for_subscribers: int = setting(
        1, 0, 100,
        changes=Changes.START,
        help="Number of subscribers to wait for before the first frame of a video; 0: do not "
        "wait.",
    )  # fmt: skip
    paused: bool = setting(
        False,
        help="Stand still; a video that starts paused shows its first frame, so that there is "
        "time to draw a box on it.",
    )

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.device):
            raise ParameterError(
                f"parameters path and device are {self.path!r} and {self.device!r}; "
                "give exactly one of them, such as path:=video.mp4"
            )
        if self.last_frame is not None and self.last_frame < self.first_frame:
            raise ParameterError(
                f"parameter last_frame is {self.last_frame}; it must be -1 or at least "
                f"first_frame, {self.first_frame}"
            )


@dataclass(frozen=True)
class FirstTargetSettings:
    """The parameters of ``first_target``."""

    box: str = setting("", changes=Changes.START, help="x,y,w,h in pixels of the first image.")


@dataclass(frozen=True)
class ConsoleSettings:
    """The parameters of ``console``."""

    host: str = setting(
        "127.0.0.1",
        changes=Changes.START,
        help="Address to serve the page on; 0.0.0.0: on every address of the robot. On another "
        "than this machine's own, a browser needs the token.",
    )
    port: int = setting(
        8090, 0, 65_535, changes=Changes.START, help="Port to serve the page on; 0: any free one."
    )
    token: str = setting(
        "",
        changes=Changes.START,
        help="What a browser must bring, at least 16 characters; empty: nothing on this machine's "
        "own address, else a new token at every start. The log names the address with its token. "
        "Whoever can read parameters of this node can read it.",
    )
    trackers: tuple[str, ...] = setting(
        "",
        convert=names_of,
        changes=Changes.START,
        help="The only trackers to show, such as `/front/tracker`, separated by commas; empty: "
        "all that are on the network.",
    )
    max_rate: float = setting(
        15.0, 0.1, 60.0, help="Most pictures per second and camera that are sent."
    )
    max_width: int = setting(
        960, 160, 4096, help="Wider images are scaled down to this width, in pixels, to be sent."
    )
    jpeg_quality: int = setting(75, 20, 95, help="Quality of the pictures that are sent.")
    max_browsers: int = setting(8, 1, 64, help="Browsers that may be connected at the same time.")
