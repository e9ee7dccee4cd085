"""The names that ``import siampolar_model`` offers."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import siampolar_model as sp

#: None of them may be imported before it is needed.
HEAVY = {
    "av", "cv2", "lightning", "numpy", "onnx", "onnxruntime", "openvino", "rclpy", "rosbags",
    "tensorrt", "timm", "torch",
}  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a new process has imported after some code."""
    code += "\nimport json, sys; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = loaded_after("import siampolar_model; siampolar_model.__version__")
    assert "siampolar_model" in loaded
    assert not loaded & HEAVY


def test_using_a_name_imports_what_it_needs_and_no_torch() -> None:
    code = "from siampolar_model import Tracker, read_video, draw, evaluate, Session"
    loaded = loaded_after(code)
    assert {"cv2", "numpy", "av"} <= loaded
    assert not loaded & {"torch", "onnx", "lightning", "rclpy"}


@pytest.mark.parametrize("name", sp.__all__)
def test_every_public_name_is_there_and_has_a_docstring(name: str) -> None:
    value = getattr(sp, name)
    assert name in dir(sp)
    if name == "__version__":
        assert value
    else:
        assert value.__name__ == name
        assert (value.__doc__ or "").strip()


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(sp.__file__).read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.name == alias.asname, "`as` is what marks a name as public"
                seen[alias.name] = node.module
        else:
            assert ast.unparse(node) == "__version__: str"
    assert seen == sp._MODULE_OF
    assert set(sp.__all__) == {"__version__", *seen}
    assert (ROOT / "siampolar_model" / "py.typed").is_file()
    assert "py.typed" in (ROOT / "setup.py").read_text()


@pytest.mark.parametrize(
    ("name", "hint"), [("Traker", "; did you mean Tracker"), ("zzzzz", "'zzzzz'$")]
)
def test_an_unknown_name_is_refused_with_close_ones(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'siampolar_model' has no .*{hint}"):
        getattr(sp, name)
    with pytest.raises(ImportError):
        exec(f"from siampolar_model import {name}")


def test_version_without_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    text = (ROOT / "package.xml").read_text()
    assert f"<version>{sp._version()}</version>" in text
