from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.trainer.conftest import make_net, write_wav
from trainer.data import (
    NORMAL_RMS,
    Crops,
    Pair,
    Recordings,
    clipping,
    load_pair,
    read_mono,
    read_pair,
    read_recording,
)
from trainer.errors import DataError
from trainer.networks import padded_slice
from trainer.recipe import Recipe, recipe_from_dict
from trainer.signals import riff

RATE_HZ = 48000
SOUND = riff(1.0, RATE_HZ)


def recipe_for(folder: Path, **data: object) -> Recipe:
    data = {"input": "dry.wav", "target": "wet.wav", **data}
    return recipe_from_dict({"data": data, "paths": {"data": str(folder)}}, "test")


def pair_of(folder: Path, **data: object) -> Pair:
    return load_pair(recipe_for(folder, **data))


def refusal(folder: Path, **data: object) -> str:
    with pytest.raises(DataError) as caught:
        pair_of(folder, **data)
    return str(caught.value)


def test_default_split_is_80_10_10_in_time(recordings: Path) -> None:
    pair = pair_of(recordings)
    assert (pair.train, pair.valid, pair.test) == ((0, 230400), (230400, 259200), (259200, 288000))


def test_pair_carries_the_hashes_of_its_files(recordings: Path) -> None:
    pair = pair_of(recordings)
    assert set(pair.sha256) == {"input", "target"}
    assert all(len(value) == 64 for value in pair.sha256.values())
    assert pair.sha256["input"] != pair.sha256["target"]


def test_delay_is_removed_from_the_target(tmp_path: Path) -> None:
    write_wav(tmp_path / "dry.wav", SOUND)
    write_wav(tmp_path / "wet.wav", np.concatenate([np.zeros(100), SOUND]))
    dry, wet, _ = read_pair(tmp_path / "dry.wav", tmp_path / "wet.wav", delay_frames=100)
    assert torch.equal(dry, wet)


def test_one_gain_brings_the_train_split_to_the_normal_level(recordings: Path) -> None:
    pair = pair_of(recordings)
    train = pair.target[slice(*pair.train)].double() * pair.target_gain
    assert float(train.square().mean().sqrt()) == pytest.approx(NORMAL_RMS, rel=1e-9)


def test_missing_file_is_named(tmp_path: Path) -> None:
    text = refusal(tmp_path)
    assert str(tmp_path / "dry.wav") in text
    assert "no such file" in text


def test_no_file_given_says_how_to_give_one(tmp_path: Path) -> None:
    assert "--data.input FILE" in refusal(tmp_path, input="")


def test_rates_that_differ_are_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "dry.wav", SOUND)
    write_wav(tmp_path / "wet.wav", SOUND, rate_hz=44100)
    text = refusal(tmp_path)
    assert "found 44100 Hz, expected the 48000 Hz" in text
    assert "resample" in text


def test_stereo_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "dry.wav", np.stack([SOUND, SOUND], 1))
    assert "found 2 channels, expected 1" in refusal(tmp_path)


def test_lengths_within_the_tolerance_are_cut_to_the_shorter(tmp_path: Path) -> None:
    write_wav(tmp_path / "dry.wav", SOUND)
    write_wav(tmp_path / "wet.wav", np.concatenate([SOUND, SOUND[:1000]]))
    dry, wet, _ = read_pair(tmp_path / "dry.wav", tmp_path / "wet.wav")
    assert len(dry) == len(wet) == len(SOUND)


def test_lengths_beyond_the_tolerance_are_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "dry.wav", SOUND)
    write_wav(tmp_path / "wet.wav", np.concatenate([SOUND, SOUND[:1000]]))
    text = refusal(tmp_path, length_tolerance_s=0.01)
    assert "found 49000 frames, expected the 48000" in text
    assert "--data.length_tolerance_s" in text


@pytest.mark.parametrize("silent", ["dry.wav", "wet.wav"])
def test_silence_is_refused_and_says_which_file_and_split(tmp_path: Path, silent: str) -> None:
    for name in ("dry.wav", "wet.wav"):
        write_wav(tmp_path / name, SOUND * (1e-6 if name == silent else 1))
    text = refusal(tmp_path)
    assert f"{silent}: train split" in text
    assert "silence" in text


