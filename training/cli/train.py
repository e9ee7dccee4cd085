"""``siampolar train``: train a network by LightningCLI, and measure one on clips.

What needs torch is imported when a command runs, so that ``siampolar --help`` stays quick.
"""

from __future__ import annotations

import typer

from .errors_to_cli import bad_input
from .identity import app as identity
from .redetection import redetection
from .score import score

app = typer.Typer(
    help="Train a network, and measure one on clips.", no_args_is_help=True, add_completion=False
)

app.command()(score)
app.command()(redetection)
app.add_typer(identity, name="identity")

# All arguments, --help included, are LightningCLI's.
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASSED_ON)
def fit(context: typer.Context) -> None:
    """Train, or go on where a run stopped: --config config/training/siampolar_lite0.yaml"""
    _run("fit", context.args)


@app.command(context_settings=_PASSED_ON)
def validate(context: typer.Context) -> None:
    """Score a run's best checkpoint on synthetic clips: --config ... [--ckpt_path ...]"""
    _run("validate", context.args)


def _run(command: str, arguments: list[str]) -> None:
    with bad_input():
        from ..run.lightning_cli import TrainingCLI

        TrainingCLI([command, *arguments])
