"""Timing the tracker by stage, next to OpenCV's TrackerNano, in processes of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siampolar_model.bench.case import Case
from siampolar_model.bench.clip import load_clip, side_by_side
from siampolar_model.bench.load import busy_cores
from siampolar_model.bench.measure import RUNS, measure
from siampolar_model.bench.page import benchmark_page
from siampolar_model.bench.peer import PEER_FILES
from siampolar_model.bench.results import (
    CaseResult,
    EngineListing,
    Machine,
    NamedResult,
    NodeResult,
    PeerResult,
    PeerRun,
    PeerTimes,
    Report,
    StageTimes,
    SuiteResult,
    TrackerResult,
)
from siampolar_model.bench.suite import ROUNDS, TARGETS, laptop_isa, run_loads, run_suite
from siampolar_model.bench.tables import tables_of
from siampolar_model.cli import bench as command
from siampolar_model.cli.main import main
from siampolar_model.engines.loading import load_engine
from siampolar_model.errors import BenchError, BoxError
from siampolar_model.evaluation.davis import find_sequences
from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.evaluation.timing import Percentiles
from siampolar_model.geometry.box import Box
from support.blob_engine import BlobEngine

BOX = Box.from_xywh(60, 40, 60, 60)


def images(count: int) -> list[np.ndarray]:
    out = []
    for index in range(count):
        image = np.random.default_rng(index).integers(90, 130, (200, 320, 3), dtype=np.uint8)
        cv2.circle(image, (90 + 2 * index, 70), 30, (30, 30, 220), cv2.FILLED)
        out.append(image)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for index, image in enumerate(images(4)):
        cv2.imwrite(str(folder / f"{index:05d}.png"), image)
    return folder


@pytest.fixture
def case(folder: Path) -> Case:
    """The shipped model in the engine that every test environment has."""
    pytest.importorskip("onnxruntime")
    exact = {"engine": "onnxruntime", "precision": "fp32", "num_threads": 1}
    return Case(video=str(folder), box_xywh=BOX.as_xywh(), **exact)  # type: ignore[arg-type]


class TestMeasure:
    def test_stages_add_up(self) -> None:
        runs = []
        before = cv2.getNumThreads()
        result = measure(
            BlobEngine, images(8), BOX, num_threads=1, on_run=lambda: runs.append(len(runs))
        )
        assert cv2.getNumThreads() == before
        json.dumps(asdict(result), allow_nan=False)
        assert len(runs) == RUNS
        assert (result.engine, result.precision) == ("blob", "fp32")
        assert (result.threads, result.frames, result.targets) == (1, 8, 1)
        assert result.peers == {}
        ours = result.tracker
        stages = ours.ms.stages()
        for row in (ours.ms.total, *stages.values()):
            assert 0 <= row.p50 <= row.p95 <= row.p99
        assert ours.fps == pytest.approx(1000 / ours.ms.total.p50)
        assert ours.cpu_ms > 0
        # Medians of parts need not add up exactly; the engine is most of it here.
        assert sum(row.p50 for row in stages.values()) == pytest.approx(ours.ms.total.p50, rel=0.3)
        assert ours.ms.infer.p50 > ours.ms.crop.p50

    def test_more_targets_are_searched_in_one_batch(self) -> None:
        batches: list[int] = []

        class Counting(BlobEngine):
            def search(self, slots: Any, crops: np.ndarray, prior: np.ndarray) -> Any:
                batches.append(len(slots))
                return super().search(slots, crops, prior)

        result = measure(Counting, images(3), BOX, num_threads=1, targets=3)
        assert result.targets == 3
        assert batches == [3] * (2 + 2 * RUNS)  # warm-up and runs over two images each

    def test_copies_stand_next_to_each_other_with_a_target_in_each(self) -> None:
        video = images(4)
        height, width = video[0].shape[:2]
        copies, boxes = side_by_side(video, BOX, 5)
        assert len(copies) == 4 and copies[0].shape == (2 * height, 3 * width, 3)
        assert len({box.as_xywh() for box in boxes}) == 5
        for box in boxes:
            x, y = round(box.x1 - BOX.x1), round(box.y1 - BOX.y1)
            np.testing.assert_array_equal(copies[2][y : y + height, x : x + width], video[2])

    def test_beside_trackernano(self, shared_data: Callable[[str], Path]) -> None:
        _require_trackernano()
        peer = shared_data("peers/nanotrack")
        result = measure(BlobEngine, images(4), BOX, num_threads=2, peer=peer)
        found = result.peers["trackernano_v2"]
        assert len(found.runs) == RUNS
        ratios = [run.tracker_fps / run.peer_fps for run in found.runs]
        assert found.fps_ratio == pytest.approx(np.median(ratios))
        assert found.cpu_ms > 0
        assert min(ratios) <= found.fps_ratio <= max(ratios)

    @pytest.mark.slow
    def test_the_shipped_model_beside_trackernano(self, shared_data: Callable[[str], Path]) -> None:
        """On real frames, warm, in one process: at least a quarter of the peer's rate."""
        pytest.importorskip("onnxruntime")
        _require_trackernano()
        peer = shared_data("peers/nanotrack")
        sequence = find_sequences(shared_data("davis-dev"), ["dog"])[0]
        box = mask_box(cv2.imread(str(sequence.masks[0]), cv2.IMREAD_GRAYSCALE))
        assert box is not None
        frames = [cv2.imread(str(path)) for path in sequence.images]
        ratios: list[float] = []
        # Other work on the machine hits the longer computation harder: low figures are repeated.
        while len(ratios) < 3 and max(ratios, default=0) < 0.25:
            result = measure(
                lambda: load_engine("siampolar_lite0", num_threads=2),
                frames,
                box,
                num_threads=2,
                peer=peer,
            )
            ratios.append(result.peers["trackernano_v2"].fps_ratio)
        print(f"{ratios} of TrackerNano's rate")
        assert max(ratios) >= 0.25

    def test_one_frame(self) -> None:
        with pytest.raises(BenchError, match="1 frames; a benchmark needs at least 2"):
            measure(BlobEngine, images(1), BOX, num_threads=1)

    def test_box(self) -> None:
        with pytest.raises(BoxError, match="wholly outside"):
            measure(BlobEngine, images(2), Box(900, 900, 950, 950), num_threads=1)

    def test_peer_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("TrackerNano_create", "TrackerNano_Params"):
            monkeypatch.setattr(cv2, name, lambda: None, raising=False)
        with pytest.raises(BenchError, match=r"nanotrack_backbone\.onnx: no such file"):
            measure(BlobEngine, images(2), BOX, num_threads=1, peer=tmp_path)

    def test_damaged_peer(self, tmp_path: Path) -> None:
        _require_trackernano()
        for name in PEER_FILES:
            (tmp_path / name).write_bytes(b"no network")
        with pytest.raises(BenchError, match="TrackerNano cannot run") as caught:
            measure(BlobEngine, images(2), BOX, num_threads=1, peer=tmp_path)
        assert "\n" not in str(caught.value)

    def test_opencv_without_the_peer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(cv2, "TrackerNano_create", raising=False)
        with pytest.raises(BenchError, match=r"OpenCV 4\.7 or later; this is"):
            measure(BlobEngine, images(2), BOX, num_threads=1, peer=tmp_path)


