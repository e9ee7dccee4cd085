"""docs/nodes.md says what the code says."""

from __future__ import annotations

from pathlib import Path

from siampolar_ros.parameters import interfaces as interface_table
from siampolar_ros.parameters import nodes as parameters
from siampolar_ros.parameters.reference import reference_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "nodes.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "run: python -m siampolar_ros.parameters.reference > docs/nodes.md"
    )


def test_it_holds_every_parameter_topic_and_message_with_its_comments() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for node in ("TRACKER", "VIDEO_PUBLISHER", "SELECT_TARGET", "FIRST_TARGET"):
        for row in getattr(parameters, node):
            assert f"| `{row.name}` |" in page and row.description in page
        for row in getattr(interface_table, node):
            assert f"| `{row.name}` |" in page and row.description in page
    files = [*PAGE.parent.parent.glob("msg/*.msg"), *PAGE.parent.parent.glob("srv/*.srv")]
    assert len(files) >= 7
    for file in files:
        assert f"### {file.name}\n" in page
        assert file.read_text(encoding="utf-8").strip() in page
