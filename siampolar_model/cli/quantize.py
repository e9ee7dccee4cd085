"""``siampolar quantize``: the files of a model that compute in INT8 or FP16."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CommandError
from ..models.folder import FP16_FILE, ModelFolder
from .console import progress_bar
from .options import ModelArgument


class SmallPrecision(str, Enum):
    """What can be derived from a model's fp32 search graph."""

    int8 = "int8"
    fp16 = "fp16"


def quantize(
    model: ModelArgument,
    precision: Annotated[
        SmallPrecision,
        typer.Option(help="int8: 8-bit convolutions, fitted to photographs; fp16: for TensorRT."),
    ] = SmallPrecision.int8,
    photos: Annotated[
        Path | None,
        typer.Option(help="int8: photographs with masks in DAVIS layout, at least 300."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to copy the model to, with its new files; default: the model's own."
        ),
    ] = None,
) -> None:
    """Derive search graphs of lower precision from a model's fp32 search graph."""
    folder = ModelFolder.open(model)
    target = out or folder.path
    if precision is SmallPrecision.fp16:
        from ..export.fp16 import derive_fp16

        if photos is not None:
            raise CommandError(
                "--photos is for --precision int8; fp16 is not fitted to photographs"
            )
        typer.echo(derive_fp16(folder.copy_to(target)).file(FP16_FILE))
        return
    from ..export.int8 import quantize as derive

    if photos is None:
        raise CommandError(
            "--photos is missing: int8 is fitted to photographs with masks in DAVIS layout"
        )
    with progress_bar() as progress:
        task = progress.add_task("", total=None)

        def on_step(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        differences = derive(folder, photos, target, on_step)
    for file, found in differences.items():
        typer.echo(
            f"{file}: compared with fp32 on held-out crops: score error {found.score:.4f}, "
            f"box IoU {found.box_iou:.4f}, outline IoU {found.outline_iou:.4f}"
        )
