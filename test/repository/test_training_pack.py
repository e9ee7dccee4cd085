"""The pack of training data for a rented GPU: small enough, and readable as the layouts ask."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

Image = pytest.importorskip("PIL.Image")

SCRIPT = ROOT / "scripts" / "pack_training_data.py"
TRAIN = ROOT / "scripts" / "train_packed.py"


def write_set(root: Path, folders: tuple[str, str], names: list[str]) -> None:
    """Images of 640x480 noise, each with a mask of two objects as an index PNG."""
    rng = np.random.default_rng(3)
    for folder in folders:
        (root / folder).mkdir(parents=True)
    labels = np.zeros((480, 640), np.uint8)
    labels[100:200, 100:300], labels[300:400, 400:500] = 1, 2
    for name in names:
        image = rng.integers(0, 255, (480, 640, 3), np.uint8)
        cv2.imwrite(str(root / folders[0] / f"{name}.jpg"), image)
        mask = Image.fromarray(labels, "P")
        mask.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
        mask.save(root / folders[1] / f"{name}.png")


def pack(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_everything_is_packed_smaller_and_with_its_indices(tmp_path: Path) -> None:
    photos, davis = tmp_path / "photos", tmp_path / "davis"
    write_set(photos, ("JPEGImages/photos", "Annotations/photos"), ["00000", "00001"])
    names = [f"{index:05d}" for index in range(5)]
    write_set(davis, ("JPEGImages/480p/dog", "Annotations/480p/dog"), names)
    done = pack(tmp_path / "out.tar", "--photos", photos, "--davis", davis, "--side", 320)
    assert done.returncode == 0, done.stderr
    assert "5 images with masks" in done.stdout and "0 did not fit" in done.stdout
    with tarfile.open(tmp_path / "out.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    frames = sorted((tmp_path / "unpacked/davis/JPEGImages/480p/dog").iterdir())
    assert [frame.name for frame in frames] == ["00000.webp", "00002.webp", "00004.webp"]
    assert cv2.imread(str(frames[0])).shape == (432, 576, 3)
    image = cv2.imread(str(tmp_path / "unpacked/photos0/JPEGImages/photos/00001.webp"))
    with Image.open(tmp_path / "unpacked/photos0/Annotations/photos/00001.png") as mask:
        labels = np.asarray(mask)
    assert image.shape == (240, 320, 3) and labels.shape == (240, 320)
    assert sorted(np.unique(labels)) == [0, 1, 2] and labels[75, 100] == 1


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_what_exceeds_the_limit_is_left_out_and_counted(tmp_path: Path) -> None:
    names = [f"{index:05d}" for index in range(12)]
    write_set(tmp_path, ("JPEGImages/photos", "Annotations/photos"), names)
    out = tmp_path / "out.tar"
    done = pack(out, "--photos", tmp_path, "--limit-mb", 0.5)
    assert done.returncode == 0, done.stderr
    with tarfile.open(out) as tar:
        images = [name for name in tar.getnames() if name.endswith(".webp")]
    assert 1 <= len(images) < 12 and 400_000 < out.stat().st_size <= 500_000
    assert f"{12 - len(images)} did not fit into 0.5 MB" in done.stdout


def train(*arguments: object, without: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``without``: a folder for a start-up file that hides the packages av and pycocotools."""
    path = os.environ.get("PYTHONPATH", "")
    if without is not None:
        without.mkdir()
        (without / "sitecustomize.py").write_text(
            "import sys\nsys.modules['av'] = sys.modules['pycocotools'] = None\n"
        )
        path = f"{without}{os.pathsep}{path}"
    command = [sys.executable, str(TRAIN), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_pack_becomes_a_model_without_av_and_pycocotools(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    pytest.importorskip("onnxruntime")
    from siampolar_model.models.folder import ModelFolder
    from support.drawn_photos import photo, write_photos
    from support.drawn_sets import write_davis

    # The fifth sequence is held out.
    write_photos(tmp_path / "photos", [photo(index) for index in range(4)])
    write_davis(tmp_path / "davis", {"train": ["bear", "bus", "cat", "cow", "hike"]})
    out = tmp_path / "out"
    done = pack(
        tmp_path / "pack.tar", "--photos", tmp_path / "photos", "--davis", tmp_path / "davis"
    )
    assert done.returncode == 0, done.stderr
    few = ("--pairs", 4, "--batch", 2, "--clips", 0)
    done = train(
        tmp_path / "pack.tar", out, "--config", "siampolar_accurate", *few,
        without=tmp_path / "start",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    model = ModelFolder.open(out / "model")
    assert model.file("search.onnx").is_file()
    assert "siampolar_accurate.yaml" in (out / "run" / "config.yaml").read_text()


def test_an_unknown_configuration_is_refused_by_its_name(tmp_path: Path) -> None:
    done = train(tmp_path / "pack.tar", tmp_path / "out", "--config", "huge")
    assert done.returncode == 2
    assert "--config: invalid choice: 'huge'" in done.stderr and "siampolar_accurate" in done.stderr


def test_nothing_to_pack_is_refused(tmp_path: Path) -> None:
    done = pack(tmp_path / "out.tar", "--photos", tmp_path)
    assert done.returncode == 2 and "nothing to pack" in done.stderr
    assert not (tmp_path / "out.tar").exists()
