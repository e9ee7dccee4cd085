"""Where engines lie: keys, atomic writes, and what may be loaded."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from siampolar_model.engines.tensorrt.cache import EngineCache, EngineKey
from siampolar_model.errors import EngineError, EngineMissing

KEY = EngineKey(
    model="siampolar_lite0",
    onnx_sha256={"template": "a" * 64, "search": "b" * 64},
    precision="fp16",
    batches=(1, 2, 4),
    tensorrt="10.3.0",
    gpu="Orin (sm_87, 16 multiprocessors)",
)
PLANS = {"template": b"template plan", "search": b"search plan"}


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "siampolar" / "tensorrt")


def test_what_was_written_is_found_again(cache: EngineCache) -> None:
    folder = cache.write(KEY, PLANS)
    found = cache.find(KEY)
    assert found.plans == PLANS and found.folder == folder
    assert found.about["gpu"] == KEY.gpu and found.about["tensorrt"] == "10.3.0"
    assert folder.name.startswith("siampolar_lite0-fp16-")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"onnx_sha256": {"template": "a" * 64, "search": "c" * 64}},
        {"onnx_sha256": {"template": "c" * 64, "search": "b" * 64}},
        {"precision": "fp32"},
        {"batches": (1, 2, 4, 8)},
        {"tensorrt": "10.4.0"},
        {"gpu": "Orin (sm_87, 8 multiprocessors)"},
        {"lean": True},
        {"recipe": KEY.recipe + 1},
    ],
)
def test_another_value_in_any_field_is_another_engine(
    cache: EngineCache, change: dict[str, Any]
) -> None:
    cache.write(KEY, PLANS)
    with pytest.raises(EngineMissing, match="no TensorRT engine of"):
        cache.find(replace(KEY, **change))


def test_names_are_folders_whatever_the_model_is_called(cache: EngineCache) -> None:
    key = replace(KEY, model="../../etc/my model")
    folder = cache.write(key, PLANS)
    assert folder.parent == cache.root
    assert cache.find(key).plans == PLANS


def test_nobody_else_can_write_to_what_is_made(cache: EngineCache) -> None:
    old = os.umask(0)  # the most careless user there is
    try:
        folder = cache.write(KEY, PLANS)
        cache.write_timing(KEY, b"timing")
    finally:
        os.umask(old)
    for path in (cache.root, folder, *folder.iterdir(), cache.root / KEY.timing_name):
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), path


@pytest.mark.parametrize("which", ["root", "folder", "plan", "about"])
def test_what_others_can_write_is_not_loaded(cache: EngineCache, which: str) -> None:
    folder = cache.write(KEY, PLANS)
    path = {
        "root": cache.root,
        "folder": folder,
        "plan": folder / "search.plan",
        "about": folder / "engine.json",
    }[which]
    path.chmod(path.stat().st_mode | stat.S_IWGRP)
    with pytest.raises(EngineError, match=r"can be written by others.*chmod go-w"):
        cache.find(KEY)


def test_what_belongs_to_somebody_else_is_not_loaded(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write(KEY, PLANS)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(EngineError, match=r"belongs to user \d+, not to \d+"):
        cache.find(KEY)


def test_a_link_in_place_of_a_plan_is_not_followed(cache: EngineCache, tmp_path: Path) -> None:
    folder = cache.write(KEY, PLANS)
    (tmp_path / "elsewhere").write_bytes(PLANS["search"])
    (folder / "search.plan").unlink()
    (folder / "search.plan").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="damaged"):
        cache.find(KEY)


def test_folders_elsewhere_are_refused(cache: EngineCache, tmp_path: Path) -> None:
    folder = cache.write(KEY, PLANS)
    other = EngineCache(tmp_path / "other")
    other.write(KEY, PLANS)
    with pytest.raises(EngineError, match="engine files are code"):
        other.read(folder)
    with pytest.raises(EngineError, match="engine files are code"):
        other.read(other.root / "..")


@pytest.mark.parametrize("damage", ["cut", "changed", "no plan", "no json", "not json", "no hash"])
def test_damaged_engines_are_refused_in_one_line(cache: EngineCache, damage: str) -> None:
    folder = cache.write(KEY, PLANS)
    plan, about = folder / "search.plan", folder / "engine.json"
    if damage == "cut":
        plan.write_bytes(PLANS["search"][:-1])
    elif damage == "changed":
        plan.write_bytes(b"x" + PLANS["search"][1:])
    elif damage == "no plan":
        plan.unlink()
    elif damage == "no json":
        about.unlink()
    elif damage == "not json":
        about.write_text("{")
    else:
        about.write_text(json.dumps({"model": "siampolar_lite0"}))
    with pytest.raises(EngineError, match=r"is damaged.*build it again") as caught:
        cache.find(KEY)
    assert "\n" not in str(caught.value)


class FailingDisk:
    """Lets the first few calls through that reach the disk, and no other."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def watch(self, real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self._calls -= 1
            if self._calls < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)

        return call


def test_an_engine_appears_whole_or_not_at_all(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off at every step that reaches the disk, the cache holds the old engine or the new."""
    new = {"template": b"new template", "search": b"new search"}
    for calls in range(8):
        cache.write(KEY, PLANS)
        disk = FailingDisk(calls)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", disk.watch(os.fsync))
            patch.setattr(Path, "replace", disk.watch(Path.replace))
            if calls < 7:
                with pytest.raises(OSError, match="No space left on device"):
                    cache.write(KEY, new)
            else:
                cache.write(KEY, new)
        if calls == 5:  # three files, their folder, the old engine taken away: nothing there
            with pytest.raises(EngineMissing):
                cache.find(KEY)
            continue
        assert cache.find(KEY).plans == (PLANS if calls < 6 else new)
        assert [path.name for path in cache.root.iterdir()] == [KEY.folder_name]


def test_timing_caches_are_kept_by_tensorrt_and_gpu(cache: EngineCache) -> None:
    assert cache.read_timing(KEY) == b""
    cache.write_timing(KEY, b"one")
    cache.write_timing(KEY, b"two")
    assert cache.read_timing(KEY) == b"two"
    assert cache.read_timing(replace(KEY, precision="fp32", model="other")) == b"two"
    assert cache.read_timing(replace(KEY, tensorrt="10.4.0")) == b""
    assert cache.read_timing(replace(KEY, gpu="other")) == b""
    (cache.root / KEY.timing_name).chmod(0o666)
    with pytest.raises(EngineError, match="can be written by others"):
        cache.read_timing(KEY)


def test_the_cache_follows_xdg_and_ignores_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineCache().root == tmp_path / "siampolar" / "tensorrt"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert EngineCache().root == tmp_path / "home" / ".cache" / "siampolar" / "tensorrt"


def test_a_full_disk_is_named_and_leaves_the_older_engine(small_disk: Path) -> None:
    cache = EngineCache(small_disk / "tensorrt")
    older = {"template": b"t" * 1000, "search": b"s" * 300_000}
    cache.write(KEY, older)
    for grown in ("template", "search"):
        with pytest.raises(OSError, match=rf"No space left on device: '{small_disk}.*{grown}.plan"):
            cache.write(KEY, {**older, grown: b"x" * 900_000})
        assert cache.find(KEY).plans == older
        assert [path.name for path in cache.root.iterdir()] == [KEY.folder_name]
    with pytest.raises(OSError, match=r"No space left on device: .*timing"):
        cache.write_timing(KEY, b"x" * 900_000)
    assert [path.name for path in cache.root.iterdir()] == [KEY.folder_name]
