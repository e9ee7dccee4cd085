"""docs/nodes.md says what the code says."""

from __future__ import annotations

from pathlib import Path

from siampolar_ros.parameters.reference import NODES, reference_page
from siampolar_ros.parameters.table import parameters_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "nodes.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "run: python -m siampolar_ros.parameters.reference > docs/nodes.md"
    )


def test_it_holds_every_parameter_topic_and_message_with_its_comments() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for _, interfaces, settings in NODES.values():
        for parameter in parameters_of(settings):
            assert f"| `{parameter.name}` |" in page and parameter.help in page
        for interface in interfaces:
            assert f"| `{interface.name}` |" in page and interface.description in page
    files = [*PAGE.parent.parent.glob("msg/*.msg"), *PAGE.parent.parent.glob("srv/*.srv")]
    assert len(files) >= 7
    for file in files:
        assert f"### {file.name}\n" in page
        assert file.read_text(encoding="utf-8").strip() in page
