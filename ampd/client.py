"""Talks to a running daemon by OSC, for verbs that must be quick: no engine, no numpy.

Answers come from the daemon of this machine; what does not parse is dropped.
"""

import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

from ampd.errors import CommandError, UnreachableError

ROOT = "/ampd/"
MAX_DATAGRAM = 65507
Value = str | int | float | bool
Message = tuple[str, list[Value]]  # the address behind /ampd/, and its arguments


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
        builder = OscMessageBuilder(ROOT + path)
        try:
            for argument in arguments:
                builder.add_arg(argument)
            packet = builder.build().dgram
        except (BuildError, ValueError, UnicodeError) as error:
            raise CommandError(f"{path}: cannot be sent ({error}).") from error
        try:
            self.socket.send(packet)
        except OSError as error:
            raise self._nobody() from error

    def receive(self, limit_s: float) -> Message | None:
        """The next message, None where none came within the limit. Raises UnreachableError."""
        self.socket.settimeout(max(limit_s, 1e-3))
        try:
            message = OscMessage(self.socket.recv(MAX_DATAGRAM))
        except (TimeoutError, ParseError):
            return None
        except OSError as error:
            raise self._nobody() from error
        return message.address.removeprefix(ROOT), list(message.params)

    def ask(self, path: str, arguments: Sequence[Value] = (), limit_s: float = 5.0) -> list[Value]:
        """Send, and wait for the answer at the same path.

        Raises UnreachableError where none comes, CommandError with the daemon's own sentence.
        """
        self.send(path, *arguments)
        deadline_s = time.monotonic() + limit_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            message = self.receive(left_s)
            if message is None:
                continue
            found, answer = message
            if found == path:
                return answer
            if found == "error" and answer[:1] == [ROOT + path]:
                raise CommandError(str(answer[1]) if len(answer) > 1 else "refused")
        raise self._nobody()

    def _nobody(self) -> UnreachableError:
        return UnreachableError(
            f"No ampd answers at {self._place}; start one with 'ampd run', or name its port by "
            f"--port."
        )
