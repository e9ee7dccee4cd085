"""``siampolar build-engine``: TensorRT engines, beforehand rather than when a node starts."""

from __future__ import annotations

from typing import Annotated

import typer

from ..engines.tensorrt.build import BuildProgress
from ..engines.tensorrt.build import build_engine as build
from ..models.folder import ModelFolder
from .console import progress_bar
from .options import DEFAULT_MODEL, Model


def build_engine(
    model: Model = DEFAULT_MODEL,
    precision: Annotated[
        str, typer.Option(help="auto, fp16, fp32 or int8; auto: fp16 where the model has it.")
    ] = "auto",
    lean: Annotated[
        bool,
        typer.Option(
            "--lean", help="Build it for the lean runtime; give its folder as engine_path."
        ),
    ] = False,
) -> None:
    """Build a model's TensorRT engine for this GPU into ~/.cache/siampolar/tensorrt (minutes)."""
    with progress_bar() as bar:
        task = bar.add_task("starting", total=None)

        def show(at: BuildProgress) -> None:
            phase = f"{at.graph}: {at.phase}"
            bar.update(task, description=phase, completed=at.step, total=at.steps)

        path = build(ModelFolder.open(model).path, precision, lean=lean, on_progress=show)
    typer.echo(path)
