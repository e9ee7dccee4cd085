"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="Shipped model, or the folder of one.")]
Engine = Annotated[
    str, typer.Option(help="Runtime of the network; auto: the fastest that runs here.")
]
Precision = Annotated[
    str, typer.Option(help="auto, fp32, bf16, fp16 or int8; auto: the fastest that runs here.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads of the engine; default: one per core.")
]
First = Annotated[int, typer.Option(min=0, help="Index of the first frame.")]
Last = Annotated[int | None, typer.Option(min=0, help="Index of the last frame, included.")]
Video = Annotated[Path, typer.Argument(help="Video file or folder of images.")]
DEFAULT_MODEL = "siampolar_lite0"
