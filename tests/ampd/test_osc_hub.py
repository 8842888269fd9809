"""Who hears what and when: patterns, held echoes, the pace, and OSC over TCP."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from ampd.control import hub
from ampd.control.hub import HOLD_S, MIN_GAP_S, matcher
from ampd.control.packet import Deframer, PacketError, decode, encode, frame
from ampd.errors import CommandError
from tests.ampd.conftest import LIMIT_S, RATE_HZ, SETTLED, Served

LET_GO_S = 60.0


class TcpClient:
    """One TCP connection that speaks OSC and is not part of the daemon."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT_S)

    def __enter__(self) -> "TcpClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, address: str, *values: float | bool | str) -> None:
        packet = encode(address, values)
        self.socket.sendall(struct.pack(">i", len(packet)) + packet)

    def receive(self) -> tuple[str, list[Any]]:
        (size,) = struct.unpack(">i", self._exactly(4))
        return decode(self._exactly(size))

    def until(self, address: str) -> list[Any]:
        while True:
            found, arguments = self.receive()
            if found == address:
                return arguments

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the daemon has hung up")
            data += more
        return data


@pytest.fixture
def tcp(served: Served) -> Iterator[TcpClient]:
    with TcpClient(served.port) as client:
        yield client


# --- patterns -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "hears", "hears_not"),
    [
        ("", ["/ampd/mix", "/ampd/amp/gain_db"], ["/ampd/mix/norm"]),
        ("/ampd/amp/", ["/ampd/amp/gain_db"], ["/ampd/amp2/gain_db", "/ampd/amp/gain_db/norm"]),
        ("/ampd/amp/*", ["/ampd/amp/gain_db"], ["/ampd/amp2/gain_db"]),
        ("amp/*", ["/ampd/amp/gain_db"], ["/ampd/mix"]),
        ("/ampd/*/bypass", ["/ampd/amp/bypass", "/ampd/eq/bypass"], ["/ampd/bypass"]),
        ("*", ["/ampd/mix"], ["/ampd/mix/norm"]),
        ("/ampd/eq/peak?_db", ["/ampd/eq/peak1_db", "/ampd/eq/peak2_db"], ["/ampd/eq/low_db"]),
        ("/ampd/eq/peak[1]_db", ["/ampd/eq/peak1_db"], ["/ampd/eq/peak2_db"]),
        ("/ampd/eq/peak[!1]_db", ["/ampd/eq/peak2_db"], ["/ampd/eq/peak1_db"]),
        ("/ampd/eq/peak[1-2]_q", ["/ampd/eq/peak1_q", "/ampd/eq/peak2_q"], ["/ampd/eq/peak3_q"]),
        ("/ampd/{mix,mute}", ["/ampd/mix", "/ampd/mute"], ["/ampd/morph", "/ampd/mix/norm"]),
        ("/ampd/*/norm", ["/ampd/mix/norm", "/ampd/amp/gain_db/norm"], ["/ampd/mix"]),
        ("/ampd/mix/norm", ["/ampd/mix/norm"], ["/ampd/mix", "/ampd/mix/norma"]),
        ("/ampd/a.p/", [], ["/ampd/amp/gain_db"]),
    ],
)
def test_pattern_hears_what_it_names(pattern: str, hears: list[str], hears_not: list[str]) -> None:
    wants = matcher(pattern)
    assert [address for address in hears if not wants(address)] == []
    assert [address for address in hears_not if wants(address)] == []


def test_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="is no pattern"):
        matcher("/ampd/[z-a]")


def test_no_pattern_takes_long() -> None:
    wants = matcher("*a" * 120 + "b")
    begin = time.perf_counter()
    for _ in range(100):
        assert not wants("/ampd/" + "a" * 200)
    # 100 looks at the worst of patterns; backtracking would take longer than the universe is old.
    assert time.perf_counter() - begin < LIMIT_S


# --- echoes -------------------------------------------------------------------------------------


def test_own_change_comes_back_when_the_finger_rests(served: Served) -> None:
    with served.client() as fader, served.client() as other:
        for client in (fader, other):
            client.send("/ampd/subscribe", "/ampd/mix")
            client.until("/ampd/subscribe")
        begin = last = time.monotonic()
        while last - begin < 3 * HOLD_S:
            last = time.monotonic()
            fader.send("/ampd/mix", (last - begin) / 2)
            time.sleep(0.01)
        final = (last - begin) / 2
        assert fader.receive() == ("/ampd/mix", [pytest.approx(final, rel=1e-5)])
        assert time.monotonic() - last >= HOLD_S - 0.001
        heard = other.until("/ampd/mix")[0]
        assert heard < final  # the others followed while the finger moved
        while heard != pytest.approx(final, rel=1e-5):
            heard = other.until("/ampd/mix")[0]


