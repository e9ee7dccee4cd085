"""Parameters as one table: declaration, validation and the reference page come from it."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from siampolar_model.errors import SiampolarError

if TYPE_CHECKING:
    from rclpy.node import Node

Value = bool | int | float | str


# Paths are shown whole, a mistake of thousands of letters is not.
_SHORT = reprlib.Repr()
_SHORT.maxstring = 200


class Changes(Enum):
    """When a parameter may change."""

    START = "only at start"
    UNCONFIGURED = "while unconfigured"
    ANY_TIME = "at any time"


class ParameterError(SiampolarError, ValueError):
    """A value that is not allowed; the message names parameter, value and what is allowed."""


@dataclass(frozen=True)
class Parameter:
    """One row of a table. The type is that of ``default``.

    Attributes:
        low, high: bounds of a number, both allowed; None: no bound.
        choices: the only strings allowed; empty: any.
    """

    name: str
    default: Value
    description: str
    changes: Changes
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> Value:
        """The value in this parameter's type.

        A whole number is taken for a floating-point one and for text, as command lines write
        ``2`` for ``2.0`` and ``device:=0`` for the first camera.

        Raises:
            ParameterError: another type, not finite, out of range, or not among the choices.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is str and type(value) is int:
            value = str(value)
        if type(value) is not kind:
            raise self._error(value)
        if isinstance(value, str) and self.choices and value not in self.choices:
            raise self._error(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise self._error(value)
            if self.low is not None and value < self.low:
                raise self._error(value)
            if self.high is not None and value > self.high:
                raise self._error(value)
        assert isinstance(value, (bool, int, float, str))
        return value

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

    def _error(self, value: Any) -> ParameterError:
        shown = _SHORT.repr(value)
        return ParameterError(f"parameter {self.name} is {shown}; it must be {self.allowed}")


def _digits(number: float) -> str:
    """``1000000`` where ``:g`` writes ``1e+06``."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def check_all(table: Iterable[Parameter], values: Mapping[str, Any]) -> dict[str, Value]:
    """Every parameter of the table from ``values``, in its type.

    Raises:
        ParameterError: naming everything that is not allowed.
    """
    checked, errors = {}, []
    for parameter in table:
        try:
            checked[parameter.name] = parameter.check(values[parameter.name])
        except ParameterError as error:
            errors.append(str(error))
    if errors:
        raise ParameterError("; ".join(errors))
    return checked


S = TypeVar("S")


class Parameters(Generic[S]):
    """The parameters of one node, declared from a table.

    A change is validated as a whole before anything is taken over: ``validate`` makes the settings
    of all values as they would be and raises :class:`ValueError` for what does not fit together;
    only then are the settings swapped and ``on_change`` called.

    A node whose start values are wrong still comes up: :meth:`settings` raises until they are
    corrected, so that a lifecycle node can say so and wait.
    """

    def __init__(
        self,
        node: Node,
        table: Sequence[Parameter],
        validate: Callable[[dict[str, Value]], S],
        on_change: Callable[[], None] = lambda: None,
        is_unconfigured: Callable[[], bool] = lambda: True,
    ) -> None:
        self._table = {parameter.name: parameter for parameter in table}
        self._validate = validate
        self._on_change = on_change
        self._is_unconfigured = is_unconfigured
        self._raw = {parameter.name: _declare(node, parameter) for parameter in table}
        self._settings: S | None = None
        node.add_on_set_parameters_callback(self._on_set)

    def settings(self) -> S:
        """What ``validate`` makes of the present values; the same object until they change.

        Raises:
            ParameterError: naming everything that is not allowed.
        """
        if self._settings is None:
            self._settings = self._validate(check_all(self._table.values(), self._raw))
        return self._settings

    def _on_set(self, changes: Sequence[Any]) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        new, settings = dict(self._raw), None
        try:
            for change in changes:
                parameter = self._table.get(change.name)
                if parameter is None:
                    continue
                new[change.name] = parameter.check(change.value)
                if (
                    parameter.changes is Changes.UNCONFIGURED
                    and new[change.name] != self._raw[change.name]
                    and not self._is_unconfigured()
                ):
                    raise ParameterError(
                        f"parameter {change.name} may change only while the node is unconfigured "
                        "(ros2 lifecycle set NODE deactivate, then cleanup)"
                    )
            try:
                values = check_all(self._table.values(), new)
            except ParameterError:
                # Wrong start values elsewhere must not keep this one from being corrected.
                pass
            else:
                settings = self._validate(values)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._raw, self._settings = new, settings
        self._on_change()
        return SetParametersResult(successful=True)


def _declare(node: Node, parameter: Parameter) -> Any:
    """Declare a parameter and return its value, which may be one that is not allowed."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    # Typed declarations end the node with a traceback when a file says 2 instead of 2.0, and so
    # do ranges when a start value lies outside; so our own check comes first.
    descriptor = ParameterDescriptor(
        name=parameter.name,
        description=parameter.description,
        additional_constraints=f"{parameter.allowed}; may change {parameter.changes.value}",
        read_only=parameter.changes is Changes.START,
        dynamic_typing=True,
    )
    value = node.declare_parameter(parameter.name, parameter.default, descriptor).value
    try:
        parameter.check(value)
    except ParameterError:
        return value
    if parameter.low is not None and parameter.high is not None and not descriptor.read_only:
        low, high = parameter.low, parameter.high
        if isinstance(parameter.default, float):
            ends = {"from_value": float(low), "to_value": float(high)}
            descriptor.floating_point_range = [FloatingPointRange(**ends, step=0.0)]
        else:
            ends = {"from_value": int(low), "to_value": int(high)}
            descriptor.integer_range = [IntegerRange(**ends, step=1)]
        node.set_descriptor(parameter.name, descriptor)
    return value


def reference(table: Iterable[Parameter]) -> str:
    """The table as Markdown."""
    lines = ["| parameter | default | allowed | may change | what it does |"]
    lines.append("|---|---|---|---|---|")
    for p in table:
        default = str(p.default).lower() if isinstance(p.default, bool) else p.default
        shown = '""' if default == "" else default
        lines.append(
            f"| `{p.name}` | `{shown}` | {p.allowed} | {p.changes.value} | {p.description} |"
        )
    return "\n".join(lines) + "\n"
