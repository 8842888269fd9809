"""OSC over UDP: datagrams <-> the desk; and the command line's own client, ask().

The wire format is packet.py's, what a message does is desk.py's, who hears of changes hub.py's.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ampd.codes import code
from ampd.command import Value
from ampd.control.desk import Desk
from ampd.control.gate import Gate, Place, Refused, Rights, source_of
from ampd.control.hub import Paired, Peer
from ampd.control.limits import READ_PER_S, Hush, Sources
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

RECEIVE_BYTES = 16 * 1024 * 1024  # the system may grant less
SO_RCVBUFFORCE = 33  # Linux's asm-generic/socket.h; Python has no name for it
MAX_AT_ONCE = 256  # datagrams, then the loop's other work has its turn
MAX_KNOWN = 1024
FLOAT_BYTES = 4
EXPONENT = 0x7F  # all ones in the first byte, and it may be infinite or no number
PACKET_INFO = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
INFO_SPACE = socket.CMSG_SPACE(20)  # an address and the number of an interface
PORT_CALLS = (f"{ROOT}subscribe", f"{ROOT}unsubscribe", f"{ROOT}ping")


class Reception:
    """Packets of any transport -> messages -> the desk, as many of each source as limits.py says,
    each with the rights that the gate finds in it.

    Bad ones are logged, a few lines a second; this machine alone is told why, where an address can
    be read.
    """

    def __init__(self, desk: Desk, gate: Gate, hush: Hush) -> None:
        self._desk = desk
        self._gate = gate
        self._hush = hush
        self._sources: Sources[Peer] = Sources(self._try_handle)

    def receive(self, packet: bytes, sender: Peer) -> None:
        """Take one packet. A bad one raises nothing."""
        try:
            messages = unpack(packet)
        except PacketError as error:
            self.complain(sender, str(error))
            return
        for message in messages:
            self._sources.take(source_of(sender.place, sender.rights), message, sender)

    def replace(self, place: tuple[Any, ...], packet: bytes) -> bool:
        """Whether the packet of a flood replaced one that waits, of the same socket of this
        machine."""
        return self._sources.replace(place, packet)

    def has_turn(self, sender: Peer) -> bool:
        """Whether the sender may do one thing now that is no OSC message."""
        return self._sources.has_turn(source_of(sender.place, sender.rights))

    def pause_s(self, sender: Peer, messages: int) -> float:
        """How long a stream that gave so many messages is not read: a datagram too many is lost
        where it comes in, but a stream would come through in full."""
        is_over = self._sources.is_over(source_of(sender.place, sender.rights))
        return messages / READ_PER_S if is_over else 0.0

    def close(self) -> None:
        """Drop what waits."""
        self._sources.close()

    def _try_handle(self, message: bytes, sender: Peer) -> None:
        try:
            self._handle(message, sender)
        except Exception:
            # A bug must cost one message, not the way in.
            if self._hush.has_room():
                log.exception("A message of %s failed", sender, extra=code("INTERNAL"))

    def _handle(self, message: bytes, sender: Peer) -> None:
        try:
            address, arguments = decode(message)
            opened = self._gate.open(sender.place, message, address, arguments)
        except PacketError as error:
            self.complain(sender, str(error))
            if error.address and sender.rights is Rights.LOCAL:
                self._desk.refuse(sender, error.address, f"{error.address}: {error}.")
            return
        except Refused as refusal:
            self._tell_refusal(sender, address, str(refusal))
            return
        if opened.is_paired:
            sender = Paired(_freed(sender), opened.prefix, opened.counter)
        address, arguments = opened.address, opened.arguments
        if opened.is_repeat:
            self._desk.repeat(address, arguments, sender)
            return
        self._desk.take(address, arguments, sender, _listener(address, arguments, sender))

    def complain(self, sender: Peer, text: str) -> None:
        """Log what is wrong with a packet."""
        if self._hush.has_room():
            log.warning("OSC from %s dropped: %s", sender, text, extra=code("OSC-DROPPED"))

    def _tell_refusal(self, sender: Peer, address: str, text: str) -> None:
        if self._hush.has_room():
            log.warning("OSC from %s refused: %s", sender, text, extra=code("PAIR-REFUSED"))
        self._desk.refuse(sender, address, f"{text}.")


def _freed(sender: Peer) -> Peer:
    """The same place, known to be its own."""
    return replace(sender, allowance=None) if isinstance(sender, UdpPeer) else sender


def _listener(address: str, arguments: Sequence[Value | int], sender: Peer) -> Peer:
    """Over UDP a subscription may name another port of the sender's host."""
    if isinstance(sender, Paired):
        return replace(sender, peer=_listener(address, arguments, sender.peer))
    if isinstance(sender, UdpPeer) and address in PORT_CALLS and arguments:
        port = arguments[0]
        if isinstance(port, int) and not isinstance(port, bool):
            return replace(sender, place=(sender.place[0], port))
    return sender


