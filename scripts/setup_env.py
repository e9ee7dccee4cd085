"""Creates .venv/ with ROS 2, builds the messages into .ros/, and skips what is already done.

Standard library only, run by the system's Python:  python3 scripts/setup_env.py [--with train,dev]

A sourced ROS 2 is used where there is one (its NumPy and OpenCV are left as they are); elsewhere
ROS 2 comes as wheels. Everything lands inside the repository's folder.

With SIAMPOLAR_ENV=jazzy another environment of the same kind is made: .venv-jazzy/, .ros-jazzy/
and the wheels of scripts/requirements-ros-jazzy.txt.
"""

# Old Pythons must get as far as the check of their version: nothing newer than 3.6 at the top.
import argparse
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUFFIX = "-" + os.environ["SIAMPOLAR_ENV"] if os.environ.get("SIAMPOLAR_ENV") else ""
VENV = os.path.join(ROOT, ".venv" + SUFFIX)
ROS = os.path.join(ROOT, ".ros" + SUFFIX)
WHEELS = "scripts/requirements-ros%s.txt" % SUFFIX
STAMP = os.path.join(VENV, "setup.json")
LOG = os.path.join(VENV, "setup.log")
PYTHON = os.path.join(VENV, "bin", "python")

OLDEST, NEWEST_WITH_WHEELS = (3, 10), (3, 14)
#: What the demo needs.
ALWAYS = ("cpu", "console")
OPTIONAL_EXTRAS = ("train", "dev", "docs", "openvino", "tensorrt", "replay")
# The metrics of the DAVIS authors, which tests compare ours with: it declares neither what its
# build needs nor limits that hold today, so it is built with what is installed. And types of
# TensorRT, which ask for TensorRT itself.
REFERENCE = ["install", "--no-build-isolation", "--no-deps"]
REFERENCE += ["davisinteractive==1.0.4", "tensorrt-stubs==10.13.0.35.1"]


