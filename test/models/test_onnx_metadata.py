"""Our reader of ONNX metadata gives what the onnx package gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.engines.tensorrt.onnx_metadata import read_metadata

FILES = sorted((ROOT / "siampolar_model" / "weights").glob("*/*.onnx"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shipped_files(path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(path))
    assert read_metadata(path) == {entry.key: entry.value for entry in model.metadata_props}


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text()))
def test_any_keys_and_values(entries: dict[str, str]) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto(ir_version=8, producer_name="test", model_version=-1)
    onnx.helper.set_model_props(model, entries)
    with tempfile.NamedTemporaryFile() as file:
        file.write(model.SerializeToString())
        file.flush()
        assert read_metadata(Path(file.name)) == entries


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            found = read_metadata(Path(file.name))
        except ValueError:
            return
    assert all(isinstance(key, str) for key in found)


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    data = FILES[0].read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="truncated"):
        read_metadata(tmp_path / "cut.onnx")
