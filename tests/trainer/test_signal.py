"""The test signal: everything is where its map says, and the same each time."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.trainer.conftest import write_wav
from tests.trainer.planted import amp
from trainer.capture.playing import play
from trainer.capture.signal import (
    BLIP_PLACES_S,
    LADDER_STEP_DB,
    LADDER_STEPS,
    PEAK,
    CaptureSignal,
    make_signal,
    read_splits,
    write_signal,
)
from trainer.cli import main
from trainer.doctor.examine import examine
from trainer.doctor.timing import find_blips
from trainer.errors import DataError
from trainer.signals import riff

RATE_HZ = 48_000


@pytest.fixture(scope="module")
def signal() -> CaptureSignal:
    return make_signal(RATE_HZ, minutes=1.0)


def part(signal: CaptureSignal, name: str) -> NDArray[np.float64]:
    return signal.samples[slice(*signal.parts[name])]


def test_lasts_as_long_as_asked_and_keeps_its_peak(signal: CaptureSignal) -> None:
    assert len(signal.samples) == 60 * RATE_HZ
    assert np.abs(signal.samples).max() == PEAK


def test_doctor_finds_the_blips_where_they_are_put(signal: CaptureSignal) -> None:
    places = [round(place * RATE_HZ) for place in BLIP_PLACES_S]
    assert find_blips(signal.samples, RATE_HZ) == places
    assert np.flatnonzero(part(signal, "blips")).tolist() == places


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_sweep_goes_from_20_hz_to_20_khz_an_octave_at_a_time(rate_hz: int) -> None:
    sweep = part(make_signal(rate_hz, 1.0), "sweep")
    high_hz = min(20_000, 0.45 * rate_hz)
    octave_s = 3.0 / np.log2(high_hz / 20)
    for octave in (2.5, 5.0, 8.0):
        middle = round(octave * octave_s * rate_hz)
        window = sweep[middle - 2048 : middle + 2048] * np.hanning(4096)
        strongest_hz = np.argmax(np.abs(np.fft.rfft(window, 1 << 18))) * rate_hz / (1 << 18)
        # A window of 85 ms holds 28 % of an octave around the frequency it is named by, and the
        # sweep gets louder in it.
        assert strongest_hz == pytest.approx(20 * 2**octave, rel=0.03)


def test_noise_is_white_and_grows(signal: CaptureSignal) -> None:
    noise = part(signal, "noise")
    power = np.square(np.abs(np.fft.rfft(noise))).reshape(-1)[:-1].reshape(4, -1).sum(axis=1)
    assert power.max() / power.min() < 1.05  # four bands; 12,000 bins each scatter by 1 %
    quarters = np.square(noise).reshape(4, -1).mean(axis=1)
    assert quarters[3] / quarters[0] == pytest.approx((4**3 - 3**3) / 1, rel=0.05)


def test_each_step_of_the_ladder_is_6_db_louder(signal: CaptureSignal) -> None:
    steps = part(signal, "ladder").reshape(LADDER_STEPS, -1)
    levels_db = 20 * np.log10(np.sqrt(np.square(steps).mean(axis=1)))
    # 24 bits: their noise is 70 dB below the softest step.
    assert np.diff(levels_db) == pytest.approx([LADDER_STEP_DB] * (LADDER_STEPS - 1), abs=1e-3)
    assert np.abs(steps[-1]).max() == pytest.approx(PEAK, abs=1e-6)


def test_repeat_is_the_beginning_of_the_playing(signal: CaptureSignal) -> None:
    again, playing = part(signal, "repeat"), part(signal, "playing")
    inner = slice(RATE_HZ // 100, len(again) - RATE_HZ // 100)
    assert np.array_equal(again[inner], playing[inner])


def test_playing_has_soft_and_loud_phrases(signal: CaptureSignal) -> None:
    playing = part(signal, "playing")
    seconds = playing[: len(playing) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ)
    levels_db = 20 * np.log10(np.abs(seconds).max(axis=1))
    assert np.percentile(levels_db, 90) - np.percentile(levels_db, 10) > 12


def test_splits_hold_every_frame_once_and_valid_and_test_hold_playing_only(
    signal: CaptureSignal,
) -> None:
    train, valid, test = (signal.splits[name] for name in ("train", "valid", "test"))
    assert train[0] == 0
    assert train[1] == valid[0] == signal.parts["valid"][0]
    assert valid[1] == test[0] == signal.parts["test"][0]
    assert test[1] == len(signal.samples)
    for name in ("blips", "sweep", "noise", "ladder", "playing", "repeat"):
        assert signal.parts[name][1] <= train[1]
    # What VALID and TEST play is nowhere else.
    for name in ("valid", "test"):
        assert not np.array_equal(part(signal, name)[:1000], part(signal, "playing")[:1000])


def test_silence_longer_than_any_field_lies_before_each_split(signal: CaptureSignal) -> None:
    for name in ("valid", "test"):
        first = signal.splits[name][0]
        assert not signal.samples[first - RATE_HZ // 2 : first].any()


def test_doctor_finds_no_fault_and_the_repeated_passage(tmp_path: Path) -> None:
    signal = make_signal(24_000, minutes=1.0)  # half the rate: half the doctor's time
    write_signal(signal, tmp_path / "signal.wav")
    wet = write_wav(tmp_path / "wet.wav", amp(signal.samples), rate_hz=24_000)
    diagnosis = examine(tmp_path / "signal.wav", wet, train=signal.splits["train"])
    assert diagnosis.findings == ()
    assert diagnosis.measures["lag_agrees"]
    repeat = diagnosis.measures["repeat"]
    assert isinstance(repeat, dict)
    assert signal.parts["playing"][0] <= repeat["first"] < signal.parts["playing"][1]
    assert signal.parts["repeat"][0] <= repeat["second"] < signal.parts["repeat"][1]
    # What the amp remembers of before: it is asked from 0.25 s on.
    assert repeat["self_esr"] < 1e-6


def test_same_options_give_the_same_bytes(signal: CaptureSignal, tmp_path: Path) -> None:
    write_signal(signal, tmp_path / "one.wav")
    write_signal(make_signal(RATE_HZ, minutes=1.0), tmp_path / "two.wav")
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_file_holds_the_samples_exactly_and_its_map_the_splits(
    signal: CaptureSignal, tmp_path: Path
) -> None:
    write_signal(signal, tmp_path / "signal.wav")
    samples, rate_hz = soundfile.read(tmp_path / "signal.wav")
    assert rate_hz == RATE_HZ
    assert np.array_equal(samples, signal.samples)
    assert read_splits(tmp_path / "signal.wav") == signal.splits
    layout = json.loads((tmp_path / "signal.json").read_text())
    assert layout["parts"] == {name: list(span) for name, span in signal.parts.items()}


def test_file_without_a_map_has_no_splits(tmp_path: Path) -> None:
    write_wav(tmp_path / "di.wav", riff(1.0, RATE_HZ))
    assert read_splits(tmp_path / "di.wav") == {}


def test_map_of_another_file_is_refused(signal: CaptureSignal, tmp_path: Path) -> None:
    write_signal(signal, tmp_path / "signal.wav")
    write_wav(tmp_path / "signal.wav", riff(1.0, RATE_HZ))
    with pytest.raises(DataError, match=r"signal\.json: is the map of another file"):
        read_splits(tmp_path / "signal.wav")


def test_phrases_fit_any_length_and_rate() -> None:
    for seconds, rate_hz in ((0.3, 48_000), (7.77, 44_100)):
        sound = play(seconds, rate_hz, 0.5, seed=1)
        assert len(sound) == round(seconds * rate_hz)
        assert 0.3 < np.abs(sound).max() <= 0.5


def test_own_playing_is_taken_at_the_signals_rate_and_peak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = riff(30.0, 44_100)
    write_wav(tmp_path / "di.wav", own, rate_hz=44_100)
    assert main(["signal", str(tmp_path / "s.wav"), "--playing", str(tmp_path / "di.wav")]) == 0
    told = capsys.readouterr().out
    layout = json.loads((tmp_path / "s.json").read_text())
    samples, rate_hz = soundfile.read(tmp_path / "s.wav")
    assert rate_hz == RATE_HZ
    frames = sum(b - a for a, b in (layout["parts"][n] for n in ("playing", "valid", "test")))
    assert frames == pytest.approx(30 * RATE_HZ, abs=2)
    assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-6)
    first, end = layout["splits"]["valid"]
    assert f'--data.valid "[{first}, {end}]"' in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["s.flac"], "ends in .wav"),
        (["s.wav", "--minutes", "0.5"], "--minutes: found 0.5, expected 1 to 30"),
        (["s.wav", "--minutes", "nan"], "--minutes: found nan, expected 1 to 30"),
        (["s.wav", "--rate", "8000"], "--rate: found 8000, expected 16000 to 384000"),
        (["s.wav", "--playing", "short.wav"], "short.wav: found 1.0 s of playing, expected 20 s"),
        (["s.wav", "--playing", "none.wav"], "none.wav: no such file"),
    ],
)
def test_impossible_wish_is_refused_in_a_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "short.wav", riff(1.0, RATE_HZ))
    assert main(["signal", *arguments]) in (2, 3)
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("s.*"))
