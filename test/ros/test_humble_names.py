"""Nothing of rclpy is used that Humble's rclpy 3.3 does not have.

test/support/humble_rclpy_names.txt was made with test/support/rclpy_names.py from rclpy 3.3.0, the
first of Humble.
Types are not known to a syntax tree, so methods are judged by name: one that the installed rclpy
has and Humble's does not may not be used, whatever the object.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from conftest import ROOT

from support.rclpy_names import public_names

SUPPORT = Path(__file__).resolve().parents[1] / "support"
NODES = sorted((ROOT / "siampolar_ros").rglob("*.py"))


@lru_cache
def humble() -> dict[str, list[str] | None]:
    """Full name to the names of its parameters; None: cannot be called, or they are unknown."""
    return parse((SUPPORT / "humble_rclpy_names.txt").read_text().splitlines())


def parse(lines: list[str]) -> dict[str, list[str] | None]:
    names: dict[str, list[str] | None] = {}
    for line in lines:
        name, called, parameters = line.partition("(")
        names[name] = parameters.rstrip(")").split(", ") if called else None
    return names


@lru_cache
def later_names() -> frozenset[str]:
    """Last parts of the names that the installed rclpy has beyond Humble's."""
    found = importlib.util.find_spec("rclpy")
    assert found is not None and found.origin is not None
    installed = parse(public_names(Path(found.origin).parent))
    return frozenset(n.rpartition(".")[2] for n in installed) - last_parts()


@lru_cache
def last_parts() -> frozenset[str]:
    return frozenset(name.rpartition(".")[2] for name in humble())


@lru_cache
def own_names() -> frozenset[str]:
    """What our own code defines: methods, functions, fields."""
    names = set()
    for folder in ("siampolar_ros", "siampolar_model"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    names.add(node.name)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    names.add(node.target.id)
    return frozenset(names)


def unknown(source: str, later: frozenset[str] = frozenset()) -> list[str]:
    """Every use of rclpy in a source text that Humble does not know."""
    tree = ast.parse(source)
    imported, problems = imports(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            origin = resolve(node.value, imported)
            members = members_of(origin) if origin else None
            if members is not None and node.attr not in members:
                problems.append(f"{origin}.{node.attr}")
            elif members is None and node.attr in later - own_names():
                problems.append(f"{ast.unparse(node.value)}.{node.attr}")
        elif isinstance(node, ast.Call):
            problems += unknown_keywords(node, imported)
    return problems


def imports(tree: ast.AST) -> tuple[dict[str, str], list[str]]:
    """Local name to full name of what comes from rclpy, and what Humble does not have.

    An import that fails in Humble is allowed in a ``try`` whose ``except ImportError`` brings the
    same names from where Humble has them.
    """
    imported: dict[str, str] = {}
    problems: list[str] = []
    excused = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(
            handler.type is not None and ast.unparse(handler.type) == "ImportError"
            for handler in node.handlers
        ):
            instead = ast.Module([s for h in node.handlers for s in h.body], [])
            names, missing = imports(instead)
            problems += missing
            for one in node.body:
                if isinstance(one, ast.ImportFrom) and {a.name for a in one.names} <= set(names):
                    excused.add(one)
    for node in ast.walk(tree):
        found: list[tuple[str, str]] = []
        if isinstance(node, ast.Import):
            found = [(a.asname or a.name.split(".")[0], a.name) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node not in excused:
            found = [(a.asname or a.name, f"{node.module}.{a.name}") for a in node.names]
        for local, name in found:
            if name.split(".")[0] == "rclpy":
                imported[local] = name if isinstance(node, ast.ImportFrom) else local
                if name not in humble():
                    problems.append(name)
    return imported, sorted(set(problems))


def resolve(node: ast.expr, imported: dict[str, str]) -> str | None:
    """The full name of an expression like ``rclpy`` or ``ReliabilityPolicy``."""
    if isinstance(node, ast.Name):
        return imported.get(node.id)
    if isinstance(node, ast.Attribute):
        parent = resolve(node.value, imported)
        return f"{parent}.{node.attr}" if parent else None
    return None


def members_of(name: str) -> set[str] | None:
    """What a module or class holds; None: nothing is known of it, or its class has bases."""
    last = name.rpartition(".")[2]
    prefixes = {f"{name}."} | {
        f"{full}." for full in humble() if full.endswith(f".{last}") and last[0].isupper()
    }
    members = {
        full[len(prefix) :] for full in humble() for prefix in prefixes if full.startswith(prefix)
    }
    return members or None


def unknown_keywords(node: ast.Call, imported: dict[str, str]) -> Iterator[str]:
    """Keyword arguments that no function of Humble's of this name takes."""
    function = node.func
    name = resolve(function, imported)
    if name is None:
        if not isinstance(function, ast.Attribute) or function.attr in own_names():
            return
        last = function.attr
    else:
        last = name.rpartition(".")[2]
    takes = [
        parameters
        for full, parameters in humble().items()
        if full.rpartition(".")[2] == last and parameters is not None
    ]
    if not takes or any("**" in parameters for parameters in takes):
        return
    allowed = {parameter for parameters in takes for parameter in parameters}
    for keyword in node.keywords:
        if keyword.arg is not None and keyword.arg not in allowed:
            yield f"{last}({keyword.arg}=)"


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.name)
def test_only_names_of_humble_are_used(path: Path) -> None:
    later = later_names() if importlib.util.find_spec("rclpy") else frozenset()
    assert unknown(path.read_text(), later) == []


def test_there_are_later_names_to_find() -> None:
    if importlib.util.find_spec("rclpy") is None:
        pytest.skip("needs ROS 2 (rclpy): without a later one, methods are not judged")
    if "EventsExecutor" not in later_names():
        pytest.skip("the installed rclpy is Humble's: it has no later names")
    assert {"get_publisher_count", "add_post_set_parameters_callback"} <= later_names()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("from rclpy.experimental import EventsExecutor", "rclpy.experimental.EventsExecutor"),
        ("from rclpy.event_handler import PublisherEventCallbacks", "rclpy.event_handler.Publi"),
        ("import rclpy.event_handler", "rclpy.event_handler"),
        ("from rclpy.qos import QoSProfile, qos_profile_best_available", "qos_profile_best_avai"),
        (
            "from rclpy.qos import ReliabilityPolicy as R\nR.BEST_AVAILABLE",
            "ReliabilityPolicy.BEST_AVAILABLE",
        ),
        ("import rclpy\nrclpy.get_global_executor()\nrclpy.nonsense()", "rclpy.nonsense"),
        ("import rclpy\nrclpy.init(domain=3)", "init(domain=)"),
        ("node.create_timer(1.0, f, autostart=False)", "create_timer(autostart=)"),
        ("node.create_subscription(T, 't', f, 5, content_filter_options=o)", "content_filter_o"),
        ("subscription.get_publisher_count()", "subscription.get_publisher_count"),
        ("node.add_post_set_parameters_callback(f)", "node.add_post_set_parameters_callback"),
    ],
)
def test_what_humble_does_not_have_is_found(source: str, problem: str) -> None:
    later = frozenset({"get_publisher_count", "add_post_set_parameters_callback"})
    assert any(problem in found for found in unknown(source, later)), unknown(source, later)


def test_a_fallback_excuses_an_import() -> None:
    source = (
        "try:\n    from rclpy.event_handler import SubscriptionEventCallbacks\n"
        "except ImportError:\n    from rclpy.{} import SubscriptionEventCallbacks\n"
    )
    assert unknown(source.format("qos_event")) == []
    assert unknown(source.format("qos_events")) != []
