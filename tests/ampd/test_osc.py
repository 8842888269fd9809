"""The real endpoint over loopback, with good packets, hostile packets and other people's tools."""

import asyncio
import json
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ampd import __version__
from ampd.client import ask
from ampd.control.osc import MAX_DATAGRAM, PacketError, decode, encode, unpack
from ampd.control.params import FIXED
from ampd.errors import CommandError, UnreachableError
from tests.ampd.conftest import LIMIT_S, Served, host

HOSTILE = Path(__file__).resolve().parents[3] / "shared" / "osc-hostile.json"
BUNDLE = b"#bundle\0" + struct.pack(">Q", 1)


def bundle(*messages: bytes) -> bytes:
    return BUNDLE + b"".join(struct.pack(">i", len(m)) + m for m in messages)


def hostile_packets() -> list[Any]:
    own = {
        "element_size_zero": BUNDLE + struct.pack(">i", 0),
        "element_size_odd": BUNDLE + struct.pack(">i", 3) + b"/a\0",
        "element_beyond_the_end": BUNDLE + struct.pack(">i", 64) + b"/a\0\0",
        "bundle_without_time": b"#bundle\0\0\0\0",
        "five_levels": bundle(bundle(bundle(bundle(bundle(encode("/ampd/mix", [0.0])))))),
        "many_messages": bundle(*[encode("/ampd/mix", [0.0])] * 300),
        "short_float": b"/ampd/mix\0\0\0,f\0\0",
        "half_a_float": b"/ampd/mix\0\0\0,f\0\0\0\0",
        "left_over_bytes": encode("/ampd/mix", [0.0]) + b"\0\0\0\0",
        "no_comma": b"/ampd/mix\0\0\0f\0\0\0\0\0\0\0",
        "dirty_padding": b"/ampd/mix\0xx,f\0\0\0\0\0\0",
        "string_without_end": b"/ampd/rig\0\0\0,s\0\0clea",
        "array": b"/ampd/mix\0\0\0,[f]\0\0\0\0\0\0\0\0",
        "many_arguments": encode("/ampd/mix", [0.0] * 200),
        "blob": b"/ampd/mix\0\0\0,b\0\0\xff\xff\xff\xff",
        "rig_that_is_a_path": encode("/ampd/rig", ["../../etc/passwd"]),
        "rig_that_is_not_text": b"/ampd/rig\0\0\0,s\0\0\xff\xfe\xfd\0",
        "negative_lease": encode("/ampd/subscribe", [9, "/", -1]),
        "bell_in_address": b"/ampd/\x07\0,\0\0\0",
    }
    shared = []
    if HOSTILE.exists():
        shared = [
            pytest.param(bytes.fromhex(packet["hex"]), id=packet["name"])
            for packet in json.loads(HOSTILE.read_text())
        ]
    return [*(pytest.param(packet, id=name) for name, packet in own.items()), *shared]


def test_shared_hostile_packets_are_there() -> None:
    if not HOSTILE.exists():
        pytest.skip("shared/osc-hostile.json is absent")
    assert len(hostile_packets()) > 19


