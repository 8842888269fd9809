"""Impulse responses as files: what is read, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ampd.cabinet import read_impulse
from ampd.errors import AudioFileError


def response(frames: int, channels: int = 1) -> NDArray[np.float32]:
    """Noise that dies away, another one in each channel; sixteen bits, so that every format holds
    it exactly."""
    rng = np.random.default_rng(frames + channels)
    wave = rng.uniform(-0.5, 0.5, (frames, channels)) * np.exp(-np.arange(frames) / 500)[:, None]
    whole: NDArray[np.float32] = (np.round(wave * 32768) / 32768).astype(np.float32)
    return whole


def refusal(path: Path) -> str:
    with pytest.raises(AudioFileError) as caught:
        read_impulse(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize("ending", ["wav", "flac", "aif", "aiff"])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_and_rate_are_those_of_the_file(tmp_path: Path, ending: str, channels: int) -> None:
    path, wave = tmp_path / f"cab.{ending}", response(2000, channels)
    form = "AIFF" if ending.startswith("aif") else ending.upper()
    soundfile.write(path, wave, 44100, format=form)
    impulse = read_impulse(path)
    assert (impulse.name, impulse.sample_rate_hz) == (str(path), 44100)
    assert impulse.channels.dtype == np.float32
    assert np.array_equal(impulse.channels, wave.T)


def test_only_the_first_second_is_read(tmp_path: Path) -> None:
    path, wave = tmp_path / "long.wav", response(3 * 8000)
    soundfile.write(path, wave, 8000)
    assert np.array_equal(read_impulse(path).channels, wave[:8000].T)


@pytest.mark.parametrize("rate_hz", [8000, 192000])
def test_rates_at_the_ends_are_taken(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "cab.wav"
    soundfile.write(path, response(100), rate_hz)
    assert read_impulse(path).sample_rate_hz == rate_hz


@pytest.mark.parametrize(
    ("frames", "channels", "rate_hz", "sentence"),
    [
        (100, 3, 48000, "has 3 channels, expected one, or left and right."),
        (100, 1, 7999, "has a rate of 7999 Hz, expected 8000 to 192000 Hz."),
        (100, 1, 192001, "has a rate of 192001 Hz, expected 8000 to 192000 Hz."),
        (80001, 1, 8000, "lasts 10.0 s, expected at most 10 s; an impulse response is"),
        (0, 1, 48000, "holds no sound, expected at least one frame."),
    ],
)
def test_what_is_no_response_of_a_cabinet_is_refused(
    tmp_path: Path, frames: int, channels: int, rate_hz: int, sentence: str
) -> None:
    path = tmp_path / "cab.wav"
    soundfile.write(path, np.ones((frames, channels), np.float32), rate_hz)
    assert refusal(path).startswith(sentence)


def test_silence_and_wild_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cab.wav"
    soundfile.write(path, np.zeros(100, np.float32), 48000, subtype="FLOAT")
    assert refusal(path) == "is silent, expected a click and what follows it."
    soundfile.write(path, np.array([1, np.nan], np.float32), 48000, subtype="FLOAT")
    assert refusal(path) == "holds a sample that is no finite number; export it again."


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound", b"RIFF\xff\xff\xff\xffWAVEfmt "])
@pytest.mark.parametrize("ending", ["wav", "flac", "raw"])
def test_what_is_no_sound_is_refused(tmp_path: Path, data: bytes, ending: str) -> None:
    path = tmp_path / f"cab.{ending}"
    path.write_bytes(data)
    assert refusal(path).startswith("cannot be read as sound")


def test_header_that_promises_more_than_the_file_has_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "cab.wav"
    soundfile.write(path, response(1000), 48000, subtype="FLOAT")
    whole = path.read_bytes()
    place = whole.index(b"data") + 4
    path.write_bytes(whole[:place] + (1 << 30).to_bytes(4, "little") + whole[place + 4 :])
    assert read_impulse(path).channels.shape == (1, 1000)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cab.wav"
    soundfile.write(path, response(1000), 48000, format="OGG", subtype="VORBIS")
    assert refusal(path) == "is OGG, expected WAV, FLAC or AIFF."


def test_large_missing_and_odd_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cab.wav"
    assert refusal(path) == "cannot be read (No such file or directory)."
    with path.open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    assert refusal(path) == "the file has 35 MB, expected at most 32 MB of impulse response."
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    assert refusal(pipe) == "is no file, expected a WAV, FLAC or AIFF."
