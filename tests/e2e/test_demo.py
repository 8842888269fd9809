"""The demo itself: its guitar, its measuring, and the whole show on somebody's own recording."""

import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.demo import guitar
from tests.demo.demo import SCORE, resample
from tests.demo.stage import ROOT, Stage
from tests.demo.take import Switch, Take


def test_guitar_is_the_same_every_time_and_in_bounds() -> None:
    part = guitar.make()
    assert np.array_equal(part, guitar.make())
    assert 22.0 < len(part) / guitar.SAMPLE_RATE_HZ < 26.0
    assert np.abs(part).max() == pytest.approx(guitar.PEAK)
    assert part[0] == part[-1] == 0.0


@pytest.mark.parametrize("note", [40, 52, 67, 79])
def test_pluck_is_in_tune(note: int) -> None:
    wanted_hz = 440.0 * 2.0 ** ((note - 69) / 12.0)
    sound = guitar.pluck(note, 2.0, 0.9, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 19))
    hz = np.fft.rfftfreq(1 << 19, 1.0 / guitar.SAMPLE_RATE_HZ)
    near = (hz > wanted_hz * 0.94) & (hz < wanted_hz * 1.06)
    found_hz = hz[near][spectrum[near].argmax()]
    assert abs(1200.0 * np.log2(found_hz / wanted_hz)) < 3.0  # cents


def test_resampling_keeps_pitch_and_level() -> None:
    time_s = np.arange(44_100) / 44_100
    tone = np.asarray(0.5 * np.sin(2 * np.pi * 1000 * time_s), np.float32)
    there = resample(tone, 44_100, 48_000)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    middle = slice(4800, -4800)
    assert np.abs(there[middle] - expected[middle]).max() < 1e-3


def planted_take(folder: Path, click: float) -> Take:
    """Two rigs of different level with a switch at 1.0 s; a click of this size at the switch."""
    rate_hz, period = 48_000, 64
    frames = 2 * rate_hz // period * period
    sound = 0.2 * np.sin(2 * np.pi * 220 * np.arange(frames) / rate_hz)
    sound[frames // 2 :] *= 0.5
    sound[frames // 2 + 500] += click
    wav = folder / "take.wav"
    sf.write(wav, np.stack([sound, sound], 1), rate_hz, subtype="FLOAT")
    start = np.arange(0, frames, period)
    np.savez(wav.with_suffix(".npz"), start=start, frame=start + 999, second=10 + start / rate_hz)
    return Take(wav)


@pytest.mark.parametrize(("click", "clean"), [(0.0, True), (0.3, False)])
def test_step_at_a_switch_shows_a_click(tmp_path: Path, click: float, clean: bool) -> None:
    take = planted_take(tmp_path, click)
    switch = Switch("b", "a", "OSC", 10.99, 11.01, 5.0)
    (steps,) = take.steps([switch])
    assert steps.steady == pytest.approx(0.2 * 2 * np.pi * 220 / 48_000, rel=1e-3)
    assert (steps.at_switch <= 1.05 * steps.steady) is clean
    assert take.frame_at(switch.audible_second) == pytest.approx(0.995 * 48_000, abs=2)


def command_lines() -> list[str]:
    """Of every process that runs now."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


@pytest.mark.jack
def test_demo_plays_the_users_recording(jack_world: None, tmp_path: Path) -> None:
    """A private world has no server, so the demo must bring its own, and leave nothing."""
    shipped = [ROOT / "rigs" / f"{name}.yaml" for name in ("clean", "drive", "amp")]
    if not all(path.is_file() for path in shipped):
        pytest.skip("the shipped rigs are absent")
    part = resample(guitar.make()[: 10 * 48_000], 48_000, 44_100)
    di = tmp_path / "mine.wav"
    sf.write(di, np.stack([0.0 * part, part], 1), 44_100)
    with Stage(tmp_path / "stage", private=True) as stage:
        argv = [sys.executable, "-m", "tests.demo.demo", "--di", str(di)]
        show = stage.run("demo", [*argv, "--out", str(ROOT / "build" / "demo-test")], limit_s=120.0)
    said = show.out.read_text()
    assert "stopped   everything" in said
    assert said.count(" -> ") == len(SCORE)
    take = Take(ROOT / "build" / "demo-test" / "take.wav")
    assert len(take.sound) > 9.5 * 48_000
    assert np.abs(take.sound).max() > 0.01
    assert (ROOT / "build" / "demo-test" / "take.png").stat().st_size > 20_000
    assert not [line for line in command_lines() if "demo-test" in line]
