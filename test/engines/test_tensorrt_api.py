"""Every name of TensorRT and CUDA that is called exists, in TensorRT 10.3 and in 11.

What the stand-ins offer is all that the engine and the build call, since both run against them
(test_tensorrt_engine.py). Here the stand-ins are held against the real thing:

- tensorrt_names.json: the names in the sources of NVIDIA's Python bindings (python/src of
  github.com/NVIDIA/TensorRT, tags v10.3.0 and v11.1), of the builder's side too;
- the packages ``tensorrt`` and ``tensorrt_lean``, where one is installed. The lean one comes from
  PyPI (pip install tensorrt-lean-cu13), but its 130 MB are left out of CI;
- ``cuda.bindings.runtime``, where it is installed;
- mypy with the package tensorrt-stubs, where it is installed, as `make setup-dev` does.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT

pytest.importorskip("onnxruntime")

from siampolar_model.engines.loading import load_engine
from siampolar_model.engines.tensorrt.cuda import FATAL
from siampolar_model.engines.tensorrt.plan import DTYPES
from siampolar_model.errors import EngineError

NAMES = json.loads(
    (Path(__file__).resolve().parents[1] / "support" / "tensorrt_names.json").read_text()
)

#: Classes that only the full package has: those of the builder.
BUILD_SIDE = {
    "Builder",
    "IBuilderConfig",
    "INetworkDefinition",
    "ITensor",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "support" / "stand_in"))
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("tensorrt")
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime"):
        sys.modules.pop(name, None)


def classes(module: ModuleType) -> dict[str, set[str]]:
    """Public names by class, own ones only."""
    return {
        name: {
            key
            for key in vars(value)
            if not key.startswith("_") and key not in ("name", "value", "Severity")
        }
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and name[0] != "_"
    }


@pytest.mark.parametrize("version", sorted(NAMES))
def test_every_name_is_in_this_version(stand_in: ModuleType, version: str) -> None:
    used = classes(stand_in)
    assert len(used) > 15
    for name, members in used.items():
        assert name in NAMES[version], name
        assert members <= set(NAMES[version][name]), (name, members - set(NAMES[version][name]))


def test_the_dtypes_are_those_of_tensorrt() -> None:
    for version, names in NAMES.items():
        assert set(DTYPES) <= set(names["DataType"]), version


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt_lean", "tensorrt_rtx_bindings"])
def test_every_name_is_in_the_installed_package(stand_in: ModuleType, package: str) -> None:
    used = classes(stand_in)
    sys.modules.pop("tensorrt", None)
    sys.path.remove(str(Path(__file__).resolve().parents[1] / "support" / "stand_in"))
    importlib.invalidate_caches()
    try:
        real = importlib.import_module(package)
    except ImportError:
        real = ModuleType(package)
    if not hasattr(real, "Runtime"):
        pytest.skip(f"{package} is not installed here")
    for name, members in used.items():
        if package == "tensorrt_lean" and name in BUILD_SIDE:
            continue
        assert members <= set(dir(getattr(real, name))), name
    for name, dtype in DTYPES.items():
        member = getattr(real.DataType, name)
        assert member.itemsize == dtype().itemsize, name


def test_every_cuda_call_has_the_real_one_s_parameters() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    path = (
        Path(__file__).resolve().parents[1]
        / "support"
        / "stand_in"
        / "cuda"
        / "bindings"
        / "runtime.py"
    )
    spec = importlib.util.spec_from_file_location("stand_in_cuda", path)
    assert spec is not None and spec.loader is not None
    stand_in = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_in)
    checked = 0
    for name, value in vars(stand_in).items():
        if not name.startswith("cuda"):
            continue
        real = getattr(runtime, name)
        if inspect.isfunction(value):
            # Cython functions have their signature in the first line of their documentation.
            signature = re.match(rf"{name}\((.*?)\)$", (real.__doc__ or "").strip().split("\n")[0])
            assert signature is not None, name
            parameters = [p for p in signature.group(1).split(",") if p.strip()]
            assert len(parameters) == len(inspect.signature(value).parameters), name
            checked += 1
        elif inspect.isclass(value) and issubclass(value, int):
            for member in value:
                assert int(getattr(real, member.name)) == int(member), (name, member)
        elif isinstance(value, int):
            assert int(real) == value, name
    assert checked > 15
    properties = runtime.cudaDeviceProp()
    assert properties.name is not None
    for name in ("major", "minor", "multiProcessorCount"):
        assert isinstance(getattr(properties, name), int)


def test_every_error_after_which_a_process_must_end_is_known() -> None:
    """By the documentation of CUDA in the installed cuda-python."""
    runtime = pytest.importorskip("cuda.bindings.runtime")
    text = "process must be terminated and relaunched"
    named = {e.name for e in runtime.cudaError_t if text in " ".join((e.__doc__ or "").split())}
    if not named:
        pytest.skip("this cuda-python documents no errors")
    assert named <= set(FATAL)


def test_the_installed_packages_give_a_clear_error_without_a_driver() -> None:
    """Not the crash that a Runtime without a driver ends in."""
    runtime = pytest.importorskip("cuda.bindings.runtime")
    try:
        error, count = runtime.cudaGetDeviceCount()
        has_gpu = error == runtime.cudaError_t.cudaSuccess and count > 0
    except RuntimeError:
        has_gpu = False
    if has_gpu:
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match=r"^engine tensorrt cannot be used: ") as caught:
        load_engine("siampolar_lite0", "tensorrt")
    assert "\n" not in str(caught.value)
    try:
        import tensorrt_lean  # noqa: F401
    except ImportError:
        return
    assert re.search("cudaErrorInsufficientDriver|libcuda|NVIDIA driver", str(caught.value))


def test_types_fit_the_stubs(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    try:
        files = distribution("tensorrt-stubs").files or []
    except PackageNotFoundError:
        pytest.skip("tensorrt-stubs is not installed here")
    for file in files:
        if file.suffix == ".pyi":
            text = Path(str(file.locate())).read_text()
            # 10.13.0.35.1 is not valid Python in three places, and hides the type bool.
            text = re.sub(r"([(,] ?)in: ", r"\1in_: ", text)
            text = text.replace("channel_axis: int)", "channel_axis: int = ...)")
            text = re.sub(r"^bool: .*$", "", text, flags=re.M)
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text)
    ini = tmp_path / "mypy.ini"
    ini.write_text(
        "[mypy]\ncheck_untyped_defs = true\n"
        f"mypy_path = {tmp_path}\ncache_dir = {tmp_path / 'cache'}\n"
        "[mypy-tensorrt.*,tensorrt_bindings.*]\nignore_errors = true\n"
        "[mypy-tensorrt_libs.*,cuda.*,cv2.*]\nignore_missing_imports = true\n"
        "follow_imports = skip\n"
    )
    # A copy that is wrong in one name must be found, or nothing was checked.
    wrong = tmp_path / "wrong" / "siampolar_model"
    for name in ("engines", "geometry", "models"):
        shutil.copytree(ROOT / "siampolar_model" / name, wrong / name)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "siampolar_model" / name, wrong)
    plan = wrong / "engines" / "tensorrt" / "plan.py"
    plan.write_text(plan.read_text().replace("set_tensor_address", "set_tensor_adress"))
    names = ("api", "plan", "engine", "build_child")
    for root, fits in ((ROOT / "siampolar_model", True), (wrong, False)):
        out, error, code = api.run(
            [
                "--config-file",
                str(ini),
                *(str(root / "engines" / "tensorrt" / f"{name}.py") for name in names),
            ]
        )
        assert (code == 0) == fits, out + error
    assert "set_tensor_adress" in out
