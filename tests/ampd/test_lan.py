"""Machines of the network at the real endpoints: guests, paired ones, forgers, and pages."""

import asyncio
import hashlib
import hmac
import http.client
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from ampd.control import query, stream
from ampd.control.desk import LONG_BURST
from ampd.control.gate import HOW_TO_PAIR
from ampd.control.limits import BURST
from ampd.control.packet import decode, encode
from ampd.pairing import Pairing
from tests.ampd.conftest import LIMIT_S, Client, Served

GUEST, PHONE, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.99"


def silent(client: Client, limit_s: float = 0.1) -> bool:
    """Whether nothing comes."""
    client.socket.settimeout(limit_s)
    try:
        client.receive()
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(LIMIT_S)
    return False


def greet(client: Client) -> int:
    """The number of the client's place."""
    client.throw(hello(0))
    (number,) = client.until("/ampd/hello")
    assert isinstance(number, int)
    return number


def hello(number: int) -> bytes:
    return b"/ampd/hello\0,h\0\0" + struct.pack(">q", number)


def known(client: Client) -> Client:
    """The client, once it has shown where it is."""
    client.throw(hello(greet(client)))
    client.until("/ampd/hello")
    return client


class Signer:
    """A client that signs, written from the definition."""

    def __init__(self, client: Client, token: str) -> None:
        self.client, self._token, self._counter = client, token, 0
        self._number = greet(client)

    def packet(self, path: str, *arguments: float | bool | str) -> bytes:
        self._counter += 1
        number = f"{self._number:032x}"
        text = encode(f"/ampd/signed/{path}", [number, self._counter, *arguments])
        mac = hmac.new(self._token.encode(), text, hashlib.sha256).hexdigest()[:32]
        return text.replace(number.encode(), mac.encode(), 1)


# --- over UDP -----------------------------------------------------------------------------------


def test_stranger_gets_no_answer_at_all(lan: Served, pairing: Pairing) -> None:
    with lan.client(STRANGER) as stranger:
        for packet in (
            encode("/ampd/ping"),
            hello(0),
            encode(f"/ampd/{pairing.token}/mix", [0.25]),
            b"/ampd/mix\0\0\0,f\0\0",
        ):
            stranger.throw(packet)
        assert silent(stranger)
    with lan.client() as here:
        assert here.ask("/ampd/mix") == ["/ampd/mix", [1.0]]


def test_guest_switches_mutes_and_tunes_and_no_more(lan: Served) -> None:
    with lan.client(GUEST) as guest, lan.client() as here:
        known(guest)
        assert guest.ask("/ampd/rig", "drive") == ["/ampd/rig", ["drive"]]
        assert guest.ask("/ampd/rig/next") == ["/ampd/rig", ["loud"]]
        assert guest.ask("/ampd/mute", True) == ["/ampd/mute", [True]]
        assert guest.ask("/ampd/tuner", 1) == ["/ampd/tuner", [True]]
        assert guest.ask("/ampd/mix") == ["/ampd/mix", [0.5]]
        for path, value in (("mix", 0.25), ("gain/gain_db", 9.0), ("bypass", True), ("set", "")):
            address, (at, text) = guest.ask(f"/ampd/{path}", value)
            assert (address, at) == ("/ampd/error", f"/ampd/{path}")
            assert text == f"{path}: {HOW_TO_PAIR}"
            assert "`ampd page`" in text
        for path in ("panic", "tap", "learn", "pair"):
            assert guest.ask(f"/ampd/{path}")[1][1] == f"{path}: {HOW_TO_PAIR}"
        assert here.ask("/ampd/mix") == ["/ampd/mix", [0.5]]
        assert here.ask("/ampd/gain/gain_db") == ["/ampd/gain/gain_db", [12.0]]


def test_forged_sender_is_never_told_more_than_was_sent(lan: Served) -> None:
    """Whoever the datagrams claim to come from hears at most as many bytes as they had."""
    questions = [
        encode("/ampd/status"),
        encode("/ampd/rigs"),
        encode("/ampd/ping"),
        encode("/ampd/subscribe"),
        encode("/ampd/subscribe", ["/ampd/*", 3600, "now"]),
        encode("/ampd/models", ["", 0]),
        encode("/ampd/rig/next"),
        encode("/ampd/mix", [0.5]),
        encode("/ampd/nosuch/address", [1.0]),
        encode("/other"),
        b"/ampd/mix\0\0\0",
        b"/ampd/mix\0\0\0,f\0\0",
        b"/ampd/hello\0",
        hello(0),
        b"#bundle\0" + bytes(8) + (struct.pack(">i", 20) + encode("/ampd/subscribe")) * 3,
    ]
    with lan.client() as here:
        for question in questions:
            with lan.client(GUEST) as victim:
                victim.throw(question)
                here.alive()
                time.sleep(0.05)
                victim.socket.setblocking(False)
                heard = 0
                while True:
                    try:
                        heard += len(victim.socket.recv(65536))
                    except BlockingIOError:
                        break
                assert heard <= len(question), question
        here.ask("/ampd/mix", 0.125)  # and nobody of them subscribes
        assert lan.session.state.values["mix"] == 0.125


