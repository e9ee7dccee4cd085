"""Options that several commands of this package share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Photos = Annotated[
    Path, typer.Option(help="Photographs with masks in DAVIS layout; the held-out ones are used.")
]
Clips = Annotated[int, typer.Option(min=1, help="Number of clips.")]
