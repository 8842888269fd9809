"""TCP on OSC's port number: OSC behind sizes, and HTTP, told apart by the first byte.

A packet of OSC begins with its size, whose first byte is 0; a request of HTTP with a letter.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from ampd.control.hub import Hub
from ampd.control.osc import Reception
from ampd.control.packet import Deframer, PacketError, encode, frame
from ampd.control.params import Answer
from ampd.errors import ListenError

MAX_CONNECTIONS = 64
SILENCE_LIMIT_S = 10.0
MAX_UNSENT_BYTES = 1024 * 1024  # of a peer that does not read

ProtocolFactory = Callable[[], asyncio.Protocol]


class TcpPeer:
    """A connection that packets go to; one that does not read is dropped."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        name = transport.get_extra_info("peername")
        self._name = f"tcp {name[0]}:{name[1]}" if name else "tcp"

    def send(self, address: str, arguments: Answer) -> None:
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._transport.abort()
            return
        self._transport.write(frame(encode(address, arguments)))

    def __str__(self) -> str:
        return self._name


class OscStream(asyncio.Protocol):
    """One connection that speaks OSC."""

    def __init__(self, reception: Reception, hub: Hub) -> None:
        self._reception = reception
        self._hub = hub
        self._deframer = Deframer()
        self._transport: asyncio.Transport | None = None
        self._peer: TcpPeer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = TcpPeer(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._peer is not None
        assert self._transport is not None
        try:
            for packet in self._deframer.feed(data):
                self._reception.receive(packet, self._peer)
        except PacketError as error:
            self._reception.complain(self._peer, str(error))
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None:
            self._hub.forget(self._peer)


class FirstByte(asyncio.Protocol):
    """A new connection, until its first byte says what it speaks; one that is silent is closed,
    and so is one too many."""

    def __init__(
        self, opened: set[asyncio.BaseTransport], osc: ProtocolFactory, http: ProtocolFactory
    ) -> None:
        self._opened = opened
        self._osc = osc
        self._http = http
        self._transport: asyncio.Transport | None = None
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._limit = asyncio.get_running_loop().call_later(SILENCE_LIMIT_S, transport.close)
        self._opened -= {each for each in self._opened if each.is_closing()}
        if len(self._opened) >= MAX_CONNECTIONS:
            transport.close()
        else:
            self._opened.add(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        assert self._limit is not None
        self._limit.cancel()
        protocol = self._osc() if data[0] == 0 else self._http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()


class StreamEndpoint:
    """The TCP endpoint. open() binds it; close() ends it and every connection.

    http: makes the protocol of a connection that speaks HTTP
    """

    def __init__(self, reception: Reception, hub: Hub, http: ProtocolFactory) -> None:
        self._reception = reception
        self._hub = hub
        self._http = http
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port. Raises ListenError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._begin, host, port)
        except OSError as error:
            raise ListenError(
                f"{host}:{port}: cannot listen on TCP ({error.strerror or error}); stop what "
                f"listens there, or choose another port by [osc] port or --osc-port."
            ) from error

    async def close(self) -> None:
        """Stop listening, and end what is connected."""
        if self._server is not None:
            self._server.close()
        for transport in self._open:
            transport.close()

    def _begin(self) -> asyncio.Protocol:
        return FirstByte(self._open, lambda: OscStream(self._reception, self._hub), self._http)