def test_number_sent_back_makes_a_guest_known(lan: Served) -> None:
    with lan.client(GUEST) as guest, lan.client() as here:
        guest.send("/ampd/subscribe", "/ampd/mix")
        assert guest.receive()[0] == "/ampd/hello"
        number = greet(guest)
        guest.throw(hello(number ^ 1))  # somebody else's
        guest.until("/ampd/hello")
        guest.send("/ampd/subscribe", "/ampd/mix")
        assert guest.receive()[0] == "/ampd/hello"
        guest.throw(hello(number))
        guest.until("/ampd/hello")
        guest.send("/ampd/subscribe", "/ampd/mix")
        assert guest.until("/ampd/mix") == [1.0]
        assert guest.until("/ampd/subscribe") == [30]
        here.ask("/ampd/mix", 0.5)
        assert guest.until("/ampd/mix") == [0.5]


def test_token_in_the_address_turns_knobs_and_hears_them_there(
    lan: Served, pairing: Pairing
) -> None:
    root = f"/ampd/{pairing.token}"
    with lan.client(PHONE) as surface, lan.client() as here:
        assert surface.ask(f"{root}/gain/gain_db", 99.0) == [f"{root}/gain/gain_db", [40.0]]
        assert surface.ask(f"{root}/mix/norm", 0.25) == [f"{root}/mix/norm", [0.25]]
        assert surface.ask(f"{root}/pair")[1][1] == "pair: the token is told to the box alone."
        assert surface.ask(f"{root}/nosuch/x", 1.0)[0] == f"{root}/error"
        port = surface.socket.getsockname()[1]
        with lan.client(PHONE) as other:  # it receives at another port than it sends from
            other.send(f"{root}/subscribe", port, "/ampd/gain/*")
            assert surface.receive() == (f"{root}/gain/gain_db", [40.0])
        here.ask("/ampd/gain/gain_db", 1.5)
        assert surface.until(f"{root}/gain/gain_db") == [1.5]