def test_file_that_is_no_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dry.wav").write_text("RIFF, but not really")
    assert "cannot be read as WAV, FLAC or AIFF" in refusal(tmp_path)


def test_samples_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    bad = SOUND.copy()
    bad[77] = np.nan
    with pytest.raises(DataError, match="frame 77"):
        read_mono(write_wav(tmp_path / "dry.wav", bad))


def test_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found 0 frames"):
        read_mono(write_wav(tmp_path / "dry.wav", np.zeros(0)))


def test_split_beyond_the_end_is_refused(recordings: Path) -> None:
    text = refusal(recordings, train=[0, 10000], valid=[10000, 999999])
    assert "data.valid: found [10000, 999999]" in text
    assert "288000" in text


def test_overlapping_splits_are_refused(recordings: Path) -> None:
    assert "overlapping" in refusal(recordings, train=[0, 10000], valid=[9999, 20000])


def test_flat_tops_are_reported_and_single_peaks_are_not(tmp_path: Path) -> None:
    signal = torch.zeros(100)
    signal[10] = 1.0
    assert clipping(signal, Path("a.wav")) == ""
    signal[50:54] = -1.0
    assert "clipped from frame 50" in clipping(signal, Path("a.wav"))


@pytest.mark.parametrize("causal", [True, False])
def test_crops_are_aligned_with_their_history(recordings: Path, causal: bool) -> None:
    pair = pair_of(recordings, train=[0, 3000], valid=[3000, 60000])
    net = make_net(causal=causal)
    crops = Crops(pair, net, 8, 2048, seed=5)
    inputs, targets = crops.draw()
    assert inputs.shape == (8, 2048 + net.receptive_field_frames - 1)
    assert targets.shape == (8, 2048)
    wanted = pair.target * pair.target_gain
    for dry, wet in zip(inputs, targets, strict=True):
        start = next(s for s in range(953) if torch.equal(wanted[s : s + 2048], wet))
        around = (start - net.before_frames, start + 2048 + net.after_frames)
        assert torch.equal(dry, padded_slice(pair.input, *around))


def test_crops_never_leave_the_train_split(recordings: Path) -> None:
    pair = pair_of(recordings, train=[1000, 3050], valid=[4000, 60000])
    crops = Crops(pair, make_net(), 1, 2048, seed=0)
    possible = [pair.target[s : s + 2048] * pair.target_gain for s in (1000, 1001, 1002)]
    for _ in range(30):
        target = crops.draw()[1][0]
        assert any(torch.equal(target, p) for p in possible)


def test_train_split_shorter_than_a_crop_is_refused(recordings: Path) -> None:
    pair = pair_of(recordings, train=[0, 2000], valid=[4000, 60000])
    with pytest.raises(DataError, match="at least the 2048 of one crop"):
        Crops(pair, make_net(), 1, 2048, seed=0)


@pytest.mark.parametrize(("ending", "subtype"), [("wav", "PCM_24"), ("flac", None), ("aiff", None)])
def test_every_common_format_and_rate_is_read(
    tmp_path: Path, ending: str, subtype: str | None
) -> None:
    path = tmp_path / f"take.{ending}"
    soundfile.write(path, np.stack([SOUND, SOUND / 2], 1), 96000, subtype=subtype)
    samples, rate_hz = read_recording(path)
    assert (samples.shape, rate_hz) == ((RATE_HZ, 2), 96000)
    # 16 bits, the coarsest of the three
    assert np.allclose(samples[:, 0], SOUND, atol=2**-15)


def test_what_the_doctor_made_ready_is_taken_instead_of_the_files(recordings: Path) -> None:
    dry, wet = np.tile(SOUND, 3), np.tile(0.5 * SOUND, 3)
    pair = load_pair(recipe_for(recordings), Recordings.of(dry, wet, 44100))
    assert torch.equal(pair.target, torch.from_numpy(wet.astype(np.float32)))
    assert pair.sample_rate_hz == 44100
    assert pair.sha256 == pair_of(recordings).sha256
