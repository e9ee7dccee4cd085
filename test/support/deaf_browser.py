"""A browser of the console that never reads."""

from __future__ import annotations

import json
import socket
import struct


class DeafBrowser:
    """Opens the page's WebSocket, asks for pictures of a camera and reads nothing at all.

    Args:
        port: of a console on this machine that asks for no token.
    """

    def __init__(self, port: int, camera: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        lines = [
            "GET /ws HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Origin: http://127.0.0.1:{port}",
            "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
        ]  # fmt: skip
        self._socket.sendall("\r\n".join(lines).encode())
        self._send({"type": "watch", "camera": camera, "pictures": True})

    def report_as_drawn(self, stamp: str) -> None:
        """Ask for more, by reporting a picture that was not read.

        Raises:
            OSError: the console has ended the connection.
        """
        self._send({"type": "shown", "stamp": stamp})

    def close(self) -> None:
        self._socket.close()

    def _send(self, content: dict[str, object]) -> None:
        """As a WebSocket frame of a client, with the mask 0."""
        text = json.dumps(content).encode()
        length = (
            bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        )
        self._socket.sendall(b"\x81" + length + bytes(4) + text)
