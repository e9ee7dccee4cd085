"""How many threads a container's CPU quota allows, read from files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from siampolar_model.engines.cpu import quota_threads


def system(root: Path, group: str, limits: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"0::{group}\n")
    for folder, text in limits.items():
        path = root / "sys/fs/cgroup" / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "cpu.max").write_text(text)
    return root


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a/b": "200000 100000\n"}, 2),
        ({"a/b": "max 100000\n", "a": "350000 100000\n"}, 3),  # a group above limits it
        ({"a/b": "600000 100000\n", "a": "150000 100000\n"}, 1),
        ({"a/b": "50000 100000\n"}, 1),
        ({"a/b": "max 100000\n"}, None),
        ({"a/b": "800000 100000\n"}, None),  # as many as there are
        ({"a/b": "damaged"}, None),
        ({}, None),
    ],
)
def test_the_smallest_quota_on_the_way_up_counts(
    tmp_path: Path, limits: dict[str, str], expected: int | None
) -> None:
    assert quota_threads(system(tmp_path, "/a/b", limits)) == expected


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    assert quota_threads(system(tmp_path, "/", {".": "300000 100000\n"})) == 3


def test_without_cgroup_v2_nothing_is_limited(tmp_path: Path) -> None:
    assert quota_threads(tmp_path) is None
