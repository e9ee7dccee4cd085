"""Engines from other packages and programs: found by name, never by "auto", blamed by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siampolar_model.engines import loading
from siampolar_model.engines.base import Candidates, Engine, EngineOptions
from siampolar_model.engines.loading import engine_names, load_engine, register_engine
from siampolar_model.errors import EngineError, ProcessUnusable
from siampolar_model.geometry.box import Box
from siampolar_model.models.folder import ModelFolder
from siampolar_model.tracking.tracker import Tracker

pytest.importorskip("onnxruntime")

#: An engine with a file of its own in the model folder, as one for another runtime would have.
TOY = '''
from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.engines.onnxruntime_engine import OnnxRuntimeEngine
from siampolar_model.errors import EngineError

FILE = "search.toy"

class ToyEngine(Engine):
    """ONNX Runtime, with the score divided by the number in ``search.toy``."""

    def __init__(self, model, options):
        self.spec = model.spec
        self._divisor = float(model.file(FILE).read_text())
        self._inner = OnnxRuntimeEngine(model, options)
        self.precision = self._inner.precision
        self.searches = 0

    def encode(self, slot, crop, box_xyxy):
        self._inner.encode(slot, crop, box_xyxy)

    def search(self, slots, crops, prior):
        self.searches += 1
        found = self._inner.search(slots, crops, prior)
        return Candidates(found.score / self._divisor, found.quality, found.box_xyxy,
                          found.center_xy, found.rays_px)

    def release(self, slot):
        self._inner.release(slot)
'''

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package with one engine into a folder on sys.path, as pip would."""

    def add(code: str, engine: str, target: str, module: str) -> None:
        site = tmp_path / f"site-{module}"
        info = site / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        name = module.replace("_", "-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[siampolar.engines]\n{engine} = {target}\n")
        monkeypatch.syspath_prepend(str(site))

    return add


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_registered", {})


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    (tmp_path / "search.toy").write_text("2")
    return ModelFolder.open("siampolar_lite0").copy_to(tmp_path / "m").add(tmp_path / "search.toy")


class NullEngine(Engine):
    """Finds nothing."""

    def __init__(self, model: ModelFolder, options: EngineOptions) -> None:
        self.spec = model.spec

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        pass

    def search(self, slots: object, crops: np.ndarray, prior: np.ndarray) -> Candidates:
        n = len(crops)
        zero = np.zeros((n, 1), np.float32)
        ones = np.ones((n, 1, max(4, self.spec.n_rays)), np.float32)
        return Candidates(zero, zero, ones[..., :4], ones[..., :2], ones[..., : self.spec.n_rays])

    def release(self, slot: int) -> None:
        pass


def test_an_engine_of_another_package_runs_a_tracker(install: Install, model: ModelFolder) -> None:
    install(TOY, "toy", "toy_engine:ToyEngine", "toy_engine")
    frame = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    targets = {}
    for name in ("toy", "onnxruntime"):
        tracker = Tracker.from_pretrained(model, engine=name, precision="fp32", num_threads=1)
        tracker.start(frame, Box.from_xywh(100, 80, 60, 70))
        (targets[name],) = tracker.update(frame)
        if name == "toy":
            assert type(tracker.engine).__module__ == "toy_engine"
            assert tracker.engine.name == "toy"
            assert tracker.engine.searches > 0
            assert tracker.engine.choice == (
                "siampolar_lite0 runs on toy (package toy-engine 1.2) in fp32"
            )
    assert targets["toy"].score == pytest.approx(targets["onnxruntime"].score / 2, rel=1e-5)


def test_it_is_listed_but_auto_does_not_take_it(install: Install, model: ModelFolder) -> None:
    install(TOY, "aaa", "toy_listed:ToyEngine", "toy_listed")
    assert engine_names() == (*loading.ENGINES, "aaa")
    assert load_engine(model, num_threads=1).name in loading.ENGINES
    with pytest.raises(EngineError, match=r"'bbb' is unknown; allowed: auto, tensorrt, .*, aaa$"):
        load_engine(model, "bbb")


def test_names_of_ours_stay_ours(install: Install, model: ModelFolder) -> None:
    install(TOY, "onnxruntime", "toy_thief:ToyEngine", "toy_thief")
    assert engine_names() == tuple(loading.ENGINES)
    engine = load_engine(model, "onnxruntime", num_threads=1)
    assert type(engine).__module__ == "siampolar_model.engines.onnxruntime_engine"
    for name in ("auto", "onnxruntime"):
        with pytest.raises(EngineError, match=f"engine name '{name}' is taken"):
            register_engine(name, NullEngine)


def test_what_the_engine_itself_reports_is_passed_on(install: Install) -> None:
    install(TOY, "toy", "toy_honest:ToyEngine", "toy_honest")
    with pytest.raises(EngineError, match=r"^\S+search\.toy is missing or not in SHA256SUMS"):
        load_engine("siampolar_lite0", "toy")


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        ("broken_import", "import no_such_runtime", "ModuleNotFoundError: No module named"),
        ("broken_syntax", "class Toy(:", "SyntaxError: "),
        ("broken_name", "class Other: pass", "AttributeError: .*Toy"),
        ("broken_arguments", "class Toy:\n  pass", "TypeError: .*argument"),
        ("broken_lines", "def Toy(m, o):\n  raise KeyError('a\\nb')", "KeyError: "),
        ("broken_result", "def Toy(m, o):\n  return 3", "it gave int, not an Engine with"),
        (
            "broken_spec",
            TOY.replace("self.spec = model.spec", "").replace("ToyEngine", "Toy")
            .replace("float(model.file(FILE).read_text())", "1.0"),
            "it gave Toy, not an Engine with a ModelSpec as its spec",
        ),
    ],
)  # fmt: skip
def test_a_broken_package_is_named_in_one_line(
    install: Install, module: str, code: str, message: str
) -> None:
    install(code, "toy", f"{module}:Toy", module)
    package = re.escape(f"engine toy (package {module.replace('_', '-')} 1.2) cannot be used: ")
    with pytest.raises(EngineError, match=f"^{package}{message}") as caught:
        load_engine("siampolar_lite0", "toy")
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_name_are_both_named(install: Install) -> None:
    install(TOY, "toy", "toy_one:ToyEngine", "toy_one")
    install(TOY, "toy", "toy_two:ToyEngine", "toy_two")
    with pytest.raises(EngineError) as caught:
        load_engine("siampolar_lite0", "toy")
    assert "package toy-one 1.2" in str(caught.value) and "toy-two 1.2" in str(caught.value)
    assert str(caught.value).endswith("; uninstall all but one of them")


def test_a_program_registers_its_own(install: Install) -> None:
    install(TOY, "null", "toy_hidden:ToyEngine", "toy_hidden")
    register_engine("null", NullEngine)  # what the program itself says counts first
    assert engine_names() == (*loading.ENGINES, "null")
    tracker = Tracker.from_pretrained(engine="null")
    assert isinstance(tracker.engine, NullEngine)
    assert tracker.engine.choice == (
        "siampolar_lite0 runs on null (registered by this program) in fp32"
    )


def test_a_gpu_that_failed_for_good_is_not_hidden() -> None:
    def fail(model: ModelFolder, options: EngineOptions) -> Engine:
        raise ProcessUnusable("the device is gone")

    register_engine("gone", fail)
    with pytest.raises(ProcessUnusable, match="the device is gone"):
        load_engine("siampolar_lite0", "gone")
