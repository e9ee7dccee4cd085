"""What the pages of docs/ quote is what the code says."""

from __future__ import annotations

import ast
import re

import pytest
from conftest import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"


def texts_of_the_code() -> list[str]:
    """Every string in the sources, with … for each value that is put into it."""
    found = [(ROOT / "scripts" / "with_env").read_text()]
    for folder in ("siampolar_model", "siampolar_ros"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = (getattr(part, "value", "…") for part in node.values)
                    found.append("".join(p if isinstance(p, str) else "…" for p in parts))
    return found


def test_every_message_of_the_troubleshooting_page_is_in_the_code() -> None:
    messages = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.M)
    assert len(messages) > 20
    texts = texts_of_the_code()
    missing = []
    for message in messages:
        # A message may be put together from several texts: each piece stands in one of them.
        pieces = [piece.strip(" :;") for piece in message.removeprefix("with_env: ").split("…")]
        for piece in filter(lambda piece: len(piece) > 2, pieces):
            if not any(piece in text for text in texts):
                missing.append(f"{message}: no text holds {piece!r}")
    assert not missing, "\n".join(missing)


def test_files_that_sources_name_are_there() -> None:
    """In docstrings and comments, where no import fails when a file is moved."""
    folders = ("siampolar_model", "siampolar_ros", "training", "scripts", "launch", "test")
    sources = [*ROOT.glob("*.py"), *(p for one in folders for p in (ROOT / one).rglob("*.py"))]
    known = {path.name for path in sources}
    stale = {
        (str(path.relative_to(ROOT)), name)
        for folder in folders[:-1]
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"\b[a-z][a-z_0-9.]*\.py\b", path.read_text())
        if name not in known
    }
    assert not stale


def test_files_that_pages_name_are_there() -> None:
    bases = [ROOT, *(ROOT / name for name in ("siampolar_model", "siampolar_ros", "training"))]
    named = {
        (page.name, name)
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for name in re.findall(
            r"(?<![\w./-])(?:[a-z_]+/)+[a-z_0-9]+\.(?:py|yaml|xml)", page.read_text()
        )
    }
    assert len(named) > 20
    missing = {one for one in named if not any((base / one[1]).exists() for base in bases)}
    assert not missing


@pytest.mark.parametrize(
    "page, file",
    [
        ("in_your_robot.md", "examples/follow_box.py"),
        ("extending.md", "test/support/toy_package/siampolar_toy/largest.py"),
    ],
)
def test_a_page_shows_the_file_that_is_tested(page: str, file: str) -> None:
    code = (ROOT / file).read_text()
    assert f"```python\n{code}```" in (ROOT / "docs" / page).read_text()
