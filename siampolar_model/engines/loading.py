"""Chooses an engine and loads a model into it.

Our own engines are listed in :data:`ENGINES`. Other packages add engines with entry points of the
group ``siampolar.engines`` (name of the engine = its class), programs with :func:`register_engine`.
Engines are imported only when they are needed, so a robot needs only the runtime that it uses.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from ..errors import EngineError, EngineMissing, ProcessUnusable
from ..models.folder import ModelFolder
from ..models.spec import ModelSpec
from ..plugins import entry_points
from .base import BUILT_BY_CALLER, Engine, EngineOptions

#: Engine name -> (module, class, extra that brings the runtime), the fastest first.
ENGINES: dict[str, tuple[str, str, str]] = {
    "tensorrt": ("tensorrt.engine", "TensorRtEngine", "tensorrt"),
    "openvino": ("openvino_engine", "OpenVinoEngine", "openvino"),
    "onnxruntime": ("onnxruntime_engine", "OnnxRuntimeEngine", "cpu"),
    "torch": ("torch_engine", "TorchEngine", "train"),
}

#: Those that ``provider`` is for.
_WITH_PROVIDERS = ("onnxruntime", "torch")

#: Where other packages register engines.
ENTRY_POINT_GROUP = "siampolar.engines"

#: A subclass of Engine, or a function that returns an instance of one.
EngineFactory = Callable[[ModelFolder, EngineOptions], Engine]

# Filled by register_engine, as imports fill sys.modules: names mean the same in the whole process.
_registered: dict[str, EngineFactory] = {}


def engine_names() -> tuple[str, ...]:
    """All names that :func:`load_engine` takes except "auto": ours first, the others sorted."""
    packages = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return (*ENGINES, *sorted({*_registered, *packages}.difference(ENGINES, {"auto"})))


def register_engine(name: str, factory: EngineFactory) -> None:
    """Let :func:`load_engine` find an engine of this program by a name.

    Args:
        name: not the name of one of our own engines; an earlier registration of it is replaced.
        factory: a subclass of :class:`siampolar_model.engines.base.Engine`.

    Raises:
        EngineError: the name is "auto" or that of one of our own engines.

    Example:
        An engine of one's own, here one that leaves a core to others:

        >>> from dataclasses import replace
        >>> import siampolar_model as sp
        >>> from siampolar_model.engines.onnxruntime_engine import OnnxRuntimeEngine
        >>> class PoliteEngine(OnnxRuntimeEngine):
        ...     def __init__(self, model, options):
        ...         super().__init__(model, replace(options, num_threads=1))
        >>> sp.register_engine("polite", PoliteEngine)
        >>> sp.Tracker.from_pretrained(engine="polite").ids
        ()
    """
    if name in ("auto", *ENGINES):
        raise EngineError(f"engine name {name!r} is taken; taken are auto, {', '.join(ENGINES)}")
    _registered[name] = factory


def load_engine(
    model: str | Path | ModelFolder,
    engine: str = "auto",
    *,
    precision: str = "auto",
    num_threads: int | None = None,
    build_engine: str = "never",
    engine_path: Path | None = None,
    provider: str = "cpu",
) -> Engine:
    """Load a model into a runtime.

    "auto" takes the first of :data:`ENGINES` that can run the model here, and none of other
    packages. If TensorRT can run here and its engine has not been built yet, ``build_engine``
    decides: "never" goes on to the next, "if_missing" builds it.

    Args:
        model: shipped model, path of a model folder, or an open one.
        engine: one of :func:`engine_names`, or "auto".
        precision, num_threads, build_engine, engine_path, provider: see
            :class:`siampolar_model.engines.base.EngineOptions`.

    Returns:
        The engine. Its ``choice`` says in one line which engine was taken and, for "auto", why none
        of those before it.

    Raises:
        EngineError: unknown or unusable engine or option, unknown model, missing or altered file.
        EngineMissing: a TensorRT engine has to be built first, and ``build_engine`` is "never" for
            the engine "tensorrt", or "by_caller".
        ProcessUnusable: the GPU failed for good in this process; "auto" takes no other engine then.

    Example:
        >>> from siampolar_model import Tracker, load_engine
        >>> engine = load_engine("siampolar_lite0", "onnxruntime", precision="fp32", num_threads=1)
        >>> engine.choice
        'siampolar_lite0 runs on onnxruntime in fp32'
        >>> tracker = Tracker(engine)
    """
    options = EngineOptions(precision, num_threads, build_engine, engine_path, provider)
    if engine == "auto":
        return _first_that_runs(ModelFolder.open(model), options)
    if engine in ENGINES:
        loaded, source = _load_own(engine, ModelFolder.open(model), options), ""
    else:
        source, load = _find_foreign(engine)
        loaded = _load_foreign(engine, source, load, ModelFolder.open(model), options)
        source = f" ({source})"
    loaded.choice = _runs_on(loaded, engine + source)
    return loaded


def _runs_on(engine: Engine, name: str) -> str:
    remark = f" ({engine.remark})" if engine.remark else ""
    return f"{engine.spec.name} runs on {name} in {engine.precision}{remark}"


def _first_that_runs(model: ModelFolder, options: EngineOptions) -> Engine:
    obstacles = []
    for name in ENGINES:
        try:
            loaded = _load_own(name, model, options)
        except EngineError as error:
            if isinstance(error, EngineMissing) and options.build_engine == BUILT_BY_CALLER:
                raise
            obstacles.append(str(error))
            continue
        before = f"; before it: {'; '.join(obstacles)}" if obstacles else ""
        loaded.choice = (
            f"{_runs_on(loaded, name)}, the first of {', '.join(ENGINES)} that can{before}"
        )
        return loaded
    raise EngineError("; ".join(obstacles))


def _load_own(name: str, model: ModelFolder, options: EngineOptions) -> Engine:
    module, cls, extra = ENGINES[name]
    if options.provider != "cpu" and name not in _WITH_PROVIDERS:
        raise EngineError(
            f"engine {name} takes no provider; {options.provider} is one of "
            f"{' and '.join(_WITH_PROVIDERS)}"
        )
    try:
        loaded: Engine = getattr(import_module(f".{module}", __package__), cls)(model, options)
    except ImportError as error:
        raise EngineError(
            f"engine {name} cannot be used: {error}; pip install '.[{extra}]' in siampolar_ros's "
            "folder"
        ) from error
    return loaded


def _find_foreign(name: str) -> tuple[str, Callable[[], EngineFactory]]:
    """Where an engine comes from, for messages, and how to get its factory."""
    if name in _registered:
        return "registered by this program", lambda: _registered[name]
    found = [entry for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name == name]
    if not found:
        allowed = ", ".join(("auto", *engine_names()))
        raise EngineError(f"engine {name!r} is unknown; allowed: {allowed}")
    packages = " and ".join(
        f"package {entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        for entry in found
    )
    if len(found) > 1:
        raise EngineError(f"engine {name} comes from {packages}; uninstall all but one of them")
    return packages, found[0].load


def _load_foreign(
    name: str,
    source: str,
    load: Callable[[], EngineFactory],
    model: ModelFolder,
    options: EngineOptions,
) -> Engine:
    try:
        loaded = load()(model, options)
    except (EngineError, ProcessUnusable):
        raise  # the engine itself says what is missing
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise EngineError(f"engine {name} ({source}) cannot be used: {reason}") from error
    if not isinstance(loaded, Engine) or not isinstance(getattr(loaded, "spec", None), ModelSpec):
        raise EngineError(
            f"engine {name} ({source}) cannot be used: it gave {type(loaded).__name__}, not an "
            "Engine with a ModelSpec as its spec"
        )
    loaded.name = name
    return loaded
