"""The window, under Xvfb: a file is dropped, or chosen with a chooser of the system, and plays.

The file's name has an umlaut and a space in it.
"""

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.demo.stage import Running, Stage, can_unshare
from tests.plugin.hosts import ROOT, Signal, off, render_model
from tests.plugin.screen import PROGRAMS, Screen, until

# A key that is sent while a window takes the focus goes to the window before it, and turns what it
# finds there; a player sees that, the test begins anew with a window of its own.
pytestmark = pytest.mark.flaky(reruns=2, only_rerun=["Failed", "AssertionError"])

CHAMP = ROOT / "models" / "champ" / "champ.json"
CLIENT = "ampd-plugin"
RATE_HZ = 48_000
TRIES = 4
TRY_S = 6.0
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<PROPERTIES>
  <VALUE name="audioSetup">
    <DEVICESETUP deviceType="JACK" audioOutputDeviceName="Auto-connect OFF"
                 audioInputDeviceName="Auto-connect OFF"/>
  </VALUE>
  <VALUE name="shouldMuteInput" val="0"/>
</PROPERTIES>
"""
BUTTON = (228, 190)  # Load Model, at 100 % under the window's own title bar
LIMIT = 2e-5  # of peak: the recording begins in the middle of what JACK's silence left behind


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    for program in PROGRAMS:
        if not shutil.which(program):
            pytest.skip(f"{program} is absent; make test-plugin brings it")
    pytest.importorskip("Xlib", reason="python-xlib is absent; make test-plugin brings it")
    home = tmp_path / "home"
    (home / ".config").mkdir(parents=True)
    with Screen(home) as opened:
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


def start(stage: Stage, screen: Screen, standalone: Path) -> Running:
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
    """The program makes the truth of the guitar; again where the machine stalled meanwhile, since a
    JACK server then drops what it has."""
    found = []
    for _ in range(TRIES):
        found.append(best_off(hear(stage, tmp_path, guitar), truth))
        if found[-1] <= LIMIT:
            return
    pytest.fail(f"off by {found} of peak")


def best_off(heard: Signal, truth: Signal) -> float:
    """The difference where the two lie on each other best."""
    frames = len(heard) + len(truth)
    likeness = np.fft.irfft(
        np.fft.rfft(heard, frames) * np.conj(np.fft.rfft(truth, frames)), frames
    )
    lag = int(np.argmax(likeness[: len(heard)]))
    part = heard[lag : lag + len(truth)]
    return off(part, truth[: len(part)])


def is_loaded(screen: Screen) -> bool:
    """Whether a window has taken the model: it keeps recent files."""
    recent = Path(screen.environment()["HOME"]) / ".config" / "ampd" / "plugin.settings"
    return recent.exists() and "del b.json" in recent.read_text("utf-8")


def until_loaded(screen: Screen, act: Callable[[], None]) -> None:
    """Do what a player does; again where the window was not ready yet, as he would."""
    for _ in range(TRIES):
        act()
        with contextlib.suppress(AssertionError):
            until(lambda: is_loaded(screen), "the model is loaded", TRY_S)
            time.sleep(TRY_S / 4)  # it is read and faded in
            return
    pytest.fail("the window does not load the model")


def test_file_dropped_on_the_standalone_plays(
    stage: Stage,
    screen: Screen,
    standalone: Path,
    model: Path,
    guitar: Signal,
    tmp_path: Path,
) -> None:
    start(stage, screen, standalone)
    window = screen.window("^ampd$")
    assert_heard(stage, tmp_path, guitar, guitar)
    until_loaded(screen, lambda: screen.drop(window, model))
    assert_heard(stage, tmp_path, guitar, render_model(CHAMP, guitar, RATE_HZ))
    screen.picture(tmp_path / "standalone.png")


def test_button_with_the_chooser_of_the_system_plays(
    stage: Stage,
    screen: Screen,
    standalone: Path,
    model: Path,
    guitar: Signal,
    tmp_path: Path,
) -> None:
    if not shutil.which("zenity"):
        pytest.skip("zenity is absent; make test-plugin brings it")
    start(stage, screen, standalone)
    window = screen.window("^ampd$")

    def choose() -> None:
        screen.click(window, *BUTTON)
        chooser = screen.window("Load a model")
        time.sleep(1)  # GTK fills it
        screen.keys(chooser, "ctrl+l")
        screen.keys(chooser, "ctrl+a")
        screen.type(str(model))
        time.sleep(1)  # it completes what is typed
        screen.picture(tmp_path / "chooser.png")
        screen.keys(chooser, "Return")

    until_loaded(screen, choose)
    assert_heard(stage, tmp_path, guitar, render_model(CHAMP, guitar, RATE_HZ))


def test_file_dropped_on_the_hosted_editor_plays(
    screen: Screen, vst3: Path, model: Path, guitar: Signal, tmp_path: Path
) -> None:
    pytest.importorskip("pedalboard", reason="pedalboard is absent; make test-plugin brings it")
    done, source, target = tmp_path / "done", tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, guitar)
    argv = [sys.executable, "-m", "tests.plugin.hosted_editor", vst3, done, source, target]
    process = screen.start([str(word) for word in argv], tmp_path / "editor.log")
    window = screen.window("^Pedalboard$")
    until_loaded(screen, lambda: screen.drop(editor_of(window, screen), model))
    screen.picture(tmp_path / "editor.png")
    done.touch()
    assert process.wait(60) == 0, (tmp_path / "editor.log").read_text("utf-8", "replace")
    assert off(np.load(target), render_model(CHAMP, guitar, RATE_HZ)) <= 1e-6


def editor_of(window: int, screen: Screen) -> int:
    """The window within the host's that takes what is dropped: the plugin's own."""
    tree = subprocess.run(
        ["xwininfo", "-tree", "-id", str(window)],
        env=screen.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for number in [hex(window), *re.findall(r"^\s+(0x[0-9a-f]+)", tree, re.MULTILINE)][::-1]:
        told = subprocess.run(
            ["xprop", "-id", number, "XdndAware"],
            env=screen.environment(),
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if "= " in told:
            return int(number, 16)
    pytest.fail(f"no window takes a drop: {tree}")
