"""The results for people, as Markdown."""

from __future__ import annotations

from typing import Any

_TITLES = {
    "cuda": "The CUDA layer (engines/tensorrt/cuda.py)",
    "rtx": "TensorRT for RTX, compared with ONNX Runtime",
    "engine": "TensorRtEngine from end to end, with one kernel per output as its network",
    "torch": "torch on CUDA",
    "lean": "The lean runtime's words for plans that it cannot load",
    "training": "Training throughput",
}

#: The heading of what people add to the page; a new run leaves it as it is.
_BY_HAND = "## Added by hand"

_HOW = """# On a GPU

One command checks on an NVIDIA GPU what no other machine can check, in less than eight minutes. In
the environment of the repository (`make setup-dev`):

```sh
scripts/with_env python scripts/gpu_checks --write docs/gpu.md
```

Every part is a process of its own with a time limit. A part that cannot run is listed with the
reason, and the exit status is 0 unless a part failed. The results are in `gpu_out/gpu.json`;
`--write` makes this page from them and keeps what stands below "Added by hand".

- `--photos FOLDER` trains on photographs ([Data](data.md)) instead of drawn ones.
- `--packages FOLDER` takes packages from a folder, for a machine without network. Fill it elsewhere
  with
  `pip install --no-deps --target FOLDER tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs`;
  files in it that end in `.xz` are unpacked first.

TensorRT itself and a Jetson are checked by
`pytest -m gpu` ([jetson.md](jetson.md)).
"""


def page(result: dict[str, Any]) -> str:
    """The whole page; without a GPU it says so first."""
    parts = result["parts"]
    on_gpu = [name for name, part in parts.items() if "gpu" in part["notes"]]
    lines = [_HOW, "## The newest run"]
    if on_gpu:
        lines.append(f"On {parts[on_gpu[0]]['notes']['gpu']}.")
    else:
        lines.append("**No GPU has run this yet.** The run below had none: it shows only that the "
                     "command ends cleanly and what it would check.")  # fmt: skip
    about = {"date": result["date"], "commit": result["commit"], "took": f"{result['seconds']} s"}
    lines += ["", *_table(("machine", ""), about | result["machine"])]
    lines += ["", "| part | result | seconds |", "|---|---|---|"]
    for name, part in parts.items():
        words = _cell(f"{part['status']}: {part['reason']}" if part["reason"] else part["status"])
        lines.append(f"| {_TITLES[name]} | {words} | {part['seconds']} |")
    for name, part in parts.items():
        if not part["notes"] and not part["checks"]:
            continue
        lines += ["", f"### {_TITLES[name]}", ""]
        checks = {text: "yes" if passed else "**no**" for text, passed in part["checks"].items()}
        lines += _table(("", ""), checks | part["notes"])
    return "\n".join(lines) + "\n"


def by_hand(text: str) -> str:
    """What people added to an earlier page, with an empty line before it."""
    _, heading, added = text.partition(f"\n{_BY_HAND}")
    return f"\n{_BY_HAND}{added}" if heading else ""


def _table(head: tuple[str, str], rows: dict[str, Any]) -> list[str]:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return [
        *lines,
        *(f"| {_cell(name)} | {_cell(_words(value))} |" for name, value in rows.items()),
    ]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {one}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
