"""Hooks of mkdocs: links out of docs/ and roles in docstrings work on the site as well.

Pages are read on a forge too, where ``../config/tracker.yaml`` is a file. For the site, every
linked file outside docs/ is copied to ``repository/PATH``, and the links are rewritten. A link to a
file that does not exist fails the build; a link to a folder becomes its text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
_DOCS, _PLACE = "docs/", "repository/"
# [text](target) or ![text](target), the target relative and with an optional #anchor.
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")

# :class:`~package.module.Name` of a docstring, once it is HTML.
_ROLE = re.compile(r":(?:class|func|meth|attr|mod):<code>~?([^<]*)</code>")


def _path_of(page: str) -> str:
    """Where a page of the site lies in the repository."""
    return page.removeprefix(_PLACE) if page.startswith(_PLACE) else _DOCS + page


def _page_of(path: str) -> str:
    """Where a file of the repository lies on the site."""
    return path.removeprefix(_DOCS) if path.startswith(_DOCS) else _PLACE + path


def _linked(page: str, target: str) -> str:
    """The path in the repository that a link on this page leads to."""
    return os.path.normpath(os.path.join(os.path.dirname(_path_of(page)), target))


def on_files(files: Files, config: Any) -> Files:
    """Add the files that pages link to, and those that the added pages link to."""
    waiting = [file for file in files if file.is_documentation_page()]
    waiting += [_add(files, config, path) for path in _nav_paths(config.nav)]
    while waiting:
        page = waiting.pop()
        for _, _, target, _ in _LINK.findall(page.content_string):
            path = _linked(page.src_uri, target)
            if not (ROOT / path).exists():
                raise PluginError(f"{_path_of(page.src_uri)} links to {target}, which is not there")
            if (ROOT / path).is_file() and files.get_file_from_path(_page_of(path)) is None:
                added = _add(files, config, path)
                if added.is_documentation_page():
                    waiting.append(added)
    return files


def _nav_paths(nav: Any) -> list[str]:
    """Files outside docs/ that the navigation names."""
    if isinstance(nav, str):
        return [_path_of(nav)] if nav.startswith(_PLACE) else []
    parts = nav.values() if isinstance(nav, dict) else nav
    return [path for part in parts for path in _nav_paths(part)]


def _add(files: Files, config: Any, path: str) -> File:
    file = File.generated(config, _page_of(path), abs_src_path=str(ROOT / path))
    files.append(file)
    return file


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of one page."""
    here = page.file.src_uri

    def rewritten(match: re.Match[str]) -> str:
        mark, text, target, anchor = match.groups(default="")
        path = _linked(here, target)
        if (ROOT / path).is_dir():
            return text
        there = os.path.relpath(_page_of(path), os.path.dirname(here) or ".")
        return f"{mark}[{text}]({there}{anchor})"

    return _LINK.sub(rewritten, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Show the roles of docstrings as the last part of the name that they refer to."""
    return _ROLE.sub(lambda match: f"<code>{match[1].rpartition('.')[2]}</code>", html)
