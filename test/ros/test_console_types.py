"""The types in the comments of the console's script, by TypeScript's checker; its length."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "siampolar_ros" / "console" / "page"


@pytest.fixture
def tsc() -> str:
    path = shutil.which("tsc")
    if path is None:
        assert not os.environ.get("CI"), "CI needs tsc: apt-get install node-typescript"
        pytest.skip("needs tsc (apt-get install node-typescript, or npm install -g typescript)")
    return path


def check(tsc: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tsc, "-p", str(folder)], capture_output=True, text=True, check=False)


def test_the_types_of_the_script_are_right(tsc: str) -> None:
    done = check(tsc, PAGE)
    assert done.returncode == 0, done.stdout


def test_the_checker_finds_a_wrong_type(tsc: str, tmp_path: Path) -> None:
    shutil.copytree(PAGE, tmp_path / "page")
    script = tmp_path / "page" / "console.js"
    script.write_text(script.read_text().replace("page.request += 1;", 'page.request = "one";'))
    done = check(tsc, tmp_path / "page")
    assert done.returncode != 0 and "not assignable to type 'number'" in done.stdout


def test_the_page_stays_small_and_loads_nothing_from_elsewhere() -> None:
    texts = {path.name: path.read_text() for path in PAGE.iterdir()}
    names = ("index.html", "console.css", "console.js")
    assert sum(len(texts[name].splitlines()) for name in names) < 1200
    for name in names:
        without = texts[name].replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in without and "https://" not in without, name
        assert "innerHTML" not in without, name
