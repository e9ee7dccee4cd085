"""All parameters of all nodes; docs/nodes.md is made from them (node_reference.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from siampolar_model.engines.base import BUILD_ENGINE, PRECISIONS
from siampolar_model.engines.loading import engine_names
from siampolar_model.session import session
from siampolar_model.session.settings import SessionSettings
from siampolar_model.tracking import tracker
from siampolar_model.tracking.settings import TrackerSettings

from .detection_settings import SETTING_RANGES as DETECTION_RANGES
from .detection_settings import DetectionSettings
from .settings import SETTING_RANGES, ImageSettings, OutputSettings
from .table import Changes, Parameter, ParameterError, Value

T = TypeVar("T")

_TRACKER_TEXTS = {
    "window_weight": "How much nearness to the last place counts against the score.",
    "scale_penalty": "How strongly a change of size or aspect counts against a candidate.",
    "size_smoothing": "Share of a new size that a score of 1 lets through at once.",
    "tracking_score": "Raw score from which a target is being tracked.",
    "lost_score": "Raw score below which a target is not believed; at most `tracking_score`.",
    "redetect_score": "Raw score from which the whole-frame search looks at a place again.",
    "recover_share": "Share of its usual score from which a target is believed again after it was "
    "not tracked, or where it jumped; 0: `tracking_score` is enough.",
    "recover_frames": "Images in a row, at one place, after which it is believed again.",
    "lost_frames": "Images in a row below `lost_score` that make a target lost.",
    "max_search_growth": "The search window grows up to so many times while uncertain.",
    "redetect_crops": "Windows of the whole frame searched in one image for all lost targets "
    "together, fewer while images are being skipped; 0: the whole frame is not searched.",
    "redetect_period_s": "The whole frame is covered in so many seconds, if `redetect_crops` "
    "suffice.",
    "min_box_px": "Shortest side of an init box inside the image, pixels.",
    "max_targets": "Targets followed at once.",
}

_SESSION_TEXTS = {
    "history_s": "Seconds of images kept for inits that arrive late.",
    "history_mb": "And at most so many megabytes (10^6 bytes) of them.",
    "catch_up_frames": "History images worked off for late inits before a waiting live image.",
    "hold_init_s": "Seconds an init waits for its image before it is refused.",
    "lost_timeout_s": "Seconds of images after which a lost target is dropped; 0: never.",
}

_IMAGE_TEXTS = {
    "image_transport": "Raw: sensor_msgs/Image on `image`; compressed: sensor_msgs/CompressedImage "
    "(JPEG, PNG) on `image/compressed`, or on `image` itself if it is remapped to a name that ends "
    "so.",
    "image_reliability": "QoS of the image subscription; auto is reliable if every publisher "
    "offers it, else best effort.",
    "max_image_pixels": "Larger images are refused before anything is allocated for them.",
}
_IMAGE_CHOICES = {
    "image_transport": ("raw", "compressed"),
    "image_reliability": ("auto", "reliable", "best_effort"),
}

_DETECTION_TEXTS = {
    "auto_init": "Start the best of `~/detections_in` while no target is followed; a lost one "
    "counts as followed.",
    "detection_score": "Detections with a lower score are ignored.",
    "detection_iou": "Overlap with the last box of a lost target from which a detection of its "
    "class starts it again.",
    "detection_classes": "The only class ids that start anything, separated by commas; empty: all.",
}

_OUTPUT_TEXTS = {
    "overlay": "Draw the overlay while somebody listens; false: not even then (a recorder of all "
    "topics listens).",
    "marker_depth": "Metres from the camera to the plane of `~/polygon` and `~/markers`.",
    "image_is_rectified": "The images have no distortion and follow P of the camera info, not K.",
}


def _of_settings(
    settings: Any,
    texts: Mapping[str, str],
    ranges: Mapping[str, tuple[float, float]],
    choices: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Parameter, ...]:
    """Rows for a dataclass of settings: defaults and ranges stand there, once."""
    rows = []
    for f in fields(settings):
        default = getattr(settings, f.name)
        low, high = ranges.get(f.name, (None, None))
        rows.append(
            Parameter(
                f.name,
                ",".join(default) if isinstance(default, tuple) else default,
                texts[f.name],
                Changes.ANY_TIME,
                low,
                high,
                choices=(choices or {}).get(f.name, ()),
            )
        )
    return tuple(rows)


TRACKER: tuple[Parameter, ...] = (
    Parameter("autostart", True, "Configure and activate without being told to.", Changes.START),
    Parameter(
        "auto_recover",
        True,
        "Configure and activate again after the tracker failed, waiting longer every time. After "
        "a CUDA error that only a new process can mend, end with status 1 instead.",
        Changes.ANY_TIME,
    ),
    Parameter(
        "model",
        "siampolar_lite0",
        "Name of shipped weights, or a model folder (model.json, template.onnx, search.onnx, "
        "SHA256SUMS).",
        Changes.UNCONFIGURED,
    ),
    Parameter(
        "engine",
        "auto",
        "Runtime of the network; auto takes the fastest that runs here and logs which and why.",
        Changes.UNCONFIGURED,
        choices=("auto", *engine_names()),
    ),
    Parameter(
        "precision",
        "auto",
        "What the network computes in; auto takes the fastest that engine, processor and model "
        "offer together.",
        Changes.UNCONFIGURED,
        choices=PRECISIONS,
    ),
    Parameter(
        "num_threads", 0, "Threads of the runtime; 0: one per core.", Changes.UNCONFIGURED, 0, 256
    ),
    Parameter(
        "build_engine",
        "never",
        "Whether a TensorRT engine that is missing is built when the node is configured: minutes, "
        "in a process of its own, after which the node starts.",
        Changes.UNCONFIGURED,
        choices=BUILD_ENGINE,
    ),
    Parameter(
        "engine_path",
        "",
        "Folder of a built TensorRT engine in the user's own cache; empty: the one built for this "
        "model, GPU and TensorRT.",
        Changes.UNCONFIGURED,
    ),
    *_of_settings(ImageSettings(), _IMAGE_TEXTS, SETTING_RANGES, _IMAGE_CHOICES),
    *_of_settings(TrackerSettings(), _TRACKER_TEXTS, tracker.SETTING_RANGES),
    *_of_settings(SessionSettings(), _SESSION_TEXTS, session.SETTING_RANGES),
    *_of_settings(DetectionSettings(), _DETECTION_TEXTS, DETECTION_RANGES),
    *_of_settings(OutputSettings(), _OUTPUT_TEXTS, SETTING_RANGES),
)

VIDEO_PUBLISHER: tuple[Parameter, ...] = (
    Parameter("path", "", "Video file or folder of images; give this or device.", Changes.START),
    Parameter("device", "", "Camera: its number or a path like /dev/video0.", Changes.START),
    Parameter(
        "rate",
        0.0,
        "Images a second; 0: the video's own rate, 30 for a folder, whatever a camera gives.",
        Changes.START,
        0.0,
        1000.0,
    ),
    Parameter("loop", False, "Start again at the end of the video.", Changes.START),
    Parameter("first_frame", 0, "Index of the first frame to publish.", Changes.START, 0),
    Parameter("last_frame", -1, "Index of the last one; -1: to the end.", Changes.START, -1),
    Parameter("frame_id", "camera", "frame_id of every header.", Changes.START),
    Parameter(
        "horizontal_fov",
        0.0,
        "Angle of view in degrees of the ideal camera that `camera_info` describes; 0: none is "
        "published.",
        Changes.START,
        0.0,
        170.0,
    ),
    Parameter(
        "wait_for_subscribers",
        1,
        "Subscribers to wait for before the first frame of a video; 0: do not wait.",
        Changes.START,
        0,
        100,
    ),
    Parameter(
        "paused",
        False,
        "Stand still; a video that starts paused shows its first frame, time to draw a box on it.",
        Changes.ANY_TIME,
    ),
)

# As for the tracker, on whose images it draws.
SELECT_TARGET: tuple[Parameter, ...] = _of_settings(
    ImageSettings(), _IMAGE_TEXTS, SETTING_RANGES, _IMAGE_CHOICES
)

FIRST_TARGET: tuple[Parameter, ...] = (
    Parameter("box", "", "x,y,w,h in pixels of the first image.", Changes.START),
)


def fill(cls: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass from the values of its fields' names."""
    return cls(**{f.name: values[f.name] for f in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Settings:
    """The tracker node's parameters, valid as a whole."""

    autostart: bool
    auto_recover: bool
    model: str
    engine: str
    precision: str
    num_threads: int | None
    build_engine: str
    engine_path: Path | None
    images: ImageSettings
    tracker: TrackerSettings
    session: SessionSettings
    detections: DetectionSettings
    outputs: OutputSettings

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from checked values.

        Raises:
            ParameterError: values that do not fit together.
        """
        classes = (one.strip() for one in values["detection_classes"].split(","))
        try:
            return cls(
                autostart=values["autostart"],
                auto_recover=values["auto_recover"],
                model=values["model"],
                engine=values["engine"],
                precision=values["precision"],
                num_threads=values["num_threads"] or None,
                build_engine=values["build_engine"],
                engine_path=Path(values["engine_path"]) if values["engine_path"] else None,
                images=fill(ImageSettings, values),
                tracker=fill(TrackerSettings, values),
                session=fill(SessionSettings, values),
                detections=fill(
                    DetectionSettings, {**values, "detection_classes": tuple(filter(None, classes))}
                ),
                outputs=fill(OutputSettings, values),
            )
        except ValueError as error:
            raise ParameterError(f"parameter {error}") from None


@dataclass(frozen=True)
class VideoSettings:
    """The video publisher's parameters, valid as a whole; ``last_frame`` None: to the end."""

    path: str
    device: str
    rate: float
    loop: bool
    first_frame: int
    last_frame: int | None
    frame_id: str
    horizontal_fov: float
    wait_for_subscribers: int
    paused: bool

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> VideoSettings:
        """Settings from checked values.

        Raises:
            ParameterError: values that do not fit together.
        """
        settings: dict[str, Any] = dict(values)
        if bool(settings["path"]) == bool(settings["device"]):
            raise ParameterError(
                f"parameters path and device are {settings['path']!r} and {settings['device']!r}; "
                "give exactly one of them, such as path:=video.mp4"
            )
        last = settings["last_frame"]
        if 0 <= last < settings["first_frame"]:
            raise ParameterError(
                f"parameter last_frame is {last}; it must be -1 or at least first_frame, "
                f"{settings['first_frame']}"
            )
        settings["last_frame"] = last if last >= 0 else None
        return cls(**settings)