def test_wrong_token_does_nothing_and_the_log_says_so_briefly(
    lan: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with lan.client(GUEST) as guest, lan.client() as here:
        begin = time.monotonic()
        for number in range(300):
            guest.send(f"/ampd/{number:026d}".replace("0", "a") + "/mix", 0.5)
        for letter in "bcdefghijklmnopqrstuvwxyz234567":
            guest.send(f"/ampd/{letter * 26}/mix", 0.5)
        here.alive()
        time.sleep(0.2)
        seconds = int(time.monotonic() - begin) + 1
        assert here.ask("/ampd/mix") == ["/ampd/mix", [1.0]]
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 1 <= len(lines) <= 10 * seconds
    assert "not the box's" in caplog.text


def test_signed_message_is_done_once_and_answered_each_time(lan: Served, pairing: Pairing) -> None:
    with lan.client(PHONE) as client:
        signer = Signer(client, pairing.token)
        packet = signer.packet("gain/gain_db", -6.0)
        client.throw(packet)
        assert client.receive() == ("/ampd/gain/gain_db", [-6.0])
        assert client.receive() == ("/ampd/done", [1])
        step = signer.packet("rig/next")
        for _ in range(5):  # as where the answers were lost
            client.throw(step)
            assert client.receive() == ("/ampd/rig", ["drive"])
            assert client.receive() == ("/ampd/done", [2])
        client.throw(packet)
        assert client.receive()[0] == "/ampd/error"  # drive has no such knob
        assert client.receive() == ("/ampd/done", [1])
        assert lan.session.state.wanted_rig == "drive"
        client.throw(signer.packet("gain/gain_db", 1.0))
        assert client.receive()[0] == "/ampd/error"
        assert client.receive() == ("/ampd/done", [3])
        forged = bytearray(signer.packet("amp/gain_db", 1.0))
        forged[-1] ^= 1
        client.throw(bytes(forged))
        address, (_, text) = client.receive()
        assert address == "/ampd/error"
        assert "not good" in text
    assert lan.session.state.values["amp/gain_db"] == 6.0


def test_new_token_makes_guests_of_all(lan: Served, pairing: Pairing) -> None:
    old = pairing.token
    with lan.client() as here, lan.client(PHONE) as phone:
        assert here.ask("/ampd/pair") == ["/ampd/pair", [old]]
        (new,) = here.ask("/ampd/pair", "new")[1]
        assert new != old
        assert Pairing(pairing.path).token == new
        phone.send(f"/ampd/{old}/mix", 0.5)
        assert phone.receive()[0] == "/ampd/hello"  # a guest's, as any other
        assert phone.ask(f"/ampd/{new}/mix", 0.75) == [f"/ampd/{new}/mix", [0.75]]
        assert lan.session.state.values["mix"] == 0.75


def test_without_a_network_there_is_no_token(served: Served) -> None:
    with served.client() as client:
        address, (at, text) = client.ask("/ampd/pair")
        assert (address, at) == ("/ampd/error", "/ampd/pair")
        assert "lan = true" in text
        assert client.ask(f"/ampd/{'a' * 26}/mix", 0.5)[0] == "/ampd/error"
        assert client.ask("/ampd/mix") == ["/ampd/mix", [1.0]]


def test_guests_do_not_fill_the_queue(lan: Served) -> None:
    with lan.client(GUEST) as guest, lan.client() as here:
        held = threading.Event()
        lan.loop.call_soon_threadsafe(held.wait, LIMIT_S)
        for number in range(120):
            guest.send("/ampd/rig", ("drive", "clean")[number % 2])
            guest.send("/ampd/rig/next")
        here.send("/ampd/master_db", -3.0)
        held.set()
        assert here.receive() == ("/ampd/master_db", [-3.0])


def test_guest_gets_few_long_answers_and_few_subscriptions(lan: Served) -> None:
    with lan.client(GUEST) as guest, lan.client(PHONE) as phone, lan.client() as here:
        known(guest)
        refused = 0
        for _ in range(3 * LONG_BURST):
            answer = guest.ask("/ampd/status")
            refused += answer[0] == "/ampd/error" and "send slower" in answer[1][1]
        assert refused > LONG_BURST
        known(phone)
        for port in range(20000, 20004):
            phone.send("/ampd/subscribe", port, "/ampd/nothing")
            assert phone.until("/ampd/subscribe") == [30]
        phone.send("/ampd/subscribe", "/ampd/nothing")
        assert "4 subscribers already" in phone.until("/ampd/error")[1]
        for _ in range(3 * LONG_BURST):
            assert here.ask("/ampd/status")[0] == "/ampd/status"


def test_bad_packet_of_the_network_is_not_answered(lan: Served) -> None:
    bad = b"/ampd/mix\0\0\0,f\0\0"
    with lan.client(GUEST) as guest, lan.client() as here:
        known(guest).throw(bad)
        assert silent(guest)
        here.throw(bad)
        assert here.receive()[0] == "/ampd/error"


def test_flood_of_one_machine_leaves_the_others_alone(lan: Served) -> None:
    with lan.client(GUEST) as guest, lan.client() as here:
        for number in range(20 * BURST):
            guest.send("/ampd/mute", bool(number % 2))
            if number % 500 == 0:  # how soon is C2's
                assert here.ask("/ampd/gain/gain_db", 1.0) == ["/ampd/gain/gain_db", [1.0]]
        guest.send("/ampd/mute", True)
        deadline_s = time.monotonic() + LIMIT_S
        while here.ask("/ampd/mute") != ["/ampd/mute", [True]]:
            assert time.monotonic() < deadline_s


# --- over TCP and HTTP --------------------------------------------------------------------------


def connect(served: Served, host: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), LIMIT_S, (host, 0))


def ended(connection: socket.socket) -> bool:
    """Whether the other side has hung up."""
    try:
        return connection.recv(100) == b""
    except ConnectionError:
        return True


