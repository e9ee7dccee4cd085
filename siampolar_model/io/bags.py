"""Reads images and init requests from a rosbag2, and writes results as one, without ROS.

rosbags reads both storages (sqlite3, MCAP), their compression and the messages of ROS itself; ours
are read from msg/*.msg. The definitions of types in a bag are not used, because
rosbags would run them as code.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.rosbag2 import Reader, StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ..errors import BagError, counted
from ..session.history import StampedImage
from ..session.requests import InitResult
from ..session.session import Targets
from .messages import PACKAGE, ResultMessages, image_from_message
from .unfinished_mcap import UnfinishedMcap

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INIT_TARGET = f"{PACKAGE}/msg/InitTarget"

#: An InitTarget of version 0.1 ended with this field.
_LAST_FIELD_0_1 = "uint32 image_height"

#: Where results go, as a node named ``tracker`` publishes them.
TARGETS_TOPIC, INIT_RESULT_TOPIC = "/tracker/targets", "/tracker/init_result"


@dataclass(frozen=True, eq=False)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: the topic it was recorded from.
        type: such as ``sensor_msgs/msg/Image``.
        time_ns: when it was recorded.
        content: the message, with the fields of its ROS type.
    """

    topic: str
    type: str
    time_ns: int
    content: Any


def typestore() -> Any:
    """The message types of Humble, and ours.

    Raises:
        BagError: our own message files are not where they should be.
    """
    folder = _message_folder()
    store = get_typestore(Stores.ROS2_HUMBLE)
    types: dict[str, Any] = {}
    for path in sorted(folder.glob("*.msg")):
        types.update(get_types_from_msg(path.read_text("utf-8"), f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def _typestore_0_1() -> Any:
    """The message types that an InitTarget of version 0.1 was recorded with."""
    text = (_message_folder() / "InitTarget.msg").read_text("utf-8")
    end = text.index(_LAST_FIELD_0_1) + len(_LAST_FIELD_0_1)
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(text[:end], INIT_TARGET))
    return store


def _message_folder() -> Path:
    """msg/ of the source tree, of the installed wheel, or of a colcon installation."""
    package = Path(__file__).resolve().parents[1]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    installed = [Path(prefix, "share", PACKAGE, "msg") for prefix in prefixes if prefix]
    folders = [package.parent / "msg", package / "msg", *installed]
    for folder in folders:
        if (folder / "Targets.msg").is_file():
            return folder
    raise BagError(
        f"Targets.msg is in none of {', '.join(map(str, folders))}; source the workspace that "
        f"{PACKAGE} was built in"
    )


class BagReader:
    """The messages of a rosbag2 in the order of recording; use it in ``with``.

    A recorder that was killed leaves no metadata.yaml, and an MCAP file without its end. Both are
    read as far as they go.

    Attributes:
        notices: what is worth knowing about the bag, one line each.
    """

    def __init__(self, path: Path) -> None:
        """Open a bag.

        Args:
            path: folder with metadata.yaml, or a single .mcap or .db3 file.

        Raises:
            BagError: it does not exist or cannot be read.
        """
        self.path = path
        self.notices: list[str] = []
        self._store = typestore()
        self._earlier: Any = None
        if not path.exists():
            raise BagError(f"{path}: no such bag")
        self.path = path = self._recording(path)
        try:
            unfinished = UnfinishedMcap.of(path)
            self._reader: Any = Reader(unfinished or path)
            self._reader.open()
        except Exception as error:  # the parser raises anything on a damaged file
            raise self._unreadable(error) from None
        self._types = {
            connection.topic: connection.msgtype for connection in self._reader.connections
        }
        self._unindexed = unfinished is not None
        if unfinished is not None:
            count = self._reader.message_count
            if not count:
                self._reader.close()
                raise BagError(
                    f"{path}: the recorder did not finish this file; no message is whole"
                )
            self.notices.append(
                f"{path}: the recorder did not finish this file; "
                f"{counted(count, 'message')} can be read, the last "
                f"{counted(unfinished.cut, 'byte')} cannot"
            )

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def storage(self) -> str:
        """``sqlite3`` or ``mcap``."""
        if self.path.is_dir():
            return "mcap" if any(self.path.glob("*.mcap*")) else "sqlite3"
        return "mcap" if self.path.suffix == ".mcap" else "sqlite3"

    def image_topic(self, name: str | None = None) -> str:
        """The topic of this name, or the bag's only image topic.

        Raises:
            BagError: no such topic, one of another type, or several to choose from.
        """
        return self._topic(name, "image topics", (IMAGE, COMPRESSED))

    def init_topic(self, name: str) -> str:
        """The topic of this name.

        Raises:
            BagError: no such topic, or one of another type.
        """
        return self._topic(name, f"topics of {INIT_TARGET}", (INIT_TARGET,))

    def count(self, topic: str) -> int:
        """How many messages a topic holds, by the bag's own count."""
        return sum(c.msgcount for c in self._reader.connections if c.topic == topic)

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """Messages of some topics.

        If there are fewer or more than the bag's own count, a notice says so at the end.

        Raises:
            BagError: a damaged bag or message.
        """
        chosen = [c for c in self._reader.connections if c.topic in topics]
        count = 0
        try:
            # In the order of the file where it has no index: rosbags refuses any other order there.
            read = self._reader.storage.messages_scan if self._unindexed else self._reader.messages
            for connection, time_ns, data in read(chosen) if chosen else ():
                content = self._deserialized(data, connection.msgtype)
                yield BagMessage(connection.topic, connection.msgtype, time_ns, content)
                count += 1
        except GeneratorExit:
            raise
        except Exception as error:  # the same
            raise self._unreadable(error, f" after {counted(count, 'message')}") from None
        expected = sum(self.count(topic) for topic in topics)
        if count != expected:
            self.notices.append(
                f"{self.path}: found {counted(count, 'message')}, but the bag counts {expected}"
            )

    def _recording(self, path: Path) -> Path:
        """What to read: the folder or file itself, or the only file of a folder that is unfinished.

        Raises:
            BagError: a folder without metadata.yaml and not with one file; it says what to do.
        """
        if not path.is_dir():
            return path
        files = sorted(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
        if (path / "metadata.yaml").exists():
            # rosbags would refuse the whole bag for an MCAP file that was cut off.
            only = files[0] if len(files) == 1 else None
            return only if only and UnfinishedMcap.of(only) else path
        missing = f"{path}: has no metadata.yaml, which the recorder writes at its end"
        if len(files) == 1:
            self.notices.append(f"{missing}; {files[0].name} is read without it")
            return files[0]
        if not files:
            raise BagError(f"{path}: no rosbag2; there is no metadata.yaml, .mcap or .db3 file")
        raise BagError(
            f"{missing}; make it with 'ros2 bag reindex {path}', or give one of its {len(files)} "
            f"files, such as {files[0]}"
        )

    def _deserialized(self, data: Any, type: str) -> Any:
        """A message. An InitTarget of version 0.1 lacks the last fields of today's."""
        if type == INIT_TARGET and self._earlier:
            return self._earlier.deserialize_cdr(data, type)
        try:
            return self._store.deserialize_cdr(data, type)
        except Exception:
            if type != INIT_TARGET:
                raise
            store = _typestore_0_1()
            content = store.deserialize_cdr(data, type)
            self._earlier = store
            return content

    def _topic(self, name: str | None, what: str, types: tuple[str, ...]) -> str:
        """The topic of this name, or the only one of these types."""
        found = sorted(topic for topic, type in self._types.items() if type in types)
        if name is not None and name in found:
            return name
        if name is None and len(found) == 1:
            return found[0]
        if name is None:
            problem = "give --topic"
        elif name in self._types:
            problem = f"topic {name} is of {self._types[name]}"
        else:
            problem = f"no topic {name}"
        raise BagError(f"{self.path}: {problem}; {what} in this bag: {', '.join(found) or 'none'}")

    def _unreadable(self, error: Exception, where: str = "") -> BagError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return BagError(f"{self.path}: cannot be read as a rosbag2{where} ({reason})")


def image_of(message: BagMessage) -> StampedImage:
    """The image of a message: a view on its data, or decoded if it is compressed.

    Raises:
        FrameError: an unknown encoding, a size that contradicts step or data, a damaged file.
    """
    image = image_from_message(message.content)
    image.frame.decode()  # now, so that a damaged image never reaches the tracker
    return image


class ResultBag:
    """Writes what the tracker node would publish as a new rosbag2; use it in ``with``.

    Topics: ``/tracker/targets`` and ``/tracker/init_result``. Leaving it with an exception leaves
    an unreadable bag behind.
    """

    def __init__(self, path: Path, storage: str) -> None:
        """Create a bag.

        Args:
            path: folder to create.
            storage: ``sqlite3`` or ``mcap``.

        Raises:
            BagError: it exists already or cannot be written.
        """
        self.path = path
        self._store = typestore()
        self._messages = ResultMessages(self._store.types, lambda floats: floats)
        try:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
            self._writer.open()
            self._topics = {
                name: self._writer.add_connection(
                    name, f"{PACKAGE}/msg/{kind}", typestore=self._store
                )
                for name, kind in ((TARGETS_TOPIC, "Targets"), (INIT_RESULT_TOPIC, "InitResult"))
            }
        except (OSError, WriterError, sqlite3.Error) as error:
            raise self._unwritable(error) from None

    def result(self, time_ns: int, result: Targets) -> None:
        """Append the targets on one image, under its header.

        Raises:
            BagError: it cannot be written, for example because the disk is full.
        """
        self._write(TARGETS_TOPIC, time_ns, self._messages.targets(result))

    def answer(self, time_ns: int, answer: InitResult) -> None:
        """Append the answer to an init request.

        Raises:
            BagError: it cannot be written, for example because the disk is full.
        """
        self._write(INIT_RESULT_TOPIC, time_ns, self._messages.init_result(answer))

    def __enter__(self) -> ResultBag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
        except (OSError, WriterError, sqlite3.Error) as failure:
            raise self._unwritable(failure) from None

    def _write(self, topic: str, time_ns: int, message: Any) -> None:
        connection = self._topics[topic]
        data = self._store.serialize_cdr(message, connection.msgtype, little_endian=True)
        try:
            self._writer.write(connection, time_ns, data)
        except (OSError, WriterError, sqlite3.Error) as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: Exception) -> BagError:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        return BagError(f"{self.path}: cannot be written ({reason})")
