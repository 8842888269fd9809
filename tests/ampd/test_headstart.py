"""What played last is heard before the daemon is there, and the daemon takes it over as it runs."""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile

from ampd import headstart
from ampd.command import SelectRig, SetGlobal, SetParam
from ampd.config import Config, load_config
from ampd.encore import Encore
from ampd.generations import Generations
from ampd.headstart import Headstart, begin, said, sealed, unsealed
from ampd.kept import Kept
from ampd.library import Library
from ampd.rack import Engine, JackError
from ampd.resume import first_sound
from ampd.session import Session
from tests.ampd.conftest import RATE_HZ, noise, opened, run

CAB = "chain:\n  - amp: {model: tiny}\n  - cab: {impulse: box}\n"
SETTLE_S = 0.4


class FakeHost:
    """A JACK server that is always there: plays noise through the engine in a thread."""

    sample_rate_hz = RATE_HZ
    lost = ""

    def __init__(self) -> None:
        self.links: list[tuple[str, str]] = []
        self.names = ("", "")
        self.out = np.zeros((2, 0), np.float32)
        self._engine: Engine | None = None
        self._over = threading.Event()

    def open(self, client: str, server: str) -> None:
        self.names = (client, server)

    def activate(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        assert self._engine is not None
        while not self._over.is_set():
            self.out = self._engine.process(noise(512), 64)
            time.sleep(0.002)

    def connect(self, source: str, destination: str) -> None:
        self.links.append((source, destination))
        if source == "gone:out":
            raise JackError("no such port")

    def close(self) -> None:
        self._over.set()
        if self._engine is not None:
            self._thread.join()

    @property
    def level(self) -> float:
        return float(np.sqrt(np.mean(self.out**2)))


@pytest.fixture
def settings(library: Library, tmp_path: Path) -> Path:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = tmp_path / "ampd.toml"
    path.write_text(f'[osc]\nport = {port}\n[paths]\nstate = "state"\n[jack]\nclient_name = "me"\n')
    (tmp_path / "models" / "cabs").mkdir()
    answer = np.exp(-np.arange(400) / 40.0) * np.cos(np.arange(400) / 3.0)
    soundfile.write(tmp_path / "models" / "cabs" / "box.wav", 0.2 * answer, RATE_HZ)
    (library.rigs_path / "boxed.yaml").write_text(CAB)
    return path


def files_of(config: Config) -> Generations:
    return Generations(config.paths.state, config.jack.client_name)


def leave(library: Library, settings: Path, muted: bool = False) -> Kept:
    """A daemon that plays the rig `boxed`, turned, and keeps it as the keeper does."""
    config, left = load_config(settings), []

    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("boxed"))
            await session.execute(SetParam("amp/gain_db", -4.5))
            await session.execute(SetGlobal("master_db", -3.0))
            if muted:
                await session.execute(SetGlobal("mute", True))
            kept = session.kept()
            assert kept is not None
            write = Encore(session, config, files_of(config)).note()
            files_of(config).write(kept)
            write()
            left.append(kept)

    run(story())
    return left[0]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Headstart | None]]:
    """Begins as `ampd run --config` does, with a server that is there."""
    monkeypatch.setattr(headstart, "JackHost", FakeHost)
    with contextlib.ExitStack() as stack:

        def begin_(settings: Path) -> Headstart | None:
            found = begin(["--config", str(settings)])
            if found is not None:
                stack.callback(found.close)
                assert found.wait(20.0)
            return found

        yield begin_


def fake(found: Headstart) -> FakeHost:
    """The server that it plays on."""
    return cast(FakeHost, found.host)


def test_what_played_last_plays_before_the_daemon_and_on_with_it(
    library: Library, settings: Path, begun: Callable[[Path], Headstart | None]
) -> None:
    kept = leave(library, settings)
    found = begun(settings)
    assert found is not None
    assert found.plays
    host = fake(found)
    assert host.names == ("me", "")
    time.sleep(SETTLE_S)
    before = host.level

    async def story() -> None:
        session = Session(library)
        await session.start(headstart=found)
        config = load_config(settings)
        assert await first_sound(session, files_of(config), "clean") == kept
        slot, built = session.playing
        assert slot == found.slot
        assert built is not None
        assert built.rows is found.rows  # it was not built again
        assert session.state.rig == "boxed"
        assert session.state.values["amp/gain_db"] == -4.5
        await session.execute(SelectRig("clean"))
        assert session.state.wanted_rig == "clean"
        await session.execute(SelectRig("boxed"))
        await session.execute(SetParam("amp/gain_db", -4.5))
        await asyncio.sleep(SETTLE_S)
        found.close()
        await session.detach_host()
        await session.stop()

    run(story())
    # The daemon's own build of the same rig is as loud; 1 % is what 512 frames of noise with
    # another past make of it.
    assert host.level == pytest.approx(before, rel=0.01)
    assert before > 1e-4