def tcp_ask(connection: socket.socket, packet: bytes) -> tuple[str, list[Any]]:
    connection.sendall(struct.pack(">i", len(packet)) + packet)
    (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
    return decode(connection.recv(size, socket.MSG_WAITALL))


def test_stranger_is_hung_up_on_unread(lan: Served) -> None:
    with connect(lan, STRANGER) as stranger:
        assert ended(stranger)


def test_guest_and_paired_over_tcp(lan: Served, pairing: Pairing) -> None:
    with connect(lan, GUEST) as guest:
        assert tcp_ask(guest, encode("/ampd/rig", ["drive"])) == ("/ampd/rig", ["drive"])
        address, (_, text) = tcp_ask(guest, encode("/ampd/amp/gain_db", [1.0]))
        assert (address, text) == ("/ampd/error", f"amp/gain_db: {HOW_TO_PAIR}")
        prefixed = f"/ampd/{pairing.token}/amp/gain_db"
        assert tcp_ask(guest, encode(prefixed, [1.0])) == (prefixed, [1.0])


def test_subscription_of_a_paired_connection_ends_with_it(lan: Served, pairing: Pairing) -> None:
    for _ in range(40):  # more than may subscribe at once
        with connect(lan, PHONE) as phone:
            packet = encode(f"/ampd/{pairing.token}/subscribe", ["/ampd/mix"])
            assert tcp_ask(phone, packet)[0] == f"/ampd/{pairing.token}/mix"


def test_stream_that_sends_too_much_is_read_slower_and_its_last_value_comes(lan: Served) -> None:
    packets = [encode("/ampd/mute", [bool(number % 2)]) for number in range(5000)]
    packets.append(encode("/ampd/rig", ["drive"]))
    with connect(lan, GUEST) as guest, lan.client() as here:
        guest.sendall(b"".join(struct.pack(">i", len(each)) + each for each in packets))
        here.alive()  # others do not wait for it
        deadline_s = time.monotonic() + LIMIT_S
        while here.ask("/ampd/rig") != ["/ampd/rig", ["drive"]]:
            assert time.monotonic() < deadline_s
        assert lan.session.state.globals["mute"] is True


def test_machine_of_the_network_has_so_many_connections_and_this_one_its_own(
    lan: Served, caplog: pytest.LogCaptureFixture
) -> None:
    opened = [connect(lan, f"127.0.0.{2 + n % 4}") for n in range(stream.MAX_CONNECTIONS + 10)]
    try:
        with connect(lan, GUEST) as guest:
            assert ended(guest)
        with connect(lan, "127.0.0.1") as here:
            assert tcp_ask(here, encode("/ampd/rig")) == ("/ampd/rig", ["clean"])
    finally:
        for each in opened:
            each.close()
    assert "too many connections" in caplog.text


@pytest.mark.parametrize(
    "begin", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\0", b"\0\0\0\x08/a"]
)
def test_connection_that_never_says_what_it_wants_is_closed(
    lan: Served, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(stream, "SILENCE_LIMIT_S", 0.1)
    with connect(lan, GUEST) as guest:
        guest.sendall(begin)
        assert ended(guest)


def test_endless_head_of_a_request_is_closed(lan: Served) -> None:
    with connect(lan, GUEST) as guest:
        try:
            for _ in range(1000):
                guest.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000)
        except ConnectionError:
            return
        assert ended(guest)


def request(
    served: Served, method: str, path: str, host: str = GUEST, body: str = "", **headers: str
) -> tuple[int, Any, str]:
    """Status, JSON and cookie of a browser's own request."""
    at = f"127.0.0.1:{served.port}"
    connection = http.client.HTTPConnection(
        "127.0.0.1", served.port, timeout=LIMIT_S, source_address=(host, 0)
    )
    if method == "POST":
        headers = {"Origin": f"http://{at}", "Content-Type": "application/json"} | headers
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    is_json = answer.getheader("Content-Type", "").startswith("application/json")
    document = json.loads(data) if is_json else None
    return answer.status, document, answer.getheader("Set-Cookie", "")


def test_browser_pairs_and_may_save(lan: Served, pairing: Pairing) -> None:
    save = json.dumps({"name": "kept"})
    status, document, _ = request(lan, "POST", "/save", body=save)
    assert (status, document["error"]) == (403, f"save: {HOW_TO_PAIR}")
    assert request(lan, "POST", "/pair", body='{"token": "wrong"}')[0] == 403
    token = json.dumps({"token": pairing.token})
    assert request(lan, "POST", "/pair", body=token, Origin="http://evil.example")[0] == 403
    status, document, cookie = request(lan, "POST", "/pair", body=token)
    assert (status, document) == (200, {"paired": True})
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert pairing.token not in cookie
    shown = cookie.partition(";")[0]
    assert request(lan, "POST", "/save", body=save, Cookie=shown)[0] == 200
    pairing.renew()
    assert request(lan, "POST", "/save", body=save, Cookie=shown)[0] == 403


def test_upload_wants_a_pairing(lan: Served, pairing: Pairing) -> None:
    model = (lan.library.models_path / "tiny" / "tiny.json").read_text()
    binary = {"Content-Type": "application/octet-stream"}
    status, document, _ = request(lan, "POST", "/upload/new.json", body=model, **binary)
    assert (status, document["error"]) == (403, f"upload: {HOW_TO_PAIR}")
    cookie = f"ampd-{lan.port}={pairing.cookie()}"
    status, document, _ = request(
        lan, "POST", "/upload/new.json", body=model, Cookie=cookie, **binary
    )
    assert (status, document) == (200, {"name": "new"})
    again = request(lan, "POST", "/upload/new.json", body=model, Cookie=cookie, **binary)
    assert again[0] == 409
    path = "/upload/..%2f..%2fnew.json"
    assert request(lan, "POST", path, body=model, Cookie=cookie, **binary)[0] in (404, 409)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("rebind.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1", 403),
        ("box.local:9010", 200),
        ("localhost", 200),
        ("192.168.1.5:9010", 200),
        ("[fe80::1]:9010", 200),
        ("box", 200),
    ],
)
@pytest.mark.parametrize("host", [GUEST, "127.0.0.1"])
def test_name_that_a_stranger_can_point_here_is_not_served(
    lan: Served, name: str, status: int, host: str
) -> None:
    assert request(lan, "GET", "/ampd/rig", host, Host=name)[0] == status


