"""OSC over UDP: datagrams <-> the desk; and the command line's own client, ask().

The wire format is packet.py's, what a message does is desk.py's, who hears of changes hub.py's.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from ampd.codes import code
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
from ampd.control.params import BY_PATH, ROOT, Answer
from ampd.errors import ListenError

__all__ = [  # with what every client of ours needs
    "MAX_DATAGRAM",
    "ROOT",
    "OscEndpoint",
    "PacketError",
    "Reception",
    "decode",
    "encode",
    "unpack",
]

log = logging.getLogger(__name__)

LOG_LINES_PER_S = 5
RECEIVE_BYTES = 4 * 1024 * 1024  # the system may grant less
SO_RCVBUFFORCE = 33  # Linux's asm-generic/socket.h; Python has no name for it
MAX_AT_ONCE = 256  # datagrams, then the loop's other work has its turn
MAX_KNOWN = 1024
FLOAT_BYTES = 4
EXPONENT = 0x7F  # all ones in the first byte, and it may be infinite or no number
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
            log.warning("OSC from %s dropped: %s", sender, text, extra=code("OSC-DROPPED"))


def _listener(address: str, arguments: Sequence[Value | int], sender: Peer) -> Peer:
    """Over UDP a subscription may name another port of the sender's host."""
    if isinstance(sender, UdpPeer) and address in PORT_CALLS and arguments:
        port = arguments[0]
        if isinstance(port, int) and not isinstance(port, bool):
            return UdpPeer((sender.place[0], port), sender.udp)
    return sender


@dataclass(frozen=True)
class UdpPeer:
    """A host and port that datagrams go to."""

    place: Place
    udp: socket.socket = field(compare=False, repr=False)

    def send(self, address: str, arguments: Answer) -> None:
        # UDP promises nothing: a full buffer or a receiver that is gone loses the message.
        with suppress(OSError):
            self.udp.sendto(encode(address, arguments), self.place)

    def __str__(self) -> str:
        return f"{self.place[0]}:{self.place[1]}"


class OscEndpoint:
    """The UDP endpoint. open() binds it; close() ends it.

    Datagrams are read as many at a time as are there, since a full buffer of the system drops the
    newest one, which is the one that counts.
    """

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._socket: socket.socket | None = None
        self._is_value: dict[bytes, bool] = {}

    @property
    def port(self) -> int:
        """The port it is bound to."""
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port. Raises ListenError."""
        udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.bind((host, port))
        except OSError as error:
            udp.close()
            raise ListenError(
                f"{host}:{port}: cannot listen for OSC ({error.strerror or error}); stop the "
                f"other ampd, or choose another port by [osc] port or --osc-port."
            ) from error
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        with suppress(OSError):  # more than the system's own limit, where we are allowed to
            udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self._socket = udp
        asyncio.get_running_loop().add_reader(udp.fileno(), self._read)

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None and self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        """Take what is there; of two values that follow each other at one address the newer one."""
        assert self._socket is not None
        held: tuple[bytes, Place] | None = None
        for _ in range(MAX_AT_ONCE):
            try:
                data, place = self._socket.recvfrom(MAX_DATAGRAM + 1)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue  # a receiver is gone; its lease will end
            if held is not None and not (held[1] == place and self._replaces(data, held[0])):
                self._take(*held)
            held = (data, place)
        if held is not None:
            self._take(*held)

    def _take(self, data: bytes, place: Place) -> None:
        assert self._socket is not None
        self._reception.receive(data, UdpPeer((place[0], place[1]), self._socket))

    def _replaces(self, data: bytes, before: bytes) -> bool:
        """Whether both are one number for the same address, which the later one decides."""
        head = data[:-FLOAT_BYTES]
        if head != before[:-FLOAT_BYTES] or len(data) != len(before):
            return False
        known = self._is_value.get(head)
        if known is None:
            if len(self._is_value) >= MAX_KNOWN:
                self._is_value.clear()
            known = self._is_value[head] = _is_value(data)
        # What is no number would be refused, and then the one before it counts.
        return known and data[-FLOAT_BYTES] & EXPONENT != EXPONENT


def _is_value(data: bytes) -> bool:
    """Whether the message sets a number to one float."""
    try:
        address, arguments = decode(data)
    except PacketError:
        return False
    path = address.removeprefix(ROOT)
    floats = [type(argument) for argument in arguments] == [float]
    return floats and b",f\0\0" in data and address.startswith(ROOT) and path not in BY_PATH
