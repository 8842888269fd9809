"""A take on a real JACK server, through a client that is the gear."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.demo.stage import Running, Stage, until
from tests.e2e.amp import DRIVE, distorted
from tests.e2e.rack import RATE_HZ
from trainer.capture.levels import Levels
from trainer.capture.recorder import survey
from trainer.capture.signal import (
    LEAST_MINUTES,
    PEAK,
    CaptureSignal,
    make_signal,
    write_signal,
)
from trainer.capture.take import Kept, Sound, capture, prepare_sound, take_recipe
from trainer.cli import main
from trainer.errors import DataError, JackError
from trainer.recipe import load_recipe
from trainer.signals import Signal, riff

pytestmark = pytest.mark.jack

PERIOD = 1024  # a cycle of 21 ms outlives most stalls; no test needs that none happens
PORTS = ("amp:in", "amp:out")
DELAY = 100
OpenAmp = Callable[..., Running]


@pytest.fixture
def server(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A running server that JACK clients of this test find."""
    started = stage.start_server(period_frames=PERIOD)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", stage.server_name)
    return started


@pytest.fixture
def amp(stage: Stage, server: Running) -> OpenAmp:
    """Start the gear; by default JACK then runs as fast as it can, which loses no frame."""

    def start(gain: float = 0.5, freewheel: bool = True) -> Running:
        arguments = ["--delay", str(DELAY), "--gain", str(gain)]
        arguments += ["--freewheel"] * freewheel
        started = stage.start("amp", [sys.executable, "-m", "tests.e2e.amp", *arguments])
        started.wait_for("ready")
        return started

    return start


def playing(seconds: float = 6.0) -> Signal:
    return riff(seconds, RATE_HZ).astype(np.float32).astype(np.float64)


def take(
    stage: Stage,
    folder: Path,
    sound: Signal,
    report: Callable[[Levels], None] = lambda _: None,
    inverted: bool = False,
) -> Kept:
    """Capture `sound`, which gets blips in front."""
    path = stage.directory / "sound.wav"
    sf.write(path, sound, RATE_HZ, subtype="FLOAT")
    prefix = stage.command(())
    ready = prepare_sound(path, survey(prefix), 1.0)
    recipe = take_recipe("nano", folder, ready.splits, {"model.name": folder.name})
    return capture(ready, PORTS, folder, recipe, report, inverted, prefix)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the take goes; afterwards there is a whole take or nothing at all."""
    yield tmp_path / "takes" / "plexi"
    left = sorted(path.name for path in (tmp_path / "takes").glob("*"))
    assert left in ([], ["plexi"])
    if left:
        files = sorted(path.name for path in (tmp_path / "takes" / "plexi").iterdir())
        assert files == ["input.wav", "recipe.yaml", "target.wav"]


def assert_exact(folder: Path, sound: Signal, gain: float = 0.5) -> None:
    """Aligned to the frame, every sample the gear's own."""
    dry, dry_rate_hz = sf.read(folder / "input.wav", dtype="float32")
    wet, wet_rate_hz = sf.read(folder / "target.wav", dtype="float32")
    assert dry_rate_hz == wet_rate_hz == RATE_HZ
    assert np.array_equal(dry, sound.astype(np.float32))
    assert np.array_equal(wet, distorted(dry, gain))


def short_signal() -> CaptureSignal:
    """Blips, sweep and 7 s of playing: the doctor needs less time for it than for a minute."""
    whole = make_signal(RATE_HZ, LEAST_MINUTES)
    samples = np.concatenate([whole.samples[: 5 * RATE_HZ], playing(7.0)])
    cuts = (10 * RATE_HZ, 11 * RATE_HZ, len(samples))
    splits = {"train": (0, cuts[0]), "valid": cuts[:2], "test": cuts[1:]}
    return CaptureSignal(samples, RATE_HZ, {}, splits)


