"""siampolar doctor: versions, engines, processor, ROS and DDS profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from siampolar_model.cli import doctor
from siampolar_model.cli import main as cli
from siampolar_model.engines import loading
from siampolar_model.errors import EngineError


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_text_and_json_tell_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.xml"
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(profile))
    monkeypatch.setattr("siampolar_model.engines.cpu.quota_threads", lambda: 1)
    assert run("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["engines"]) >= set(loading.ENGINES)
    assert found["engines"]["onnxruntime"]["runs"]
    assert found["cpu"]["quota_threads"] == 1 and found["cpu"]["cores"] >= 1
    assert found["dds"]["profile"] == str(profile) and not found["dds"]["profile_exists"]
    profile.write_text("<profiles/>")
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    for name, version in found["versions"].items():
        assert f"{name}: {version}" in lines
    for name, one in found["engines"].items():
        (line,) = [line for line in lines if line.startswith(f"engine {name}: ")]
        assert (one["precision"] if one["runs"] else one["reason"]) in line
    assert f"DDS profile: {profile} (FASTDDS_DEFAULT_PROFILES_FILE)" in lines
    assert any("a quota for 1 threads" in line for line in lines)


def test_without_ros_and_profile() -> None:
    found = doctor.examine("siampolar_lite0", {})
    assert found["dds"] == {"profile_variable": None, "profile": None, "profile_exists": False}
    assert found["ros"]["distribution"] is None
    text = "\n".join(doctor._lines({**found, "ros": {**found["ros"], "found": False}}))
    assert "ROS 2: not found" in text and "DDS profile: not set" in text


def test_no_engine_can_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model: object, name: str) -> None:
        raise EngineError(f"{name} is not here")

    monkeypatch.setattr(loading, "load_engine", refuse)
    assert run() == 1
    out = capsys.readouterr().out
    assert "engine onnxruntime: cannot run: onnxruntime is not here" in out


def test_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", "nothing") == 2
    assert capsys.readouterr().err.startswith("error: model 'nothing' is neither shipped")
