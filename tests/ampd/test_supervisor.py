"""Names, and when it gives up. Its life with a real server is in tests/e2e and tests/chaos."""

import asyncio
from pathlib import Path

import pytest

from ampd import supervisor
from ampd.config import JackConfig
from ampd.library import Library
from ampd.rack import JackHost
from ampd.session import Session
from ampd.supervisor import Pulse, Supervisor, is_answered, server_name

NOWHERE = Library(Path("nowhere"), Path("nowhere"))


def test_server_is_named_by_setting_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JACK_DEFAULT_SERVER", raising=False)
    assert server_name(JackConfig()) == "default"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "mine")
    assert server_name(JackConfig()) == "mine"
    assert server_name(JackConfig(server_name="other")) == "other"


def stuck(
    monkeypatch: pytest.MonkeyPatch, answered: bool, goes_on: bool
) -> tuple[list[str], Supervisor]:
    """A supervisor whose call has hung for long looks whether others are answered; who gave up."""
    gave_up: list[str] = []
    made = Supervisor(Session(NOWHERE), JackConfig(), give_up=lambda: gave_up.append("gave up"))
    call = ("open", 0.0)
    made._call = call

    async def is_answered(_: JackConfig) -> bool:
        if goes_on:
            made._call = None
        return answered

    monkeypatch.setattr(supervisor, "is_answered", is_answered)
    asyncio.run(made._look_whether_stuck(call))
    return gave_up, made


@pytest.mark.parametrize(
    ("answered", "goes_on", "ends"), [(True, False, 1), (False, False, 0), (True, True, 0)]
)
def test_daemon_ends_for_another_only_where_that_one_would_have_sound(
    monkeypatch: pytest.MonkeyPatch, answered: bool, goes_on: bool, ends: int
) -> None:
    gave_up, _ = stuck(monkeypatch, answered, goes_on)
    assert len(gave_up) == ends


def test_another_process_is_not_answered_where_there_is_no_jack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libjack.so.0").write_text("not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert not asyncio.run(is_answered(JackConfig(server_name="nobody-runs-this")))


def test_pulse_counts_from_the_last_cycle() -> None:
    host = JackHost()
    pulse = Pulse(host)
    assert pulse.still_s(100.0) == 0.0
    assert pulse.still_s(102.5) == 2.5


def test_engine_that_is_released_has_no_client_any_more() -> None:
    host = JackHost()
    assert host.release()
    assert not host.is_active
