"""What ``--set NAME=VALUE`` takes and refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from siampolar_model.cli.options import set_values, settings_with, tracker_settings
from siampolar_model.errors import CommandError
from siampolar_model.session.settings import SessionSettings
from siampolar_model.settings import check_settings, setting, settings_of
from siampolar_model.tracking.settings import TrackerSettings


@dataclass(frozen=True)
class Odd:
    """Settings of the types that tracker and session do not have."""

    switch: bool = setting(False, help="On or off.")
    mode: str = setting("slow", choices=("slow", "fast"), help="How.", old_name="speed")
    names: tuple[str, ...] = setting("", convert=lambda text: tuple(text.split()), help="Who.")

    def __post_init__(self) -> None:
        check_settings(self)


def test_values_go_to_the_settings_they_belong_to() -> None:
    texts = ["lost_frames=20", "history_s=1", "window_weight=1", "lost_frames=21"]
    values = set_values(texts, TrackerSettings, SessionSettings)
    assert values == {"lost_frames": 21, "history_s": 1.0, "window_weight": 1.0}
    assert isinstance(values["window_weight"], float)
    assert settings_with(TrackerSettings, values) == TrackerSettings(
        lost_frames=21, window_weight=1.0
    )
    assert settings_with(SessionSettings, values) == SessionSettings(history_s=1.0)
    assert tracker_settings(None) == TrackerSettings()


def test_switches_and_texts() -> None:
    values = set_values(["switch=true", "mode=fast"], Odd)
    assert settings_with(Odd, values) == Odd(switch=True, mode="fast")
    assert Odd().names == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lost_frames", "--set lost_frames: must be NAME=VALUE, such as lost_frames=20"),
        ("lost_frames=", "lost_frames is ''; it must be a whole number from 1 to 1000"),
        ("lost_frames=2.5", "lost_frames is '2.5'; it must be a whole number from 1 to 1000"),
        ("lost_frames=0", "--set lost_frames=0: lost_frames is 0; it must be"),
        ("window_weight=nan", "window_weight is nan; it must be a number from 0 to 1"),
        ("lost_score=0.9", "--set: lost_score is 0.9; it must not exceed tracking_score, 0.5"),
        ("lost_frame=3", "there is no setting 'lost_frame'; did you mean lost_frames"),
        ("redetect=3", "'redetect'; did you mean redetect_score or"),
        ("zebra=3", "there is no setting 'zebra'; allowed are window_weight, scale_penalty,"),
        ("history_s=3", "there is no setting 'history_s'"),
    ],
)
def test_one_line_names_what_is_wrong_and_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)) as caught:
        tracker_settings([text])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["score", "crops", "period_s"])
def test_an_old_name_is_refused_with_the_new_one(name: str) -> None:
    old = f"research_{name}"
    with pytest.raises(CommandError) as caught:
        tracker_settings([f"{old}=1"])
    assert str(caught.value) == f"--set {old}=1: {old} was renamed; its name is now redetect_{name}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("switch=1", "switch is '1'; it must be true or false"),
        ("mode=idle", "mode is 'idle'; it must be one of slow, fast"),
        ("speed=fast", "speed was renamed; its name is now mode"),
    ],
)
def test_switches_and_choices_are_checked(text: str, words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)):
        set_values([text], Odd)
    assert [one.allowed for one in settings_of(Odd)][2] == "text"
