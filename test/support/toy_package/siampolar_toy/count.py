"""A sub-command of ``siampolar``."""

import json
from pathlib import Path

from siampolar_model.errors import CommandError


def count(results: Path) -> None:
    """Count the targets in a file that `siampolar track --jsonl` wrote."""
    if not results.is_file():
        raise CommandError(f"{results}: no such file")
    lines = results.read_text().splitlines()
    ids = {target["id"] for line in lines for target in json.loads(line)["targets"]}
    print(f"{len(ids)} targets in {len(lines)} frames")