def test_links_that_cannot_be_made_do_not_end_it(
    library: Library, settings: Path, begun: Callable[[Path], Headstart | None]
) -> None:
    leave(library, settings)
    path = settings.parent / "state" / "me.headstart"
    found, blob = unsealed(path.read_bytes())
    links = [["gone:out", "me:in_1"], ["there:out", "me:in_1"]]
    path.write_bytes(sealed(found | {"jack": ["me", "", links]}, blob))
    played = begun(settings)
    assert played is not None
    assert played.plays
    assert fake(played).links == [(source, other) for source, other in links]


def touch_rig(folder: Path) -> None:
    (folder / "rigs" / "boxed.yaml").write_text(CAB + "# edited\n")


def touch_model(folder: Path) -> None:
    path = folder / "models" / "tiny" / "tiny.json"
    path.write_text(path.read_text() + " ")


def touch_cab(folder: Path) -> None:
    (folder / "models" / "cabs" / "box.wav").unlink()


def touch_settings(folder: Path) -> None:
    path = folder / "ampd.toml"
    path.write_text(path.read_text() + "# edited\n")


def touch_state(folder: Path) -> None:
    path = folder / "state" / "me.state"
    path.write_bytes(path.read_bytes() + b" ")


def spoil(folder: Path) -> None:
    path = folder / "state" / "me.headstart"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(folder: Path) -> None:
    path = folder / "state" / "me.headstart"
    path.write_bytes(path.read_bytes()[:-1])


def make_a_pipe_of_it(folder: Path) -> None:
    path = folder / "state" / "me.headstart"
    path.unlink()
    os.mkfifo(path)


def of_another_version(folder: Path) -> None:
    path = folder / "state" / "me.headstart"
    found, blob = unsealed(path.read_bytes())
    path.write_bytes(sealed(found | {"version": "0"}, blob))


@pytest.mark.parametrize(
    "change",
    [
        touch_rig,
        touch_model,
        touch_cab,
        touch_settings,
        touch_state,
        spoil,
        cut,
        make_a_pipe_of_it,
        of_another_version,
    ],
)
def test_whatever_changed_since_the_start_goes_the_long_way(
    library: Library,
    settings: Path,
    begun: Callable[[Path], Headstart | None],
    change: Callable[[Path], None],
) -> None:
    leave(library, settings)
    change(settings.parent)
    assert begun(settings) is None


def test_second_daemon_does_not_play_beside_the_first(
    library: Library, settings: Path, begun: Callable[[Path], Headstart | None]
) -> None:
    leave(library, settings)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        first.bind(("127.0.0.1", load_config(settings).osc.port))
        assert begun(settings) is None
    assert begun(settings) is not None


def test_mute_does_not_outlive_a_power_switch(
    library: Library,
    settings: Path,
    begun: Callable[[Path], Headstart | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave(library, settings, muted=True)
    assert begun(settings) is not None
    monkeypatch.setattr(headstart, "boot_id", lambda: "another run of the machine")
    assert begun(settings) is None


@pytest.mark.parametrize("words", [["--rig", "clean"], ["--model", "x"], ["--config"], ["--help"]])
def test_who_asks_for_something_gets_the_long_way(words: list[str]) -> None:
    assert begin(words) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[jack]\nclient_name = "me"\n', "me"),
        ('[jack]\nclient_name="me" # mine = "yours"\n', "me"),
        ('[osc]\nclient_name = "you"\n[jack]\n  client_name = "me"\n', "me"),
        ("[jack]\nclient_name = 'me'\n", ""),
        ('[jack]\nother = "me"\n', ""),
        ("", ""),
    ],
)
def test_plainest_form_of_a_setting_is_seen_and_no_other(text: str, found: str) -> None:
    assert said(text, "jack", "client_name") == found
