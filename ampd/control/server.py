"""All ways in, opened together: OSC over UDP and TCP, OSCQuery and the page, on one port number."""

from ampd.control.desk import Desk
from ampd.control.hub import Hub
from ampd.control.osc import OscEndpoint, Reception
from ampd.control.query import QueryServer
from ampd.control.stream import StreamEndpoint
from ampd.errors import ListenError
from ampd.session import Session

PORT_TRIES = 16  # for a port that is free for UDP and for TCP, where any will do


class ControlServer:
    """open() listens and serves; close() ends it all."""

    def __init__(self, session: Session) -> None:
        self._hub = Hub(session)
        self._desk = Desk(session, self._hub)
        reception = Reception(self._desk)
        self._reception = reception
        self._osc = OscEndpoint(reception)
        self._query = QueryServer(session, self._hub, reception)
        self._stream = StreamEndpoint(reception, self._hub, self._query.protocol)

    @property
    def port(self) -> int:
        """The port number, of UDP and TCP."""
        return self._osc.port

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port; port 0 lets the system choose. Raises ListenError."""
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
                self._osc = OscEndpoint(self._reception)
        self._query.port = self.port

    async def close(self) -> None:
        """Stop listening; what waits is dropped."""
        await self._stream.close()
        await self._query.close()
        await self._desk.close()
        await self._hub.close()
        self._osc.close()
