"""What a network is made of, read from a YAML file in config/network/."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..settings import check_ranges

CORRELATIONS = ("depthwise", "pixelwise", "repeated", "constant")
#: Of these, the ones whose maps are mixed by a convolution, so that there may be more of them.
FUSED = CORRELATIONS[:2]
RAYS = (36, 72, 180)
RAY_RULES = ("best_overlap", "farthest_point")
QUALITIES = ("overlap", "ratio")
NECKS = ("semi_fpn", "fpn")
STRIDES = (8, 16, 32)
_LEVELS = [c for n in (1, 2, 3) for c in combinations(STRIDES, n)]


# Both ends included. A value beyond is probably a typing error: no robot could run that network.
_WIDTHS, _DEPTHS, _SIZES_PX = (1, 4096), (0, 16), (32, 1024)


@dataclass(frozen=True)
class HeadConfig:
    """Depth of the three branches (3x3 convolutions before the last one), their width, and what
    rays and quality mean.

    Attributes:
        ray_rule: where a ray ends: where the filled polygon overlaps best, or at the target's
            farthest point, as in the paper.
        quality: of a place: the IoU that a polygon from it reaches, or the paper's centerness,
            the root of the shortest ray over the longest.
    """

    width: int = 96
    class_convs: int = 2
    box_convs: int = 2
    mask_convs: int = 3
    rays: int = 72
    ray_rule: str = "best_overlap"
    quality: str = "overlap"

    def __post_init__(self) -> None:
        _check_ranges(
            self,
            {"width": _WIDTHS, "class_convs": _DEPTHS, "box_convs": _DEPTHS, "mask_convs": _DEPTHS},
        )
        if self.rays not in RAYS or not isinstance(self.rays, int):
            raise ConfigError(f"rays {self.rays!r} is not one of {RAYS}")
        if self.ray_rule not in RAY_RULES:
            raise ConfigError(f"ray_rule {self.ray_rule!r} is not one of {RAY_RULES}")
        if self.quality not in QUALITIES:
            raise ConfigError(f"quality {self.quality!r} is not one of {QUALITIES}")


@dataclass(frozen=True)
class MapConfig:
    """A dense inside/outside map of the target, from which rays are read.

    Attributes:
        widths: channels at the head's stride, at half of it, and so on: ``[48, 32]`` ends at
            stride 4 if the head works at stride 8.
        convs: 3x3 convolutions at the head's stride; each finer stride has two.
        outlines: the search graph gives the map as well, so that masks have the map's own outlines,
            with all parts and holes; rays end at the first edge that they meet.
    """

    widths: tuple[int, ...] = (48, 32)
    convs: int = 2
    outlines: bool = False

    def __post_init__(self) -> None:
        _check_ranges(self, {"convs": (1, 16)})
        if not isinstance(self.outlines, bool):
            raise ConfigError(f"outlines is {self.outlines!r}; it must be true or false")
        whole = isinstance(self.widths, tuple) and all(
            isinstance(w, int) and not isinstance(w, bool) and 1 <= w <= _WIDTHS[1]
            for w in self.widths
        )
        if not whole or not 1 <= len(self.widths) <= 5:
            shown = list(self.widths) if isinstance(self.widths, tuple) else self.widths
            raise ConfigError(
                f"widths {shown!r} must be a list of 1 to 5 whole numbers from 1 to {_WIDTHS[1]}"
            )


@dataclass(frozen=True)
class NetworkConfig:
    """A whole network.

    Attributes:
        search_backbone, template_backbone: names in timm; the template's is usually shallower.
        levels: strides that are correlated and summed; the head works at the first one.
        width: channels of every level after its lateral 1x1.
        neck: what follows the sum of the levels: nothing, or a 3x3 (FPN, Lin et al. 2017).
        detail: add stride-4 features, brought to the head's stride by one strided 3x3.
        map: read rays from a dense map; None: regress them at every cell, as the paper does.
        template_mask: draw the target in the template's box, and compare with that alone.
        given_mask: the template graph also takes a mask, given or absent, so that a target can be
            started from one; if absent, it is drawn as without this.
        ridge: also compare with the direction that tells the target from what surrounds it.
        presence: also score from the whole crop whether the target is in it.
        search_factor: side of the search window over the side of the template window.
    """

    name: str
    search_backbone: str
    template_backbone: str
    levels: tuple[int, ...] = (8, 16)
    width: int = 96
    correlation: str = "depthwise"
    neck: str = "semi_fpn"
    detail: bool = False
    head: HeadConfig = field(default_factory=HeadConfig)
    map: MapConfig | None = None
    template_mask: bool = False
    given_mask: bool = False
    ridge: bool = False
    presence: bool = False
    template_size: int = 127
    search_size: int = 255
    search_factor: float = 1.7
    candidates: int = 8

    def __post_init__(self) -> None:
        for name in ("name", "search_backbone", "template_backbone"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ConfigError(f"{name} is {value!r}; it must be a name")
        for name in ("detail", "template_mask", "given_mask", "ridge", "presence"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ConfigError(f"{name} is {value!r}; it must be true or false")
        if not isinstance(self.head, HeadConfig):
            raise ConfigError(f"head is {self.head!r}; it must be a group of {keys_of(HeadConfig)}")
        if not isinstance(self.map, (MapConfig, type(None))):
            raise ConfigError(f"map is {self.map!r}; it must be a group of {keys_of(MapConfig)}")
        if self.correlation not in CORRELATIONS:
            raise ConfigError(f"correlation {self.correlation!r} is not one of {CORRELATIONS}")
        if self.given_mask and not self.template_mask:
            raise ConfigError("given_mask without template_mask; nothing would be made of the mask")
        if self.ridge and not (self.template_mask and self.correlation in FUSED):
            raise ConfigError(
                f"ridge with template_mask {self.template_mask} and correlation "
                f"{self.correlation!r}; it needs a mask and one of {FUSED}"
            )
        if self.neck not in NECKS:
            raise ConfigError(f"neck {self.neck!r} is not one of {NECKS}")
        if self.levels not in _LEVELS or not all(isinstance(s, int) for s in self.levels):
            shown = list(self.levels) if isinstance(self.levels, tuple) else self.levels
            raise ConfigError(f"levels {shown!r} must be a list of ascending strides of {STRIDES}")
        if self.map is not None and self.head.ray_rule != RAY_RULES[0]:
            raise ConfigError(
                f"ray_rule {self.head.ray_rule!r} with a map; rays that are read from it have no "
                f"other rule than {RAY_RULES[0]!r}"
            )
        sizes = {"template_size": _SIZES_PX, "search_size": _SIZES_PX}
        _check_ranges(self, {"width": _WIDTHS, "search_factor": (1.1, 4.0), **sizes})
        # Candidates are cells of the head's map.
        _check_ranges(self, {"candidates": (1, self.map_size**2)})
        if self.map is not None and self.map_stride < 2:
            raise ConfigError(
                f"map: {len(self.map.widths)} widths end at stride {self.stride} / "
                f"{2 ** (len(self.map.widths) - 1)}; it must be 2 or more"
            )

    @property
    def stride(self) -> int:
        """Stride of the map on which the head draws."""
        return self.levels[0]

    @property
    def map_stride(self) -> int:
        """Stride of the dense map (0 if it would lie below 1), or of the head without one."""
        return self.stride >> (len(self.map.widths) - 1) if self.map is not None else self.stride

    @property
    def map_size(self) -> int:
        """Cells a side of that map."""
        return -(-self.search_size // self.stride)


def _check_ranges(config: Any, ranges: dict[str, tuple[float, float]]) -> None:
    try:
        check_ranges(config, ranges)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _build(cls: type, values: Any, where: str) -> Any:
    """A dataclass from plain values; errors name the place, the key and what is allowed."""
    check_keys(cls, values, where, ConfigError)
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def config_from_dict(values: dict[str, Any], where: str = "network") -> NetworkConfig:
    """Build a configuration from plain values, as YAML and JSON give them.

    Raises:
        ConfigError: an unknown or missing key, or a value that is not allowed.
    """
    if isinstance(values, dict):
        values = dict(values)
        if "head" in values:
            values["head"] = _build(HeadConfig, values["head"], f"{where}, head")
        if values.get("map") is not None:
            group = values["map"]
            if isinstance(group, dict) and isinstance(group.get("widths"), list):
                group = {**group, "widths": tuple(group["widths"])}
            values["map"] = _build(MapConfig, group, f"{where}, map")
        if isinstance(values.get("levels"), list):
            values["levels"] = tuple(values["levels"])
    network: NetworkConfig = _build(NetworkConfig, values, where)
    return network


def load_config(path: str | Path) -> NetworkConfig:
    """Read one YAML file of config/network/.

    ``base: other.yaml``, a file in the same folder, stands for everything in it; what else stands
    in the file replaces it, in the groups key by key.

    Raises:
        ConfigError: not YAML, an unknown or missing key, or a value that is not allowed.
        OSError: the file cannot be read.
    """
    return config_from_dict(_with_base(Path(path)), str(path))


def _with_base(path: Path) -> Any:
    values = read_yaml(path, ConfigError)
    if not isinstance(values, dict) or "base" not in values:
        return values
    name = values.pop("base")
    if not isinstance(name, str) or Path(name).name != name or name == path.name:
        raise ConfigError(f"{path}: base is {name!r}; it must be another file of its folder")
    whole = read_yaml(path.parent / name, ConfigError)
    if not isinstance(whole, dict) or "base" in whole:
        raise ConfigError(f"{path}: base {name!r} must be a whole network, without a base itself")
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = {**whole[key], **value} if both else value
    return whole


def read_yaml(path: str | Path, error: type[ValueError]) -> Any:
    """What a YAML file holds.

    Raises:
        error: the file is not YAML, or gives a key twice.
        OSError: it cannot be read.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8-sig"), _UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise error(f"{path}: not YAML ({' '.join(str(problem).split())})") from None


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice, of which PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if isinstance(key, str) and key != "<<" and keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is given {keys.count(key)} times",
                    problem_mark=node.start_mark,
                )
        return super().construct_mapping(node, deep)


def keys_of(cls: type) -> str:
    """The keys that a dataclass takes, for messages."""
    return ", ".join(f.name for f in fields(cls))


def check_keys(cls: type, values: Any, where: str, error: type[ValueError]) -> None:
    """Refuse values whose keys do not make a dataclass.

    Raises:
        error: no group, or an unknown or missing key; it names the place and what is allowed.
    """
    known = {f.name: f for f in fields(cls)}
    if not isinstance(values, dict):
        raise error(f"{where}: is {values!r}; it must be a group of {keys_of(cls)}")
    for key in values:
        if key not in known:
            raise error(f"{where}: unknown key {key!r}; allowed: {keys_of(cls)}")
    for name, one in known.items():
        if name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise error(f"{where}: the key {name!r} is missing")
