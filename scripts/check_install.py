"""Builds wheel and sdist, installs them into an empty environment, and uses what is installed.

    python3 scripts/check_install.py

Without ROS and without torch: the version, `siampolar doctor`, and `siampolar track` on a video, a
folder of 16-bit pictures, motion JPEG over HTTP, an RTSP stream (where GStreamer's server is
installed: apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-ugly) and a
stand-in for a camera. Every export is opened again. Each step is printed with the seconds it took;
needs an index of packages, as pip is set up.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Where the disc of the clip is on its first frame.
BOX = "50,60,60,60"

#: A live source is followed for this long.
_LIVE_S = 6.0

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

    def run(self, title: str, *command: object, code: int = 0, stop_after_s: float = 0) -> str:
        """The output of a command, which must end with ``code``; SIGINT ends it if asked for."""
        began = time.monotonic()
        process = subprocess.Popen(
            [str(one) for one in command], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            text = process.communicate(timeout=stop_after_s or 900)[0]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            text = process.communicate(timeout=60)[0]
        if process.returncode != code:
            sys.exit(f"{title}: ended with {process.returncode}, not {code}\n{text[-3000:]}")
        print(f"{time.monotonic() - began:6.1f} s  {title}", flush=True)
        return text


def check(holds: bool, what: str, text: object) -> None:
    if not holds:
        sys.exit(f"{what}: {text}")


def install(steps: Steps, built: Path) -> Path:
    """The Python of an empty environment with the wheel in it."""
    python = steps.folder / "clean" / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    steps.run("an empty environment", sys.executable, "-m", "venv", steps.folder / "clean")
    steps.run("install the wheel", python, "-m", "pip", "install", "-q", f"{wheel}[cpu,opencv]")
    return python


def build(steps: Steps) -> Path:
    """The folder of the wheel and the sdist, both checked."""
    tools = steps.folder / "tools"
    python = tools / "bin" / "python"
    built = steps.folder / "dist"
    steps.run("an environment for the tools", sys.executable, "-m", "venv", tools)
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
    text = steps.run(
        title, *begin, "track", source, "--box", BOX, "-o", video, *exports,
        code=130 if live else 0, stop_after_s=_LIVE_S if live else 0,
    )  # fmt: skip
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
                [interpreter, "-c", code, clip], stdout=subprocess.PIPE, text=True
            )
            try:
                assert server.stdout is not None
                url = address.format(server.stdout.readline().strip())
                track(steps, f"track {title}", own, url, title.split()[0], live=True)
            finally:
                server.kill()
                server.wait()
        camera = [python, "-c", _CAMERA, clip]
        track(steps, "track a camera's stand-in", camera, "0", "camera", live=True)
    print(f"{time.monotonic() - began:6.1f} s  all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
