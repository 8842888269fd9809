"""Talks to a running daemon by OSC, for verbs that must be quick: no engine, no numpy.

Answers come from the daemon of this machine; what does not parse is dropped.
"""

from __future__ import annotations

import _socket as socket  # its other half, in Python, is not needed for one datagram
import time
from collections.abc import Sequence

from ampd.control.packet import MAX_DATAGRAM, PacketError, decode, encode
from ampd.errors import CommandError, UnreachableError
from ampd.places import HOST, PORT, settings_file

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self, TypeAlias

    from ampd.command import Value

ROOT = "/ampd/"
ANSWER_LIMIT_S = 5.0
Message: TypeAlias = "tuple[str, list[Value]]"  # the address behind /ampd/, and its arguments


def listens_at(config: str | None, port: int | None) -> tuple[str, int]:
    """Host and port of the daemon, by the options --config and --port and by [osc] of ampd.toml.

    The rest of the file is not looked at. Raises ConfigError. Blocks on the disk.
    """
    osc: dict[str, Any] = {}
    if config is not None or settings_file():
        from ampd.settings import osc_of  # noqa: PLC0415 (TOML takes long to load)

        osc = osc_of(settings_file() if config is None else config)
    return osc.get("host", HOST), port or osc.get("port", PORT)


class Client:
    """One conversation with the daemon at host:port. Use as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._place = f"{host}:{port}"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.socket.connect((host, port))
        except OSError as error:
            self.socket.close()
            raise self._nobody() from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, path: str, *arguments: Value) -> None:
        """Send one message and wait for nothing. Raises UnreachableError, CommandError."""
        try:
            packet = encode(ROOT + path, arguments)
        except UnicodeError as error:
            raise CommandError(f"{path}: cannot be sent ({error}).") from error
        try:
            self.socket.send(packet)
        except OSError as error:
            raise self._nobody() from error

    def receive(self, limit_s: float) -> Message | None:
        """The next message, None where none came within the limit. Raises UnreachableError."""
        self.socket.settimeout(max(limit_s, 1e-3))
        try:
            address, arguments = decode(self.socket.recv(MAX_DATAGRAM))
        except (TimeoutError, PacketError):
            return None
        except OSError as error:
            raise self._nobody() from error
        return address.removeprefix(ROOT), arguments

    def ask(
        self,
        path: str,
        arguments: Sequence[Value] = (),
        limit_s: float = ANSWER_LIMIT_S,
        answer_path: str = "",
    ) -> list[Value]:
        """Send, and wait for the answer, which comes at the same path, or for a button ("rig/next")
        at the one of what it moves: answer_path ("rig").

        Raises UnreachableError where none comes, CommandError with the daemon's own sentence.
        """
        self.send(path, *arguments)
        deadline_s = time.monotonic() + limit_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            message = self.receive(left_s)
            if message is None:
                continue
            found, answer = message
            if found == (answer_path or path):
                return answer
            if found == "error" and answer[:1] == [ROOT + path]:
                raise CommandError(str(answer[1]) if len(answer) > 1 else "refused")
        raise self._nobody()

    def _nobody(self) -> UnreachableError:
        return UnreachableError(
            f"No ampd answers at {self._place}; start one with 'ampd run', or name its port by "
            f"--port."
        )


def ask(
    host: str,
    port: int,
    path: str,
    arguments: Sequence[Value] = (),
    limit_s: float = ANSWER_LIMIT_S,
    answer_path: str = "",
) -> list[Value]:
    """Client.ask, and nothing else said: ask("127.0.0.1", 9010, "rig", ["drive"])."""
    with Client(host, port) as client:
        return client.ask(path, arguments, limit_s, answer_path)
