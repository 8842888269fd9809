"""Who may come in with which rights, by a signer that is written from the README alone."""

import hashlib
import hmac
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ampd.command import parse
from ampd.config import PRIVATE_NETWORKS
from ampd.control.gate import (
    MAX_PLACES,
    WINDOW,
    Counters,
    Gate,
    Refused,
    Rights,
    allows,
    source_of,
)
from ampd.control.packet import PacketError, decode, encode
from ampd.errors import CommandError
from ampd.pairing import Pairing

README = Path(__file__).resolve().parents[2] / "ampd" / "control" / "README.md"
PLACE = ("192.168.1.7", 9000)


def signed(path: str, counter: int, arguments: list[Any], token: str, number: int) -> bytes:
    """As the README's own lines of Python have it."""
    example = re.search(r"```python\n(def signed.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {"encode": encode, "hmac": hmac, "hashlib": hashlib}
    exec(example[1], names)
    packet: bytes = names["signed"](path, counter, arguments, token, number)
    return packet


@pytest.fixture
def pairing(tmp_path: Path) -> Pairing:
    return Pairing(tmp_path / "ampd.token")


@pytest.fixture
def gate(pairing: Pairing) -> Gate:
    return Gate(PRIVATE_NETWORKS, pairing)


def opened(gate: Gate, packet: bytes, place: tuple[str, int] = PLACE) -> Any:
    return gate.open(place, packet, *decode(packet))


@pytest.mark.parametrize(
    ("host", "rights"),
    [
        ("127.0.0.1", Rights.LOCAL),
        ("127.9.9.9", Rights.LOCAL),
        ("::1", Rights.LOCAL),
        ("192.168.1.7", Rights.GUEST),
        ("10.255.0.1", Rights.GUEST),
        ("172.31.255.255", Rights.GUEST),
        ("169.254.3.4", Rights.GUEST),
        ("fe80::1%eth0", Rights.GUEST),
        ("fd00::1", Rights.GUEST),
        ("172.32.0.1", None),
        ("8.8.8.8", None),
        ("2001:db8::1", None),
        ("0.0.0.0", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_rights_by_the_network(gate: Gate, host: str, rights: Rights | None) -> None:
    assert gate.rights_of(host) is rights
    assert gate.rights_of(host) is rights  # as it is remembered


def test_without_a_pairing_nobody_but_this_machine_comes_in() -> None:
    assert Gate().rights_of("192.168.1.7") is None
    assert Gate(PRIVATE_NETWORKS).rights_of("192.168.1.7") is None
    assert Gate().rights_of("127.0.0.1") is Rights.LOCAL
    with pytest.raises(CommandError, match="lan = true"):
        _ = Gate().token


@pytest.mark.parametrize(
    ("path", "arguments", "may"),
    [
        ("rig", ["drive"], True),
        ("rig/next", [], True),
        ("rig/prev", [1.0], True),
        ("snapshot", [1.0], True),
        ("snapshot/next", [], True),
        ("mute", [True], True),
        ("tuner", [True], True),
        ("tuner_mutes", [False], True),
        ("amp/gain_db", [], True),
        ("status", [], True),
        ("models", ["plexi"], True),
        ("subscribe", [], True),
        ("ping", [], True),
        ("amp/gain_db", [3.0], False),
        ("mix", [0.5], False),
        ("morph", [0.5], False),
        ("bypass", [True], False),
        ("panic", [], False),
        ("tap", [], False),
        ("master_db", [0.0], False),
        ("tuner_reference_hz", [430.0], False),
        ("set", ["gig"], False),
        ("set/next", [], False),
        ("amp/model", ["other"], False),
        ("cab/impulse", [""], False),
        ("learn", [], False),
        ("pair", [], False),
        ("pair", ["new"], False),
    ],
)
def test_guest_chooses_mutes_tunes_and_reads(path: str, arguments: list[Any], may: bool) -> None:
    command = parse(path, arguments)
    assert allows(Rights.GUEST, command) is may
    assert allows(Rights.PAIRED, command)
    assert allows(Rights.LOCAL, command)


def test_token_in_the_address_is_taken_off(gate: Gate, pairing: Pairing) -> None:
    found = opened(gate, encode(f"/ampd/{pairing.token}/amp/gain_db", [3.0]))
    assert (found.address, found.arguments) == ("/ampd/amp/gain_db", [3.0])
    assert found.is_paired
    assert found.prefix == f"{pairing.token}/"


def test_wrong_token_is_refused_and_a_block_is_no_token(gate: Gate, pairing: Pairing) -> None:
    other = ("b" if pairing.token[0] == "a" else "a") + pairing.token[1:]
    with pytest.raises(Refused):
        opened(gate, encode(f"/ampd/{other}/amp/gain_db", [3.0]))
    for address in ("/ampd/amp/gain_db", "/ampd/mix", "/other/thing", f"/ampd/{pairing.token}"):
        assert not opened(gate, encode(address, [3.0])).is_paired


def test_signature_of_the_readme_is_good_once(gate: Gate, pairing: Pairing) -> None:
    number = gate.number_for(PLACE)
    packet = signed("amp/gain_db", 1, [3.0, "text", True], pairing.token, number)
    found = opened(gate, packet)
    assert (found.address, found.arguments) == ("/ampd/amp/gain_db", [3.0, "text", True])
    assert (found.is_paired, found.is_repeat, found.prefix) == (True, False, "")
    assert opened(gate, packet).is_repeat
    assert gate.is_confirmed(PLACE)


def test_signature_is_good_for_one_place_one_run_and_one_token(
    gate: Gate, pairing: Pairing
) -> None:
    packet = signed("mix", 1, [0.5], pairing.token, gate.number_for(PLACE))
    for place in (("192.168.1.7", 9001), ("192.168.1.8", 9000)):
        with pytest.raises(Refused):
            opened(gate, packet, place)
    with pytest.raises(Refused):
        opened(Gate(PRIVATE_NETWORKS, pairing), packet)
    gate.renew()
    gate.tell_renewal()
    with pytest.raises(Refused):
        opened(gate, packet)


def test_no_changed_byte_of_a_signed_message_is_good(gate: Gate, pairing: Pairing) -> None:
    packet = signed("mix", 5, [0.5, "x"], pairing.token, gate.number_for(PLACE))
    for place in range(len(packet)):
        for bit in (0x01, 0x20):
            changed = bytearray(packet)
            changed[place] ^= bit
            try:
                address, arguments = decode(bytes(changed))
                found = gate.open(PLACE, bytes(changed), address, arguments)
            except (PacketError, Refused):
                continue
            assert not found.is_paired
    assert not gate.is_confirmed(PLACE)


@pytest.mark.parametrize(
    "arguments",
    [[], ["a" * 32], ["a" * 31, 1], ["a" * 32, 1.0], [1, 1], ["ä" * 32, 1], ["a" * 32, True]],
)
def test_signature_without_its_arguments_is_refused(gate: Gate, arguments: list[Any]) -> None:
    with pytest.raises(Refused):
        opened(gate, encode("/ampd/signed/mix", arguments))


def test_counter_counts_once_in_any_order_within_the_window() -> None:
    counters = Counters()
    assert counters.take(100)
    assert all(counters.take(counter) for counter in range(99, 100 - WINDOW, -1))
    assert not any(counters.take(counter) for counter in range(101 - WINDOW, 101))
    for counter in (100 - WINDOW, 1, 0, -1, -(2**63)):
        with pytest.raises(Refused):
            counters.take(counter)
    assert counters.take(100 + 3 * WINDOW)
    assert not counters.take(100 + 3 * WINDOW)
    assert counters.take(2**63 - 1)
    with pytest.raises(Refused):
        counters.take(100 + 3 * WINDOW)


def test_place_is_confirmed_by_its_own_number(gate: Gate) -> None:
    number = gate.number_for(PLACE)
    assert 2**62 <= number < 2**63
    assert not gate.confirm(PLACE, number - 1)
    assert not gate.confirm(("192.168.1.7", 9001), number)
    assert not gate.is_confirmed(PLACE)
    assert gate.confirm(PLACE, number)
    assert gate.is_confirmed(PLACE)


def test_tables_are_bounded_and_a_forgotten_counter_is_never_good_again(
    gate: Gate, pairing: Pairing
) -> None:
    packet = signed("mix", 1, [0.5], pairing.token, gate.number_for(PLACE))
    assert not opened(gate, packet).is_repeat
    for port in range(MAX_PLACES + 10):
        place = ("10.0.0.1", port)
        gate.confirm(place, gate.number_for(place))
        other = signed("mix", 1, [0.5], pairing.token, gate.number_for(place))
        with suppress(Refused):  # once, when the table is full
            opened(gate, other, place)
        gate.rights_of(f"10.0.{port % 256}.{port // 256}")
    assert len(gate._confirmed) <= MAX_PLACES
    assert len(gate._counters) <= MAX_PLACES
    assert len(gate._hosts) <= MAX_PLACES
    with pytest.raises(Refused):
        opened(gate, packet)


def test_cookie_is_given_for_the_token_alone(gate: Gate, pairing: Pairing) -> None:
    cookie = gate.cookie_for(pairing.token)
    assert gate.is_cookie(cookie)
    assert pairing.token not in cookie
    assert not gate.cookie_for("wrong")
    assert not gate.is_cookie("")
    assert not Gate().is_cookie("")
    assert not Gate().cookie_for("")


def test_machines_of_the_network_and_sockets_of_this_one_are_sources() -> None:
    assert source_of(PLACE, Rights.GUEST) == "192.168.1.7"
    assert source_of(("127.0.0.1", 5), Rights.LOCAL) == ("127.0.0.1", 5)