@pytest.mark.long
def test_take_is_aligned_and_exact_and_trains_as_printed(
    stage: Stage, amp: OpenAmp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    amp()
    sound, here = short_signal(), folder.parents[1]
    write_signal(sound, here / "signal.wav")
    argv = ["capture", "--out", "takes", "--name", "plexi", "--signal", "signal.wav"]
    argv += ["--recipe", "nano", "--send", PORTS[0], "--return", PORTS[1], "--gear_make", "5150"]
    ran = stage.run("capture", [sys.executable, "-m", "trainer.cli", *argv], here, limit_s=120.0)
    samples, _ = sf.read(here / "signal.wav")
    assert_exact(folder, samples)
    told = ran.out.read_text().splitlines()
    # One cycle for the loop send -> amp -> return, DELAY for the amp.
    assert told[0] == f"kept takes/plexi: round trip {PERIOD + DELAY:.2f} frames, taken off"
    assert told[1] == "next: ampd-train train takes/plexi/recipe.yaml"
    said = ran.err.read_text()
    assert "take: warn   short" in said  # and nothing else
    assert said.count("take: ") == 1
    monkeypatch.chdir(here)
    recipe = load_recipe(told[1].split()[-1])
    assert recipe.model.gear_make == "5150"
    assert {name: getattr(recipe.data, name) for name in sound.splits} == sound.splits
    few = ["--training.steps", "2", "--training.validate_every_steps", "2", "--no-doctor"]
    assert main([*told[1].split()[2:], *few]) == 0


def test_own_playing_gets_blips_that_are_not_in_the_take_and_gear_may_invert(
    stage: Stage, amp: OpenAmp, folder: Path
) -> None:
    amp(-0.5)
    sound = playing()
    kept = take(stage, folder, sound, inverted=True)
    assert kept.lag_frames == pytest.approx(PERIOD + DELAY, abs=0.01)
    assert_exact(folder, sound, -0.5)
    assert "polarity" in [f.code for f in kept.diagnosis.findings]


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (-0.5, "plexi: take refused: inverted: the return is upside down"),
        (0.0, "amp:out: return silent"),
        (1.7, "amp:out: return clipped at"),
    ],
)
def test_bad_return_is_refused_by_name(
    stage: Stage, amp: OpenAmp, folder: Path, gain: float, words: str
) -> None:
    amp(gain)
    with pytest.raises(DataError) as caught:
        take(stage, folder, playing())
    assert words in str(caught.value)
    if gain > 1:
        # The blips are the loudest frames; and 3 dB of room.
        over_db = 20 * np.log10(gain * np.tanh(DRIVE * PEAK)) + 3
        assert f"by {over_db:.0f} dB" in str(caught.value)


def test_gear_that_stops_for_a_while_costs_an_xrun_and_no_frame(
    stage: Stage, server: Running, amp: OpenAmp, folder: Path
) -> None:
    gear = amp(freewheel=False)
    heard: list[Levels] = []

    def xruns() -> int:
        return (server.err.read_text() + server.out.read_text()).count("XRun")

    def stop_once(levels: Levels) -> None:
        before, known = heard[-1].position if heard else 0, xruns()
        heard.append(levels)
        if before < 5 * RATE_HZ <= levels.position and levels.tears == 0:
            os.kill(gear.process.pid, signal.SIGSTOP)
            until(lambda: xruns() > known, "jackd tells of an xrun")
            os.kill(gear.process.pid, signal.SIGCONT)

    sound = playing()
    take(stage, folder, sound, stop_once)
    assert heard[-1].tears >= 1
    assert_exact(folder, sound)


def test_server_that_dies_ends_in_a_sentence_and_no_files(
    stage: Stage, server: Running, amp: OpenAmp, folder: Path
) -> None:
    amp(freewheel=False)
    with pytest.raises(JackError, match="JACK server"):
        take(stage, folder, playing(), lambda _: server.process.kill())


def test_stop_by_hand_leaves_nothing(stage: Stage, amp: OpenAmp, folder: Path) -> None:
    amp()

    def stop(_: Levels) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(stage, folder, playing(), stop)


def test_without_a_server_there_is_a_sentence(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", stage.server_name)
    with pytest.raises(JackError, match="no JACK server answers"):
        survey(stage.command(()))


def test_ports_and_rate_are_told_and_a_wrong_one_is_refused(stage: Stage, amp: OpenAmp) -> None:
    amp()
    told = survey(stage.command(()))
    assert (told.sample_rate_hz, told.period_frames) == (RATE_HZ, PERIOD)
    assert told.sends == ("system:playback_1", "system:playback_2", "amp:in")
    assert told.send(None) == "system:playback_1"
    assert told.return_("amp:out") == "amp:out"
    with pytest.raises(JackError, match=r"--return amp:ou: no such port; did you mean amp:out\?"):
        told.return_("amp:ou")
    path = stage.directory / "sound.wav"
    sf.write(path, playing(1.0), 44_100)
    with pytest.raises(DataError, match="found 44100 Hz, the JACK server runs at 48000 Hz"):
        prepare_sound(path, told, 1.0)


def test_take_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "takes" / "plexi"
    folder.mkdir(parents=True)
    recipe = take_recipe("nano", folder, {}, {"model.name": "plexi"})
    sound = Sound(playing(1.0), 0, RATE_HZ, {})
    with pytest.raises(DataError, match="plexi: there is a take already"):
        capture(sound, PORTS, folder, recipe, lambda _: None)
