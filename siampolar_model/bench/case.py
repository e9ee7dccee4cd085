"""Measures one case in a process of its own, and asks which engines can run at all.

The child takes a request as JSON on its command line and writes JSON lines to standard output:
``{"run": true}`` after every timed run, and in the end ``{"result": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..engines.base import PRECISIONS
from ..engines.loading import engine_names, load_engine
from ..errors import BenchError, EngineError, SiampolarError
from ..geometry.box import Box
from ..settings import Value
from ..tracking.settings import TrackerSettings
from .clip import load_clip
from .load import busy_cores
from .measure import measure
from .results import CaseResult, EngineListing

#: Environment variable that keeps oneDNN, and so OpenVINO, from using newer instructions.
MAX_ISA = "ONEDNN_MAX_CPU_ISA"


@dataclass(frozen=True)
class Case:
    """What to time.

    Attributes:
        video: file or folder of images; its frames ``first`` to ``last``.
        box_xywh: the target in the first of them.
        image_size: width and height of the images; in a larger size than its own, the video stands
            in the middle of its mirror images. None: the video's own.
        peer: folder of a TrackerNano to run alongside; None: our tracker alone.
        settings: values of :class:`TrackerSettings` by name; the rest at their defaults.
        max_isa: value of :data:`MAX_ISA` in the child; None: the one of this process.
        num_threads: of the engine, OpenCV and the peer; None: the engine's own choice, and one per
            core.
        provider: see :class:`siampolar_model.engines.base.EngineOptions`.
        busy_cores: cores that other processes keep busy meanwhile.
    """

    video: str
    box_xywh: tuple[float, float, float, float]
    first: int = 0
    last: int | None = None
    model: str = "siampolar_lite0"
    engine: str = "auto"
    precision: str = "auto"
    num_threads: int | None = None
    targets: int = 1
    image_size: tuple[int, int] | None = None
    peer: str | None = None
    settings: dict[str, Value] = field(default_factory=dict)
    max_isa: str | None = None
    provider: str = "cpu"
    busy_cores: int = 0

    def run(self, on_run: Callable[[], None] = lambda: None) -> CaseResult:
        """Measure in a child process, see :func:`siampolar_model.bench.measure.measure`.

        Raises:
            BenchError: the error of the child.
        """
        with busy_cores(self.busy_cores):
            return CaseResult.from_dict(_ask({"case": asdict(self)}, self.max_isa, on_run))

    def engines(self) -> list[EngineListing]:
        """Every engine in every precision, as a child process finds them.

        Raises:
            BenchError: the error of the child.
        """
        listed = _ask({"list": asdict(self)}, self.max_isa, lambda: None)
        return [EngineListing(**one) for one in listed]

    def run_here(self, on_run: Callable[[], None]) -> CaseResult:
        """As :meth:`run`, in this process."""
        images, box = load_clip(
            Path(self.video), self.first, self.last, Box.from_xywh(*self.box_xywh), self.image_size
        )
        result = measure(
            lambda: load_engine(
                self.model,
                self.engine,
                precision=self.precision,
                num_threads=self.num_threads,
                provider=self.provider,
            ),
            images,
            box,
            num_threads=self.num_threads,
            settings=TrackerSettings(**self.settings),  # type: ignore[arg-type]
            targets=self.targets,
            peer=None if self.peer is None else Path(self.peer),
            on_run=on_run,
        )
        return replace(result, max_isa=self.max_isa, busy_cores=self.busy_cores)

    def engines_here(self) -> list[EngineListing]:
        """As :meth:`engines`, in this process."""
        listed = []
        for engine in engine_names():
            for precision in PRECISIONS[1:]:
                obstacle = ""
                try:
                    load_engine(
                        self.model, engine, precision=precision, num_threads=self.num_threads
                    )
                except EngineError as error:
                    obstacle = str(error)
                listed.append(EngineListing(engine, precision, obstacle))
        return listed


def _ask(request: dict[str, Any], max_isa: str | None, on_run: Callable[[], None]) -> Any:
    environment = dict(os.environ)
    if max_isa is not None:
        environment[MAX_ISA] = max_isa
    command = [sys.executable, "-m", __name__, json.dumps(request)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            for line in child.stdout:
                message = json.loads(line)
                if "error" in message:
                    raise BenchError(message["error"])
                if "result" in message:
                    return message["result"]
                on_run()
        finally:
            child.kill()
    raise BenchError(f"the process that measures ended with status {child.returncode}")


def main() -> None:
    # Whatever a runtime prints must not get between the lines of JSON.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**message: Any) -> None:
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    request = json.loads(sys.argv[1])
    ((kind, fields),) = request.items()
    case = Case(**fields)
    if case.image_size is not None:
        case = replace(case, image_size=(case.image_size[0], case.image_size[1]))
    try:
        if kind == "list":
            send(result=[asdict(one) for one in case.engines_here()])
        else:
            send(result=asdict(case.run_here(lambda: send(run=True))))
    except SiampolarError as error:
        send(error=" ".join(str(error).split()))


if __name__ == "__main__":
    main()
