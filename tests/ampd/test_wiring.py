"""Which links are wanted, and what is learned of the player's hand."""

from dataclasses import dataclass, field, replace

from ampd.config import JackConfig
from ampd.state import WiringState
from ampd.wiring import MOST, Link, Wiring, choose_links


@dataclass(frozen=True)
class SomePort:
    name: str
    is_input: bool = False
    is_output: bool = False
    is_midi: bool = False
    connections: tuple[str, ...] = ()


def gives(name: str, midi: bool = False) -> SomePort:
    return SomePort(name, is_output=True, is_midi=midi)


def takes(name: str, midi: bool = False) -> SomePort:
    return SomePort(name, is_input=True, is_midi=midi)


PORTS = [
    gives("system:capture_1"),
    gives("system:capture_2"),
    takes("system:playback_1"),
    takes("system:playback_2"),
    gives("system:midi_capture_1", midi=True),
    gives("system:midi_capture_2", midi=True),
    takes("ampd:in_1"),
    gives("ampd:out_1"),
    gives("ampd:out_2"),
    takes("ampd:midi_in", midi=True),
]


def test_defaults_connect_one_input_two_outputs_and_all_midi() -> None:
    assert choose_links(PORTS, JackConfig(), "ampd") == [
        Link("system:capture_1", "ampd:in_1"),
        Link("ampd:out_1", "system:playback_1"),
        Link("ampd:out_2", "system:playback_2"),
        Link("system:midi_capture_1", "ampd:midi_in"),
        Link("system:midi_capture_2", "ampd:midi_in"),
    ]


def test_first_match_of_a_pattern_is_taken() -> None:
    config = JackConfig(input="system:capture_*", outputs=("*:playback_?",), midi_in=())
    assert choose_links(PORTS, config, "ampd") == [
        Link("system:capture_1", "ampd:in_1"),
        Link("ampd:out_1", "system:playback_1"),
    ]


def test_empty_settings_connect_nothing() -> None:
    config = JackConfig(input="", outputs=(), midi_in=())
    assert choose_links(PORTS, config, "ampd") == []


def test_port_that_is_not_there_is_left_out() -> None:
    config = JackConfig(input="scarlett:*", midi_in=())
    assert Link("ampd:out_1", "system:playback_1") in choose_links(PORTS, config, "ampd")
    assert not [link for link in choose_links(PORTS, config, "ampd") if "in_1" in link.destination]


def test_own_ports_and_wrong_directions_never_match() -> None:
    config = JackConfig(input="*", outputs=("*", "*"), midi_in=("*",), midi_out=("*",))
    ours = PORTS[6:] + PORTS[2:4]
    assert choose_links(ours, config, "ampd") == [
        Link("ampd:out_1", "system:playback_1"),
        Link("ampd:out_2", "system:playback_1"),
    ]


def test_name_with_brackets_matches_itself() -> None:
    port = gives("a2j:nano [20] (capture): one", midi=True)
    config = replace(JackConfig(), midi_in=(port.name,))
    assert Link(port.name, "ampd:midi_in") in choose_links([port], config, "ampd")


def test_renamed_client_keeps_its_own_ports_apart() -> None:
    links = choose_links(PORTS, JackConfig(input="ampd:out_1", outputs=()), "ampd-01")
    assert Link("ampd:out_1", "ampd-01:in_1") in links


# --- what is learned of the player's hand -------------------------------------------------------

HAND = Link("system:capture_2", "ampd:in_1")
PATTERN = Link("system:capture_1", "ampd:in_1")


@dataclass
class World:
    """Ports and links as a server has them, and a wiring that looks at them."""

    wiring: Wiring
    links: set[Link] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    now_s: float = 0.0

    def look(self, vanished: bool = False) -> list[Link]:
        """A second later: the links that are asked for, which are made."""
        self.now_s += 1.0
        asked = self.wiring.look(self.ports(), "ampd", vanished, self.now_s)
        for link in asked:
            self.links.add(link)
            self.wiring.made(link, "ampd")
        return asked

    def ports(self) -> list[SomePort]:
        there = [port for port in PORTS if port.name not in self.away]
        return [
            replace(
                port,
                connections=tuple(
                    link.destination if link.source == port.name else link.source
                    for link in self.links
                    if port.name in (link.source, link.destination)
                ),
            )
            for port in there
        ]

    def unplug(self, *names: str) -> None:
        self.away |= {*names}
        self.links = {
            link for link in self.links if not {link.source, link.destination} & self.away
        }


