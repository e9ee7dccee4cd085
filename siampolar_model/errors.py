"""Errors with a message for the user: what was given, what is allowed, what to do.

    SiampolarError
    ├── BoxError             a box that no target can start from
    ├── TargetLimitError     no room for another target
    ├── StampError           no image belongs to a stamp
    ├── FrameError           an image that cannot be read, or one of another size
    ├── EngineError          a runtime or a model that cannot be used
    │   └── EngineMissing    TensorRT's engine has not been built yet
    ├── ConfigError          a setting or a configuration that is not allowed
    ├── DatasetError         a data set that cannot be used
    ├── ExportError          a graph that cannot be exported, converted or quantized
    ├── VideoError           a video that cannot be read or written
    ├── BagError             a rosbag2 that cannot be read or written
    ├── ReplayError          a replay that cannot do what was asked
    ├── BenchError           a benchmark that cannot be run
    └── CommandError         a command line that cannot be carried out

All but EngineError (a RuntimeError) and CommandError are also ValueErrors. Other packages derive
their own errors from SiampolarError, so that ``siampolar`` prints them as one line.
:class:`ProcessUnusable` and the errors of CUDA stay apart: no other input avoids them.
"""

from __future__ import annotations


class SiampolarError(Exception):
    """Base of all errors that the user can fix; the message is one line that says how.

    Example:
        >>> import siampolar_model as sp
        >>> try:
        ...     sp.load_engine("my_modle")
        ... except sp.SiampolarError as error:
        ...     print(str(error)[:33])
        model 'my_modle' is neither shipp
    """


class BoxError(SiampolarError, ValueError):
    """A box that no target can start from; the message names the value and what is allowed."""


class TargetLimitError(SiampolarError, ValueError):
    """There are already as many targets as the settings allow."""


class StampError(SiampolarError, ValueError):
    """No image belongs to a stamp; the message names both times and what is allowed."""


class FrameError(SiampolarError, ValueError):
    """An image that cannot be read; the message names the value and what is allowed."""


class EngineError(SiampolarError, RuntimeError):
    """A runtime or model that cannot be used; the message says what is missing."""


class EngineMissing(EngineError):
    """The TensorRT engine of a model was not built yet for this GPU and this TensorRT."""


class ConfigError(SiampolarError, ValueError):
    """A setting or configuration; the message names the value and what is allowed."""


class DatasetError(SiampolarError, ValueError):
    """A data set that cannot be used; the message names the path and the layout expected."""


class ExportError(SiampolarError, ValueError):
    """A graph that cannot be exported, converted or quantized; the message says why."""


class VideoError(SiampolarError, ValueError):
    """A video that cannot be read or written; the message names the file and what is wrong."""


class BagError(SiampolarError, ValueError):
    """A bag that cannot be read or written; the message names it and says why."""


class ReplayError(SiampolarError, ValueError):
    """A replay that cannot do what was asked; the message says why."""


class BenchError(SiampolarError, ValueError):
    """A benchmark that cannot be run; the message says what is missing."""


class CommandError(SiampolarError):
    """A command line that cannot be carried out; ends a sub-command with exit code 2."""


class ProcessUnusable(RuntimeError):
    """The device failed in such a way that only a new process can use it again."""


def counted(number: int, noun: str) -> str:
    """A number and what it counts, for messages: ``1 frame``, ``2 frames``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
