"""What README and docs show can be pasted: Python runs, and the command line takes the commands.

Every Python block of README runs as it stands. In docs, a block runs if the line above it is
``<!-- runs -->``; the others must at least compile. They find a video ``my.mp4`` in their folder.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("av", reason="needs PyAV (pip install av)")
pytest.importorskip("onnxruntime", reason="the blocks load shipped models")

from typer.core import TyperCommand

from siampolar_model.cli import main as cli
from siampolar_model.io.video import VideoReader, VideoWriter

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = "<!-- runs -->"
OPERATORS = {"|", "||", "&&", ";", ">", ">>", "&"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        where: page and line, as an editor takes it.
        language: what stands behind the opening fence.
        text: the lines between the fences.
        marked: whether the line above is :data:`MARK`.
    """

    where: str
    language: str
    text: str
    marked: bool


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.M | re.S):
        above = text[: found.start()].rstrip("\n").rpartition("\n")[2]
        where = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}"
        yield Block(where, found.group(1), found.group(2), above.strip() == MARK)


ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language in ("python", "py")]
RUN = [block for block in PYTHON if block.marked or block.where.startswith("README.md")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder but for a video of an object that moves to the right."""
    with VideoWriter(tmp_path / "my.mp4", fps=30) as out:
        for index in range(6):
            image = np.full((240, 320, 3), 90, np.uint8)
            image[80:200, 100 + 3 * index : 160 + 3 * index] = (30, 80, 220)
            out.write(image)
    return tmp_path


def run(block: Block, folder: Path) -> str:
    (folder / "pasted.py").write_text(block.text)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "pasted.py"],
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{block.where}:\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.where)
def test_python_runs_as_pasted(block: Block, folder: Path) -> None:
    run(block, folder)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.where)
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.where, "exec")


def test_the_example_of_readme_follows_the_object(folder: Path) -> None:
    block = next(block for block in RUN if block.where.startswith("README.md"))
    lines = run(block, folder).splitlines()
    assert len(lines) == 6
    assert all(line.startswith("1 TRACKING x=") for line in lines), lines
    with VideoReader(folder / "tracked.mp4") as reader:
        assert (reader.width, reader.height, reader.n_frames) == (320, 240, 6)


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every ``siampolar`` in lines of shell."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = shlex.split(line, comments=True)
        for at, word in enumerate(words):
            if word != "siampolar" and not word.endswith("/bin/siampolar"):
                continue
            rest = words[at + 1 :]
            end = next((i for i, w in enumerate(rest) if w in OPERATORS), len(rest))
            yield rest[:end]


def shell_lines() -> Iterator[Any]:
    for block in ALL:
        if block.language in ("sh", "bash", "console", "shell"):
            for arguments in commands(block.text):
                yield pytest.param(arguments, False, id=f"{block.where} {' '.join(arguments)}")


def inline() -> Iterator[Any]:
    """Commands in running text, which may leave out what does not matter there."""
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        for found in re.finditer(r"`(siampolar\s[^`]+)`", prose):
            arguments = shlex.split(found.group(1).replace("\n", " "))[1:]
            name = f"{page.relative_to(ROOT)} {' '.join(arguments)}"
            yield pytest.param(arguments, True, id=name)


def declared_commands() -> list[EntryPoint]:
    """What pyproject.toml adds to the command line; the distribution need not be installed."""
    group = cli.ENTRY_POINT_GROUP
    text = (ROOT / "pyproject.toml").read_text()
    section = text.split(f'[project.entry-points."{group}"]')[1].partition("\n[")[0]
    return [EntryPoint(*one, group) for one in re.findall(r'^(\S+) = "(.+)"$', section, re.M)]


def parse(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command line take these arguments, without running the command."""
    monkeypatch.setattr(cli, "entry_points", lambda group: declared_commands())
    monkeypatch.setattr(TyperCommand, "invoke", lambda self, context: None, raising=False)
    cli.app(arguments, standalone_mode=False, prog_name="siampolar")


@pytest.mark.parametrize(("arguments", "in_text"), [*shell_lines(), *inline()])
def test_the_command_line_takes_it(
    arguments: list[str], in_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    try:
        parse(arguments, monkeypatch)
    except cli._UsageError as error:
        if not (in_text and type(error).__name__ == "MissingParameter"):
            pytest.fail(f"siampolar {' '.join(arguments)}: {error.format_message()}")
    for option, value in itertools.pairwise(arguments):
        if option == "--config" and value != "...":
            assert Path(value).is_file(), f"{value}: no such configuration"


@pytest.mark.parametrize(
    "line",
    [
        "siampolar track my.mp4 --bocks 1,2,3,4 -o out.mp4",
        "siampolar trak my.mp4",
        "siampolar bench my.mp4 --box 1,2,3,4 --threads many",
        "siampolar track",
    ],
)
def test_a_mistake_would_be_found(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (arguments,) = commands(line)
    with pytest.raises(cli._UsageError):
        parse(arguments, monkeypatch)
