"""The daemon outlives its server, its neighbours and its input."""

import socket

import numpy as np
import pytest

from tests.demo.osc import Osc
from tests.demo.stage import Stage, status, until_status
from tests.e2e.conftest import Opener
from tests.e2e.gig import HERE
from tests.e2e.rack import Rack, far, noise

pytestmark = pytest.mark.jack

EXACT = 1e-6
STOP_LIMIT_S = 20.0  # it hangs


def test_daemon_waits_for_a_server_and_plays_when_it_comes(stage: Stage, open_rack: Opener) -> None:
    rack = open_rack()
    # It waits from the start, and knows why once it has tried.
    until_status(
        rack.osc,
        lambda s: s["jack"]["state"] == "waiting" and s["jack"]["reason"],
        "JACK is waited for, and why",
    )
    stage.start_server()
    rack.until_jack("running")
    rack.until_rig("loud")
    sound = noise(1.0)
    assert far(rack.passed(sound)[:, 0], rack.rendered("loud", sound)) <= EXACT


def test_killed_server_leaves_the_daemon_alive_and_a_new_one_gives_sound(
    stage: Stage, open_rack: Opener
) -> None:
    server = stage.start_server()
    rack = open_rack("--rig", "quiet")
    rack.until_jack("running")
    pid = rack.pid
    server.process.kill()
    server.wait(5.0)
    rack.until_jack("lost", "waiting")
    assert rack.osc.ask("/ampd/rig", "net").values == ("net",)  # the control plane goes on
    stage.start_server()
    rack.until_jack("running")
    rack.until_rig("net")
    sound = noise(1.0)
    assert far(rack.passed(sound)[:, 0], rack.rendered("net", sound)) <= EXACT
    assert rack.pid == pid
    assert not rack.daemon.running.ended


BAD_COMMANDS: list[tuple[str, str | float, list[str]]] = [
    ("/ampd/rig", "nosuch", ["nosuch"]),
    ("/ampd/rig", "../loud", ["../loud"]),
    ("/ampd/rig", "broken", ["half"]),
    ("/ampd/rig", "typo", ["gian_db", "gain_db"]),
    ("/ampd/rig", "orphan", ["nowhere"]),
    ("/ampd/nosuch/param", 1.0, ["nosuch"]),
    ("/ampd/mix", "loud", ["mix"]),
    ("/ampd/output/gain_db", float("nan"), ["gain_db"]),
]


def test_each_bad_command_gets_one_sentence_and_the_sound_goes_on(rack: Rack) -> None:
    sound = noise(4.0)
    passage = rack.begin(sound)
    errors = [rack.osc.ask(address, value) for address, value, _ in BAD_COMMANDS]
    out = passage.end()[:, 0]
    for error, (address, _, words) in zip(errors, BAD_COMMANDS, strict=True):
        assert error.address == "/ampd/error"
        assert error.values[0] == address
        text = str(error.values[1])
        assert text.count("\n") == 0
        assert len(text) < 400
        assert [word for word in words if word not in text] == []
    assert far(out, rack.rendered("loud", sound)) <= EXACT
    assert status(rack.osc)["rig"] == "loud"


def test_second_daemon_on_a_taken_port_says_so_and_the_first_plays_on(rack: Rack) -> None:
    sound = noise(2.0)
    passage = rack.begin(sound)
    settings = HERE | {"client_name": '"other"'}
    second = rack.stage.start_daemon("--rig", "loud", settings=settings, port=rack.daemon.port)
    assert second.running.wait(20.0) != 0
    words = second.running.last_words()
    assert str(rack.daemon.port) in words
    assert "Traceback" not in words
    assert far(passage.end()[:, 0], rack.rendered("loud", sound)) <= EXACT


def test_missing_start_rig_is_named(stage: Stage) -> None:
    daemon = stage.start_daemon("--rig", "nosuch", settings=HERE)
    assert daemon.running.wait(20.0) != 0
    words = daemon.running.last_words()
    assert "nosuch" in words
    assert "Traceback" not in words


@pytest.mark.parametrize("with_server", [True, False])
def test_sigterm_ends_the_daemon_well(stage: Stage, open_rack: Opener, with_server: bool) -> None:
    if with_server:
        stage.start_server()
    rack = open_rack()
    rack.until_jack("running" if with_server else "waiting")
    rack.daemon.running.process.terminate()
    assert rack.daemon.running.wait(STOP_LIMIT_S) == 0
    assert "Traceback" not in rack.daemon.running.last_words()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", rack.daemon.port))  # the port is free again


def test_garbage_on_the_osc_port_changes_nothing(rack: Rack) -> None:
    sound = noise(1.0)
    passage = rack.begin(sound)
    rng = np.random.default_rng(3)
    packets = [b"", b"/", b"/ampd/rig", b"/ampd/rig\0\0\0,s\0\0net", b"#bundle\0" + b"\xff" * 16]
    packets += [rng.bytes(int(rng.integers(1, 1400))) for _ in range(200)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
        for packet in packets:
            hostile.sendto(packet, ("127.0.0.1", rack.daemon.port))
    with Osc(rack.daemon.port) as other:
        assert other.ask("/ampd/ping").address == "/ampd/pong"
    assert far(passage.end()[:, 0], rack.rendered("loud", sound)) <= EXACT
    assert status(rack.osc)["rig"] == "loud"