@dataclass
class Allowance:
    """What a place that may be forged is sent at most: as many bytes as came, so that nobody can
    have us shout at a third one. number: of the place, which goes where an answer does not fit."""

    bytes_left: int
    number: Callable[[], int]

    def cut(self, packet: bytes) -> bytes:
        """What may be sent of the packet: all, the hello, or nothing."""
        if len(packet) > self.bytes_left:
            hello = encode(f"{ROOT}hello", [self.number()])
            packet = hello if len(hello) <= self.bytes_left else b""
        self.bytes_left -= len(packet)
        return packet


@dataclass(frozen=True)
class UdpPeer:
    """A host and port that datagrams go to."""

    place: Place
    udp: socket.socket = field(compare=False, repr=False)
    rights: Rights = field(default=Rights.LOCAL, compare=False)
    allowance: Allowance | None = field(default=None, compare=False, repr=False)
    ours: bytes = field(default=b"", compare=False, repr=False)  # in6_pktinfo: where it was sent to

    @property
    def is_known(self) -> bool:
        return self.allowance is None

    def send(self, address: str, arguments: Answer) -> None:
        packet = encode(address, arguments)
        if self.allowance is not None and not (packet := self.allowance.cut(packet)):
            return
        # UDP promises nothing: a full buffer or a receiver that is gone loses the message.
        with suppress(OSError):
            if self.ours:
                self.udp.sendmsg([packet], [(*PACKET_INFO, self.ours)], 0, self.place)
            else:
                self.udp.sendto(packet, self.place)

    def __str__(self) -> str:
        return f"{self.place[0]}:{self.place[1]}"


class OscEndpoint:
    """The UDP endpoint. open() binds it; close() ends it.

    Datagrams are read as many at a time as are there, since a full buffer of the system drops the
    newest one, which is the one that counts.
    """

    def __init__(self, reception: Reception, gate: Gate) -> None:
        self._reception = reception
        self._gate = gate
        self._socket: socket.socket | None = None
        self._is_value: dict[bytes, bool] = {}
        self._own: dict[tuple[Any, ...], UdpPeer] = {}  # of this machine, which are many in a flood

    @property
    def port(self) -> int:
        """The port it is bound to."""
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port. Raises ListenError."""
        try:
            udp = _bound(host, port)
        except OSError as error:
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
        held: tuple[bytes, tuple[Any, ...]] | None = None
        is_ipv6 = self._socket.family == socket.AF_INET6
        receive = self._receive_ipv6 if is_ipv6 else self._socket.recvfrom
        replace_held = self._reception.replace
        for _ in range(MAX_AT_ONCE):
            try:
                data, place = receive(MAX_DATAGRAM + 1)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue  # a receiver is gone; its lease will end
            if held is not None and not (held[1] == place and self._replaces(data, held[0])):
                self._take(*held)
                held = None
            if held is None and replace_held(place, data):
                continue
            held = (data, place)
        if held is not None:
            self._take(*held)

    def _receive_ipv6(self, size: int) -> tuple[bytes, tuple[Any, ...]]:
        """A datagram, and host, port and which of our addresses it came to: an interface has
        several, and an answer from another one is not taken for one."""
        assert self._socket is not None
        data, ancillary, _, place = self._socket.recvmsg(size, INFO_SPACE)
        ours = [value for *kind, value in ancillary if tuple(kind) == PACKET_INFO]
        return data, (place[0], place[1], *ours[:1])

    def _take(self, data: bytes, place: tuple[Any, ...]) -> None:
        assert self._socket is not None
        peer = self._own.get(place) or self._peer(place[:2], len(data), *place[2:])
        if peer is not None:  # others are not even told that there is somebody
            self._reception.receive(data, peer)

    def _peer(self, place: Place, size: int, ours: bytes = b"") -> UdpPeer | None:
        """Who has sent so many bytes; None where it may not come in."""
        assert self._socket is not None
        rights = self._gate.rights_of(place[0])
        if rights is None:
            return None
        peer = UdpPeer(place, self._socket, rights, ours=ours)
        if rights is Rights.LOCAL and not ours:
            if len(self._own) >= MAX_KNOWN:
                self._own.clear()
            self._own[place] = peer
        elif rights is Rights.GUEST and not self._gate.is_confirmed(place):
            peer = replace(peer, allowance=Allowance(size, partial(self._gate.number_for, place)))
        return peer

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


def _bound(host: str, port: int) -> socket.socket:
    udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        if udp.family == socket.AF_INET6:  # IPv4 has an endpoint of its own
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        udp.bind((host, port))
    except OSError:
        udp.close()
        raise
    return udp


def _is_value(data: bytes) -> bool:
    """Whether the message sets a number to one float."""
    try:
        address, arguments = decode(data)
    except PacketError:
        return False
    path = address.removeprefix(ROOT)
    floats = [type(argument) for argument in arguments] == [float]
    return floats and b",f\0\0" in data and address.startswith(ROOT) and path not in BY_PATH
