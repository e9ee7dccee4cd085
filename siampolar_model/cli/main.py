"""The command ``siampolar``.

Its own sub-commands are listed in ``_OWN``. Other packages add theirs through entry points of the
group ``siampolar.commands`` (a function or a ``typer.Typer``), which are imported only when they
are called or listed; so this file knows neither ROS nor training.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, version
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from ..errors import CommandError, SiampolarError
from ..plugins import entry_points
from .console import one_line
from .interrupts import SIGINT_CODE, SIGTERM_CODE, sigterm_as_interrupt

#: Where other packages register sub-commands.
ENTRY_POINT_GROUP = "siampolar.commands"

# Our own commands, each in a file of its own.
_OWN = (
    EntryPoint("track", "siampolar_model.cli.track:track", ENTRY_POINT_GROUP),
    EntryPoint("doctor", "siampolar_model.cli.doctor:doctor", ENTRY_POINT_GROUP),
    EntryPoint("bench", "siampolar_model.cli.bench:bench", ENTRY_POINT_GROUP),
    EntryPoint("build-engine", "siampolar_model.cli.build_engine:build_engine", ENTRY_POINT_GROUP),
    EntryPoint("quantize", "siampolar_model.cli.quantize:quantize", ENTRY_POINT_GROUP),
    EntryPoint("eval", "siampolar_model.cli.evaluate:evaluate", ENTRY_POINT_GROUP),
    EntryPoint("replay", "siampolar_model.cli.replay:replay", ENTRY_POINT_GROUP),
)

# Typer before 0.2x builds on click, later ones carry a copy; both derive their errors from this.
_UsageError: Any = typer.BadParameter.__mro__[1]


#: Modules that may be absent although the package is installed, and how to get them.
_MISSING = {
    "cv2": "OpenCV is missing: apt install python3-opencv, or pip install opencv-python-headless",
    "rosbags": "rosbags is missing: pip install '.[replay]' in siampolar_ros's folder",
    "av": "PyAV is missing: apt install python3-av, or pip install av",
    "onnx": "onnx is missing: pip install onnx",
    "rclpy": "ROS 2 is missing: source /opt/ros/DISTRO/setup.bash, or run make demo in "
    "siampolar_ros's folder",
}


class _Commands(TyperGroup):
    """Our own commands, and those of the entry points."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_plugins())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _plugins():
            return own
        command = typer.main.get_command(_load(_plugins()[cmd_name]))
        command.name = cmd_name
        return command


def _plugins() -> dict[str, EntryPoint]:
    found = (*_OWN, *entry_points(group=ENTRY_POINT_GROUP))
    return {entry.name: entry for entry in found}


def _load(entry: EntryPoint) -> typer.Typer:
    """The Typer application of an entry point; one that says why if it cannot be imported."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    try:
        loaded = entry.load()
    except Exception as error:
        reason = _missing_module(error) or " ".join(str(error).split()) or type(error).__name__
        message = f"{entry.name} cannot be loaded: {reason}"

        def unavailable() -> None:
            raise CommandError(message)

        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        # Escaped: the help would take the extra in ".[replay]" for a style.
        app.command(help=escape(f"({message})"), context_settings=settings)(unavailable)
        return app
    if isinstance(loaded, typer.Typer):
        return loaded
    app.command()(loaded)
    return app


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",  # in every version of typer
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"siampolar {version('siampolar_ros')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    show_version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """Follow any object pointed at with one box."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; what the user can fix is one line on stderr, code 2.

    Ctrl-C ends with code 130 and SIGTERM with 143, after what was begun has been tidied up.
    """
    with sigterm_as_interrupt() as terminated:
        try:
            given = list(sys.argv[1:] if arguments is None else arguments)
            code = app(given, standalone_mode=False)
        except Exception as error:
            # Some versions of typer make this of Ctrl-C.
            if isinstance(error, typer.Abort) and isinstance(error.__cause__, KeyboardInterrupt):
                code = SIGINT_CODE
            else:
                message = _message_of(error)
                if message is None:
                    raise
                if message:  # empty where the help was printed instead
                    typer.echo(f"error: {message}", err=True)
                code = 2
        except KeyboardInterrupt:
            code = SIGINT_CODE
    if terminated and code == SIGINT_CODE:
        code = SIGTERM_CODE
    sys.exit(code if isinstance(code, int) else 0)


def _message_of(error: Exception) -> str | None:
    """One line for an error that the user can fix; None for a bug.

    Empty for a command that was called without its sub-command: its help has been printed.
    """
    if isinstance(error, _UsageError):
        return " ".join(error.format_message().split())
    if isinstance(error, typer.Abort):
        return "aborted"
    if isinstance(error, SiampolarError) or (isinstance(error, OSError) and error.strerror):
        return one_line(error)
    return _missing_module(error)


def _missing_module(error: Exception) -> str | None:
    """How to get the module whose absence an error reports, if it is one of ours."""
    if isinstance(error, ModuleNotFoundError):
        return _MISSING.get((error.name or "").partition(".")[0])
    return None


if __name__ == "__main__":
    main()
