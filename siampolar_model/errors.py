"""Errors with a message for the user: what was given, what is allowed, what to do."""

from __future__ import annotations


class BagError(ValueError):
    """A bag that cannot be read or written; the message names it and says why."""


class BenchError(ValueError):
    """A benchmark that cannot be run; the message says what is missing."""


class CalibrationError(ValueError):
    """A folder that cannot be used; the message names it and the layout expected."""


class CommandError(Exception):
    """Raised by a sub-command to end with this one line on stderr and exit code 2."""


class EngineError(RuntimeError):
    """A runtime or model that cannot be used; the message says what is missing."""


class ProcessUnusable(RuntimeError):
    """The device failed in such a way that only a new process can use it again."""


class EngineMissing(EngineError):
    """The TensorRT engine of a model was not built yet for this GPU and this TensorRT."""


class DatasetError(ValueError):
    """A data set that cannot be used; the message names the path and the layout expected."""


class ExportError(ValueError):
    """A graph that ONNX Runtime answers otherwise than torch; the message says where."""


class FrameError(ValueError):
    """An image that cannot be read; the message names the value and what is allowed."""


class StampError(ValueError):
    """No image belongs to a stamp; the message names both times and what is allowed."""


class ConfigError(ValueError):
    """A configuration that cannot be built; the message names the value and what is allowed."""


class PrecisionError(ValueError):
    """A graph that cannot be converted; the message says why."""


class QuantizationError(ValueError):
    """A quantised graph that is of no use; the message says what is wrong with it."""


class ReplayError(ValueError):
    """A replay that cannot do what was asked; one clear line."""


class OutputError(ValueError):
    """A file that cannot be written; the message names it and says why."""


class BoxError(ValueError):
    """A box that no target can start from; the message names the value and what is allowed."""


class TargetLimitError(ValueError):
    """There are already as many targets as the settings allow."""


class VideoError(ValueError):
    """A video that cannot be read or written; the message names the file and what is wrong."""
