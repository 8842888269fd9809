"""What systemd is told, heard on a socket of its kind."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ampd import notify as notify_module
from ampd.command import SelectRig, SetGlobal
from ampd.library import Library
from ampd.notify import Herald, notify, status_line, watchdog_period_s
from ampd.state import JackState, State
from tests.ampd.conftest import LIMIT_S, opened, run

RUNNING = JackState("running", server="default", sample_rate_hz=48000, period_frames=64)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield heard


def said(systemd: socket.socket) -> list[str]:
    """All lines since the last call."""
    lines: list[str] = []
    while True:
        try:
            lines += systemd.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


def test_lines_arrive_as_one_message(systemd: socket.socket) -> None:
    notify("READY=1", "STATUS=rig clean")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=rig clean"


def test_abstract_sockets_are_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0ampd-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@ampd-test-{os.getpid()}")
        notify("READY=1")
        heard.settimeout(LIMIT_S)
        assert heard.recv(4096) == b"READY=1"


def test_nobody_there_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")


def test_sign_of_life_is_given_twice_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_period_s() == 0.0
    monkeypatch.setenv("WATCHDOG_USEC", "5000000")
    assert watchdog_period_s() == 2.5
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_period_s() == 0.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_period_s() == 2.5


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State(), "rig -; JACK waiting"),
        (
            State(wanted_rig="lead", jack=RUNNING),
            "rig lead; JACK default, 48000 Hz, 64 frames",
        ),
        (
            State(wanted_rig="lead", globals={"mute": True}, jack=JackState("lost", "a\nb")),
            "rig lead, mute; JACK lost: a b",
        ),
    ],
)
def test_status_is_one_line_of_rig_and_jack(state: State, line: str) -> None:
    assert status_line(state) == line


def test_ready_comes_with_the_sound_and_status_with_every_change(
    library: Library, systemd: socket.socket
) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            task = asyncio.create_task(Herald(session).run())
            await asyncio.sleep(0.05)
            assert "READY=1" not in said(systemd)
            session.report(RUNNING)
            await asyncio.sleep(0.05)
            assert "READY=1" in said(systemd)
            await session.execute(SetGlobal("mute", True))
            await session.execute(SelectRig("loud"))
            await asyncio.sleep(0.05)
            lines = said(systemd)
            assert lines == [
                "STATUS=rig clean, mute; JACK default, 48000 Hz, 64 frames",
                "STATUS=rig loud, mute; JACK default, 48000 Hz, 64 frames",
            ]
            task.cancel()

    run(story())


def test_without_jack_it_is_ready_once_jack_is_awaited(
    library: Library, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_module, "READY_LIMIT_S", 0.05)

    async def story() -> None:
        async with opened(library) as (session, _):
            task = asyncio.create_task(Herald(session).run())
            await asyncio.sleep(0.2)
            assert "READY=1" in said(systemd)
            task.cancel()

    run(story())


async def until_alive(systemd: socket.socket, signs: int) -> None:
    """Wait for so many signs of life."""
    async with asyncio.timeout(LIMIT_S):
        while signs > 0:
            await asyncio.sleep(0.01)
            signs -= said(systemd).count("WATCHDOG=1")


def test_signs_of_life_end_with_the_loop_that_gives_them(
    library: Library, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    monkeypatch.setattr(notify_module, "READY_LIMIT_S", 0.01)

    async def story() -> None:
        async with opened(library) as (session, _):
            task = asyncio.create_task(Herald(session).run())
            await until_alive(systemd, 5)
            time.sleep(0.3)  # noqa: ASYNC251 (the loop hangs)
            assert said(systemd).count("WATCHDOG=1") == 0
            await until_alive(systemd, 1)
            task.cancel()

    run(story())
