"""``siampolar data``: look at and convert data sets.

What needs the packages of training is imported when a command runs, so that
``siampolar --help`` stays quick.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from siampolar_model.cli.console import check_writable, progress_bar
from siampolar_model.errors import CommandError, ConfigError

from .errors_to_cli import bad_input

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
        int,
        typer.Option(
            min=2016, max=2017, help="DAVIS 2016: one object per sequence; 2017: several."
        ),
    ] = 2016,
    split: Annotated[str, typer.Option(help="DAVIS: train, val or trainval.")] = "train",
) -> None:
    """Write DAVIS or SegTrack as COCO JSON, one category per sequence, objects kept apart."""
    with bad_input():
        from ..data import to_coco as conversion
        from ..data.readers.davis import Davis
        from ..data.readers.segtrack import SegTrack

        check_writable(output)
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


@app.command()
def preview(
    config: Annotated[Path, typer.Argument(help="Training configuration.")],
    output: Annotated[Path, typer.Argument(help="PNG file to write.")],
    samples: Annotated[int, typer.Option(min=1, max=300, help="Number of samples to show.")] = 24,
) -> None:
    """Write a contact sheet of what a training configuration shows the network.

    Left the template, right the search crop: outline of the target in green; box in yellow and
    polygon in red, of the best cell; all positive cells in blue. A red frame: the target is not
    there.
    """
    with bad_input():
        import cv2

        from siampolar_model.network.config import keys_of, load_config, read_yaml

        from ..data.config import DataConfig, data_config, open_training
        from ..data.preview import contact_sheet

        check_writable(output)
        if output.suffix.lower() != ".png":
            raise CommandError(f"{output}: must end in .png")
        values = read_yaml(config, ConfigError)
        try:
            network_path, given = values["model"]["network"], values["data"]
            ours = keys_of(DataConfig).split(", ")
            # A run's own config.yaml has null for what was not given.
            named = {key: given[key] for key in given if key in ours and given[key] is not None}
            wanted = {**named, "cache_mb": 0}
            seed = int(values.get("seed_everything", 1))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ConfigError(
                f"{config}: not a training configuration; it must hold model.network and "
                "data.sources"
            ) from None
        network = load_config(network_path)
        data = data_config(wanted, f"{config}, data")
        pairs = open_training(data, network, length=samples, seed=seed)
        sheet = contact_sheet([pairs[i] for i in range(samples)], network.stride)
        if not cv2.imwrite(str(output), sheet):
            raise CommandError(f"{output}: cannot be written")
    typer.echo(f"{output}: {samples} samples, {sheet.shape[1]}x{sheet.shape[0]} px")
