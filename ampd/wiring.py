"""Which links the daemon's ports are to have: those of the patterns, and those of the player.

Looks at ports, says which links to make, and learns: a link that nobody's pattern asks for was made
by hand, and one that is gone while both its ports are there was taken away by hand.  Both hold over
a restart of the server and of the daemon.  No JACK call here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from ampd.config import JackConfig
from ampd.state import WiringState

SURE_S = 0.5  # a link that is gone for so long while its ports are there was taken away
MOST = 64  # links that are remembered of each kind


class Port(Protocol):
    """What link choosing needs to know of a port; PortInfo has it."""

    @property
    def name(self) -> str: ...
    @property
    def is_input(self) -> bool: ...
    @property
    def is_output(self) -> bool: ...
    @property
    def is_midi(self) -> bool: ...


class LinkedPort(Port, Protocol):
    """A port with its links."""

    @property
    def connections(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Link:
    """One connection."""

    source: str
    destination: str


def choose_links(ports: Sequence[Port], config: JackConfig, client: str) -> list[Link]:
    """The connections that the patterns of `config` ask for among the `ports` that exist.

    An audio pattern takes its first match in JACK's order, a MIDI pattern all of them.
    """
    theirs = [port for port in ports if not port.name.startswith(f"{client}:")]

    def matching(pattern: str, midi: bool, sends: bool) -> list[str]:
        return [
            port.name
            for port in theirs
            if port.is_midi == midi
            and (port.is_output if sends else port.is_input)
            and (port.name == pattern or fnmatchcase(port.name, pattern))
        ]

    links = [Link(name, f"{client}:in_1") for name in matching(config.input, False, True)[:1]]
    for number, pattern in enumerate(config.outputs, 1):
        links += [
            Link(f"{client}:out_{number}", name) for name in matching(pattern, False, False)[:1]
        ]
    for pattern in config.midi_in:
        links += [Link(name, f"{client}:midi_in") for name in matching(pattern, True, True)]
    for pattern in config.midi_out:
        links += [Link(f"{client}:midi_out", name) for name in matching(pattern, True, False)]
    return list(dict.fromkeys(links))


def current_links(ports: Sequence[LinkedPort], client: str) -> list[Link]:
    """The connections that the client has."""
    links = []
    for port in ports:
        if port.name.startswith(f"{client}:"):
            for other in port.connections:
                pair = (port.name, other) if port.is_output else (other, port.name)
                links.append(Link(*pair))
    return links


class Wiring:
    """What is remembered of links. Thread: one at a time.

    A link is made once for as long as its ports exist.  Own ports are remembered without the name
    of the client, ":in_1": a server may give it another one.
    """

    def __init__(self, config: JackConfig, known: WiringState) -> None:
        self._config = config
        self._made = [Link(*pair) for pair in known.made]
        self._apart = [Link(*pair) for pair in known.apart]
        self._seen: set[Link] = set()  # that were there at the last look
        self._tried: set[Link] = set()
        self._missed: dict[Link, float] = {}  # of those seen: gone since

    @property
    def state(self) -> WiringState:
        """What is to be kept."""
        made, apart = (
            tuple((link.source, link.destination) for link in links)
            for links in (self._made, self._apart)
        )
        return WiringState(made, apart)

    def forget_server(self) -> None:
        """The server is another one: nothing of it was seen yet."""
        self._seen.clear()
        self._tried.clear()
        self._missed.clear()

    def look(
        self, ports: Sequence[LinkedPort], client: str, vanished: bool, now_s: float
    ) -> list[Link]:
        """Learn from what there is; returns the links to make.

        vanished: a port went away since the last look, and may be back already, so a link that is
        missing was not taken away by hand.
        """
        asked = [_without(link, client) for link in choose_links(ports, self._config, client)]
        there = {_without(link, client) for link in current_links(ports, client)}
        names = _names(ports, client)
        possible = {link for link in {*self._seen, *self._made, *asked} if {*_ends(link)} <= names}
        gone = (self._seen & possible) - there
        if vanished:
            self._tried -= gone
            gone = set()
        self._miss(gone, asked, now_s)
        for link in there - self._seen:
            self._came(link, link in asked)
        self._tried = (self._tried & possible) | there
        self._seen = there | self._missed.keys()
        wanted = [*(link for link in asked if link not in self._apart), *self._made]
        return [
            _with(link, client)
            for link in dict.fromkeys(wanted)
            if link in possible and link not in self._tried and link not in there
        ]

    def _miss(self, gone: set[Link], asked: Sequence[Link], now_s: float) -> None:
        """These are not there; for a while, or a server that just goes away would count."""
        since = {link: self._missed.get(link, now_s) for link in gone}
        for link, since_s in since.items():
            if now_s - since_s >= SURE_S:
                self._taken_away(link, link in asked)
        self._missed = {link: at for link, at in since.items() if now_s - at < SURE_S}

    def made(self, link: Link, client: str) -> None:
        """A link of look() was made; it is there until it is seen to be gone."""
        own = _without(link, client)
        self._tried.add(own)
        self._seen.add(own)

    def _came(self, link: Link, asked: bool) -> None:
        if link in self._apart:
            self._apart.remove(link)
        if not asked and link not in self._made:
            self._made = [*self._made, link][-MOST:]

    def _taken_away(self, link: Link, asked: bool) -> None:
        if link in self._made:
            self._made.remove(link)
        if asked and link not in self._apart:
            self._apart = [*self._apart, link][-MOST:]


def _ends(link: Link) -> tuple[str, str]:
    return link.source, link.destination


def _names(ports: Sequence[LinkedPort], client: str) -> set[str]:
    """What there is, the own ports as ":in_1" too."""
    own = {port.name for port in ports if port.name.startswith(f"{client}:")}
    return {port.name for port in ports} | {name.removeprefix(client) for name in own}


def _without(link: Link, client: str) -> Link:
    """A link with the own port as ":in_1"."""
    mark = f"{client}:"
    return Link(*(end.removeprefix(client) if end.startswith(mark) else end for end in _ends(link)))


def _with(link: Link, client: str) -> Link:
    return Link(*(client + end if end.startswith(":") else end for end in _ends(link)))
