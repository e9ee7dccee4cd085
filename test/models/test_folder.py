"""Model folders: opened, verified, written and extended, without mixing two models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from siampolar_model.errors import EngineError
from siampolar_model.models.folder import (
    FP16_FILE,
    INT8_FILE,
    SEARCH_FILE,
    SPEC_FILE,
    TEMPLATE_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    list_models,
    sha256,
)
from siampolar_model.models.spec import ModelSpec

SPEC = ModelSpec("drawn", 127, 255, 1.7, 36, 4)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Files that are not graphs: a model folder does not look into them."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in (TEMPLATE_FILE, SEARCH_FILE, INT8_FILE, FP16_FILE, WEIGHTS_FILE, "search.toy"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def model(sources: Path, tmp_path: Path) -> ModelFolder:
    files = [sources / TEMPLATE_FILE, sources / SEARCH_FILE]
    return ModelFolder.write(tmp_path / "model", SPEC, files, {"commit": "abc"})


def assert_on_disk(model: ModelFolder) -> None:
    """Opening the folder gives the same."""
    assert ModelFolder.open(model.path) == model


def cut_power_after(monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    """Let only the first moves of files succeed."""
    real, done = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        if len(done) == moves:
            raise OSError("power cut")
        done.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("name", list_models())
def test_shipped_models_say_what_their_onnx_files_say(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    from siampolar_model.export.metadata import read_metadata

    model = ModelFolder.open(name)
    about = read_metadata(onnx.load(str(model.file(SEARCH_FILE))))
    about["spec"].pop("n_candidates", None)  # written by an earlier version, and never read
    said = json.loads((model.path / SPEC_FILE).read_text())
    assert said["spec"].pop("confidence")  # fitted after the export
    about["spec"].pop("confidence", None)
    assert said == about
    assert set(model.files) == {p.name for p in model.path.iterdir()} - {"README.md", "SHA256SUMS"}


def test_what_is_written_can_be_opened(model: ModelFolder) -> None:
    assert_on_disk(model)
    assert model.spec == SPEC and model.files == (SPEC_FILE, TEMPLATE_FILE, SEARCH_FILE)
    assert json.loads((model.path / SPEC_FILE).read_text())["commit"] == "abc"
    assert model.search_sha256 == sha256(model.file(SEARCH_FILE))
    assert ModelFolder.open(model) is model
    assert sorted(p.name for p in model.path.iterdir()) == sorted((*model.files, "SHA256SUMS"))


def test_added_files_are_listed_once_and_may_be_of_other_packages(
    model: ModelFolder, sources: Path
) -> None:
    for _ in range(2):
        model = model.add(sources / INT8_FILE, sources / "search.toy")
        assert_on_disk(model)
    assert model.file("search.toy").read_bytes() == b"search.toy"
    (sources / INT8_FILE).write_bytes(b"new")
    model = model.add(sources / INT8_FILE)
    assert_on_disk(model)
    assert model.file(INT8_FILE).read_bytes() == b"new"


def test_writing_over_a_model_deletes_what_was_derived_from_the_old_one(
    model: ModelFolder, sources: Path
) -> None:
    model.add(sources / INT8_FILE, sources / WEIGHTS_FILE, sources / "search.toy")
    (model.path / "README.md").write_text("a model card")
    (sources / SEARCH_FILE).write_bytes(b"another network")
    files = [sources / TEMPLATE_FILE, sources / SEARCH_FILE]
    written = ModelFolder.write(model.path, SPEC, files, {})
    assert_on_disk(written)
    assert not (model.path / INT8_FILE).exists() and (model.path / "README.md").exists()
    for name in (WEIGHTS_FILE, "search.toy"):  # there, but of the old model
        with pytest.raises(EngineError, match=f"{name} is missing or not in SHA256SUMS"):
            written.file(name)


@pytest.mark.parametrize("moves", range(4))
def test_an_interrupted_write_never_mixes_two_models(
    model: ModelFolder, sources: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    model.add(sources / INT8_FILE)
    (sources / SEARCH_FILE).write_bytes(b"another network")
    cut_power_after(monkeypatch, moves)
    with pytest.raises(OSError, match="power cut"):
        ModelFolder.write(model.path, SPEC, [sources / TEMPLATE_FILE, sources / SEARCH_FILE], {})
    with pytest.raises(EngineError, match="is missing"):
        ModelFolder.open(model.path)
    assert not (model.path / INT8_FILE).exists()


@pytest.mark.parametrize("moves", range(2))
def test_an_interrupted_addition_leaves_the_model_without_the_file(
    model: ModelFolder, sources: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    model = model.add(sources / INT8_FILE)
    (sources / INT8_FILE).write_bytes(b"new")
    cut_power_after(monkeypatch, moves)
    with pytest.raises(OSError, match="power cut"):
        model.add(sources / INT8_FILE)
    left = ModelFolder.open(model.path)
    assert left.files == (SPEC_FILE, TEMPLATE_FILE, SEARCH_FILE)
    with pytest.raises(EngineError, match=r"search\.int8\.onnx is missing; siampolar quantize"):
        left.file(INT8_FILE)


def test_copies(model: ModelFolder, sources: Path, tmp_path: Path) -> None:
    model = model.add(sources / INT8_FILE)
    copy = model.copy_to(tmp_path / "copy")
    assert_on_disk(copy)
    assert copy.hashes == model.hashes
    assert copy.copy_to(tmp_path / "sources" / ".." / "copy") is copy


@pytest.mark.parametrize("file", [SPEC_FILE, TEMPLATE_FILE, SEARCH_FILE, INT8_FILE])
def test_an_altered_file_is_refused(model: ModelFolder, sources: Path, file: str) -> None:
    model.add(sources / INT8_FILE)
    with (model.path / file).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(EngineError, match=f"{file} was altered: SHA-256 is [0-9a-f]+, SHA256SUMS"):
        ModelFolder.open(model.path)


def test_a_folder_of_an_earlier_version_says_what_to_do(model: ModelFolder) -> None:
    sums = model.path / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if SPEC_FILE not in line))
    (model.path / SPEC_FILE).unlink()
    with pytest.raises(EngineError, match=r"has no model\.json: .*siampolar export CHECKPOINT /"):
        ModelFolder.open(model.path)


def test_a_list_may_not_name_files_elsewhere(model: ModelFolder) -> None:
    with (model.path / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../secret\n")
    with pytest.raises(EngineError, match=r"'\.\./secret' is not the name of a file in this"):
        ModelFolder.open(model.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search_size": 0}, "json: search_size is 0; it must be a whole number of at least 1"),
        ({"n_rays": 36.5}, "json: n_rays is 36.5; it must be a whole number"),
        ({"max_targets": True}, "json: max_targets is True; it must be"),
        ({"search_factor": float("nan")}, "json: search_factor is nan; it must be a positive"),
        ({"search_factor": "2"}, "json: search_factor is '2'; it must be a positive number"),
        ({"colour": "red"}, "json does not describe a model .*colour"),
    ],
)
def test_a_spec_with_a_wrong_or_unknown_value_is_refused(
    model: ModelFolder, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    described = json.loads((model.path / SPEC_FILE).read_text())
    described["spec"] |= change
    (tmp_path / SPEC_FILE).write_text(json.dumps(described))
    model.add(tmp_path / SPEC_FILE)
    with pytest.raises(EngineError, match=message):
        ModelFolder.open(model.path)
