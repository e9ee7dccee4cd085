"""Siamese polar mask tracking: point at any object with one box and follow its outline.

    import siampolar_model as sp

    tracker = sp.Tracker.from_pretrained("siampolar_lite0")
    for frame in sp.read_video("my.mp4"):
        if not tracker.targets:
            tracker.start(frame.image, (100, 80, 60, 120))
        for target in tracker.update(frame.image):
            print(target.id, target.state.name, target.box)

The names below are the public interface. Each is imported when it is first used, so that importing
this package costs neither OpenCV nor a runtime of networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; the same names as in _MODULES
    from .engines.loading import load_engine as load_engine
    from .engines.loading import register_engine as register_engine
    from .errors import BoxError as BoxError
    from .errors import ConfigError as ConfigError
    from .errors import DatasetError as DatasetError
    from .errors import EngineError as EngineError
    from .errors import FrameError as FrameError
    from .errors import SiampolarError as SiampolarError
    from .errors import TargetLimitError as TargetLimitError
    from .errors import VideoError as VideoError
    from .evaluation.evaluate import evaluate as evaluate
    from .geometry.box import Box as Box
    from .geometry.region import Mask as Mask
    from .geometry.region import Outline as Outline
    from .geometry.region import Point as Point
    from .geometry.soft_mask import SoftMask as SoftMask
    from .images.frame import Frame as Frame
    from .io.source import read_video as read_video
    from .io.video import VideoReader as VideoReader
    from .io.video import VideoWriter as VideoWriter
    from .models.folder import list_models as list_models
    from .rendering.draw import draw as draw
    from .results import Target as Target
    from .results import TargetState as TargetState
    from .results import to_supervision as to_supervision
    from .session.history import StampedImage as StampedImage
    from .session.requests import InitRequest as InitRequest
    from .session.requests import InitResult as InitResult
    from .session.session import Session as Session
    from .session.session import Targets as Targets
    from .session.settings import SessionSettings as SessionSettings
    from .tracking.settings import TrackerSettings as TrackerSettings
    from .tracking.tracker import Tracker as Tracker

    __version__: str

_MODULES = {
    "engines.loading": ("load_engine", "register_engine"),
    "errors": (
        "BoxError", "ConfigError", "DatasetError", "EngineError", "FrameError", "SiampolarError",
        "TargetLimitError", "VideoError",
    ),
    "evaluation.evaluate": ("evaluate",),
    "geometry.box": ("Box",),
    "geometry.region": ("Mask", "Outline", "Point"),
    "geometry.soft_mask": ("SoftMask",),
    "images.frame": ("Frame",),
    "io.source": ("read_video",),
    "io.video": ("VideoReader", "VideoWriter"),
    "models.folder": ("list_models",),
    "rendering.draw": ("draw",),
    "results": ("Target", "TargetState", "to_supervision"),
    "session.history": ("StampedImage",),
    "session.requests": ("InitRequest", "InitResult"),
    "session.session": ("Session", "Targets"),
    "session.settings": ("SessionSettings",),
    "tracking.settings": ("TrackerSettings",),
    "tracking.tracker": ("Tracker",),
}  # fmt: skip

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_MODULE_OF]


if not TYPE_CHECKING:  # a checker would take every name for one that exists

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            value: Any = _version()
        elif name in _MODULE_OF:
            from importlib import import_module

            value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        else:
            from difflib import get_close_matches

            close = get_close_matches(name, _MODULE_OF)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
        globals()[name] = value  # the next use does not come here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Of the installed package, or of package.xml in the source tree."""
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path
    from xml.etree import ElementTree

    for distribution in ("siampolar_ros", "siampolar_model"):  # pip's name, and colcon's
        try:
            return version(distribution)
        except PackageNotFoundError:
            pass
    package = Path(__file__).resolve().parents[1] / "package.xml"
    return ElementTree.parse(package).findtext("version") or ""
