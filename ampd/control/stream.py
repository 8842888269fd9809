"""TCP on OSC's port number: OSC behind sizes, and HTTP, told apart by the first byte.

A packet of OSC begins with its size, whose first byte is 0; a request of HTTP with a letter.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

from ampd.codes import code
from ampd.control.gate import Gate, Place, Rights
from ampd.control.hub import Hub
from ampd.control.limits import Hush
from ampd.control.osc import Reception
from ampd.control.packet import Deframer, PacketError, encode, frame
from ampd.control.params import Answer
from ampd.errors import ListenError

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_OF_NETWORK = 48  # of them, so that this machine's own find room
MAX_OF_HOST = 16
SILENCE_LIMIT_S = 10.0  # until a connection has said what it wants
MAX_HEAD_BYTES = 16384  # of a request
HEAD_END = b"\r\n\r\n"
KEEPALIVE = {
    socket.TCP_KEEPIDLE: 30,
    socket.TCP_KEEPINTVL: 10,
    socket.TCP_KEEPCNT: 3,
}  # s, s, times
MAX_UNSENT_BYTES = 1024 * 1024  # of a peer that does not read

ProtocolFactory = Callable[[], asyncio.Protocol]


class TcpPeer:
    """A connection that packets go to; one that does not read is dropped."""

    is_known = True  # it has answered from there

    def __init__(self, transport: asyncio.Transport, gate: Gate) -> None:
        self._transport = transport
        self.place = place_of(transport)
        self.rights = gate.rights_of(self.place[0]) or Rights.GUEST

    def send(self, address: str, arguments: Answer) -> None:
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._transport.abort()
            return
        self._transport.write(frame(encode(address, arguments)))

    def __str__(self) -> str:
        return f"tcp {self.place[0]}:{self.place[1]}"


def place_of(transport: asyncio.BaseTransport) -> Place:
    """Host and port of who has connected; ("", 0) where it is gone already."""
    name = transport.get_extra_info("peername") or ("", 0)
    return name[0], name[1]


class OscStream(asyncio.Protocol):
    """One connection that speaks OSC."""

    def __init__(self, reception: Reception, hub: Hub, gate: Gate) -> None:
        self._reception = reception
        self._hub = hub
        self._gate = gate
        self._deframer = Deframer()
        self._transport: asyncio.Transport | None = None
        self._peer: TcpPeer | None = None
        self._limit: asyncio.TimerHandle | None = None  # until the first packet is whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = TcpPeer(self._transport, self._gate)
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(SILENCE_LIMIT_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        assert self._peer is not None
        assert self._transport is not None
        try:
            packets = self._deframer.feed(data)
            for packet in packets:
                self._end_limit()
                self._reception.receive(packet, self._peer)
            if pause_s := self._reception.pause_s(self._peer, len(packets)):
                self._transport.pause_reading()
                asyncio.get_running_loop().call_later(pause_s, self._read_on)
        except PacketError as error:
            self._reception.complain(self._peer, str(error))
            self._transport.abort()

    def _read_on(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_limit()
        if self._peer is not None:
            self._hub.hang_up(self._peer)

    def _end_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class FirstByte(asyncio.Protocol):
    """A new connection, until it has said what it speaks and, where that is HTTP, what it wants;
    one that is slow at it is closed, and so is one of nobody who may come in, or one too many."""

    def __init__(
        self, doors: "StreamEndpoint", osc: Callable[[], OscStream], http: ProtocolFactory
    ) -> None:
        self._doors = doors
        self._osc = osc
        self._http = http
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._doors.let_in(self._transport):
            self._transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(SILENCE_LIMIT_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._head += data
        is_osc = self._head[0] == 0
        if not is_osc and HEAD_END not in self._head:
            if len(self._head) > MAX_HEAD_BYTES:
                self._transport.abort()
            return
        self._end_limit()
        protocol = self._osc() if is_osc else self._http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._head)

    def eof_received(self) -> None:
        """Half a request is none."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_limit()

    def _end_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()


class StreamEndpoint:
    """The TCP endpoint. open() binds one address; close() ends them and every connection.

    http: makes the protocol of a connection that speaks HTTP
    """

    def __init__(
        self, reception: Reception, hub: Hub, http: ProtocolFactory, gate: Gate, hush: Hush
    ) -> None:
        self._reception = reception
        self._hub = hub
        self._http = http
        self._gate = gate
        self._hush = hush
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.BaseTransport] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port. Raises ListenError."""
        loop = asyncio.get_running_loop()
        try:
            self._servers.append(await loop.create_server(self._begin, host, port))
        except OSError as error:
            raise ListenError(
                f"{host}:{port}: cannot listen on TCP ({error.strerror or error}); stop what "
                f"listens there, or choose another port by [osc] port or --osc-port."
            ) from error

    async def close(self) -> None:
        """Stop listening, and end what is connected."""
        for server in self._servers:
            server.close()
        for transport in self._open:
            transport.close()

    def let_in(self, transport: asyncio.Transport) -> bool:
        """Whether a connection may stay."""
        host = place_of(transport)[0]
        rights = self._gate.rights_of(host)
        if rights is None:
            return False
        self._open -= {each for each in self._open if each.is_closing()}
        by_host = Counter(place_of(each)[0] for each in self._open)
        others = sum(
            count for each, count in by_host.items() if self._gate.rights_of(each) is Rights.GUEST
        )
        too_many = len(self._open) >= MAX_CONNECTIONS
        if rights is Rights.GUEST:
            too_many = too_many or others >= MAX_OF_NETWORK or by_host[host] >= MAX_OF_HOST
        if too_many:
            if self._hush.has_room():
                log.warning("%s has or there are too many connections.", host, extra=code("CROWD"))
            return False
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        self._open.add(transport)
        return True

    def _begin(self) -> asyncio.Protocol:
        return FirstByte(
            self, lambda: OscStream(self._reception, self._hub, self._gate), self._http
        )
