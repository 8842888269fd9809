"""OSCQuery over HTTP and WebSocket, by a client that knows nothing of the daemon."""

import asyncio
import http.client
import json
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest

from ampd.control.osc import decode, encode
from ampd.control.params import rows
from tests.ampd.conftest import LIMIT_S, Served

BOARD = "chain:\n  - amp: {model: tiny}\n  - delay: {}\n"


def get(served: Served, path: str, **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=LIMIT_S)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Content-Type") or "", answer.read()
    connection.close()
    return found


def ask(served: Served, path: str) -> Any:
    status, kind, body = get(served, path)
    assert status == 200
    assert kind.startswith("application/json")
    return json.loads(body)


Story = Callable[[aiohttp.ClientWebSocketResponse], Coroutine[Any, Any, None]]


def over_socket(served: Served, story: Story, **headers: str) -> None:
    async def tell() -> None:
        url = f"ws://127.0.0.1:{served.port}/"
        async with (
            asyncio.timeout(4 * LIMIT_S),
            aiohttp.ClientSession() as client,
            client.ws_connect(url, headers=headers) as socket,
        ):
            await story(socket)

    asyncio.run(tell())


async def until(socket: aiohttp.ClientWebSocketResponse, address: str) -> list[Any]:
    async for message in socket:
        if message.type == aiohttp.WSMsgType.BINARY:
            found, arguments = decode(message.data)
            if found == address:
                return arguments
    raise AssertionError(f"closed before {address}")


def node_at(root: dict[str, Any], address: str) -> dict[str, Any]:
    for name in address.strip("/").split("/"):
        root = root["CONTENTS"][name]
    return root


def test_host_info_names_the_ports_and_what_is_supported(served: Served) -> None:
    info = ask(served, "/?HOST_INFO")
    assert info["NAME"] == "ampd"
    assert info["OSC_PORT"] == info["WS_PORT"] == served.port
    assert info["OSC_TRANSPORT"] == "UDP"
    for extension in ("VALUE", "RANGE", "ACCESS", "LISTEN", "PATH_CHANGED"):
        assert info["EXTENSIONS"][extension] is True


def test_every_address_is_in_the_tree_with_the_tables_range(served: Served) -> None:
    (served.library.rigs_path / "board.yaml").write_text(BOARD)
    with served.client() as client:
        client.ask("/ampd/rig", "board")
    root = ask(served, "/")
    access = {"rw": 3, "r": 1, "w": 2, "call": 2, "event": 1}
    for param in rows(served.session.state):
        node = node_at(root, param.address)
        assert node["FULL_PATH"] == param.address
        assert node["ACCESS"] == access[param.access]
        assert node["DESCRIPTION"] == param.text
        if not param.is_number:
            continue
        if param.taper == "toggle":
            assert node["RANGE"] == [{"VALS": [0, 1]}]  # false and true are equal to them
        else:
            assert node["RANGE"] == [{"MIN": param.minimum, "MAX": param.maximum}]
        assert node["TYPE"] == param.types
        assert node.get("UNIT") == ([param.unit] if param.unit else None)
        norm = node_at(root, param.address + "/norm")
        assert norm["RANGE"] == [{"MIN": 0.0, "MAX": 1.0}]
        assert 0.0 <= norm["VALUE"][0] <= 1.0


def test_value_over_http_is_the_value_over_osc(served: Served) -> None:
    with served.client() as client:
        client.ask("/ampd/gain/gain_db", -6)
        for path in ("/ampd/gain/gain_db", "/ampd/rig", "/ampd/bypass", "/ampd/rigs"):
            assert ask(served, f"{path}?VALUE") == {"VALUE": client.ask(path)[1]}


def test_choices_are_told(served: Served) -> None:
    assert ask(served, "/ampd/rig?RANGE") == {"RANGE": [{"VALS": ["clean", "drive", "loud"]}]}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ampd/nosuch", 404),
        ("/ampd/gain/gain_db/norm/x", 404),
        ("/ampd/mix?UNIT", 204),
        ("/ampd/mix?BOGUS", 400),
        ("/ampd/mix?VALUE&RANGE", 400),
        ("/page/nosuch.js", 404),
        ("/page/..%2f..%2fquery.py", 404),
        ("/page/query.py", 404),
    ],
)
def test_what_is_not_there_is_said_by_its_status(served: Served, path: str, status: int) -> None:
    assert get(served, path)[0] == status