class TestClip:
    def test_larger_images_keep_the_target(self, folder: Path) -> None:
        plain, box = load_clip(folder, 0, None, BOX)
        large, moved = load_clip(folder, 0, None, BOX, (1280, 720))
        assert [image.shape for image in large] == [(720, 1280, 3)] * 4
        assert (moved.width, moved.height) == (box.width, box.height)

        def inside(image: np.ndarray, box: Box) -> np.ndarray:
            return image[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]

        for a, b in zip(plain, large, strict=True):
            np.testing.assert_array_equal(inside(a, box), inside(b, moved))

    def test_a_video_larger_than_asked_for(self, folder: Path) -> None:
        with pytest.raises(BenchError, match="is 320x200, more than 300x300"):
            load_clip(folder, 0, None, BOX, (300, 300))


class TestChild:
    def test_a_case_in_a_process_of_its_own(self, case: Case) -> None:
        runs: list[None] = []
        result = case.run(lambda: runs.append(None))
        assert len(runs) == RUNS
        assert (result.engine, result.precision) == ("onnxruntime", "fp32")
        assert result.image_size == (320, 200)
        assert result.tracker.memory_mb > 5  # the network's weights alone
        assert "siampolar_lite0 runs on onnxruntime in fp32" in result.choice

    def test_its_error_is_ours(self, case: Case, tmp_path: Path) -> None:
        with pytest.raises(BenchError, match="no_such_video"):
            Case(**{**vars(case), "video": str(tmp_path / "no_such_video.mp4")}).run()
        with pytest.raises(BenchError, match="onnxruntime cannot run in bf16"):
            Case(**{**vars(case), "precision": "bf16"}).run()

    def test_a_child_that_dies(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(BenchError, match="ended with status 1"):
            case.run()

    def test_engines_are_listed_with_what_they_lack(self, case: Case) -> None:
        listed = {(one.engine, one.precision): one.obstacle for one in case.engines()}
        assert listed["onnxruntime", "fp32"] == ""
        assert "cannot run in bf16" in listed["onnxruntime", "bf16"]
        assert listed["tensorrt", "fp16"]  # no GPU: some reason is given

    def test_older_instructions(self, case: Case) -> None:
        """OpenVINO on this processor, had it no bf16."""
        pytest.importorskip("openvino")
        older = Case(**{**vars(case), "engine": "openvino", "max_isa": "AVX2"})
        listed = {(one.engine, one.precision): one.obstacle for one in older.engines()}
        assert listed["openvino", "fp32"] == ""
        assert "bf16" in listed["openvino", "bf16"]


ROW = Percentiles(4.0, 5.0, 6.0)
#: Figures that are easy to find again.
CASE = CaseResult(
    engine="openvino", precision="int8", choice="a reason", model="m", threads=2, targets=1,
    frames=60, image_size=(854, 480), box_xywh=(1.0, 2.0, 3.0, 4.0),
    tracker=TrackerResult(250.0, StageTimes(ROW, ROW, ROW, ROW, ROW), 7.0, 80.0),
    peers={
        "trackernano_v2": PeerResult(200.0, PeerTimes(ROW), 9.0, 1.25, (PeerRun(250.0, 200.0),))
    },
)  # fmt: skip


def _alone(total: Percentiles = ROW, **changes: Any) -> CaseResult:
    tracker = replace(CASE.tracker, ms=replace(CASE.tracker.ms, total=total))
    return replace(CASE, peers={}, tracker=tracker, **changes)


def _report() -> Report:
    laptop = replace(CASE, precision="fp32", max_isa="AVX2_VNNI")
    return Report(
        case=CASE,
        command="siampolar bench dog --box 1,2,3,4",
        versions={"opencv": "5.0.0"},
        machine=Machine("A CPU", ("avx2", "avx_vnni"), 2),
        suite=SuiteResult(
            engines=(NamedResult("openvino int8", CASE),),
            laptop=(NamedResult("openvino fp32", laptop),),
            targets_by_number=(
                NamedResult("1", _alone()),
                NamedResult("8", _alone(Percentiles(16.0, 17.0, 18.0), targets=8)),
            ),
            full_rate=(NamedResult("8", _alone(replace(ROW, p50=28.0), targets=8)),),
            sizes=(
                NamedResult("480p", _alone()),
                NamedResult("720p", None, "too small"),
                NamedResult("4K", _alone(replace(ROW, p50=4.2), image_size=(3840, 2160))),
            ),
            not_run=(EngineListing("tensorrt", "fp16", "engine tensorrt cannot be used"),),
        ),
        node=(
            NodeResult((1280, 720), 30.0, 600, 2, 1.0, ROW, 0.5, 150.0, 0, {"waiting": 1.25}),
            NodeResult((1280, 720), 30.0, 600, 9, 1.0, ROW, 0.5, 150.0, busy_cores=1),
        ),
        loads=(NamedResult("one core busy, auto", replace(CASE, threads=None, busy_cores=1)),),
    )


class TestResults:
    def test_they_pass_through_json(self) -> None:
        for result in (CASE, _alone(max_isa="AVX2")):
            assert CaseResult.from_dict(json.loads(json.dumps(asdict(result)))) == result
        for node in _report().node:
            assert NodeResult.from_dict(json.loads(json.dumps(asdict(node)))) == node

    def test_a_report_is_flat(self) -> None:
        fields = _report().to_dict()
        json.dumps(fields, allow_nan=False)
        assert fields["tracker"]["ms"]["infer"]["p50"] == 4 and fields["machine"]["cores"] == 2
        assert fields["engines"][0]["result"]["peers"]["trackernano_v2"]["fps_ratio"] == 1.25
        assert fields["sizes"][1] == {"name": "720p", "result": None, "obstacle": "too small"}
        assert fields["node"][0]["lost"] == 2


class TestSuite:
    def test_everything_is_measured(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        measured: list[Case] = []

        def run(self: Case, on_run: Callable[[], None]) -> CaseResult:
            measured.append(self)
            if self.image_size == (854, 480):
                raise BenchError("the video is larger")
            on_run()
            # The second round of every case is the fastest.
            p50 = 2.0 if measured.count(self) == 2 else 3.0
            return _alone(replace(ROW, p50=p50), engine=self.engine)

        def engines(self: Case) -> list[EngineListing]:
            runs = {("openvino", "fp32"), ("onnxruntime", "fp32")}
            runs |= set() if self.max_isa else {("openvino", "bf16")}
            pairs = [(e, p) for e in ("openvino", "onnxruntime") for p in ("fp32", "bf16")]
            return [EngineListing(*pair, "" if pair in runs else "cannot") for pair in pairs]

        monkeypatch.setattr(Case, "run", run)
        monkeypatch.setattr(Case, "engines", engines)
        steps: list[tuple[str, int]] = []
        runs: list[None] = []
        base = Case(**{**vars(case), "peer": "nanotrack"})
        result = run_suite(base, lambda: runs.append(None), lambda *step: steps.append(step))
        groups = (
            result.engines, result.laptop, result.targets_by_number, result.full_rate, result.sizes
        )  # fmt: skip
        assert [[one.name for one in group] for group in groups] == [
            ["openvino fp32", "openvino bf16", "onnxruntime fp32"],
            [f"openvino fp32, {laptop_isa()}"],
            [f"{n} targets" for n in TARGETS],
            ["8 targets, all on every image", "16 targets, all on every image"],
            ["480p", "720p", "1080p", "4K"],
        ]
        assert [one.precision for one in result.not_run] == ["bf16"]
        assert result.sizes[0] == NamedResult("480p", None, "the video is larger")
        # Next to the peer where engines are compared, alone where the peer does not change.
        assert [one.peer for one in measured] == ["nanotrack"] * 4 + [None] * 11 * ROUNDS
        assert [one.max_isa for one in measured[:5]] == [None] * 3 + [laptop_isa(), None]
        assert [one.targets for one in measured[4:14]] == [*TARGETS, *TARGETS]
        fastest = [
            one.result.tracker.ms.total.p50 for one in result.targets_by_number if one.result
        ]
        assert fastest == [2.0] * 5
        cases = 4 + 11 * ROUNDS
        assert steps[1] == ("openvino fp32", cases * RUNS) and steps[-1] == ("4K", RUNS)
        assert len(runs) == cases - ROUNDS


class TestLoads:
    def test_threads_are_compared_idle_and_with_a_busy_core(
        self, case: Case, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = iter([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, *[1.0] * 6, *[20.0] * 6])
        monkeypatch.setattr(
            Case, "run", lambda self, _: _alone(replace(ROW, p50=next(times)), threads=None)
        )
        steps: list[tuple[str, int]] = []
        found = run_loads(case, lambda: None, lambda *step: steps.append(step))
        assert [one.name for one in found] == [
            "idle, auto", "idle, 1", "idle, 2",
            "one core busy, auto", "one core busy, 1", "one core busy, 2",
        ]  # fmt: skip
        medians = [one.result.tracker.ms.total.p50 for one in found if one.result]
        assert medians == [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
        assert steps[0] == ("idle, auto", 6 * ROUNDS * RUNS)

    def test_a_spinner_takes_its_core_and_ends_with_the_block(self) -> None:
        before = set(_children())
        with busy_cores(1):
            (pid,) = set(_children()) - before
            end = time.monotonic() + 20
            while _cpu_ticks(pid) < 5 and time.monotonic() < end:
                time.sleep(0.05)
            assert _cpu_ticks(pid) >= 5
            assert os.sched_getaffinity(pid) == {max(os.sched_getaffinity(0))}
        assert set(_children()) == before


def _children() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def _cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])


class TestPage:
    def test_every_figure_has_its_place(self) -> None:
        page = benchmark_page(_report(), "images/bench.png")
        for line in (
            "siampolar bench dog --box 1,2,3,4",
            "on A CPU (avx2, avx_vnni), 2 cores",
            "opencv 5.0.0",
            "![Stages and targets](images/bench.png)",
            "| infer | 4.00 | 5.00 | 6.00 |",
            "| trackernano_v2 | 4.00 | 5.00 | 6.00 |",
            "250 frames per second (one over the median), 7.0 ms of processor time each.",
            "on the same frames: 200 and 9.0 ms; ours over its, median of 1",
            "alternating runs: **1.25**",
            "| openvino int8 | 250 | 4.00 | 5.00 | 6.00 | 4.00 | 7.0 | 80 | 1.25 |",
            "Not on this machine: tensorrt.",
            "`ONEDNN_MAX_CPU_ISA=AVX2_VNNI`",
            "| 8 | 16.00 | 17.00 | 18.00 | 4.0 | 28.00 |",
            "| 1 | 4.00 | 5.00 | 6.00 | 1.0 | - |",
            "| one core busy, auto | 4.00 | 5.00 | 6.00 | 7.0 | **1.25** |",
            "| one core busy, auto: trackernano_v2 | 4.00 | 5.00 | 6.00 | 9.0 | - |",
            "| images | waiting |",
            "| 1280x720 at 30 Hz | 1.25 |",
            "| 1280x720 at 30 Hz, one core busy | 600 | 9 | 4.0 | 5.0 | 6.0 | 50 % | 150 |",
            "| 4K (3840x2160) | 4.20 | 5.00 | 6.00 | 4.00 | +5 % |",
            "| 1280x720 at 30 Hz | 600 | 2 | 4.0 | 5.0 | 6.0 | 50 % | 150 |",
        ):
            assert line in page, line
        assert "720p" not in page
        for line in page.splitlines():
            if line.startswith("|"):
                assert line.endswith("|")

    def test_only_what_was_measured(self) -> None:
        report = replace(_report(), case=_alone(), suite=None, node=(), loads=())
        assert [table.title for table in tables_of(report)] == ["m, openvino int8, by stage"]
        assert "None" not in benchmark_page(report)

    def test_plot(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        from siampolar_model.bench.plot import plot_benchmark

        plot_benchmark(_report(), tmp_path / "all.png")
        plot_benchmark(replace(_report(), suite=None), tmp_path / "bare.png")
        wide, narrow = (cv2.imread(str(tmp_path / f"{n}.png")) for n in ("all", "bare"))
        assert min(wide.std(), narrow.std()) > 5  # something is drawn


class TestCommand:
    def run(self, *arguments: object) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["bench", *map(str, arguments)])
        return int(caught.value.code or 0)

    def test_writes_figures_and_page(
        self, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        box = ",".join(f"{v:g}" for v in case.box_xywh)
        out, page = tmp_path / "bench.json", tmp_path / "page.md"
        code = self.run(
            case.video, "--box", box, "--engine", "onnxruntime", "--precision", "fp32",
            "--threads", 1, "--json", out, "--write", page,
        )  # fmt: skip
        said = capsys.readouterr()
        assert code == 0, said.err
        result = json.loads(out.read_text())
        assert result["tracker"]["fps"] > 0
        assert result["versions"]["opencv"] == cv2.__version__
        assert result["machine"]["cores"] >= 1
        assert "siampolar_lite0 runs on onnxruntime in fp32" in said.err
        assert "infer" in said.out
        text = page.read_text()
        assert "siampolar bench frames" in text and "--engine onnxruntime" in text
        assert str(tmp_path) not in text and str(Path(case.video).parent) not in text

    def test_bad_input_is_one_line(
        self, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        for arguments, message in (
            ((case.video, "--box", "1,2,3"), "box"),
            ((case.video, "--box", "1,2,30,40", "--json", tmp_path / "no" / "x"), "its folder"),
            ((tmp_path / "none.mp4", "--box", "1,2,30,40"), "none.mp4"),
            ((case.video, "--box", "1,2,30,40", "--peer", f"nano:{tmp_path}"), PEER_MISSING),
        ):
            assert self.run(*arguments) == 2
            said = capsys.readouterr().err.strip().splitlines()
            assert message in said[-1] and len(said) == 1, said
        monkeypatch.setattr(command, "entry_points", lambda **_: [])
        assert self.run(case.video, "--box", "1,2,30,40", "--node") == 2
        assert "--node needs the package siampolar_ros" in capsys.readouterr().err


#: What is missing for the peer: in an old OpenCV, the tracker itself.
PEER_MISSING = "nanotrack_backbone.onnx" if hasattr(cv2, "TrackerNano_create") else "OpenCV 4.7"


def _require_trackernano() -> None:
    if not hasattr(cv2, "TrackerNano_create"):
        pytest.skip(f"OpenCV {cv2.__version__} has no TrackerNano")
