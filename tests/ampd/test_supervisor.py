"""Which ports are wanted. The supervisor's life with a real server is in tests/e2e."""

from dataclasses import dataclass, replace

import pytest

from ampd.config import JackConfig
from ampd.supervisor import Link, choose_links, server_name


@dataclass(frozen=True)
class SomePort:
    name: str
    is_input: bool = False
    is_output: bool = False
    is_midi: bool = False


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


def test_server_is_named_by_setting_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JACK_DEFAULT_SERVER", raising=False)
    assert server_name(JackConfig()) == "default"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "mine")
    assert server_name(JackConfig()) == "mine"
    assert server_name(JackConfig(server_name="other")) == "other"
