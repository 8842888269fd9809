"""The whole daemon as a process, on a machine where libjack cannot be loaded: it waits."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ampd.library import Library
from tests.ampd.conftest import Client

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20


def environment(folder: Path) -> dict[str, str]:
    """Everything as it is, but dlopen finds a libjack that is none."""
    fake = folder / "no-jack"
    fake.mkdir(exist_ok=True)
    (fake / "libjack.so.0").write_text("not a library")
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LD_LIBRARY_PATH": str(fake),
        "XDG_CONFIG_HOME": str(folder),
    }


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "ampd.cli", *arguments]
    return subprocess.Popen(
        argv, cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    )


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A daemon that listens, and its port."""
    config = folder / "ampd.toml"
    if not config.exists():
        config.write_text("[osc]\nport = 0\n")
    with start(folder, "run", *arguments) as process:
        try:
            assert process.stderr is not None
            port = 0
            for line in process.stderr:
                if "listens at 127.0.0.1:" in line:
                    port = int(line.split("127.0.0.1:")[1].split()[0])
                    break
            assert port, "the daemon ended before it listened"
            yield process, port
        finally:
            process.terminate()


def end(process: "subprocess.Popen[str]") -> str:
    """Stop it as systemd does; what it said."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert "Traceback" not in said
    return str(said)


def test_daemon_waits_without_jack_and_takes_commands(library: Library, tmp_path: Path) -> None:
    with running(tmp_path) as (process, port), Client(port) as client:
        assert client.ask("/ampd/rig", "drive") == ["/ampd/rig", ["drive"]]
        assert client.ask("/ampd/amp/gain_db", 1.5) == ["/ampd/amp/gain_db", [1.5]]
        state = json.loads(client.ask("/ampd/status")[1][0])
        assert state["jack"]["state"] == "waiting"
        assert state["wanted_rig"] == "drive"
        end(process)


def test_daemon_ends_on_interrupt(library: Library, tmp_path: Path) -> None:
    with running(tmp_path) as (process, port), Client(port) as client:
        client.alive()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert "Traceback" not in said


def test_start_rig_and_model_are_played(library: Library, tmp_path: Path) -> None:
    with running(tmp_path, "--rig", "loud") as (process, port), Client(port) as client:
        assert client.ask("/ampd/rig") == ["/ampd/rig", ["loud"]]
        end(process)
    path = library.find_model("tiny")
    with running(tmp_path, "--model", str(path)) as (process, port), Client(port) as client:
        assert client.ask("/ampd/amp/gain_db") == ["/ampd/amp/gain_db", [0.0]]
        end(process)


def test_broken_configured_rig_gives_way_to_dry(library: Library, tmp_path: Path) -> None:
    (tmp_path / "ampd.toml").write_text('[osc]\nport = 0\n[rig]\nstart = "gone"\n')
    with running(tmp_path) as (process, port), Client(port) as client:
        assert client.ask("/ampd/rig") == ["/ampd/rig", ["dry"]]
        end(process)


def test_taken_port_is_one_sentence_and_code_5(library: Library, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with start(tmp_path, "run", "--osc-port", str(port)) as process:
            _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 5
    assert f"127.0.0.1:{port}: cannot listen for OSC (" in said
    assert "--osc-port" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rig", "gone"), "no rig gone; there is clean, drive, loud."),
        (("--model", "gone.nam"), "gone.nam"),
        (("--config", "gone.toml"), "gone.toml: cannot be read"),
        (("--output", "a", "b", "c"), "--output names 3 ports, expected at most 2."),
    ],
)
def test_start_that_was_asked_for_and_fails_ends_with_code_1(
    library: Library, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    with start(tmp_path, "run", *arguments) as process:
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert words in said
    assert "Traceback" not in said


def test_no_library_of_jack_is_said_and_code_4(library: Library, tmp_path: Path) -> None:
    with start(tmp_path, "ports") as process:
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 4
    assert "jack" in said.lower()
    assert said.count("\n") == 1


def saved(client: Client) -> dict[str, Any]:
    """The state once what plays is on disk."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        state: dict[str, Any] = json.loads(client.ask("/ampd/status")[1][0])
        if state["store"]["saved"]:
            return state
        time.sleep(0.01)
    raise AssertionError("nothing is saved")


def test_killed_daemon_is_followed_by_one_that_plays_what_was_kept_last(
    library: Library, tmp_path: Path
) -> None:
    with running(tmp_path) as (process, port), Client(port) as client:
        assert client.ask("/ampd/rig") == ["/ampd/rig", ["clean"]]
        client.ask("/ampd/rig", "drive")
        client.ask("/ampd/amp/gain_db", 1.5)
        client.ask("/ampd/master_db", -6)
        left = saved(client)
        process.kill()
    kept = tmp_path / "state" / "ampd" / "ampd.state"
    assert left["store"] == {"path": str(kept), "saved": True, "error": ""}
    with running(tmp_path) as (process, port), Client(port) as client:
        state = json.loads(client.ask("/ampd/status")[1][0])
        for part in ("wanted_rig", "values", "globals", "files", "set"):
            assert state[part] == left[part]
        assert state["values"]["amp/gain_db"] == 1.5
        end(process)
    # What is asked for wins, plays as its file says, and is what the next start goes on with.
    with running(tmp_path, "--rig", "clean") as (process, port), Client(port) as client:
        assert client.ask("/ampd/rig") == ["/ampd/rig", ["clean"]]
        end(process)
    with running(tmp_path) as (process, port), Client(port) as client:
        assert client.ask("/ampd/rig") == ["/ampd/rig", ["clean"]]
        end(process)


def test_daemon_plays_and_says_so_where_nothing_can_be_kept(
    library: Library, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("in the way")
    with running(tmp_path) as (process, port), Client(port) as client:
        client.send("/ampd/subscribe", "/ampd/event")
        client.send("/ampd/rig", "drive")
        rig, text = client.until("/ampd/event/fault")
        assert (rig, "ampd.state: what plays cannot be kept" in text) == ("", True)
        client.send("/ampd/status")
        state = json.loads(client.until("/ampd/status")[0])
        assert state["wanted_rig"] == "drive"
        assert state["store"]["error"] == text
        assert "cannot be kept" in end(process)
