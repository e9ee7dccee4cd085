"""``siampolar export``: a model folder from a checkpoint.

What needs torch is imported when the command runs, so that ``siampolar --help`` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors_to_cli import bad_input


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint of a run, such as runs/siampolar_lite0/checkpoints/best.ckpt."
        ),
    ],
    model: Annotated[Path, typer.Argument(help="Folder to write; its model files are replaced.")],
    network: Annotated[
        Path | None,
        typer.Option(
            help="Network configuration to export instead of the run's: candidates, given_mask and "
            "the map's outlines may differ, the weights that it needs may not."
        ),
    ] = None,
) -> None:
    """Export a checkpoint's averaged weights to ONNX and check that torch gives the same."""
    with bad_input():
        from siampolar_model.export.onnx_export import export as export_model
        from siampolar_model.network.checkpoint import with_config
        from siampolar_model.network.config import load_config

        from ..run.averaged import load_averaged

        trained, about = load_averaged(checkpoint)
        if network is not None:
            trained = with_config(trained, load_config(network))
        export_model(trained, model, about)
    scores = ", ".join(f"{key} {value:.4f}" for key, value in about["scores"].items())
    typer.echo(
        f"wrote {model} after {about['pairs_seen']} pairs; {scores or 'not validated at this step'}"
    )
