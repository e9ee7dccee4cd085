"""A camera and a processor in virtual time: what a session would do on a machine of any speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.session.history import StampedImage
from siampolar_model.session.session import Session


class SlowEngine(Engine):
    """Another engine, each of whose crops takes ``crop_s`` seconds of virtual time."""

    name = "slow"

    def __init__(self, engine: Engine, crop_s: float) -> None:
        self._engine = engine
        self.spec = engine.spec
        self.crop_s = crop_s
        self.now_s = 0.0

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        self.now_s += self.crop_s
        self._engine.encode(slot, crop, box_xyxy)

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        self.now_s += self.crop_s * len(slots)
        return self._engine.search(slots, crops, prior)

    def release(self, slot: int) -> None:
        self._engine.release(slot)


def play(
    session: Session,
    engine: SlowEngine,
    images: Iterable[StampedImage],
    period_s: float,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Give a session one image every ``period_s``, and all the time it needs in between.

    ``then`` is called after every image.

    An image that falls due while the session is at work arrives after that piece of work, as it
    would in a thread, which does not see it earlier either.
    """
    start_s = engine.now_s
    for index, image in enumerate(images):
        due_s = start_s + index * period_s
        while engine.now_s < due_s:
            if not session.step():
                engine.now_s = due_s
        session.add_image(image)
        then()
    while session.step():
        pass
