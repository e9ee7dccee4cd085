"""Builds wheel and sdist, installs them into an empty environment, and uses what is installed.

    python3 scripts/check_install.py

Without ROS and without torch: the version, `siampolar doctor`, and `siampolar track` on a video, a
folder of 16-bit pictures, motion JPEG over HTTP, an RTSP stream (where GStreamer's server is
installed: apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-ugly) and a
stand-in for a camera. Every export is opened again by the library that owns its format and compared
with the JSON lines; docs/quickstart.ipynb is executed, and the example of README.md runs in an
environment made as README says. Each step is printed with the seconds it took; needs an index of
packages, as pip is set up.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Where the disc of the clip is on its first frame.
BOX = "50,60,60,60"

#: A live source is followed for this long after the model was loaded.
_LIVE_S = 6.0

# Runs where Pillow, pycocotools, motmetrics and pandas are: the exports of one run, each opened by
# the library that owns its format. Prints the number of boxes.
_READ = """
import json, sys
from pathlib import Path
import motmetrics, numpy as np, pandas
from PIL import Image
from pycocotools.coco import COCO

folder, name = Path(sys.argv[1]), sys.argv[2]
lines = [json.loads(line) for line in open(folder / f"{name}.jsonl")]
targets = {(line["frame"], one["id"]): one for line in lines for one in line["targets"]}
seen = {key: one for key, one in targets.items() if one["state"] != "lost"}

coco = COCO(str(folder / f"{name}.json"))
table = pandas.read_csv(folder / f"{name}.csv", keep_default_na=False)
mot = motmetrics.io.loadtxt(str(folder / f"{name}.txt"), fmt="mot15-2D")
assert len(coco.imgs) == len(lines) and len(table) == len(targets)
assert len(coco.anns) == len(mot) == len(seen)
for row in table.to_dict("records"):
    one = targets[row["frame"], row["id"]]
    assert [row[c] for c in ("x", "y", "width", "height")] == one["box"], row
    for field in ("state", "reason", "confidence", "score", "quality"):
        assert row[field] == one[field], row
for found in coco.anns.values():
    frame = found["image_id"] - 1
    one = seen[frame, found["track_id"]]
    assert found["bbox"] == one["box"] and found["confidence"] == one["confidence"]
    with Image.open(folder / f"{name}_masks" / f"{frame:05d}.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image) == 1, coco.annToMask(found) > 0)
    row = mot.loc[(frame + 1, found["track_id"])]
    np.testing.assert_allclose(row[["X", "Y", "Width", "Height"]].tolist(), one["box"], atol=0.02)
    assert row["Confidence"] == one["confidence"]
print(len(seen), "boxes")
"""

# Runs where nbclient is: executes a notebook in the folder that it lies in.
_NOTEBOOK = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
print(sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", ())))
"""

# Runs in the clean environment: what is tracked, in 8 and in 16 bits.
_CLIP = """
import sys
from pathlib import Path
import cv2, numpy as np
from siampolar_model import VideoWriter

def picture(index):
    image = np.random.default_rng(1).integers(90, 130, (240, 320, 3), dtype=np.uint8)
    cv2.circle(image, (80 + 2 * index, 90), 30, (30, 30, 220), cv2.FILLED)
    cv2.circle(image, (80 + 2 * index, 80), 12, (220, 200, 30), cv2.FILLED)
    return image

folder = Path(sys.argv[1])
(folder / "deep").mkdir()
with VideoWriter(folder / "clip.mp4", fps=30) as out:
    for index in range(60):
        out.write(picture(index))
        grey = cv2.cvtColor(picture(index), cv2.COLOR_BGR2GRAY).astype(np.uint16)
        cv2.imwrite(str(folder / "deep" / f"{index:03d}.png"), 7000 + grey * 5)
"""

# The first argument is the clip; the port is printed.
_HTTP = """
import sys, time, http.server, cv2
frames = []
capture = cv2.VideoCapture(sys.argv[1])
while (read := capture.read())[0]:
    frames.append(cv2.imencode(".jpg", read[1])[1].tobytes())

class Camera(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for index in range(10_000):
            data = frames[min(index, len(frames) - 1)]
            self.wfile.write(b"--frame\\r\\nContent-Type: image/jpeg\\r\\nContent-Length: "
                             + str(len(data)).encode() + b"\\r\\n\\r\\n" + data + b"\\r\\n")
            time.sleep(1 / 30)
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
print(server.server_port, flush=True)
server.serve_forever()
"""

_RTSP = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_address("127.0.0.1"); server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory(); factory.set_shared(True)
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,"
                   "framerate=30/1 ! x264enc tune=zerolatency key-int-max=15 "
                   "! rtph264pay name=pay0 )")
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""

