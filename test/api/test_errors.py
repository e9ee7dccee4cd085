"""One base class for everything that the user can fix."""

from __future__ import annotations

import ast
import inspect

import pytest
from conftest import ROOT

from siampolar_model import errors
from siampolar_model.errors import ProcessUnusable, SiampolarError

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
#: No other input avoids them, so they keep their traceback.
APART = {"CudaError", "FatalCudaError", "ProcessUnusable"}


def test_the_tree_on_top_of_the_file_holds_every_class_and_its_place() -> None:
    drawn = []
    parents = [(-1, "")]
    for line in (errors.__doc__ or "").splitlines():
        name, _, _ = line.lstrip(" │├└─").partition(" ")
        if line.startswith("    ") and name.endswith(("Error", "Missing")):
            depth = line.index(name)
            while parents[-1][0] >= depth:
                parents.pop()
            drawn.append((name, parents[-1][1]))
            parents.append((depth, name))
    defined = [
        (one.__name__, "" if one is SiampolarError else one.__bases__[0].__name__)
        for one in CLASSES
        if one is not ProcessUnusable
    ]
    assert sorted(drawn) == sorted(defined)


@pytest.mark.parametrize("kind", [k for k in CLASSES if k is not ProcessUnusable])
def test_second_base_is_what_callers_rely_on(kind: type[Exception]) -> None:
    assert issubclass(kind, SiampolarError)
    if issubclass(kind, errors.EngineError):
        assert issubclass(kind, RuntimeError)
    elif kind not in (SiampolarError, errors.CommandError):
        assert issubclass(kind, ValueError)


def test_every_error_class_of_all_three_packages_derives_from_the_base() -> None:
    found = {"SiampolarError"}
    classes = [
        (node.name, {ast.unparse(base) for base in node.bases})
        for folder in ("siampolar_model", "siampolar_ros", "training")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    ]
    while True:
        more = {name for name, bases in classes if bases & found} - found
        if not more:
            break
        found |= more
    assert len(classes) > 15
    assert {name for name, _ in classes} - found == APART - {"ProcessUnusable"}