class SetupError(Exception):
    """What is missing, one line each, with the command that fixes it."""


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--with",
        dest="extras",
        default="",
        metavar="EXTRAS",
        help="also install these extras, comma-separated: " + ", ".join(OPTIONAL_EXTRAS),
    )
    extras = [name for name in parser.parse_args().extras.split(",") if name]
    try:
        unknown = [name for name in extras if name not in OPTIONAL_EXTRAS]
        if unknown:
            raise SetupError(
                "--with %s: unknown; allowed are %s" % (unknown[0], ", ".join(OPTIONAL_EXTRAS))
            )
        check_python()
        distro = sourced_distro()
        check_machine(distro)
        set_up(distro, set(extras))
    except SetupError as error:
        for line in str(error).splitlines():
            print("setup: " + line, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


# --- what must be there ---------------------------------------------------------------------


def check_python():
    if sys.version_info[:2] >= OLDEST:
        return
    newer = [name for name in ("python3.%d" % n for n in range(14, 9, -1)) if runs(name)]
    hint = "make PYTHON=%s ..." % newer[0] if newer else install("python3.11", "python3.11-venv")
    raise SetupError("Python %s is too old, 3.10 is needed: %s" % (version(), hint))


def sourced_distro():
    """Name of the ROS 2 that is sourced, or None; our own environment does not count."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    if any(not p.startswith(ROOT + os.sep) for p in prefixes):
        return os.environ.get("ROS_DISTRO")
    return None


def check_machine(distro):
    problems = []
    if distro:
        if not succeeds([sys.executable, "-c", "import rclpy"]):
            problems.append(
                "ROS 2 %s is sourced, but %s cannot import rclpy: make PYTHON=/usr/bin/python3 ..."
                % (distro, sys.executable)
            )
        if not shutil.which("colcon"):
            problems.append("colcon is missing: " + install("python3-colcon-common-extensions"))
    else:
        problems += check_wheels_fit()
    minor = "python3.%d" % sys.version_info[1]
    if not succeeds([sys.executable, "-c", "import venv, ensurepip"]):
        problems.append(
            "%s has no venv module: %s" % (sys.executable, install(minor + "-venv", "python3"))
        )
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.isfile(header):
        problems.append(
            "Python.h is missing (%s): %s" % (header, install(minor + "-dev", "python3-devel"))
        )
    for tool, dnf in (("cmake", "cmake"), ("g++", "gcc-c++"), ("make", "make")):
        if not shutil.which(tool):
            problems.append("%s is missing: %s" % (tool, install(tool, dnf)))
    if problems:
        raise SetupError("\n".join(problems))


def check_wheels_fit():
    """Why the ROS 2 wheels cannot be used here: a list of lines, empty where they can."""
    sourceable = sorted(glob.glob("/opt/ros/*/setup.bash"))
    if sourceable:
        other = "source " + sourceable[-1]
    else:
        other = "install ROS 2 (docs.ros.org), then: source /opt/ros/DISTRO/setup.bash"
    machine = platform.machine()
    if machine not in ("x86_64", "AMD64") or platform.system() != "Linux":
        return [
            "ROS 2 comes as wheels for Linux on x86-64 only, this is %s on %s: %s"
            % (platform.system(), machine, other)
        ]
    if sys.version_info[:2] > NEWEST_WITH_WHEELS:
        return [
            "ROS 2 comes as wheels for Python up to 3.%d, this is %s: make PYTHON=python3.%d ..."
            % (NEWEST_WITH_WHEELS[1], version(), NEWEST_WITH_WHEELS[1])
        ]
    return []


def install(apt, dnf=None):
    """The command that installs a system package here."""
    if shutil.which("dnf") and not shutil.which("apt-get"):
        return "sudo dnf install " + (dnf or apt)
    return "sudo apt-get install " + apt


def version():
    return "%d.%d.%d" % sys.version_info[:3]


def runs(python):
    return bool(shutil.which(python)) and succeeds([python, "-c", ""])


def succeeds(command):
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


# --- the steps ------------------------------------------------------------------------------


def set_up(distro, extras):
    done = read_stamp()
    venv_key = digest([], sys.executable, version(), distro, ROOT)
    if done.get("venv") != venv_key:
        done = {}
    extras |= set(done.get("extras", []))  # what a former run added stays
    packages_key = digest(
        ["pyproject.toml", "setup.py", "package.xml", WHEELS, __file__],
        *sorted(extras),
    )
    messages_key = digest(build_inputs(), packages_key, *installed_by_name())

    packages = "packages" if distro else "packages and ROS 2 wheels"
    with_extras = ", ".join([*ALWAYS, *sorted(extras)])
    steps = [
        ("venv", venv_key, "Python environment in .venv", lambda: make_venv(distro)),
        (
            "packages",
            packages_key,
            "Python %s (%s)" % (packages, with_extras),
            lambda: install_packages(distro, extras),
        ),
        ("messages", messages_key, "messages with colcon", lambda: build_messages(distro)),
    ]
    if not os.path.isdir(os.path.join(ROS, "install")):
        done.pop("messages", None)
    steps = [step for step in steps if done.get(step[0]) != step[1]]
    if not steps:
        return
    started = time.monotonic()
    for number, (name, key, title, action) in enumerate(steps, 1):
        print("[%d/%d] %s" % (number, len(steps), title), flush=True)
        action()
        done[name] = key
        done["extras"] = sorted(extras)
        with open(STAMP, "w") as file:
            json.dump(done, file, indent=1)
    print("environment ready after %.0f s" % (time.monotonic() - started), flush=True)


def build_inputs():
    """Files whose content the build depends on."""
    interfaces = [path for kind in ("msg", "srv") for path in glob.glob("%s/%s/*" % (ROOT, kind))]
    return ["CMakeLists.txt", "package.xml", *sorted(interfaces)]


def installed_by_name():
    """Files that the build links: an edit counts at once, a new file asks for another build."""
    patterns = ("launch/**", "config/**", "siampolar_ros/**", "siampolar_model/**")
    return sorted(
        os.path.relpath(path, ROOT)
        for pattern in patterns
        for path in glob.glob(os.path.join(ROOT, pattern), recursive=True)
        if "__pycache__" not in path
    )


def read_stamp():
    try:
        with open(STAMP) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def digest(paths, *words):
    """Hash of files (by path in the repository) and words."""
    total = hashlib.sha256(repr(words).encode())
    for path in paths:
        with open(os.path.join(ROOT, path), "rb") as file:
            total.update(file.read() + b"\0")
    return total.hexdigest()


def make_venv(distro):
    shutil.rmtree(ROS, ignore_errors=True)
    command = [sys.executable, "-m", "venv", "--clear"]
    if distro:
        command.append("--system-site-packages")
    if not succeeds([*command, VENV]):
        raise SetupError("cannot create .venv: see the error of: " + " ".join([*command, VENV]))


def install_packages(distro, extras):
    extras = {*ALWAYS, *extras}
    command = ["install", "--editable", "%s[%s]" % (ROOT, ",".join(sorted(extras)))]
    if distro:
        lines, has_cv2 = installed_constraints()
        path = os.path.join(VENV, "constraints.txt")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        command += ["--constraint", path]
    else:
        has_cv2 = False
        command += ["--requirement", os.path.join(ROOT, WHEELS)]
    if not has_cv2:
        command[2] = "%s[%s]" % (ROOT, ",".join(sorted({"opencv", *extras})))
    pip(command)
    if "dev" in extras:
        pip(REFERENCE)
    if not distro:
        fix_exported_includes()


def installed_constraints():
    """What pip must not change next to an installed ROS 2, and whether cv2 is there already."""
    code = "import numpy; print(numpy.__version__)"
    found = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE)
    lines = constraints(found.stdout.decode().strip() or "1")
    return lines, succeeds([sys.executable, "-c", "import cv2"])


def constraints(numpy_version):
    """Lines for pip that keep compiled ROS modules working, which were built for this NumPy.

    Another major version of NumPy breaks them; launch_testing's plugin breaks pytest 9.
    """
    return ["numpy<%d" % (int(numpy_version.split(".")[0]) + 1), "pytest<9"]


def pip(arguments):
    """Run pip in the environment and show how many packages it has got so far."""
    count = 0

    def progress(line):
        nonlocal count
        found = re.match(r"Collecting ([\w.-]+)", line)
        if found:
            count += 1
            return "%d packages found, now %s" % (count, found.group(1))
        found = re.match(r" *Downloading (\S+) \((.*)\)", line)
        if found:
            return "%d packages found, downloading %s" % (count, found.group(2))
        if line.startswith("Installing collected packages:"):
            return "unpacking %d packages" % (line.count(",") + 1)
        return None

    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments]
    run(command, progress, "pip failed (is the network there?)")


def fix_exported_includes():
    """Point the wheels' CMake exports to this Python and NumPy.

    They still hold the include directories of the container that the wheels were built in.
    """
    code = "import numpy; print(numpy.get_include())"
    numpy_include = subprocess.run([PYTHON, "-c", code], stdout=subprocess.PIPE, check=True)
    python_include = sysconfig.get_paths()["include"]
    replacements = [
        (r"/opt/python/[^;\"]*/numpy/[^;\"]*include", numpy_include.stdout.decode().strip()),
        (r"/opt/python/[^;\"/]*/include/python[\d.]+", python_include),
    ]
    for path in glob.glob(os.path.join(VENV, "share", "*", "cmake", "*.cmake")):
        with open(path) as file:
            before = after = file.read()
        for pattern, directory in replacements:
            after = re.sub(pattern, lambda _, d=directory: d, after)
        if after != before:
            with open(path, "w") as file:
                file.write(after)


def build_messages(distro):
    environment = dict(os.environ, VIRTUAL_ENV=VENV)
    environment["PATH"] = os.path.join(VENV, "bin") + os.pathsep + os.environ["PATH"]
    if not distro:
        # The wheels' prefix alone: the CMake side takes no other way to find it.
        environment["AMENT_PREFIX_PATH"] = VENV
        environment.pop("PYTHONPATH", None)
        environment.pop("CMAKE_PREFIX_PATH", None)
    inside = {name: os.path.join(ROS, name) for name in ("build", "install", "log")}
    command = ["colcon", "--log-base", inside["log"], "build", "--paths", ROOT]
    command += ["--build-base", inside["build"], "--install-base", inside["install"]]
    command += ["--symlink-install", "--event-handlers", "console_direct+", "--cmake-args"]
    command += ["-DPython3_EXECUTABLE=" + PYTHON, "-DBUILD_TESTING=OFF"]

    def progress(line):
        found = re.match(r"\[ *(\d+%)\]", line)
        return found and found.group(1)

    run(command, progress, "colcon build failed", environment)


def run(command, progress, failure, environment=None):
    """Run a command, its output in the log, its progress on the screen.

    ``progress`` turns a line of output into what is being done, or None where it shows nothing.
    """
    last = []
    with open(LOG, "a") as log, Ticker() as ticker:
        log.write("$ %s\n" % " ".join(command))
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            universal_newlines=True,
            errors="replace",
        )
        try:
            for line in process.stdout:
                log.write(line)
                last = [*last[-14:], line.rstrip()]
                ticker.text = progress(line) or ticker.text
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.wait() != 0:
        print("\n".join(last), file=sys.stderr)
        raise SetupError("%s; all of its output: %s" % (failure, LOG))


class Ticker:
    """Shows ``text`` and the seconds gone by: one living line on a terminal, else now and then."""

    def __init__(self):
        self.text = ""
        self._live = sys.stdout.isatty()
        self._interval_s = 0.5 if self._live else 10
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        if self._live:
            print("\r%76s\r" % "", end="", flush=True)

    def _show(self):
        started = time.monotonic()
        while not self._end.wait(self._interval_s):
            line = "      %3.0f s  %s" % (time.monotonic() - started, self.text)
            print("\r%-76.76s" % line if self._live else line, end="" if self._live else "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
