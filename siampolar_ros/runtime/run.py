"""Runs a node until it is done or stopped by a signal, and always ends cleanly."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from siampolar_model.errors import SiampolarError

from .launching import launch_is_gone

#: Signals, and whether ``ros2 launch`` still runs, are looked at this often, in seconds: Python's
#: handlers run only between waits.
_LOOK_S = 0.1


class StartError(SiampolarError, RuntimeError):
    """A node that cannot start; the message is one clear line."""


class GivenUp(RuntimeError):
    """Raised in a callback, it ends the process; the message is one clear line."""


def one_line(error: BaseException) -> str:
    """The message of an exception without line breaks, with its type where that is needed."""
    text = " ".join(str(error).split())
    known = isinstance(error, (ValueError, RuntimeError)) and text
    return text if known else f"{type(error).__name__}: {text}"


def run_node(
    name: str,
    make_node: Callable[[], Node],
    close: Callable[[Node], None],
    done: threading.Event | None = None,
    args: Sequence[str] | None = None,
) -> int:
    """Spin a node until SIGINT, SIGTERM, ``done`` or :class:`GivenUp`; returns the exit status.

    A node that a launch file started also ends when its ``launch`` is gone.

    Signals only set a flag, repeated ones too, so that nothing interrupts the
    teardown. An exception in a callback (such as rclpy's on an invalid life cycle request) is
    logged in one line and the node goes on.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
        # Python removes its handlers before it has ended: a second signal would kill it then.
        atexit.register(signal.signal, number, signal.SIG_IGN)
    log = get_logger(name)
    try:
        rclpy.init(
            args=None if args is None else list(args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except Exception as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return 2
    try:
        node = make_node()
    except Exception as error:  # StartError, or an error of rclpy about a parameter or name
        log.fatal(one_line(error))
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    status = 0
    try:
        while rclpy.ok() and not stop.is_set() and not (done and done.is_set()):
            if launch_is_gone():
                log.warning("the launch that started this node is gone, so the node ends")
                break
            try:
                executor.spin_once(timeout_sec=_LOOK_S)
            except ExternalShutdownException:
                break
            except GivenUp as error:
                log.fatal(one_line(error))
                status = 1
                break
            except Exception as error:
                log.error(f"in a callback: {one_line(error)}")
    finally:
        close(node)
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return status
