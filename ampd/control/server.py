"""All ways in, opened together: OSC over UDP and TCP, OSCQuery and the page, on one port number."""

import socket
from contextlib import suppress

from ampd.control.desk import Desk
from ampd.control.gate import Gate
from ampd.control.hub import Hub
from ampd.control.limits import Hush
from ampd.control.osc import OscEndpoint, Reception
from ampd.control.query import QueryServer
from ampd.control.stream import StreamEndpoint
from ampd.errors import ListenError
from ampd.session import Session

PORT_TRIES = 16  # for a port that is free for UDP and for TCP, where any will do
ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"


class ControlServer:
    """open() listens and serves; close() ends it all. gate: who may come in; nobody but this
    machine unless told."""

    def __init__(self, session: Session, gate: Gate | None = None) -> None:
        self._gate = gate or Gate()
        self._hush = Hush()
        self._hub = Hub(session)
        self._desk = Desk(session, self._hub, self._gate)
        self._reception = Reception(self._desk, self._gate, self._hush)
        self._osc = OscEndpoint(self._reception, self._gate)
        self._osc_ipv6 = OscEndpoint(self._reception, self._gate)
        self._query = QueryServer(session, self._hub, self._reception, self._gate, self._hush)
        self._stream = StreamEndpoint(
            self._reception, self._hub, self._query.protocol, self._gate, self._hush
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
        await self._query.setup()
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
        self._query.port = self.port
        if host == ANY_IPV4 and socket.has_ipv6:
            with suppress(ListenError):  # a kernel may do without
                await self._osc_ipv6.open(ANY_IPV6, self.port)
                await self._stream.open(ANY_IPV6, self.port)

    async def close(self) -> None:
        """Stop listening; what waits is dropped."""
        await self._stream.close()
        await self._query.close()
        await self._desk.close()
        await self._hub.close()
        self._osc.close()
        self._osc_ipv6.close()
        self._reception.close()
        self._hush.close()
