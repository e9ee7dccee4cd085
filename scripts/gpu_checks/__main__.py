"""Checks on a real GPU what no other machine can check, in less than eight minutes.

    python scripts/gpu_checks [--out FOLDER] [--write PAGE] [--packages FOLDER] [--photos FOLDER]

Run it in the environment of the repository (scripts/with_env, or any Python with cuda-python, torch
and onnxruntime). Every part is a process of its own with a time limit, so a crash costs no other
part. What cannot run on this machine is named with its reason. FOLDER/gpu.json holds everything,
PAGE the same for people (docs/gpu.md holds the newest one).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from gpu_page import by_hand, page
from gpu_report import Report
from gpu_setup import ROOT, prepare

#: Parts in their order, with the seconds that each may take: 470 together. On a machine that has
#: just started, torch and training load libraries for half a minute before anything can be timed.
PARTS = {"cuda": 25, "rtx": 100, "engine": 30, "torch": 150, "lean": 15, "training": 150}


def main() -> int:
    parser = argparse.ArgumentParser(prog="gpu_checks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu_out"), help="default: gpu_out")
    parser.add_argument("--write", type=Path, help="page to write, such as docs/gpu.md")
    parser.add_argument(
        "--packages",
        type=Path,
        help="folder of more Python packages (pip install --target); files in it that end in .xz "
        "are unpacked first",
    )
    parser.add_argument("--photos", type=Path, help="photographs to train on; default: drawn ones")
    parser.add_argument(
        "--on-processors",
        action="store_true",
        help="without a GPU, let the training part take a few steps on processors",
    )
    parser.add_argument("--only", choices=PARTS, help="run one part, in this process")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    prepare(options.packages)
    if options.only is not None:
        return run(options.only, options)
    started = time.monotonic()
    found = {name: run_apart(name, seconds, options) for name, seconds in PARTS.items()}
    result = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": machine(),
        "seconds": round(time.monotonic() - started),
        "parts": found,
    }
    (options.out / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")
    text = page(result)
    print(text)
    if options.write is not None:
        before = options.write.read_text() if options.write.is_file() else ""
        options.write.write_text(text + by_hand(before))
    return int(any(part["status"] == "failed" for part in found.values()))


def run(name: str, options: argparse.Namespace) -> int:
    """One part in this process; its report is complete up to where it stops."""
    report = Report(options.out / f"{name}.json")
    with report.closing():
        import_module(f"gpu_part_{name}").run(report, options)
    return int(report.status == "failed")


def run_apart(name: str, seconds: int, options: argparse.Namespace) -> dict[str, Any]:
    """One part as a child; a crash or a time-out is its result."""
    print(f"== {name}", flush=True)
    path = options.out / f"{name}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__).parent), "--only", name, "--out", options.out]
    for option in ("packages", "photos"):
        if getattr(options, option) is not None:
            command += [f"--{option}", getattr(options, option)]
    if options.on_processors:
        command.append("--on-processors")
    started = time.monotonic()
    child = subprocess.Popen(command, start_new_session=True)
    try:
        code = child.wait(timeout=seconds)
        stopped = f"killed by signal {-code}" if code < 0 else ""
    except subprocess.TimeoutExpired:
        stopped = f"not finished after {seconds} s"
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)  # with the processes that it started
            child.wait()
    part: dict[str, Any] = {"status": "failed", "reason": stopped, "notes": {}, "checks": {}}
    if path.is_file():
        part |= json.loads(path.read_text())
    if stopped:
        part |= {"status": "failed", "reason": stopped}
    return part | {"seconds": round(time.monotonic() - started, 1)}


def commit() -> str:
    """The commit that is checked out; "+changes" if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+changes"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def machine() -> dict[str, str]:
    """Card, driver and versions, as far as they can be found out."""
    about = {"cpu cores": str(os.cpu_count()), "python": platform.python_version()}
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True)
        about["gpu, driver"] = done.stdout.strip().splitlines()[0]
    except (OSError, IndexError, subprocess.CalledProcessError):
        about["gpu, driver"] = "none found"
    for name in ("torch", "onnxruntime", "cuda.bindings", "tensorrt_rtx_bindings"):
        try:
            about[name] = str(import_module(name).__version__)
        except (ImportError, AttributeError, OSError):
            about[name] = "not installed"
    return about


if __name__ == "__main__":
    sys.exit(main())
