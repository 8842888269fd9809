"""The daemon's name in the room: zeroconf, and the address that a phone opens.

_osc._udp and _osc._tcp for controllers, _oscjson._tcp for OSCQuery, _http._tcp for browsers; all at
the same port number.  Only where [control] lan is on.
"""

import ipaddress
import logging
import socket
from collections.abc import Sequence

import ifaddr
from zeroconf import Error, InterfaceChoice, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from ampd import __version__
from ampd.codes import code

log = logging.getLogger(__name__)

SERVICES = ("_osc._udp", "_osc._tcp", "_oscjson._tcp", "_http._tcp")
LABEL_LENGTH = 63


def lan_addresses() -> list[str]:
    """IPv4 addresses of this machine that others can reach, private ones first. Looks at the
    interfaces, sends nothing."""
    addresses = [each.ip for adapter in ifaddr.get_adapters() for each in adapter.ips]
    found = [ipaddress.IPv4Address(text) for text in addresses if isinstance(text, str)]
    usable = [each for each in found if not (each.is_loopback or each.is_link_local)]
    return [str(each) for each in sorted(usable, key=lambda each: not each.is_private)]


def host_name() -> str:
    """The machine's own name as zeroconf has it: "box.local"."""
    return f"{socket.gethostname().partition('.')[0][:LABEL_LENGTH] or 'ampd'}.local"


def page_address(host: str, port: int) -> str:
    """What a browser opens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class Announcer:
    """Tells the network where the daemon is. open() begins, close() takes it back."""

    def __init__(self, interfaces: Sequence[str] | InterfaceChoice = InterfaceChoice.All) -> None:
        self._interfaces = interfaces
        self._zeroconf: AsyncZeroconf | None = None
        self._infos: list[ServiceInfo] = []

    async def open(self, port: int) -> None:
        """Announce the port. Without a network that takes it there is a warning, and no more."""
        only = None if isinstance(self._interfaces, InterfaceChoice) else list(self._interfaces)
        host = host_name()
        name = f"ampd {host.removesuffix('.local')}"[:LABEL_LENGTH]
        properties = {"version": __version__, "path": "/"}
        self._infos = [
            ServiceInfo(
                f"{service}.local.",
                f"{name}.{service}.local.",
                port=port,
                properties=properties,
                server=f"{host}.",
                parsed_addresses=only or lan_addresses(),
            )
            for service in SERVICES
        ]
        try:
            self._zeroconf = AsyncZeroconf(interfaces=self._interfaces)
            for info in self._infos:
                await self._zeroconf.async_register_service(info, allow_name_change=True)
        except (OSError, Error) as error:
            log.warning(
                "zeroconf: nobody is told where ampd is (%s); its address works.",
                error,
                extra=code("ZEROCONF"),
            )

    async def close(self) -> None:
        """Take the announcement back."""
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()
