"""Public names of an rclpy, read from its sources: ``python test/support/rclpy_names.py FOLDER``.

One line per name: ``rclpy.module.name`` for what a module holds, ``rclpy.module.Class.name`` for
what a class holds; with ``(...)`` and the names of its parameters where it can be called, ``*`` and
``**`` for any. Imports count where they come from rclpy itself.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path


def public_names(folder: Path) -> list[str]:
    """All names of the package whose sources lie in ``folder``, sorted."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        module = ".".join(["rclpy", *(part for part in parts if part != "__init__")])
        names.add(module)
        names.update(f"{module}.{name}" for name in _of_body(ast.parse(path.read_text()).body))
    return sorted(names)


def _of_body(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not statement.name.startswith("_"):
                yield statement.name + _parameters(statement)
        elif isinstance(statement, ast.ClassDef):
            if not statement.name.startswith("_"):
                yield from _of_class(statement)
        elif isinstance(statement, ast.ImportFrom):
            if statement.level or (statement.module or "").startswith("rclpy"):
                for alias in statement.names:
                    yield from _public(alias.asname or alias.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield from _public(target.id)
        elif isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _of_body(statement.body)


def _of_class(statement: ast.ClassDef) -> Iterator[str]:
    init = [one for one in statement.body if isinstance(one, ast.FunctionDef)]
    init = [one for one in init if one.name == "__init__"]
    yield statement.name + (_parameters(init[0]) if init else "")
    for name in _of_body(statement.body):
        yield f"{statement.name}.{name}"
    for node in ast.walk(statement):  # what instances hold
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            for name in _public(node.attr) if owner == "self" else ():
                yield f"{statement.name}.{name}"


def _public(name: str) -> Iterator[str]:
    if not name.startswith("_"):
        yield name


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if {ast.unparse(one) for one in function.decorator_list} & {
        "property",
        f"{function.name}.setter",
    }:
        return ""
    a = function.args
    names = [one.arg for one in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    names += ["*"] * (a.vararg is not None) + ["**"] * (a.kwarg is not None)
    return "(" + ", ".join(name for name in names if name not in ("self", "cls")) + ")"


if __name__ == "__main__":
    print("\n".join(public_names(Path(sys.argv[1]))))
