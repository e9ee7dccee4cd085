"""The share of the processor time that this process asks for and gets."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from siampolar_ros.health.processor import ProcessorShare, Used, read_used


def test_the_share_is_taken_over_the_last_seconds() -> None:
    now, used = 0.0, [0, 0]
    share = ProcessorShare(lambda: now, lambda: (used[0], used[1]))
    assert share.look() is None  # nothing ran yet
    for second in range(20):
        now += 1.0
        used[0] += 300
        used[1] += 100 if second >= 10 else 0
        last = share.look()
    assert last == pytest.approx(0.75)
    now, used = now + 1.0, [0, 0]  # a thread that ran long has ended
    assert share.look() is None


def test_all_threads_of_a_process_are_counted(tmp_path: Path) -> None:
    for number, text in enumerate(("5 1 9", "7 2 9", "nonsense")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "schedstat").write_text(text)
    assert read_used(tmp_path) == (12, 3)
    assert read_used(tmp_path / "absent") == (0, 0)


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir() or not sys.platform.startswith("linux"),
    reason="needs Linux's /proc",
)
def test_this_process_runs() -> None:
    def ran_after(seconds: float) -> Used:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return read_used()

    before, after = read_used(), ran_after(0.05)
    assert after[0] - before[0] >= 0.04e9
