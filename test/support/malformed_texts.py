"""Texts that a browser may not send to the console."""

from __future__ import annotations

import json
import random
from typing import Any

_GOOD: tuple[dict[str, Any], ...] = (
    {"type": "watch", "camera": "/tracker", "pictures": True},
    {"type": "shown", "stamp": "1234567890"},
    {
        "type": "start", "request": 1, "camera": "/tracker", "id": 0, "stamp": "5",
        "size": [640, 480], "shape": "box", "values": [1.0, 2.0, 30.0, 40.0],
    },
    {"type": "remove", "request": 2, "camera": "/tracker", "id": 1},
)  # fmt: skip

_WRONG: tuple[Any, ...] = (
    None, True, -1, 2**80, 1.5, float("nan"), float("inf"), "", "x" * 999, "\n\x00\x1b[2J",
    "\ud800", [], [[]], {}, {"a": 1}, [1] * 3000,
)  # fmt: skip


def malformed_texts(random_: random.Random, count: int) -> list[str]:
    """This many texts; none of them may have an effect."""
    made = [_damaged(random_) for _ in range(count)]
    return [text for text in made if text]


def _damaged(random_: random.Random) -> str:
    good = random_.choice(_GOOD)
    text = json.dumps(good)
    kind = random_.randrange(5)
    if kind == 0:  # cut off
        return text[: random_.randrange(1, len(text) - 1)]
    if kind == 1:  # a field of another kind
        name = random_.choice([name for name in good if name != "pictures"])
        wrong = random_.choice([one for one in _WRONG if not _fits(name, one)])
        return json.dumps({**good, name: wrong})
    if kind == 2:  # a field is missing
        name = random_.choice([name for name in good if name != "pictures"])
        return json.dumps({key: value for key, value in good.items() if key != name})
    if kind == 3:  # not even text
        return "".join(chr(random_.randrange(1, 0xD800)) for _ in range(random_.randrange(1, 300)))
    return json.dumps(random_.choice(_WRONG))


def _fits(name: str, value: Any) -> bool:
    """Whether a value is allowed for a field, as any short text is for the name of a camera."""
    return name == "camera" and isinstance(value, str) and len(value) <= 256