def world(known: WiringState | None = None) -> World:
    config = JackConfig(outputs=(), midi_in=())
    return World(Wiring(config, known or WiringState()))


def settled(known: WiringState | None = None) -> World:
    """A world after two looks."""
    made = world(known)
    made.look()
    made.look()
    return made


def test_link_of_a_pattern_is_made_once() -> None:
    made = world()
    assert made.look() == [PATTERN]
    assert made.look() == []
    assert made.wiring.state == WiringState()


def test_link_made_by_hand_returns_with_another_server_under_another_name() -> None:
    made = settled()
    made.links.add(HAND)
    made.look()
    assert made.wiring.state.made == ((HAND.source, ":in_1"),)
    made.wiring.forget_server()
    made.links.clear()
    assert made.look() == [PATTERN, HAND]
    renamed = [replace(p, name=p.name.replace("ampd:", "ampd-01:")) for p in world().ports()]
    made.wiring.forget_server()
    assert Link(HAND.source, "ampd-01:in_1") in made.wiring.look(renamed, "ampd-01", False, 9.0)


def test_link_made_by_hand_returns_with_another_daemon() -> None:
    made = settled()
    made.links.add(HAND)
    made.look()
    assert HAND in world(made.wiring.state).look()


def test_link_taken_away_by_hand_stays_away_with_every_server_and_daemon() -> None:
    made = settled()
    made.links.clear()
    assert made.look() == []
    assert made.look() == []
    assert made.wiring.state.apart == ((PATTERN.source, ":in_1"),)
    made.wiring.forget_server()
    assert made.look() == []
    assert world(made.wiring.state).look() == []


def test_link_taken_away_and_made_again_by_hand_is_as_it_was() -> None:
    made = settled(WiringState(apart=((PATTERN.source, ":in_1"),)))
    made.links.add(PATTERN)
    made.look()
    assert made.wiring.state == WiringState()


def test_hand_made_link_that_is_taken_away_is_forgotten() -> None:
    made = settled(WiringState(made=((HAND.source, ":in_1"),)))
    assert made.links == {PATTERN, HAND}
    made.links.remove(HAND)
    made.look()
    made.look()
    assert made.wiring.state == WiringState()


def test_port_that_vanishes_and_returns_is_linked_again() -> None:
    made = settled(WiringState(made=((HAND.source, ":in_1"),)))
    made.unplug(HAND.source, PATTERN.source)
    assert made.look(vanished=True) == []
    assert made.look() == []
    made.away.clear()
    assert set(made.look()) == {PATTERN, HAND}


def test_port_that_vanished_and_is_back_before_anybody_looked_was_not_unlinked_by_hand() -> None:
    made = settled()
    made.links.clear()
    assert made.look(vanished=True) == [PATTERN]
    assert made.wiring.state == WiringState()


def test_links_that_go_for_a_moment_are_not_taken_for_a_hand() -> None:
    made = settled()
    made.links.clear()
    made.wiring.look(made.ports(), "ampd", False, made.now_s + 0.1)
    made.wiring.forget_server()  # it was the server that went away
    made.now_s += 1
    assert made.look() == [PATTERN]
    assert made.wiring.state == WiringState()


def test_memory_of_hand_made_links_is_bounded() -> None:
    made = world()
    ports = [gives(f"app:{n}") for n in range(2 * MOST)]
    target = replace(takes("ampd:in_1"), connections=tuple(port.name for port in ports))
    made.wiring.look([*ports, target], "ampd", False, 0.0)
    assert len(made.wiring.state.made) == MOST