def test_browser_gets_the_page_and_a_program_the_tree(served: Served) -> None:
    assert get(served, "/", Accept="text/html,*/*")[1].startswith("text/html")
    assert get(served, "/", Accept="*/*")[1].startswith("application/json")


def test_request_that_is_no_http_is_refused_and_others_are_served(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=LIMIT_S)
    connection.connect()
    connection.sock.sendall(b"bogus\r\n\r\n")
    assert connection.sock.recv(100).startswith(b"HTTP/1.")
    connection.close()
    assert get(served, "/")[0] == 200


def test_listen_hears_changes_and_ignore_ends_them(served: Served) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        with served.client() as other:
            await socket.send_json({"COMMAND": "LISTEN", "DATA": "/ampd/mix"})
            await socket.send_bytes(encode("/ampd/ping"))
            await until(socket, "/ampd/pong")
            other.ask("/ampd/mix", 0.5)
            assert await until(socket, "/ampd/mix") == [0.5]
            other.ask("/ampd/gain/gain_db", 1)
            await socket.send_json({"COMMAND": "IGNORE", "DATA": "/ampd/mix"})
            await socket.send_bytes(encode("/ampd/ping"))
            await until(socket, "/ampd/pong")
            other.ask("/ampd/mix", 0.75)
            await socket.send_bytes(encode("/ampd/ping"))
            message = await socket.receive()
            assert decode(message.data)[0] == "/ampd/pong"

    over_socket(served, story)


def test_binary_frames_are_osc(served: Served) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_bytes(encode("/ampd/mix", [7.0]))
        assert await until(socket, "/ampd/mix") == [1.0]
        await socket.send_bytes(encode("/ampd/subscribe", ["/ampd/*", 30, "now"]))
        assert await until(socket, "/ampd/rig") == ["clean"]
        await until(socket, "/ampd/subscribe")
        await socket.send_bytes(encode("/ampd/rig", ["drive"]))
        assert (await until(socket, "/ampd/event/swap"))[:2] == ["drive", "clean"]
        await socket.send_bytes(b"garbage")
        await socket.send_bytes(encode("/ampd/nosuch/x", [1.0]))
        assert (await until(socket, "/ampd/error"))[0] == "/ampd/nosuch/x"

    over_socket(served, story)


def test_every_number_is_set_and_told_over_the_socket(served: Served) -> None:
    (served.library.rigs_path / "board.yaml").write_text(BOARD)
    with served.client() as client:
        client.ask("/ampd/rig", "board")
    params = [param for param in rows(served.session.state) if param.is_number]
    assert len(params) > 20

    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        for param in params:
            await socket.send_json({"COMMAND": "LISTEN", "DATA": param.address})
        with served.client() as other:
            for param in params:
                if param.path == "tuner":
                    continue  # silences, and is told itself in the stage's tests
                value = param.from_norm(0.5)
                other.ask(param.address, value)
                assert await until(socket, param.address) == [pytest.approx(value, rel=1e-5)]
                await socket.send_bytes(encode(param.address, [param.minimum or 0.0]))
                # It listens to the address, so what it set itself comes when it rests.
                told = await until(socket, param.address)
                assert told == [pytest.approx(param.minimum, rel=1e-5)]

    over_socket(served, story)


def test_other_addresses_are_told_as_path_changed(served: Served) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        with served.client() as other:
            other.ask("/ampd/rig", "drive")
            while (message := await socket.receive()).type != aiohttp.WSMsgType.TEXT:
                pass
            assert json.loads(message.data) == {"COMMAND": "PATH_CHANGED", "DATA": "/ampd"}

    over_socket(served, story)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"COMMAND": "LISTEN"}', '{"COMMAND": "DROP", "DATA": "/"}', "[" * 5000]
)
def test_bad_text_is_ignored(served: Served, text: str) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_str(text)
        await socket.send_bytes(encode("/ampd/ping"))
        await until(socket, "/ampd/pong")

    over_socket(served, story)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_page_of_another_server_may_not_turn_knobs(served: Served, origin: str) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        raise AssertionError("it came in")

    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        over_socket(served, story, Origin=origin)


def test_name_that_a_stranger_can_point_here_may_not_turn_knobs(served: Served) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        raise AssertionError("it came in")

    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        over_socket(served, story, Origin="http://rebind.example", Host="rebind.example")


def test_own_page_may_come_in(served: Served) -> None:
    async def story(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_bytes(encode("/ampd/ping"))
        await until(socket, "/ampd/pong")

    over_socket(served, story, Origin=f"http://127.0.0.1:{served.port}")
