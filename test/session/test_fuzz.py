"""Thousands of malformed images and inits, without ROS: one clear line each, bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siampolar_model.geometry.box import Box
from siampolar_model.session.history import StampedImage
from siampolar_model.session.requests import InitRequest, InitResult
from siampolar_model.session.session import Session
from siampolar_model.session.settings import SessionSettings
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine
from support.malformed import (
    INITS,
    MAX_PIXELS,
    SPARE_BYTES,
    examples,
    files,
    is_clear_line,
    moves,
    peak_bytes,
    raw_images,
    read_compressed,
    read_raw,
    requests,
    scene,
)


@pytest.mark.slow
@examples(7000)
@given(fields=raw_images())
def test_raw_images(fields: dict[str, Any]) -> None:
    """The result is a frame whose pixels all lie in the data, or one line."""
    frame, error, peak = peak_bytes(lambda: read_raw(fields))
    if error is not None:
        assert is_clear_line(str(error)), str(error)
    else:
        assert frame is not None and frame.nbytes <= len(fields["data"])
    assert peak < SPARE_BYTES + 16 * len(fields["data"])


@pytest.mark.slow
@examples(6000)
@given(data=files())
def test_compressed_images(data: bytes) -> None:
    _, error, peak = peak_bytes(lambda: read_compressed(data))
    if error is not None:
        assert is_clear_line(str(error)), str(error)
    assert peak < SPARE_BYTES + 16 * len(data) + 12 * MAX_PIXELS


@pytest.mark.slow
@examples(500)
@given(
    script=st.lists(
        st.tuples(st.lists(moves, max_size=3), requests), min_size=INITS, max_size=INITS
    )
)
def test_inits(script: list[tuple[list[Any], InitRequest]]) -> None:
    """Each is answered once, in one line, and a good one still starts a target afterwards."""
    now = 0.0
    failures: list[Exception] = []
    notices: list[str] = []
    answers: list[InitResult] = []
    session = Session(
        Tracker(BlobEngine()),
        SessionSettings(history_s=2.0, history_mb=1.0),
        on_result=lambda result: None,
        on_failure=failures.append,
        on_notice=notices.append,
        clock=lambda: now,
    )
    for between, request in script:
        for move in between:
            if move[0] == "image":
                session.add_image(StampedImage(move[1], scene(move[2])))
            elif move[0] == "remove":
                session.remove(move[1])
            elif move[0] == "reset":
                session.reset()
            elif move[0] == "wait":
                now += move[1]
            else:
                session.step()
        session.init(request, answers.append)
    now += 3.0
    session.drain()
    assert failures == [] and len(answers) == INITS
    assert all(answer.success or is_clear_line(answer.message) for answer in answers)
    assert all(is_clear_line(notice) for notice in notices)

    session.reset()
    session.add_image(StampedImage(10**18, scene((320, 240))))
    session.init(InitRequest(Box(120, 80, 200, 160)), answers.append)
    session.drain()
    assert answers[-1].success and [r.id for r in session.targets] == [answers[-1].id]
    assert failures == []