# OpenCV's camera is replaced; everything else is as installed.
_CAMERA = """
import sys, time, cv2
clip, arguments = sys.argv[1], sys.argv[2:]
real = cv2.VideoCapture

class Camera:
    def __init__(self, number):
        assert number == 0
        self._clip, self._last = real(clip), None
    def isOpened(self): return True
    def read(self):
        time.sleep(1 / 30)
        read, image = self._clip.read()
        self._last = image if read else self._last
        return True, self._last.copy()
    def release(self): self._clip.release()

cv2.VideoCapture = Camera
from siampolar_model.cli.main import main
main(arguments)
"""


class Steps:
    """Runs commands and prints how long each step took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Closed to a sourced ROS 2, to this environment and to the source tree.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "AMENT_PREFIX_PATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
        }

    def run(self, title: str, *command: object) -> str:
        """The output of a command, which must succeed."""
        return self._run(title, command, 0, lambda process, _: process.wait(900))

    def run_live(self, title: str, *command: object) -> str:
        """The output of a command that SIGINT ends, some seconds after it loaded its model."""

        def interrupt(process: subprocess.Popen[bytes], output: Path) -> None:
            end = time.monotonic() + 300
            while b"runs on" not in output.read_bytes() and time.monotonic() < end:
                time.sleep(0.1)
            time.sleep(_LIVE_S)
            process.send_signal(signal.SIGINT)
            process.wait(120)

        return self._run(title, command, 130, interrupt)

    def _run(
        self,
        title: str,
        command: Sequence[object],
        code: int,
        wait: Callable[[subprocess.Popen[bytes], Path], object],
    ) -> str:
        began = time.monotonic()
        output = self.folder / "output.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [str(one) for one in command], cwd=self.folder, env=self.environment,
                stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
            wait(process, output)
        text = output.read_text("utf-8", errors="replace")
        if process.returncode != code:
            sys.exit(f"{title}: ended with {process.returncode}, not {code}\n{text[-3000:]}")
        print(f"{time.monotonic() - began:6.1f} s  {title}", flush=True)
        return text


def check(holds: bool, what: str, text: object) -> None:
    if not holds:
        sys.exit(f"{what}: {text}")


def install(steps: Steps, built: Path) -> Path:
    """The Python of an empty environment with the wheel in it."""
    (wheel,) = built.glob("*.whl")
    python = environment(steps, "an empty environment", "clean")
    steps.run("install the wheel", python, "-m", "pip", "install", "-q", f"{wheel}[cpu,opencv]")
    return python


def environment(steps: Steps, title: str, name: str) -> Path:
    """The Python of a new environment."""
    steps.run(title, sys.executable, "-m", "venv", steps.folder / name)
    return steps.folder / name / "bin" / "python"


def run_example(steps: Steps, clip: Path) -> None:
    """The example of README.md, in an environment made from the source tree as README says."""
    text = (ROOT / "README.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    extras = "cpu,opencv"
    check(f'pip install ".[{extras}]"' in text, "README.md's installation", extras)
    python = environment(steps, "another empty environment", "readme")
    steps.run(
        "pip install .[cpu,opencv]", python, "-m", "pip", "install", "-q", f"{ROOT}[{extras}]"
    )
    shutil.copy(clip, steps.folder / "my.mp4")
    printed = steps.run("README's example", python, "-c", example).splitlines()
    check(len(printed) == 60 and "TRACKING" in printed[0], "README's example", printed)
    check((steps.folder / "tracked.mp4").stat().st_size > 1000, "README's example", printed)


def run_notebook(steps: Steps, python: Path) -> None:
    """Execute the notebook of the documentation with the wheel."""
    shutil.copy(ROOT / "docs" / "quickstart.ipynb", steps.folder)
    printed = steps.run("the notebook", python, "-c", _NOTEBOOK, steps.folder / "quickstart.ipynb")
    check(printed.split()[-1:] == ["3"], "pictures in the notebook", printed)


def build(steps: Steps) -> Path:
    """The folder of the wheel and the sdist, both checked."""
    built = steps.folder / "dist"
    python = environment(steps, "an environment for the tools", "tools")
    steps.run("install build and twine", python, "-m", "pip", "install", "-q", "build", "twine")
    steps.run("python -m build", python, "-m", "build", "--outdir", built, ROOT)
    text = steps.run("twine check", python, "-m", "twine", "check", "--strict", *built.iterdir())
    check(text.count("PASSED") == 2, "twine check", text)
    return built


def track(
    steps: Steps, title: str, begin: Sequence[object], source: object, name: str, live: bool
) -> int:
    """Follow with every export, open each again, and give the number of frames."""
    out = {
        kind: steps.folder / f"{name}{suffix}"
        for kind, suffix in (
            ("jsonl", ".jsonl"), ("davis", "_masks"), ("coco", ".json"), ("mot", ".txt"),
            ("csv", ".csv"),
        )
    }  # fmt: skip
    exports = [f"--export={kind}:{path}" for kind, path in out.items()]
    video = steps.folder / f"{name}_tracked.mp4"
    run = steps.run_live if live else steps.run
    text = run(title, *begin, "track", source, "--box", BOX, "-o", video, *exports)
    lines = [json.loads(line) for line in out["jsonl"].read_text().splitlines()]
    with out["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    coco = json.loads(out["coco"].read_text())
    counts = {
        "jsonl": len(lines), "davis": len(list(out["davis"].iterdir())), "csv": len(rows),
        "coco": len(coco["images"]),
    }  # fmt: skip
    check(set(counts.values()) == {len(lines)}, "exports of one length", counts)
    found = [line for line in lines if line["targets"][0]["state"] != "lost"]
    check(len(out["mot"].read_text().splitlines()) == len(found), "MOT lines", len(found))
    check(video.stat().st_size > 1000 and len(lines) >= 10, title, text)
    return len(lines)


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        steps = Steps(Path(temporary))
        python = install(steps, build(steps))
        siampolar = python.with_name("siampolar")
        version = steps.run("siampolar --version", siampolar, "--version")
        check(version.startswith("siampolar "), "version", version)
        doctor = steps.run("siampolar doctor", siampolar, "doctor")
        check("ROS 2: not found" in doctor and "onnxruntime: runs" in doctor, "doctor", doctor)
        absent = "from importlib.util import find_spec as f; print(f('torch'), f('rclpy'))"
        text = steps.run("neither torch nor rclpy", python, "-c", absent)
        check(text.split() == ["None", "None"], "torch, rclpy", text)
        steps.run("draw a clip", python, "-c", _CLIP, steps.folder)
        clip = steps.folder / "clip.mp4"
        own = [siampolar]
        for title, source in (("a video", clip), ("16-bit pictures", steps.folder / "deep")):
            count = track(steps, f"track {title}", own, source, title.split()[-1], live=False)
            check(count == 60, title, count)
        servers = [("motion JPEG over HTTP", python, _HTTP, "http://127.0.0.1:{}/")]
        system = "/usr/bin/python3"
        gi = subprocess.run([system, "-c", _RTSP.partition("Gst.init")[0]], capture_output=True)
        if gi.returncode == 0:
            servers.append(("RTSP", Path(system), _RTSP, "rtsp://127.0.0.1:{}/cam"))
        else:
            print("          RTSP is left out: GStreamer's RTSP server is not installed")
        for title, interpreter, code, address in servers:
            server = subprocess.Popen(
                [interpreter, "-c", code, clip], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            try:
                assert server.stdout is not None
                url = address.format(server.stdout.readline().strip())
                track(steps, f"track {title}", own, url, title.split()[0], live=True)
            finally:
                server.kill()
                server.wait()
        camera = [python, "-c", _CAMERA, clip]
        track(steps, "track a camera's stand-in", camera, "0", "camera", live=True)
        readers = (
            "matplotlib",
            "supervision",
            "nbclient",
            "ipykernel",
            "pycocotools",
            "motmetrics",
        )
        steps.run("install what reads exports", python, "-m", "pip", "install", "-q", *readers)
        for path in sorted(steps.folder.glob("*.jsonl")):
            text = steps.run(f"read back {path.stem}", python, "-c", _READ, path.parent, path.stem)
            check(int(text.split()[-2]) > 0, path.stem, text)
        run_notebook(steps, python)
        run_example(steps, clip)
    print(f"{time.monotonic() - began:6.1f} s  all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
