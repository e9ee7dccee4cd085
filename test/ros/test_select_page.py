"""Boxes drawn on a still image in the console's page; needs no ROS."""

from __future__ import annotations

import re
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, build_opener

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs aiohttp (pip install '.[console]')")

from siampolar_ros.console.protocol import Answer, Remove, Start
from siampolar_ros.console.select_page import StillImage, select_in_browser

IMAGE = np.full((120, 160, 3), 90, np.uint8)


def start(box: tuple[float, ...], id: int = 0) -> Start:
    return Start(
        request=1, camera="first frame", stamp_ns=1, size=(160, 120), shape="box", values=box, id=id
    )


def test_boxes_are_kept_changed_and_dropped() -> None:
    still = StillImage(IMAGE)
    answers: list[Answer] = []
    still.ask(start((10, 20, 30, 40)), answers.append)
    still.ask(start((50, 20, 30, 40)), answers.append)
    still.ask(start((11, 20, 30, 40), id=1), answers.append)
    assert still.boxes == [(11, 20, 30, 40), (50, 20, 30, 40)]
    still.ask(Remove(request=2, camera="first frame", id=2), answers.append)
    assert still.boxes == [(11, 20, 30, 40)]
    assert [(one.ok, one.id) for one in answers] == [(True, 1), (True, 2), (True, 1), (True, 2)]
    view = still.cameras()["first frame"].take()
    assert view is not None and view.targets is not None
    assert [one["box"] for one in view.targets.targets] == [[11, 20, 30, 40]]


def test_a_drawn_box_has_every_field_that_the_page_reads_of_a_target() -> None:
    """What nothing is known of is written without a confidence, not as "NaN %"."""
    msg = pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
    from siampolar_ros.console.tracker_link import target_as_json

    still = StillImage(IMAGE)
    still.ask(start((10, 20, 30, 40)), lambda answer: None)
    view = still.cameras()["first frame"].take()
    assert view is not None and view.targets is not None
    (drawn,) = view.targets.targets
    assert drawn.keys() == target_as_json(msg.Target()).keys()
    assert drawn["confidence"] == 0


def test_the_page_is_served_until_enter(capsys: pytest.CaptureFixture[str]) -> None:
    pages: list[Any] = []

    def wait() -> None:
        address = re.search(r"http://\S+", capsys.readouterr().err)
        assert address is not None
        browser = build_opener(HTTPCookieProcessor())  # the token comes back as a cookie
        with browser.open(address[0], timeout=20) as page:
            pages.append(page.read().decode())
        with pytest.raises(HTTPError, match="403"):
            browser.open(address[0].partition("token=")[0] + "token=wrong", timeout=20)

    assert select_in_browser(IMAGE, wait) == []
    assert "console.js" in pages[0]
