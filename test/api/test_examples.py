"""The examples in the docstrings of the public names run and give what they show."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

import siampolar_model as sp

pytest.importorskip("onnxruntime", reason="the examples load shipped models")

#: Values that the examples of Session and Target show.
SHOWN_ELSEWHERE = {"InitRequest", "InitResult", "StampedImage", "TargetState", "Targets"}


def examples(value: Any, name: str) -> list[doctest.DocTest]:
    """Of an object and of its methods."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(value, name, globs={}) if test.examples]


NAMES = [name for name in sp.__all__ if name != "__version__"]
ERRORS = {name for name in NAMES if name.endswith("Error") and name != "SiampolarError"}
#: Needs a data set; test/evaluation runs it.
WITHOUT = {"evaluate", *ERRORS, *SHOWN_ELSEWHERE}


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT))
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "to_supervision":
        pytest.importorskip("supervision")
    monkeypatch.chdir(tmp_path)
    found = examples(getattr(sp, name), name)
    assert found, f"{name} has no example"
    for test in found:
        failures: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=failures.append)
        assert not failures, "".join(failures)
