"""``siampolar data``: look at and convert data sets.

What needs the packages of training is imported when a command runs, so that
``siampolar --help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from siampolar_model.cli import CommandError, progress_bar

app = typer.Typer(help="Look at training data and convert data sets.", no_args_is_help=True)


class VideoSet(str, Enum):
    """Data sets that ``to-coco`` converts."""

    davis = "davis"
    segtrack = "segtrack"


@app.callback()
def _root() -> None:
    pass


@app.command("to-coco")
def to_coco(
    kind: Annotated[VideoSet, typer.Argument(help="segtrack: either version.")],
    root: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    output: Annotated[Path, typer.Argument(help="JSON file to write.")],
    year: Annotated[
        int, typer.Option(min=2016, max=2017, help="DAVIS: one object a sequence, or several.")
    ] = 2016,
    split: Annotated[str, typer.Option(help="DAVIS: train, val or trainval.")] = "train",
) -> None:
    """Write DAVIS or SegTrack as COCO JSON, one category a sequence, objects kept apart."""
    with bad_input():
        from . import to_coco as conversion
        from .readers.davis import Davis
        from .readers.segtrack import SegTrack

        if output.is_dir() or not output.resolve().parent.is_dir():
            raise CommandError(f"{output}: cannot be written; its folder must exist")
        davis = kind is VideoSet.davis
        reader = Davis(root, year=year, split=split) if davis else SegTrack(root)
        total = sum(reader.frames(i) for i in range(len(reader)))
        with progress_bar() as progress:
            task = progress.add_task("converting", total=total)
            data = conversion.to_coco(reader, on_frame=lambda: progress.advance(task))
        conversion.write_coco(data, output)
    typer.echo(
        f"{output}: {len(data['categories'])} sequences, {len(data['images'])} images, "
        f"{len(data['annotations'])} annotations"
    )


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn what the user can mend into one line: all of our own errors are a ValueError."""
    try:
        yield
    except ValueError as error:
        raise CommandError(" ".join(str(error).split())) from None
