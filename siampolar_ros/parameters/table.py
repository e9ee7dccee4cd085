"""Parameters of the nodes: declaration, checks and reference page come from dataclasses.

A node's parameters are the fields of a dataclass, made by :func:`siampolar_model.settings.setting`.
A field that holds another such dataclass contributes the parameters of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from siampolar_model.errors import SiampolarError
from siampolar_model.settings import Setting, Value, setting_of

if TYPE_CHECKING:
    from rclpy.node import Node

S = TypeVar("S")


#: What every node of this package is made with: rclpy then declares everything that files and the
#: command line give, which is the only public way to learn of names that the node does not know.
GIVEN = {"automatically_declare_parameters_from_overrides": True}

#: Parameters that rclpy declares and reads itself, and one that bondpy does.
_OF_OTHERS = ("use_sim_time", "start_type_description_service", "bond_disable_heartbeat_timeout")
_PREFIXES_OF_OTHERS = ("qos_overrides.",)


class Changes(Enum):
    """When a parameter may change; ``changes`` of a field, at any time unless it is given."""

    START = "only at start"
    UNCONFIGURED = "while unconfigured"
    ANY_TIME = "at any time"


class ParameterError(SiampolarError, ValueError):
    """A value that is not allowed; the message names parameter, value and what is allowed."""


@dataclass(frozen=True)
class Parameter(Setting):
    """A setting as a parameter of a node.

    Attributes:
        changes: when it may change.
        listed: where the choices are listed, in Markdown, if the reference page is not to list
            them: the choices of some parameters depend on what is installed.
    """

    changes: Changes = Changes.ANY_TIME
    listed: str = ""

    def check(self, value: Any) -> Value:
        """The value in this parameter's type.

        A whole number may stand for a floating-point one and for text, because command lines
        write ``2`` for ``2.0`` and ``device:=0`` for the first camera.

        Raises:
            ParameterError: another type, not finite, out of range, or not among the choices.
        """
        if isinstance(self.default, str) and type(value) is int:
            value = str(value)
        try:
            return super().check(value)
        except ValueError as error:
            raise ParameterError(f"parameter {error}") from None


def parameters_of(cls: Any) -> tuple[Parameter, ...]:
    """The parameters that a dataclass and the dataclasses in it describe, in order."""
    found: list[Parameter] = []
    for one in fields(cls):
        if is_dataclass(one.default):
            found += parameters_of(one.default)
        else:
            changes = one.metadata.get("changes", Changes.ANY_TIME)
            listed = one.metadata.get("listed", "")
            found.append(Parameter(**vars(setting_of(one)), changes=changes, listed=listed))
    return tuple(found)


def filled(cls: type[S], values: Mapping[str, Any]) -> S:
    """A dataclass, and the dataclasses in it, from the checked values of its parameters.

    Raises:
        ParameterError: values that do not fit together.
    """
    given: dict[str, Any] = {}
    for one in fields(cls):  # type: ignore[arg-type]
        if is_dataclass(one.default):
            given[one.name] = filled(type(one.default), values)
        else:
            convert = setting_of(one).convert or (lambda value: value)
            given[one.name] = convert(values[one.name])
    try:
        return cls(**given)
    except ParameterError:
        raise
    except ValueError as error:
        raise ParameterError(f"parameter {error}") from None


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


class Parameters(Generic[S]):
    """The parameters of one node, declared from the dataclass of its settings.

    A change is checked as a whole before any of it takes effect: the settings are made of all
    values as they would be, which raises :class:`ValueError` for values that do not fit together;
    only then are the settings swapped and ``on_change`` called.

    A node whose start values are wrong is still created: :meth:`settings` raises until they are
    corrected, so that a lifecycle node can report it and wait.

    Args:
        node: made with :data:`GIVEN`, so that what was given at the start is known.
        extra: parameters that are not part of the settings, such as those of installed outputs.
    """

    def __init__(
        self,
        node: Node,
        settings: type[S],
        on_change: Callable[[], None] = lambda: None,
        is_unconfigured: Callable[[], bool] = lambda: True,
        extra: Sequence[Parameter] = (),
    ) -> None:
        given = _take_given(node)
        self._class = settings
        self._extra = tuple(parameter.name for parameter in extra)
        self._table = {one.name: one for one in (*parameters_of(settings), *extra)}
        self._on_change = on_change
        self._is_unconfigured = is_unconfigured
        self._raw = {one.name: _declare(node, one) for one in self._table.values()}
        #: Parameters that were given at the start by the names they had before.
        self._renamed = {one.name: one for one in self._table.values() if one.old_name in given}
        unknown = given - {*self._table, *(one.old_name for one in self._renamed.values())}
        unknown -= _names_of_all_nodes()  # one file may hold the parameters of several nodes
        if unknown:
            node.get_logger().warning(_warning(unknown, self._table))
        self._settings: S | None = None
        node.add_on_set_parameters_callback(self._on_set)

    def settings(self) -> S:
        """The settings of the present values; the same object until they change.

        Raises:
            ParameterError: naming everything that is not allowed.
        """
        if self._renamed:
            raise ParameterError(
                "; ".join(f"parameter {one.renamed}" for one in self._renamed.values())
            )
        if self._settings is None:
            values = check_all(self._table.values(), self._raw)
            self._settings = filled(self._class, values)
        return self._settings

    def extra(self) -> dict[str, Value]:
        """The present values of the extra parameters, by name.

        Raises:
            ParameterError: see :meth:`settings`.
        """
        self.settings()
        return {name: self._table[name].check(self._raw[name]) for name in self._extra}

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
                # Wrong start values of other parameters must not prevent this correction.
                pass
            else:
                settings = filled(self._class, values)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._raw, self._settings = new, settings
        for change in changes:
            self._renamed.pop(change.name, None)  # corrected: its new name has a value
        self._on_change()
        return SetParametersResult(successful=True)


def _declare(node: Node, parameter: Parameter) -> Any:
    """Declare a parameter and return its value, which may be one that is not allowed."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    # Typed declarations end the node with a traceback when a file says 2 instead of 2.0, and so
    # do ranges when a start value lies outside; so our own check comes first.
    descriptor = ParameterDescriptor(
        name=parameter.name,
        description=parameter.help,
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


def _take_given(node: Node) -> set[str]:
    """The names of all parameters that files or the command line give this node.

    A node that was made with :data:`GIVEN` has declared them without description or range; that is
    taken back here, so that each can be declared as what it is, and unknown ones do not exist.
    """
    given = set()
    for name in node.get_parameters_by_prefix(""):
        if name not in _OF_OTHERS and not name.startswith(_PREFIXES_OF_OTHERS):
            node.undeclare_parameter(name)
            given.add(name)
    return given


def _names_of_all_nodes() -> set[str]:
    from .reference import NODES  # here, because it needs this module

    return {one.name for _, _, settings in NODES.values() for one in parameters_of(settings)}


def _warning(unknown: Iterable[str], known: Collection[str]) -> str:
    """That parameters have no effect, with the name that was probably meant."""
    parts = []
    for name in sorted(unknown):
        meant = get_close_matches(name, known, n=1)
        parts.append(name + (f" (did you mean {meant[0]}?)" if meant else ""))
    return f"unknown parameters have no effect: {', '.join(parts)}"


def reference(table: Iterable[Parameter]) -> str:
    """The table as Markdown."""
    lines = ["| parameter | default | allowed | may change | what it does |"]
    lines.append("|---|---|---|---|---|")
    for p in table:
        default = str(p.default).lower() if isinstance(p.default, bool) else p.default
        shown = '""' if default == "" else default
        allowed = p.listed or p.allowed
        lines.append(f"| `{p.name}` | `{shown}` | {allowed} | {p.changes.value} | {p.help} |")
    return "\n".join(lines) + "\n"
