"""An OSC client that is not ours: one UDP socket, messages out, messages in with their arrival."""

import contextlib
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

Value = str | int | float | bool
LIMIT_S = 20.0
PORTS = range(20_000, 32_000)  # below those that the kernel gives away by itself
CHANCE = random.SystemRandom()  # two processes whose tests set a seed would take the same


@dataclass(frozen=True)
class Message:
    address: str
    values: tuple[Value, ...]
    second: float  # CLOCK_MONOTONIC at arrival


def free_port() -> int:
    """A port of the loopback that nobody holds at this moment, by UDP or TCP, and that the kernel
    gives to nobody who asks for any."""
    while True:
        port = CHANCE.choice(PORTS)
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                probes.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            return port


class Osc:
    """One conversation with the daemon on `port`. Everything that arrived stays in `heard`."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.heard: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, address: str, *values: Value) -> float:
        """Send one message; returns the monotonic second just before."""
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        second = time.monotonic()
        self._socket.sendto(builder.build().dgram, self._to)
        return second

    def receive(self, limit_s: float) -> Message | None:
        """The next message, or None when none came within the limit."""
        self._socket.settimeout(max(limit_s, 1e-4))
        try:
            packet = self._socket.recv(65536)
        except (TimeoutError, ConnectionError):
            return None
        second = time.monotonic()
        parsed = OscMessage(packet)
        message = Message(parsed.address, tuple(parsed.params), second)
        self.heard.append(message)
        return message

    def wait(self, wanted: Callable[[Message], bool], limit_s: float = LIMIT_S) -> Message:
        """The first message from now on that is wanted; TimeoutError says what came instead."""
        deadline = time.monotonic() + limit_s
        seen: list[Message] = []
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is None:
                continue
            if wanted(message):
                return message
            seen.append(message)
        raise TimeoutError(f"no such message within {limit_s} s; heard {seen[-5:]}")

    def ask(self, address: str, *values: Value, limit_s: float = LIMIT_S) -> Message:
        """Send, and wait for the answer at the same address or for /ampd/error about it."""
        self.send(address, *values)
        reply = "/ampd/pong" if address == "/ampd/ping" else address
        return self.wait(
            lambda m: m.address == reply or (m.address == "/ampd/error" and m.values[0] == address),
            limit_s,
        )
