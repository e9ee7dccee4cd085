"""Settings that are written once: in the field of a dataclass.

    @dataclass(frozen=True)
    class TrackerSettings:
        lost_frames: int = setting(8, 1, 1000, help="Images in a row that make a target lost.")

        def __post_init__(self) -> None:
            check_settings(self)

Validation, the parameters of the ROS nodes, docs/nodes.md and ``--set`` of the commands read the
default, the range and the help from there.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, TypeVar, overload

from .errors import ConfigError

Value = bool | int | float | str

T = TypeVar("T", bool, int, float, str)
V = TypeVar("V")

#: Of a field's metadata.
_KEY = "setting"

# Paths are shown whole, a mistake of thousands of letters is not.
_SHORT = reprlib.Repr()
_SHORT.maxstring = 200


@dataclass(frozen=True)
class Setting:
    """What a field says about its setting. The setting has the type of ``default``.

    Attributes:
        low, high: bounds of a number, both allowed; None: no bound.
        choices: the only strings allowed; empty: any.
        old_name: what the setting was called before it was renamed; empty: never renamed.
        convert: makes the field's value from a value that was checked, such as a tuple from a
            comma-separated text; None: the field holds the checked value.
    """

    name: str
    default: Value
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    old_name: str = ""
    convert: Callable[[Any], Any] | None = None

    @property
    def allowed(self) -> str:
        """What is allowed, in words: ``a number from 0 to 1``."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
        text = words[type(self.default)]
        if self.low is not None and self.high is not None:
            text += f" from {_digits(self.low)} to {_digits(self.high)}"
        elif self.low is not None:
            text += f" of at least {_digits(self.low)}"
        return text

    def check(self, value: Any) -> Value:
        """The value in this setting's type; a whole number may stand for a floating-point one.

        Raises:
            ConfigError: another type, not finite, out of range, or not among the choices; the
                message names the setting, the value and what is allowed.
        """
        kind = type(self.default)
        if isinstance(value, bool) or isinstance(self.default, bool):
            fits = type(value) is kind
        elif isinstance(self.default, str):
            fits = isinstance(value, str) and (not self.choices or value in self.choices)
        else:
            fits = isinstance(value, int) or (
                kind is float and isinstance(value, float) and math.isfinite(value)
            )
            fits = fits and (self.low is None or value >= self.low)
            fits = fits and (self.high is None or value <= self.high)
        if not fits:
            raise ConfigError(f"{self.name} is {_SHORT.repr(value)}; it must be {self.allowed}")
        return kind(value)

    def parse(self, text: str) -> Value:
        """The value that a command line gives as text; ``true`` and ``false`` for a switch.

        Raises:
            ConfigError: see :meth:`check`.
        """
        value: Any = text
        if isinstance(self.default, bool):
            value = {"true": True, "false": False}.get(text, text)
        elif not isinstance(self.default, str):
            with suppress(ValueError):  # the check refuses the text as it is
                value = type(self.default)(text)
        return self.check(value)

    @property
    def renamed(self) -> str:
        """One line for somebody who used the old name."""
        return f"{self.old_name} was renamed; its name is now {self.name}"


@overload
def setting(
    default: T, low: float | None = None, high: float | None = None, *, help: str,
    choices: tuple[str, ...] = (), old_name: str = "", convert: Callable[[T], V], **extra: Any,
) -> V: ...  # fmt: skip


@overload
def setting(
    default: T, low: float | None = None, high: float | None = None, *, help: str,
    choices: tuple[str, ...] = (), old_name: str = "", **extra: Any,
) -> T: ...  # fmt: skip


def setting(
    default: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    help: str,
    choices: tuple[str, ...] = (),
    old_name: str = "",
    convert: Callable[[Any], Any] | None = None,
    **extra: Any,
) -> Any:
    """A field of a dataclass of settings; see :class:`Setting` for the arguments.

    ``extra`` is for another reader of the field's metadata, such as when a ROS parameter may
    change.
    """
    about = Setting("", default, help, low, high, choices, old_name, convert)
    value = convert(default) if convert else default
    return field(default=value, metadata={_KEY: about, **extra})


def setting_of(one: Field[Any]) -> Setting:
    """The setting of a field that was made by :func:`setting`."""
    return replace(one.metadata[_KEY], name=one.name)


def settings_of(cls: Any) -> tuple[Setting, ...]:
    """The settings of a dataclass or of an instance of one, in order."""
    return tuple(setting_of(one) for one in fields(cls) if _KEY in one.metadata)


def check_settings(settings: Any) -> None:
    """Check every field that holds its setting unconverted; for ``__post_init__``.

    Raises:
        ConfigError: see :meth:`Setting.check`.
    """
    for one in settings_of(settings):
        if one.convert is None:
            one.check(getattr(settings, one.name))


def check_ranges(settings: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Check fields against a table of ranges, both ends included.

    A range in whole numbers of type int allows only whole numbers.

    Raises:
        ConfigError: see :meth:`Setting.check`.
    """
    for name, (low, high) in ranges.items():
        Setting(name, low, "", low, high).check(getattr(settings, name))


def _digits(number: float) -> str:
    """``1000000`` where ``:g`` writes ``1e+06``."""
    return str(int(number)) if number == int(number) else f"{number:g}"
