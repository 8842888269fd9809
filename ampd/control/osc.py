"""OSC over UDP: datagrams <-> the desk; and the command line's own client, ask().

The wire format is packet.py's, what a message does is desk.py's, who hears of changes hub.py's.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from ampd.command import Value
from ampd.control.desk import Desk
from ampd.control.hub import Peer
from ampd.control.packet import (
    MAX_DATAGRAM,
    PacketError,
    decode,
    encode,
    unpack,
)
from ampd.control.params import ROOT, Answer
from ampd.errors import CommandError, ListenError, UnreachableError

__all__ = [  # with what every client of ours needs
    "MAX_DATAGRAM",
    "ROOT",
    "OscEndpoint",
    "PacketError",
    "Reception",
    "ask",
    "decode",
    "encode",
    "unpack",
]

log = logging.getLogger(__name__)

LOG_LINES_PER_S = 5
RECEIVE_BYTES = 4 * 1024 * 1024  # the system may grant less
PORT_CALLS = (f"{ROOT}subscribe", f"{ROOT}unsubscribe", f"{ROOT}ping")

Place: TypeAlias = tuple[str, int]


class Reception:
    """Packets of any transport -> messages -> the desk; bad ones are logged, a few lines a second,
    and answered where an address can be read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log_second = 0
        self._log_lines = 0

    def receive(self, packet: bytes, sender: Peer) -> None:
        """Take one packet. A bad one raises nothing."""
        try:
            messages = unpack(packet)
        except PacketError as error:
            self.complain(sender, str(error))
            return
        for message in messages:
            try:
                address, arguments = decode(message)
            except PacketError as error:
                self.complain(sender, str(error))
                if error.address:
                    self._desk.refuse(sender, error.address, f"{error.address}: {error}.")
                continue
            self._desk.take(address, arguments, sender, _listener(address, arguments, sender))

    def complain(self, sender: Peer, text: str) -> None:
        """Log what is wrong with a packet."""
        second = int(time.monotonic())
        if second != self._log_second:
            self._log_second, self._log_lines = second, 0
        self._log_lines += 1
        if self._log_lines <= LOG_LINES_PER_S:
            log.warning("OSC from %s dropped: %s", sender, text)


def _listener(address: str, arguments: Sequence[Value | int], sender: Peer) -> Peer:
    """Over UDP a subscription may name another port of the sender's host."""
    if isinstance(sender, UdpPeer) and address in PORT_CALLS and arguments:
        port = arguments[0]
        if isinstance(port, int) and not isinstance(port, bool):
            return UdpPeer((sender.place[0], port), sender.transport)
    return sender


@dataclass(frozen=True)
class UdpPeer:
    """A host and port that datagrams go to."""

    place: Place
    transport: asyncio.DatagramTransport = field(compare=False, repr=False)

    def send(self, address: str, arguments: Answer) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(encode(address, arguments), self.place)

    def __str__(self) -> str:
        return f"{self.place[0]}:{self.place[1]}"


class OscEndpoint(asyncio.DatagramProtocol):
    """The UDP endpoint. open() binds it; close() ends it."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def port(self) -> int:
        """The port it is bound to."""
        assert self._transport is not None
        name: Place = self._transport.get_extra_info("sockname")
        return name[1]

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port. Raises ListenError."""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        except OSError as error:
            raise ListenError(
                f"{host}:{port}: cannot listen for OSC ({error.strerror or error}); stop the "
                f"other ampd, or choose another port by [osc] port or --osc-port."
            ) from error

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own transport is one without saying so to isinstance.
        self._transport = cast(asyncio.DatagramTransport, transport)
        # A full buffer drops the newest command, which is the one that counts.
        udp = transport.get_extra_info("socket")
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)

    def datagram_received(self, data: bytes, addr: Place) -> None:
        assert self._transport is not None
        self._reception.receive(data, UdpPeer((addr[0], addr[1]), self._transport))

    def error_received(self, exc: Exception) -> None:
        """A receiver is gone; its lease will end."""


def ask(
    host: str,
    port: int,
    path: str,
    arguments: Sequence[Value | int] = (),
    limit_s: float = 5.0,
    answer_path: str = "",
) -> list[Value | int]:
    """Send one command to a running daemon and wait for its answer (the command line's client).

    path, arguments: "rig", ["drive"]. Returns the arguments of the answer, which comes at the same
    address, or for a button ("rig/next") at the one of what it moves: answer_path ("rig").
    Raises UnreachableError when nothing answers, CommandError with the daemon's own sentence.
    """
    nobody = UnreachableError(
        f"No ampd answers at {host}:{port}; start one with 'ampd run', or name its port by --port."
    )
    deadline_s = time.monotonic() + limit_s
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        try:
            client.connect((host, port))
            client.send(encode(ROOT + path, arguments))
            while (left_s := deadline_s - time.monotonic()) > 0:
                client.settimeout(left_s)
                address, answer = decode(client.recv(MAX_DATAGRAM))
                if address == ROOT + "error":
                    raise CommandError(str(answer[1]) if len(answer) > 1 else "refused")
                if address == ROOT + (answer_path or path):
                    return answer
        except (OSError, PacketError) as error:
            raise nobody from error
    raise nobody
