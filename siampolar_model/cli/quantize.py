"""``siampolar quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress_bar


def quantize(
    model: Annotated[str, typer.Argument(help="Shipped model, or the folder of one.")],
    photos: Annotated[
        Path, typer.Option(help="Photographs with masks in DAVIS layout, at least 300.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the model with its INT8 files; may be its own.")
    ],
) -> None:
    """Derive 8-bit search graphs from a model, fitted to photographs."""
    from ..export.int8 import quantize as derive

    with progress_bar() as progress:
        task = progress.add_task("", total=None)

        def on_step(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        differences = derive(model, photos, out, on_step)
    for file, found in differences.items():
        typer.echo(
            f"{file}: compared with fp32 on held-out crops: score error {found.score:.4f}, "
            f"box IoU {found.box_iou:.4f}, outline IoU {found.outline_iou:.4f}"
        )
