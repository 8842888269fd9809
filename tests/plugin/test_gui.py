"""The window, under Xvfb: a file is dropped, or chosen with a chooser of the system, and plays.

The file's name has an umlaut and a space in it.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from tests.demo.stage import Running, Stage, can_unshare, until
from tests.plugin.hosts import ROOT, Signal, off, render_model
from tests.plugin.patience import again

if TYPE_CHECKING:
    from tests.plugin.screen import Screen

CHAMP = ROOT / "models" / "champ" / "champ.json"
CLIENT = "ampd-plugin"
RATE_HZ = 48_000
HEARD_S = 60.0
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<PROPERTIES>
  <VALUE name="audioSetup">
    <DEVICESETUP deviceType="JACK" audioOutputDeviceName="Auto-connect OFF"
                 audioInputDeviceName="Auto-connect OFF"/>
  </VALUE>
  <VALUE name="shouldMuteInput" val="0"/>
</PROPERTIES>
"""
CHOOSER = "^Load a model$"
BUTTON = (228, 190)  # Load Model, at 100 % under the window's own title bar
LIMIT = 2e-5  # of peak: the recording begins in the middle of what JACK's silence left behind


@pytest.fixture
def screen(tmp_path: Path) -> Iterator["Screen"]:
    pytest.importorskip("Xlib", reason="python-xlib is absent; make test-plugin brings it")
    from tests.plugin import screen as module  # noqa: PLC0415 (python-xlib is not everywhere)

    for program in module.PROGRAMS:
        if not shutil.which(program):
            pytest.skip(f"{program} is absent; make test-plugin brings it")
    home = tmp_path / "home"
    (home / ".config").mkdir(parents=True)
    with module.Screen(home) as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A private JACK server."""
    if not shutil.which("jackd"):
        pytest.skip("jackd is absent")
    if not can_unshare():
        pytest.skip("no right to unshare a mount namespace")
    with Stage(tmp_path / "stage", private=True, server_name="plugin") as opened:
        opened.start_server(256)
        yield opened


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "meine modelle" / "mödel b.json"
    path.parent.mkdir()
    shutil.copy(CHAMP, path)
    return path


def start(stage: Stage, screen: "Screen", standalone: Path) -> Running:
    """The Standalone on the private server, its settings written beforehand."""
    env = screen.environment()
    config = Path(env["HOME"]) / ".config"
    for place in (config, Path(env["HOME"])):
        (place / "ampd.settings").write_text(SETTINGS)
    keep = [f"{key}={env[key]}" for key in ("DISPLAY", "HOME", "NO_AT_BRIDGE", "GTK_USE_PORTAL")]
    return stage.start("standalone", ["env", *keep, str(standalone)])


def hear(stage: Stage, tmp_path: Path, guitar: Signal) -> Signal:
    """What comes out of the program while the guitar goes in."""
    wav, take = tmp_path / "in.wav", tmp_path / "take.wav"
    soundfile.write(wav, guitar, RATE_HZ, subtype="FLOAT")
    record = stage.tool("record", take, "--from", f"{CLIENT}:out_1", "--seconds", "30")
    record.wait_for("ready")
    play = stage.tool("play", wav, "--to", f"{CLIENT}:in_1")
    play.wait_for("played")
    record.stop()
    record.wait_for("recorded")
    heard, _ = soundfile.read(take, dtype="float32")
    return np.asarray(heard, np.float32)


def assert_heard(stage: Stage, tmp_path: Path, guitar: Signal, truth: Signal) -> None:
    """The program comes to make the truth of the guitar: a model is read and faded in meanwhile,
    and where the machine stalls a JACK server drops what it has."""
    found = []
    deadline = time.monotonic() + HEARD_S
    while time.monotonic() < deadline:
        found.append(best_off(hear(stage, tmp_path, guitar), truth))
        if found[-1] <= LIMIT:
            return
    pytest.fail(f"off by {found} of peak")


def best_off(heard: Signal, truth: Signal) -> float:
    """The difference where the two lie on each other best; 1 where half of it is not there."""
    frames = len(heard) + len(truth)
    likeness = np.fft.irfft(
        np.fft.rfft(heard, frames) * np.conj(np.fft.rfft(truth, frames)), frames
    )
    lag = int(np.argmax(likeness[: len(heard)]))
    part = heard[lag : lag + len(truth)]
    return off(part, truth[: len(part)]) if len(part) > len(truth) // 2 else 1.0


def is_loaded(screen: "Screen") -> bool:
    """Whether a window has taken the model: it keeps recent files."""
    recent = Path(screen.environment()["HOME"]) / ".config" / "ampd" / "plugin.settings"
    return recent.exists() and "del b.json" in recent.read_text("utf-8")


def drop(screen: "Screen", window: int, target: int, model: Path) -> None:
    """Drop it until it is loaded."""
    again(lambda: screen.drop(window, target, model), lambda: is_loaded(screen), "it is loaded")


def test_file_dropped_on_the_standalone_plays(
    stage: Stage,
    screen: "Screen",
    standalone: Path,
    model: Path,
    guitar: Signal,
    tmp_path: Path,
) -> None:
    start(stage, screen, standalone)
    window = screen.window("^ampd$")
    assert_heard(stage, tmp_path, guitar, guitar)
    drop(screen, window, window, model)
    assert_heard(stage, tmp_path, guitar, render_model(CHAMP, guitar, RATE_HZ))
    screen.picture(tmp_path / "standalone.png")


def test_button_with_the_chooser_of_the_system_plays(
    stage: Stage,
    screen: "Screen",
    standalone: Path,
    model: Path,
    guitar: Signal,
    tmp_path: Path,
) -> None:
    if not shutil.which("zenity"):
        pytest.skip("zenity is absent; make test-plugin brings it")
    start(stage, screen, standalone)
    window = screen.window("^ampd$")
    again(
        lambda: screen.click(window, *BUTTON),
        lambda: screen.windows(CHOOSER),
        "the button opens a chooser",
    )
    chooser = screen.window(CHOOSER)
    screen.paste(chooser, str(model))
    screen.picture(tmp_path / "chooser.png")

    def confirm() -> None:
        if screen.windows(CHOOSER):
            screen.key(chooser, "Return")

    again(confirm, lambda: not screen.windows(CHOOSER), "the chooser takes the path")
    until(lambda: is_loaded(screen), "it is loaded")
    assert_heard(stage, tmp_path, guitar, render_model(CHAMP, guitar, RATE_HZ))


def test_file_dropped_on_the_hosted_editor_plays(
    screen: "Screen", vst3: Path, model: Path, guitar: Signal, tmp_path: Path
) -> None:
    pytest.importorskip("pedalboard", reason="pedalboard is absent; make test-plugin brings it")
    done, source, target = tmp_path / "done", tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, guitar)
    argv = [sys.executable, "-m", "tests.plugin.hosted_editor", vst3, done, source, target]
    process = screen.start([str(word) for word in argv], tmp_path / "editor.log")
    window = screen.window("^Pedalboard$")
    drop(screen, window, screen.taker(window), model)
    screen.picture(tmp_path / "editor.png")
    done.touch()
    assert process.wait(60) == 0, (tmp_path / "editor.log").read_text("utf-8", "replace")
    assert off(np.load(target), render_model(CHAMP, guitar, RATE_HZ)) <= 1e-6
