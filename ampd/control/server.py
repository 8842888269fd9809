"""All ways in, opened together: OSC over UDP and TCP, OSCQuery and the page, on one port number.

What serves HTTP is loaded when somebody first speaks it: it is a fifth of the daemon's memory.
"""

import asyncio
import socket
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ampd.control.desk import Desk
from ampd.control.gate import Gate
from ampd.control.hub import Hub
from ampd.control.limits import Hush
from ampd.control.osc import OscEndpoint, Reception
from ampd.control.stream import StreamEndpoint
from ampd.errors import ListenError
from ampd.session import Session

if TYPE_CHECKING:
    from ampd.control.query import QueryServer

PORT_TRIES = 16  # for a port that is free for UDP and for TCP, where any will do
ALL_ADDRESSES, ALL_IPV6 = "0.0.0.0", "::"


class ControlServer:
    """open() listens and serves; close() ends it all. gate: who may come in; nobody but this
    machine unless told."""

    def __init__(self, session: Session, gate: Gate | None = None) -> None:
        self._session = session
        self._gate = gate or Gate()
        self._hush = Hush()
        self._hub = Hub(session)
        self._desk = Desk(session, self._hub, self._gate)
        self._reception = Reception(self._desk, self._gate, self._hush)
        self._osc = OscEndpoint(self._reception, self._gate)
        self._osc_ipv6 = OscEndpoint(self._reception, self._gate)
        self._query: QueryServer | None = None
        self._loading = asyncio.Lock()
        self._stream = StreamEndpoint(
            self._reception, self._hub, self._http, self._gate, self._hush
        )

    @property
    def port(self) -> int:
        """The port number, of UDP and TCP."""
        return self._osc.port

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port; port 0 lets the system choose; 0.0.0.0 is every address, of IPv6
        too. Raises ListenError."""
        self._hub.open()
        self._desk.open()
        for attempt in range(PORT_TRIES):
            await self._osc.open(host, port)
            try:
                await self._stream.open(host, self._osc.port)
                break
            except ListenError:
                if port != 0 or attempt == PORT_TRIES - 1:
                    raise
                self._osc.close()
                self._osc = OscEndpoint(self._reception, self._gate)
        if host == ALL_ADDRESSES and socket.has_ipv6:
            with suppress(ListenError):  # a kernel may do without
                await self._osc_ipv6.open(ALL_IPV6, self.port)
                await self._stream.open(ALL_IPV6, self.port)

    async def close(self) -> None:
        """Stop listening; what waits is dropped."""
        await self._stream.close()
        async with self._loading:
            if self._query is not None:
                await self._query.close()
        await self._desk.close()
        await self._hub.close()
        self._osc.close()
        self._osc_ipv6.close()
        self._reception.close()
        self._hush.close()

    def _http(self) -> asyncio.Protocol:
        return self._query.protocol() if self._query is not None else Loading(self)

    async def query(self) -> "QueryServer":
        """What serves HTTP, loaded once."""
        async with self._loading:
            if self._query is None:
                module = await asyncio.to_thread(import_module, "ampd.control.query")
                query = module.QueryServer(
                    self._session, self._hub, self._reception, self._gate, self._hush
                )
                await query.setup()
                query.port = self.port
                self._query = query
        return self._query


class Loading(asyncio.Protocol):
    """A connection that speaks HTTP, until what serves it is loaded."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._said = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._task = asyncio.create_task(self._hand_over(cast(asyncio.Transport, transport)))

    def data_received(self, data: bytes) -> None:
        self._said += data

    async def _hand_over(self, transport: asyncio.Transport) -> None:
        transport.pause_reading()
        protocol = (await self._server.query()).protocol()
        if transport.is_closing():
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._said)
        transport.resume_reading()