@pytest.mark.parametrize("packet", hostile_packets())
def test_hostile_packet_changes_nothing_and_the_next_one_is_served(
    served: Served, packet: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = served.session.state
    with served.client() as client:
        client.throw(packet)
        client.alive()
    after = served.session.state
    assert (after.wanted_rig, after.values, after.globals) == (
        before.wanted_rig,
        before.values,
        before.globals,
    )
    assert not [record for record in caplog.records if record.exc_info]


def test_ping_answers_name_version_and_protocol(served: Served) -> None:
    with served.client() as client:
        assert client.ask("/ampd/ping") == ["/ampd/pong", ["ampd", __version__, 1]]


def test_address_without_arguments_answers_its_value(served: Served) -> None:
    with served.client() as client:
        assert client.ask("/ampd/gain/gain_db") == ["/ampd/gain/gain_db", [3.0]]
        assert client.ask("/ampd/rig") == ["/ampd/rig", ["clean"]]
        assert client.ask("/ampd/bypass") == ["/ampd/bypass", [False]]
        assert client.ask("/ampd/jack") == ["/ampd/jack", ["waiting"]]
        assert client.ask("/ampd/rigs") == ["/ampd/rigs", ["clean", "drive", "loud"]]


def test_old_style_query_without_type_tags_is_answered(served: Served) -> None:
    with served.client() as client:
        client.throw(b"/ampd/mix\0\0\0")
        assert client.receive() == ("/ampd/mix", [1.0])


def test_set_answers_the_clamped_value_to_the_sender(served: Served) -> None:
    with served.client() as client:
        assert client.ask("/ampd/gain/gain_db", 99.0) == ["/ampd/gain/gain_db", [40.0]]
        assert client.ask("/ampd/input/gain_db", -7.5) == ["/ampd/input/gain_db", [-7.5]]


@pytest.mark.parametrize(
    ("value", "state"), [(True, True), (False, False), (1, True), (0.0, False)]
)
def test_switches_take_every_kind_of_truth(
    served: Served, value: float | bool, state: bool
) -> None:
    with served.client() as client:
        assert client.ask("/ampd/bypass", value) == ["/ampd/bypass", [state]]


def test_rig_is_selected_by_name_next_and_previous(served: Served) -> None:
    with served.client() as client:
        assert client.ask("/ampd/rig", "drive") == ["/ampd/rig", ["drive"]]
        assert client.ask("/ampd/rig/next") == ["/ampd/rig", ["loud"]]
        assert client.ask("/ampd/rig/prev", 1.0) == ["/ampd/rig", ["drive"]]
        assert client.ask("/ampd/rig/prev", 0.0) == ["/ampd/rig", ["drive"]]


@pytest.mark.parametrize(
    ("address", "value", "words"),
    [
        ("/ampd/nosuch/param", 1.0, "nosuch/param: rig clean has no such address"),
        ("/ampd/amp/gain_db", 1.0, "there is gain/gain_db, input/gain_db, output/gain_db"),
        ("/ampd/gain/*", 1.0, "is not an address of ampd"),
        ("/other/mix", 1.0, "is not an address of ampd"),
        ("/ampd/mix", "much", "mix: found 'much', expected a finite number"),
        ("/ampd/rig", "nosuch", "no rig nosuch"),
        ("/ampd/mix", float("nan"), "mix: found nan, expected a finite number"),
    ],
)
def test_bad_command_is_answered_with_address_and_sentence(
    served: Served, address: str, value: float | str, words: str
) -> None:
    with served.client() as client:
        found, arguments = client.ask(address, value)
        assert found == "/ampd/error"
        assert arguments[0] == address
        assert words in arguments[1]


def test_argument_that_is_cut_off_is_refused_not_padded(served: Served) -> None:
    with served.client() as client:
        client.throw(b"/ampd/mix\0\0\0,f\0\0")
        address, arguments = client.receive()
        assert (address, arguments[0]) == ("/ampd/error", "/ampd/mix")
        assert client.ask("/ampd/mix") == ["/ampd/mix", [1.0]]


def test_bundle_is_done_in_order_and_its_time_is_ignored(served: Served) -> None:
    future = b"#bundle\0" + struct.pack(">Q", 0xFFFFFFFF00000000)
    inner = bundle(encode("/ampd/rig", ["loud"]), encode("/ampd/mix", [0.125]))
    with served.client() as client:
        client.throw(future + struct.pack(">i", len(inner)) + inner)
        assert client.receive() == ("/ampd/rig", ["loud"])
        assert client.receive() == ("/ampd/mix", [0.125])


def test_subscriber_gets_a_dump_then_every_change(served: Served) -> None:
    with served.client() as surface, served.client() as other:
        surface.send("/ampd/subscribe")
        dump = {}
        while (message := surface.receive())[0] != "/ampd/subscribe":
            dump[message[0]] = message[1]
        seen = {address for address in dump if address.startswith("/ampd/status/")}
        assert seen == {param.address for param in FIXED if param.path.startswith("status/")}
        assert {address: dump[address] for address in dump.keys() - seen} == {
            "/ampd/rig": ["clean"],
            "/ampd/rigs": ["clean", "drive", "loud"],
            "/ampd/set": [""],
            "/ampd/sets": [""],
            "/ampd/snapshots": [],
            "/ampd/jack": ["waiting"],
            "/ampd/bypass": [False],
            "/ampd/mute": [False],
            "/ampd/tuner": [False],
            "/ampd/tuner_mutes": [True],
            "/ampd/tuner_reference_hz": [440.0],
            "/ampd/master_db": [0.0],
            "/ampd/tempo_bpm": [120.0],
            "/ampd/input/gain_db": [0.0],
            "/ampd/output/gain_db": [0.0],
            "/ampd/mix": [1.0],
            "/ampd/gain/gain_db": [3.0],
            "/ampd/gain/bypass": [0.0],
        }
        other.send("/ampd/gain/gain_db", 5.0)
        assert surface.until("/ampd/gain/gain_db") == [5.0]
        other.send("/ampd/rig", "drive")
        assert surface.until("/ampd/rig") == ["drive"]
        assert surface.until("/ampd/amp/gain_db") == [6.0]
        rig, before, milliseconds, method = surface.until("/ampd/event/swap")
        assert (rig, before, method) == ("drive", "clean", "crossfade")
        assert milliseconds >= 0.0


def test_sender_that_subscribes_hears_its_own_change_once(served: Served) -> None:
    with served.client() as client:
        client.send("/ampd/subscribe", "/ampd/mix")
        assert client.until("/ampd/subscribe") == [30]
        client.send("/ampd/mix", 0.5)
        assert client.receive() == ("/ampd/mix", [0.5])
        assert client.ask("/ampd/ping")[0] == "/ampd/pong"


def test_subscription_to_a_part_hears_only_that(served: Served) -> None:
    with served.client() as client, served.client() as other:
        client.send("/ampd/subscribe", "/ampd/gain/*")
        assert client.receive() == ("/ampd/gain/gain_db", [3.0])
        assert client.receive() == ("/ampd/gain/bypass", [0.0])
        assert client.receive() == ("/ampd/subscribe", [30])
        other.ask("/ampd/mix", 0.25)
        other.ask("/ampd/gain/gain_db", 1.0)
        assert client.receive() == ("/ampd/gain/gain_db", [1.0])


def test_unsubscribed_hears_nothing_more(served: Served) -> None:
    with served.client() as client, served.client() as other:
        client.send("/ampd/subscribe", "/ampd/mix")
        client.until("/ampd/subscribe")
        client.send("/ampd/unsubscribe")
        client.until("/ampd/unsubscribe")
        other.ask("/ampd/mix", 0.25)
        assert client.ask("/ampd/ping")[0] == "/ampd/pong"


def test_lease_ends_and_ping_renews_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [time.monotonic()]
    monkeypatch.setattr("ampd.control.hub.time.monotonic", lambda: clock[0])
    with served.client() as client, served.client() as other:
        client.send("/ampd/subscribe", "/ampd/mix", 60)
        client.until("/ampd/subscribe")
        clock[0] += 59
        client.alive()
        clock[0] += 59
        other.ask("/ampd/mix", 0.5)
        assert client.receive() == ("/ampd/mix", [0.5])
        clock[0] += 2
        other.ask("/ampd/mix", 0.75)
        assert client.ask("/ampd/ping")[0] == "/ampd/pong"


def test_changes_go_to_the_port_that_was_named(served: Served) -> None:
    with served.client() as surface, served.client() as asker:
        port = surface.socket.getsockname()[1]
        asker.send("/ampd/subscribe", port, "/ampd/mix")
        assert surface.receive() == ("/ampd/mix", [1.0])
        assert asker.receive() == ("/ampd/subscribe", [30])


def test_subscribers_are_limited(served: Served) -> None:
    with served.client() as client:
        for port in range(20000, 20032):
            client.send("/ampd/subscribe", port, "/ampd/nothing")
        address, arguments = client.ask("/ampd/subscribe", 20032, "/ampd/nothing")
        while address == "/ampd/subscribe":
            address, arguments = client.receive()
        assert (address, arguments[0]) == ("/ampd/error", "/ampd/subscribe")


def test_flood_ends_with_its_last_value_in_force(served: Served) -> None:
    with served.client() as client:
        for number in range(100):  # as many as a small socket buffer holds
            client.send("/ampd/mix", number / 200)
        client.send("/ampd/rig", "loud")
        client.send("/ampd/mix", 0.875)
        while client.until("/ampd/mix") != [0.875]:
            pass
    assert served.session.state.wanted_rig == "loud"
    assert served.session.state.values["mix"] == 0.875


def test_bad_packets_log_a_few_lines_a_second(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with served.client() as client:
        begin = time.monotonic()
        for _ in range(500):
            client.throw(b"garbage!")
        client.alive()
        seconds = int(time.monotonic() - begin) + 2
    dropped = [record for record in caplog.records if "dropped" in record.message]
    assert 1 <= len(dropped) <= 5 * seconds


def test_status_is_the_state_as_json(served: Served) -> None:
    with served.client() as client:
        state = json.loads(client.ask("/ampd/status")[1][0])
        assert state["rig"] == "clean"
        assert [rig["name"] for rig in state["rigs"]] == ["clean", "drive", "loud"]


def test_ask_returns_the_answer_or_the_daemons_sentence(served: Served) -> None:
    assert ask("127.0.0.1", served.port, "rig", ["drive"]) == ["drive"]
    with pytest.raises(CommandError, match="no rig nosuch"):
        ask("127.0.0.1", served.port, "rig", ["nosuch"])


def test_ask_says_when_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with pytest.raises(UnreachableError, match=f"No ampd answers at 127.0.0.1:{port}"):
        ask("127.0.0.1", port, "rig")


@pytest.mark.skipif(shutil.which("oscsend") is None, reason="oscsend (liblo-tools) is absent")
def test_liblo_sends_and_receives(served: Served) -> None:
    def send(address: str, *arguments: str) -> None:
        argv = ["oscsend", "127.0.0.1", str(served.port), address, *arguments]
        subprocess.run(argv, check=True, timeout=10)

    with served.client() as client:
        client.send("/ampd/subscribe")
        client.until("/ampd/subscribe")
        send("/ampd/rig", "s", "drive")
        assert client.until("/ampd/rig") == ["drive"]
        assert client.until("/ampd/amp/level_db") == [-3.0]
        send("/ampd/amp/level_db", "f", "-6")
        assert client.until("/ampd/amp/level_db") == [-6.0]
        send("/ampd/amp/level_db", "i", "-9")
        assert client.until("/ampd/amp/level_db") == [-9.0]
        send("/ampd/bypass", "T")
        assert client.until("/ampd/bypass") == [True]
        send("/ampd/rig/next")
        assert client.until("/ampd/rig") == ["loud"]


def is_bound(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return True
        return False


@pytest.mark.skipif(shutil.which("oscdump") is None, reason="oscdump (liblo-tools) is absent")
def test_liblo_reads_what_is_sent(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["oscdump", "-L", str(port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as dump:
        try:
            assert dump.stdout is not None
            deadline_s = time.monotonic() + LIMIT_S
            while not is_bound(port):
                assert time.monotonic() < deadline_s, "oscdump does not listen"
            with served.client() as client:
                client.send("/ampd/subscribe", port, "/ampd/gain/")
                client.until("/ampd/subscribe")
            assert select.select([dump.stdout], [], [], LIMIT_S)[0], "oscdump heard nothing"
            line = dump.stdout.readline().decode()
            assert line.split()[-3:] == ["/ampd/gain/gain_db", "f", "3.000000"]
        finally:
            dump.terminate()


@pytest.mark.parametrize(
    ("address", "arguments"),
    [
        ("/a", []),
        ("/ampd/mix", [0.5, 3, "text", True, False]),
        ("/ampd/event/swap", ["drive", "clean", 1.5, "crossfade"]),
        ("/x" * 100, ["", "a", "ab", "abc", "abcd"]),
    ],
)
def test_encoded_message_decodes_to_itself(address: str, arguments: list[Any]) -> None:
    assert decode(encode(address, arguments)) == (address, arguments)


def test_every_truncation_of_a_message_is_refused_or_a_query() -> None:
    message = encode("/ampd/rig", ["drive"])
    for length in range(len(message)):
        try:
            address, arguments = decode(message[:length])
        except PacketError:
            continue
        assert (address, arguments) == ("/ampd/rig", [])


def test_datagram_of_the_largest_size_is_opened() -> None:
    message = encode("/ampd/mix", [0.0])
    count = (MAX_DATAGRAM - len(BUNDLE)) // (len(message) + 4)
    assert count > 256
    with pytest.raises(PacketError, match="expected at most 256"):
        unpack(bundle(*[message] * count))
    assert unpack(bundle(*[message] * 256)) == [message] * 256


SHOTS = "program: 3\nsnapshots: [{name: soft, mix: 0.25}, {name: hard, mix: 0.75}]\n"


def test_snapshots_and_sets_are_reached_by_osc(served: Served) -> None:
    (served.library.rigs_path / "shots.yaml").write_text(SHOTS)
    served.library.sets_path.mkdir()
    (served.library.sets_path / "gig.yaml").write_text("rigs: [drive]\n")
    with served.client() as client:
        assert client.ask("/ampd/rig", "shots") == ["/ampd/rig", ["shots"]]
        assert client.ask("/ampd/snapshots") == ["/ampd/snapshots", ["soft", "hard"]]
        assert client.ask("/ampd/snapshot", 2) == ["/ampd/snapshot", [2.0]]
        assert client.ask("/ampd/mix") == ["/ampd/mix", [0.75]]
        assert client.ask("/ampd/snapshot/next") == ["/ampd/snapshot", [1.0]]
        assert client.ask("/ampd/snapshot/prev", 1) == ["/ampd/snapshot", [2.0]]
        assert client.ask("/ampd/snapshot/prev", 0) == ["/ampd/snapshot", [2.0]]
        assert client.ask("/ampd/set", "gig") == ["/ampd/set", ["gig"]]
        assert client.ask("/ampd/sets") == ["/ampd/sets", ["", "gig"]]
        assert client.ask("/ampd/rigs") == ["/ampd/rigs", ["drive"]]
        assert client.ask("/ampd/set/next") == ["/ampd/set", [""]]
        assert client.ask("/ampd/set") == ["/ampd/set", [""]]
        address, (at, text) = client.ask("/ampd/set", "gog")
        assert (address, at, text) == ("/ampd/error", "/ampd/set", "set gog: there is gig.")


def test_globals_are_asked_and_set_by_osc(served: Served) -> None:
    with served.client() as client:
        assert client.ask("/ampd/master_db", -6.0) == ["/ampd/master_db", [-6.0]]
        assert client.ask("/ampd/master_db") == ["/ampd/master_db", [-6.0]]
        assert client.ask("/ampd/tempo_bpm", 90) == ["/ampd/tempo_bpm", [90.0]]
        address, (bpm,) = client.ask("/ampd/tap")
        assert (address, bpm) == ("/ampd/tempo_bpm", 90.0)
        assert client.ask("/ampd/tuner", True) == ["/ampd/tuner", [True]]
        assert client.ask("/ampd/tuner_mutes", 0) == ["/ampd/tuner_mutes", [False]]
        assert client.ask("/ampd/tuner_reference_hz", 432) == ["/ampd/tuner_reference_hz", [432.0]]
        assert client.ask("/ampd/mute", True) == ["/ampd/mute", [True]]
        assert client.ask("/ampd/panic") == ["/ampd/bypass", [True]]
        assert client.ask("/ampd/mute") == ["/ampd/mute", [False]]
        assert client.ask("/ampd/tuner") == ["/ampd/tuner", [False]]


def test_learn_waits_for_a_controller_while_others_are_served(served: Served) -> None:
    with served.client() as learner, served.client() as other:
        learner.send("/ampd/learn")
        other.alive()
        assert other.ask("/ampd/mix", 0.5) == ["/ampd/mix", [0.5]]
        moved = host(served.session, 64, bytes([0xB1, 20, 33]))
        asyncio.run_coroutine_threadsafe(moved, served.loop).result(LIMIT_S)
        other.ask("/ampd/mix", 0.5)
        assert learner.receive() == ("/ampd/learn", [2, 20, 33])


def test_ask_of_a_button_waits_for_what_it_moves(served: Served) -> None:
    assert ask("127.0.0.1", served.port, "rig/next", answer_path="rig") == ["drive"]


def test_datagrams_that_wait_together_are_all_done_in_order(served: Served) -> None:
    """A loop that was busy finds them all at once: of values the last counts, of buttons each."""
    with served.client() as client:
        held = threading.Event()
        served.loop.call_soon_threadsafe(held.wait, LIMIT_S)
        for step in range(100):
            client.send("/ampd/mix", step / 128)
        client.send("/ampd/mix", float("nan"))  # is refused, and the one before it counts
        for _ in range(4):
            client.send("/ampd/rig/next", 1.0)  # clean -> drive -> loud -> clean -> drive
        client.send("/ampd/rig", "loud")
        client.send("/ampd/output/gain_db", -3.0)
        client.send("/ampd/mix", 0.25)
        client.send("/ampd/input/gain_db", 1.0)
        client.send("/ampd/mix", 0.75)
        held.set()
        mixes: list[float] = []
        address = ""
        while address != "/ampd/input/gain_db":  # it waits behind the mix that was replaced
            address, arguments = client.receive()
            if address == "/ampd/mix":
                mixes += arguments
            elif address == "/ampd/error":
                assert "nan" in arguments[1]
    assert mixes == [99 / 128, 0.75]
    state = served.session.state
    assert (state.wanted_rig, state.values["output/gain_db"]) == ("loud", -3.0)
    assert state.values["input/gain_db"] == 1.0


def test_every_press_of_a_button_counts(served: Served) -> None:
    with served.client() as client:
        held = threading.Event()
        served.loop.call_soon_threadsafe(held.wait, LIMIT_S)
        for _ in range(4):
            client.send("/ampd/rig/next", 1.0)
        held.set()
        heard = [client.until("/ampd/rig")[0] for _ in range(4)]
    assert heard == ["drive", "loud", "clean", "drive"]