def test_refused_and_clamped_values_correct_the_fader(served: Served) -> None:
    with served.client() as fader:
        fader.send("/ampd/subscribe", "/ampd/mix")
        fader.until("/ampd/subscribe")
        begin = time.monotonic()
        fader.send("/ampd/mix", 7.0)
        assert fader.receive() == ("/ampd/mix", [1.0])
        assert time.monotonic() - begin >= HOLD_S - 0.001


@pytest.fixture
def held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held does not come while a client waits for it."""
    monkeypatch.setattr(hub, "HOLD_S", 10 * LIMIT_S)


@pytest.mark.usefixtures("held_for_ever")
def test_subscriber_that_wants_it_now_is_not_held(served: Served) -> None:
    with served.client() as client:
        client.send("/ampd/subscribe", "/ampd/mix", 30, "now")
        client.until("/ampd/subscribe")
        client.send("/ampd/mix", 0.5)
        assert client.receive() == ("/ampd/mix", [0.5])


@pytest.mark.usefixtures("held_for_ever")
def test_sender_without_a_subscription_is_answered_at_once(served: Served) -> None:
    with served.client() as client:
        client.ask("/ampd/mix", 0.5)
        client.ask("/ampd/mix", 0.25)


def test_no_address_is_told_faster_than_fifty_a_second_and_the_last_value_comes(
    served: Served,
) -> None:
    count, value = 0, 0.0
    with served.client() as surface, served.client() as fader:
        surface.send("/ampd/subscribe", "/ampd/mix")
        surface.until("/ampd/subscribe")
        begin = time.monotonic()
        for step in range(1, 201):
            fader.ask("/ampd/mix", step / 400)
        while value != 0.5:
            value = surface.until("/ampd/mix")[0]
            count += 1
        seconds = time.monotonic() - begin
    assert 2 <= count <= seconds / MIN_GAP_S + 1


def test_fader_that_sends_norm_hears_norm(served: Served) -> None:
    with served.client() as fader, served.client() as other:
        fader.send("/ampd/subscribe", "/ampd/nothing")
        fader.until("/ampd/subscribe")
        fader.send("/ampd/gain/gain_db/norm", 0.5)
        assert fader.until("/ampd/gain/gain_db/norm") == [0.5]
        other.send("/ampd/gain/gain_db", 40)
        assert fader.until("/ampd/gain/gain_db/norm") == [1.0]


def test_norm_pattern_dumps_every_fader(served: Served) -> None:
    with served.client() as fader:
        fader.send("/ampd/subscribe", "/ampd/gain/*/norm")
        assert fader.receive() == ("/ampd/gain/gain_db/norm", [pytest.approx(0.63)])
        assert fader.receive() == ("/ampd/gain/bypass/norm", [0.0])
        assert fader.receive() == ("/ampd/subscribe", [30])


def test_second_pattern_is_heard_besides_the_first(served: Served) -> None:
    with served.client() as client, served.client() as other:
        for pattern in ("/ampd/mix", "/ampd/gain/gain_db/norm"):
            client.send("/ampd/subscribe", pattern)
            client.until("/ampd/subscribe")
        other.ask("/ampd/mix", 0.5)
        assert client.until("/ampd/mix") == [0.5]
        other.ask("/ampd/gain/gain_db", 40)
        assert client.until("/ampd/gain/gain_db/norm") == [1.0]


def test_list_of_rigs_is_told_when_it_changes(served: Served) -> None:
    with served.client() as client, served.client() as other:
        client.send("/ampd/subscribe", "/ampd/rigs")
        assert client.receive() == ("/ampd/rigs", ["clean", "drive", "loud"])
        client.until("/ampd/subscribe")
        (served.library.rigs_path / "more.yaml").write_text("chain: []\n")
        other.ask("/ampd/rig", "more")
        told = client.until("/ampd/rigs")
        while "more" not in told:
            told = client.until("/ampd/rigs")


# --- TCP ----------------------------------------------------------------------------------------


def test_tcp_on_the_same_port_answers_and_sets(served: Served, tcp: TcpClient) -> None:
    tcp.send("/ampd/ping")
    assert tcp.receive()[0] == "/ampd/pong"
    tcp.send("/ampd/mix", 0.5)
    assert tcp.receive() == ("/ampd/mix", [0.5])
    tcp.send("/ampd/rig", "nosuch")
    assert tcp.receive()[0] == "/ampd/error"


def test_tcp_subscriber_hears_others_until_it_hangs_up(served: Served, tcp: TcpClient) -> None:
    tcp.send("/ampd/subscribe", "/ampd/mix")
    assert tcp.receive() == ("/ampd/mix", [1.0])
    tcp.until("/ampd/subscribe")
    with served.client() as other:
        other.ask("/ampd/mix", 0.25)
        assert tcp.until("/ampd/mix") == [0.25]
        tcp.socket.close()
        other.ask("/ampd/mix", 0.5)
        other.alive()


def test_tcp_packets_may_come_in_any_pieces(served: Served, tcp: TcpClient) -> None:
    data = b"".join(frame(encode("/ampd/mix", [step / 8])) for step in range(9))
    for at in range(0, len(data), 3):
        tcp.socket.sendall(data[at : at + 3])
        time.sleep(0.001)
    while tcp.until("/ampd/mix") != [1.0]:
        pass


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\0", b"\0\0\0\x03abc", b"\0\xff\xff\xff" + b"a" * 64, b"\0\x01\0\0aaaa"],
)
def test_tcp_stream_that_is_lost_is_ended_and_others_are_served(
    served: Served, tcp: TcpClient, data: bytes
) -> None:
    tcp.socket.sendall(data)
    with pytest.raises((EOFError, ConnectionError)):
        tcp.receive()
    with TcpClient(served.port) as other:
        other.send("/ampd/ping")
        assert other.receive()[0] == "/ampd/pong"


def test_tcp_reader_that_sleeps_is_let_go(served: Served, tcp: TcpClient) -> None:
    with served.client() as other:
        # Each answer is the whole State, some kB; the system holds some MB, and what comes faster
        # than it is handled gets one answer.
        deadline_s = time.monotonic() + LET_GO_S
        while _is_open(tcp.socket) and time.monotonic() < deadline_s:
            with suppress(OSError):
                tcp.socket.sendall(frame(encode("/ampd/status")) * 16)
            other.alive()
        assert not _is_open(tcp.socket)


def _is_open(client: socket.socket) -> bool:
    """Whether the other end still takes bytes; what it sent stays unread."""
    try:
        client.sendall(b"")
        return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and _established(client)
    except OSError:
        return False


def _established(client: socket.socket) -> bool:
    (state,) = struct.unpack("B", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))
    return bool(state == 1)


def test_deframer_gives_whole_packets_only() -> None:
    deframer = Deframer()
    packet = encode("/ampd/mix", [0.5])
    assert deframer.feed(frame(packet)[:-1]) == []
    assert deframer.feed(frame(packet)[-1:] + frame(packet)) == [packet, packet]
    with pytest.raises(PacketError):
        deframer.feed(struct.pack(">I", 5))


# --- the wire, against python-osc ---------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [[], [1], [-5, 2**31 - 1], [0.5, -1e30], ["", "a", "ab", "abc", "abcd"], [True, False, "é"]],
)
def test_our_bytes_are_python_oscs(arguments: list[Any]) -> None:
    builder = OscMessageBuilder("/ampd/x")
    for argument in arguments:
        builder.add_arg(argument)
    theirs = builder.build().dgram
    assert encode("/ampd/x", arguments) == theirs
    assert decode(theirs) == ("/ampd/x", OscMessage(theirs).params)


@pytest.mark.parametrize(("tag", "value"), [("h", 2**40), ("d", 0.1), ("i", -1), ("f", 0.25)])
def test_every_number_type_is_read(tag: str, value: float) -> None:
    builder = OscMessageBuilder("/ampd/x")
    builder.add_arg(value, tag)
    assert decode(builder.build().dgram) == ("/ampd/x", [value])


# --- meters -------------------------------------------------------------------------------------


def test_meters_are_told_to_who_asks_for_them_and_when_they_move(served: Served) -> None:
    async def play(level: float) -> None:
        engine = await served.session.attach_host(RATE_HZ)
        engine.process(np.full(SETTLED, level, np.float32), 64)
        await served.session.detach_host()

    def sound(level: float) -> None:
        asyncio.run_coroutine_threadsafe(play(level), served.loop).result(LIMIT_S)

    with served.client() as client, served.client() as other:
        other.send("/ampd/subscribe", "/ampd/mix")
        other.until("/ampd/subscribe")
        client.send("/ampd/subscribe", "/ampd/meter/*")
        client.until("/ampd/subscribe")
        while client.until("/ampd/meter/in") != [-120.0, -120.0]:
            pass
        sound(0.5)
        peak_db, rms_db = client.until("/ampd/meter/in")
        assert peak_db == pytest.approx(-6.0, abs=0.06)
        assert rms_db <= peak_db
        while client.until("/ampd/meter/in") != [-120.0, -120.0]:
            pass
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):  # silence is told once
            client.until("/ampd/meter/in")
        other.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.receive()
