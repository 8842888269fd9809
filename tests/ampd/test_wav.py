"""Plain WAV files are read as libsndfile reads them, and everything else is left to it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ampd.wav import MAX_BYTES, read_wav

RATE_HZ = 48_000


def sound(frames: int = 1000, channels: int = 2) -> NDArray[np.float64]:
    rng = np.random.default_rng(5)
    made: NDArray[np.float64] = rng.uniform(-0.9, 0.9, (frames, channels))
    made[0] = -1.0  # the lowest that there is
    return made


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_reads_every_sample_as_libsndfile_does(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(channels=channels), RATE_HZ, subtype=subtype)
    found = read_wav(path, 1, 10)
    assert found is not None
    assert found.sample_rate_hz == RATE_HZ
    wanted, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.array_equal(np.asarray(found.channels), wanted.T)


def test_reads_the_beginning_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(3 * 8000), 8000, subtype="PCM_16")
    found = read_wav(path, 1, 10)
    assert found is not None
    assert found.channels.shape == (2, 8000)


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (sound(), {"format": "FLAC"}),
        (sound(), {"format": "WAVEX"}),
        (sound(), {"subtype": "DOUBLE"}),
        (sound(), {"subtype": "PCM_U8"}),
        (sound(channels=3), {}),
        (np.zeros((100, 1)), {}),
        (np.zeros((0, 1)), {}),
        (np.full((100, 1), np.nan), {"subtype": "FLOAT"}),
        (np.full((100, 1), np.inf), {"subtype": "FLOAT"}),
        (sound(11 * RATE_HZ), {"subtype": "PCM_16"}),
    ],
)
def test_what_is_not_plain_is_left_to_others(
    tmp_path: Path, made: NDArray[np.float64], options: dict[str, str]
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, made, RATE_HZ, **({"format": "WAV"} | options))
    assert read_wav(path, 1, 10) is None


def test_file_cut_or_spoilt_anywhere_in_its_head_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(100), RATE_HZ, subtype="PCM_16")
    whole = path.read_bytes()
    for end in range(60):
        path.write_bytes(whole[:end])
        assert read_wav(path, 1, 10) is None
    for place in range(44):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found = read_wav(path, 1, 10)
        assert found is None or 8000 <= found.sample_rate_hz <= 192_000


def test_no_file_a_folder_and_a_large_one_are_none(tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for path in (tmp_path / "none.wav", tmp_path, large):
        assert read_wav(path, 1, 10) is None