def test_requests_of_one_machine_are_counted(lan: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: 1000.0)  # no second goes by
    monkeypatch.setattr("ampd.control.limits.time", clock)
    connection = http.client.HTTPConnection(
        "127.0.0.1", lan.port, timeout=LIMIT_S, source_address=(GUEST, 0)
    )
    found = []
    for _ in range(query.REQUEST_BURST + 5):
        connection.request("GET", "/page/icon.svg")
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    connection.close()
    assert found == [200] * query.REQUEST_BURST + [429] * 5
    assert request(lan, "GET", "/ampd/rig", PHONE)[0] == 200
    assert request(lan, "GET", "/ampd/rig", "127.0.0.1")[0] == 200


def test_nonsense_over_http_leaves_no_traceback(
    lan: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for data in (
        b"\x16\x03\x01\x02\r\n\r\n",
        b"GET \x00 HTTP/1.1\r\n\r\n",
        b"POST /pair HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /save HTTP/1.1\r\nTransfer-Encoding: chunked\r\nOrigin: x\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"a" * 100 + b"\r\n\r\n",
    ):
        with connect(lan, GUEST) as guest:
            guest.sendall(data)
            guest.shutdown(socket.SHUT_WR)
            while not ended(guest):
                pass
    assert request(lan, "GET", "/ampd/rig")[0] == 200
    assert not [record for record in caplog.records if record.exc_info]
    assert "HTTP from 127.0.0.2 dropped" in caplog.text


@contextmanager
def told(served: Served, cookie: str = "") -> Iterator[list[Any]]:
    """What the WebSocket of a browser on the network is told first."""
    found: list[Any] = []

    async def story() -> None:
        connector = aiohttp.TCPConnector(local_addr=(GUEST, 0))
        headers = {"Origin": f"http://127.0.0.1:{served.port}", "Cookie": cookie}
        async with (
            asyncio.timeout(LIMIT_S),
            aiohttp.ClientSession(connector=connector) as client,
            client.ws_connect(f"ws://127.0.0.1:{served.port}/", headers=headers) as ws,
        ):
            await ws.send_bytes(encode("/ampd/mix", [0.5]))
            while True:
                message = await ws.receive()
                found.append(message.data)
                if message.type == aiohttp.WSMsgType.BINARY:
                    break

    asyncio.run(story())
    yield found


def test_websocket_of_a_guest_is_told_its_rights(lan: Served, pairing: Pairing) -> None:
    with told(lan) as found:
        assert json.loads(found[0]) == {"COMMAND": "RIGHTS", "DATA": "guest"}
        assert decode(found[1]) == ("/ampd/error", ["/ampd/mix", f"mix: {HOW_TO_PAIR}"])
    with told(lan, f"ampd-{lan.port}={pairing.cookie()}") as found:
        assert [decode(each) for each in found] == [("/ampd/mix", [0.5])]


def test_fault_of_ours_costs_one_message_and_not_the_way_in(
    lan: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with lan.client() as here:
        with monkeypatch.context() as patch:
            patch.setattr("ampd.control.desk.read", fail)
            for _ in range(2 * BURST):
                here.send("/ampd/mix")
            patch.setattr("ampd.control.desk.Desk._answer", fail)
            here.send("/ampd/mix", 0.5)
            while "an internal error" not in here.until("/ampd/error")[1]:
                pass
        assert here.ask("/ampd/rig") == ["/ampd/rig", ["clean"]]
        assert here.ask("/ampd/mix", 0.25) == ["/ampd/mix", [0.25]]
    assert sum(bool(record.exc_info) for record in caplog.records) <= 20
