"""LightningCLI for a network and its pairs: everything of a run stands in one YAML file."""

from __future__ import annotations

import os
import sys
import warnings
from argparse import ArgumentError
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info

from siampolar_model.settings import Setting, settings_of

from ..data.config import GROUPS, DataConfig, SourceConfig
from ..errors import TrainingError
from . import data_module, module
from .checkpoints import (
    ABOUT,
    BEST,
    FOLDER,
    LAST,
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
    read_checkpoint,
)
from .data_module import PairsDataModule
from .module import TrainingModule
from .run_log import CsvLog, RunLog

#: What differs from Lightning's defaults. A run is one epoch of data.pairs.
_DEFAULTS = {
    "max_epochs": 1,
    "precision": "bf16-mixed",
    "gradient_clip_val": 10.0,
    "val_check_interval": 1000,
    "check_val_every_n_epoch": None,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
    "enable_model_summary": False,
}

#: Warnings about what is meant: frozen backbones, a run that goes on; and one of Lightning's own.
_EXPECTED = (
    r"Found \d+ module\(s\) in eval mode",
    r"Checkpoint directory .* exists and is not empty",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


#: Settings that say about themselves what is allowed, by the name of their option.
SETTINGS = {
    f"data.{group}.{one.name}": one for group, cls in GROUPS.items() for one in settings_of(cls)
} | {f"data.{one.name}": one for one in settings_of(DataConfig)}

#: The ranges of other numbers.
RANGES = {"data": data_module.RANGES, "model": module.RANGES}


class TrainingCLI(LightningCLI):
    """``fit`` trains, or goes on from the run's last checkpoint; ``validate`` scores one.

    A run's folder, ``trainer.default_root_dir``, gets ``checkpoints/last.ckpt`` and ``best.ckpt``,
    ``log.csv``, TensorBoard's files and ``config.yaml``.
    """

    def __init__(self, args: list[str]) -> None:
        super().__init__(
            TrainingModule,
            PairsDataModule,
            args=args,
            trainer_defaults=dict(_DEFAULTS),
            seed_everything_default=1,
            save_config_kwargs={"overwrite": True},
            auto_configure_optimizers=False,
            parser_kwargs={"prog": "siampolar train", "exit_on_error": False},
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        known = LightningCLI.subcommands()
        return {name: known[name] for name in ("fit", "validate")}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(LastCheckpoint, "checkpoint")
        _describe(parser)
        parser.link_arguments("seed_everything", "data.seed")
        parser.link_arguments("model.network", "data.network")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        # Lightning's own warns that sys.argv is not empty.
        try:
            self.config = parser.parse_args(args)  # type: ignore[arg-type]
        except ArgumentError as error:
            raise TrainingError(f"{error}; siampolar train fit --help lists all settings") from None

    def before_instantiate_classes(self) -> None:
        trainer = self._get(self.config, "trainer")
        if not trainer["default_root_dir"]:
            raise TrainingError("trainer.default_root_dir is missing; it names the run's folder")
        for name, setting in SETTINGS.items():
            replace(setting, name=name).check(self._get(self.config, name))
        _count_batches(trainer)
        _refuse_parts(trainer)
        _follow_torchrun(trainer)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self._get(self.config_init, "trainer")
        run = Path(config["default_root_dir"])
        bar = sys.stdout.isatty() and config["enable_progress_bar"] is not False
        callbacks = [*_listed(config["callbacks"]), RunLog(lines=not bar)]
        if bar:
            callbacks.append(RichProgressBar())
        loggers: list[Logger] = []
        if self.subcommand == "fit":
            callbacks.append(BestCheckpoint(run))
            if config["logger"] is not False:
                ours = [TensorBoardLogger(run, name="", version=""), CsvLog(run)]
                loggers = [*ours, *_listed(config["logger"])]
        else:
            self.save_config_callback = None
        if not self.datamodule.validates:
            kwargs["limit_val_batches"] = 0
        try:
            return super().instantiate_trainer(
                callbacks=callbacks,
                logger=loggers,
                plugins=[*_listed(config["plugins"]), AtomicCheckpointIO()],
                enable_progress_bar=bar,
                **kwargs,
            )
        except ValueError as error:  # Lightning's, about an argument
            raise TrainingError(f"trainer: {error}") from None

    def fit(self, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Train; without ``ckpt_path``, go on from the run's last checkpoint if it has one."""
        last = self._checkpoints / LAST
        path = ckpt_path or (last if last.is_file() else None)
        if path is not None:
            steps = self._check(path)["global_step"]
            rank_zero_info(f"going on after step {steps} from {path}")
        with warnings.catch_warnings():
            for message in _EXPECTED:
                warnings.filterwarnings("ignore", message)
            self.trainer.fit(ckpt_path=path, **kwargs)

    def validate(self, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Score averaged weights on what is held out; without ``ckpt_path``, the run's best."""
        path = ckpt_path or self._checkpoints / BEST
        read_checkpoint(path)
        if not self.datamodule.validates:
            raise TrainingError(
                "data.clips is 0; validation needs at least 1, or a source of videos with hold_out"
            )
        try:
            self.trainer.validate(ckpt_path=path, **kwargs)
        except TrainingError as error:
            raise TrainingError(f"{path}: {error}") from None

    @property
    def _checkpoints(self) -> Path:
        return Path(self.trainer.default_root_dir) / FOLDER

    def _check(self, path: str | Path) -> dict[str, Any]:
        """Refuse a checkpoint that is not of this run, before anything is written."""
        saved = read_checkpoint(path)
        try:
            self.model.on_load_checkpoint(saved)
            self.datamodule.load_state_dict(saved[ABOUT]["data"])
        except TrainingError as error:
            message = f"{path}: {error}; give another trainer.default_root_dir"
            raise TrainingError(message) from None
        return saved


def _describe(parser: LightningArgumentParser) -> None:
    """Add to ``--help`` what settings say about themselves: their help, and what is allowed."""
    keys = " ".join(_described(one) for one in settings_of(SourceConfig))
    for action in parser._actions:
        group, _, name = action.dest.partition(".")
        if action.dest in SETTINGS:
            setting = SETTINGS[action.dest]
            action.help = f"{setting.help} Allowed: {setting.allowed}."
        elif action.dest == "data.sources":
            action.help = f"{action.help} Keys of a source: {keys}"
        elif name in (ranges := RANGES.get(group, {})):
            low, high = ranges[name]
            action.help = f"{action.help} Allowed: {Setting(name, low, '', low, high).allowed}."


def _described(one: Setting) -> str:
    text = f"{one.name}: {one.help}"
    is_text = isinstance(one.default, str)
    return text if is_text else f"{text} Allowed: {one.allowed}; default: {one.default}."


def _count_batches(trainer: Namespace) -> None:
    """Take a whole number above 1 as a number of batches, also where it comes as 4.0.

    Lightning takes an int as a number and a float as a share. jsonargparse reads 4 as 4.0 where the
    type's float comes first, and that depends on what was imported before (typing keeps one of
    ``Union[int, float]`` and ``Union[float, int]``, which are equal).
    """
    for name in ("limit_train_batches", "limit_val_batches", "overfit_batches",
                 "val_check_interval"):  # fmt: skip
        value = trainer[name]
        if isinstance(value, float) and value > 1 and value.is_integer():
            trainer[name] = int(value)


def _refuse_parts(trainer: Namespace) -> None:
    """A run is one epoch, its rates are planned for all of it, and what it saves it can go on from.

    Raises:
        TrainingError: another length in epochs or in a share of the batches, or a validation in the
            middle of an accumulation, whose gradients no checkpoint holds.
    """
    if trainer["max_epochs"] != 1:
        raise TrainingError(
            f"trainer.max_epochs is {trainer['max_epochs']}; a run is 1 epoch: give more data.pairs"
        )
    batches = trainer["limit_train_batches"]
    if isinstance(batches, float) and batches != 1.0:
        raise TrainingError(
            f"trainer.limit_train_batches is {batches}; it must be a number of batches, or give "
            "fewer data.pairs"
        )
    every, group = trainer["val_check_interval"], trainer["accumulate_grad_batches"]
    if isinstance(every, int) and every % group:
        raise TrainingError(
            f"trainer.val_check_interval is {every}; it must be a multiple of "
            f"accumulate_grad_batches, {group}"
        )


def _listed(value: Any) -> list[Any]:
    """A setting of the Trainer that takes one thing, a list of them, or nothing."""
    if value is None or isinstance(value, bool):
        return []
    return value if isinstance(value, list) else [value]


def _follow_torchrun(trainer: Namespace) -> None:
    """Under torchrun, one process a device without having to say so twice."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    here, all_ = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    trainer["devices"], trainer["num_nodes"] = here, all_ // here
    if trainer["strategy"] == "auto":
        trainer["strategy"] = "ddp"
