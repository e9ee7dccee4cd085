"""``siampolar train``: LightningCLI behind the common command line.

What needs torch is imported when a command runs, so that ``siampolar --help`` stays quick.
"""

from __future__ import annotations

import typer

from .errors_to_cli import bad_input

app = typer.Typer(help="Train a network.", no_args_is_help=True, add_completion=False)

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
