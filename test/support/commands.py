"""``siampolar`` with the commands that pyproject.toml declares, whether it is installed or not.

``python -m support.commands ARGUMENTS`` runs it in a process, from the folder test/.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from siampolar_model.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]


def declared_commands() -> list[EntryPoint]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split(f'[project.entry-points."{cli.ENTRY_POINT_GROUP}"]\n')[1].split("\n[")[0]
    found = re.findall(r'^(\S+) = "(\S+)"$', section, re.M)
    return [EntryPoint(name, value, cli.ENTRY_POINT_GROUP) for name, value in found]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call ``siampolar`` in this process; its exit code."""
    monkeypatch.setattr(cli, "entry_points", lambda group: declared_commands())
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


if __name__ == "__main__":
    vars(cli)["entry_points"] = lambda group: declared_commands()
    cli.main()
