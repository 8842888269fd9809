"""What an answer says, on answers whose numbers are known beforehand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd.probe import (
    CLICK_S,
    PEAK,
    SECONDS,
    SETTLE_S,
    Answer,
    examination_signal,
    guitar_signal,
    loudness_lufs,
    read_answer,
    rms_dbfs,
)

RATE_HZ = 48000


def sine(frequency_hz: float, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """A second of it at full scale."""
    return np.sin(2 * np.pi * frequency_hz * np.arange(rate_hz) / rate_hz).astype(np.float32)


def answer_of(gain: float, delay_frames: int = 0, add: float = 0.0) -> Answer:
    """What is read of a device that does nothing else."""
    asked = examination_signal(RATE_HZ)
    late = np.concatenate([np.zeros(delay_frames, np.float32), asked])[: len(asked)]
    return read_answer((gain * late + add).astype(np.float32), RATE_HZ)


def k_weighted(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """BS.1770's two filters as the standard writes them, sample by sample, at its 48 kHz."""
    stages = [
        [
            (1.53512485958697, -2.69169618940638, 1.19839281085285),
            (-1.69065929318241, 0.73248077421585),
        ],
        [(1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621)],
    ]
    for (b0, b1, b2), (a1, a2) in stages:
        x1 = x2 = y1 = y2 = 0.0
        out = np.empty_like(sound)
        for n, x in enumerate(sound):
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            out[n] = y
        sound = out
    return sound


@pytest.mark.parametrize("rate_hz", [44100, 48000, 96000])
def test_sine_of_the_standard_reads_as_the_standard_says(rate_hz: int) -> None:
    # BS.1770: a 997 Hz sine of full scale on one channel reads -3.01; it gives two decimals.
    assert loudness_lufs(sine(997.0, rate_hz), rate_hz) == pytest.approx(-3.01, abs=0.005)


def test_loudness_of_the_guitar_is_that_of_the_standards_own_filters() -> None:
    guitar = guitar_signal(RATE_HZ)
    heard = k_weighted(guitar.astype(np.float64))
    expected = -0.691 + 10 * np.log10(np.mean(heard**2))
    # The recursion starts from rest, the spectrum comes round: 3 s differ by their edges.
    assert loudness_lufs(guitar, RATE_HZ) == pytest.approx(expected, abs=0.01)


def test_sub_bass_and_direct_current_hardly_count() -> None:
    middle = loudness_lufs(sine(997.0), RATE_HZ)
    assert loudness_lufs(sine(20.0), RATE_HZ) < middle - 13.0  # the standard's curve: -13.8 dB
    assert loudness_lufs(np.full(RATE_HZ, 0.5, np.float32), RATE_HZ) == -200.0


def test_both_sides_alike_are_as_loud_as_one_and_half_of_them_3_db_less() -> None:
    one = sine(997.0)
    mono = loudness_lufs(one, RATE_HZ)
    assert loudness_lufs(np.stack([one, one]), RATE_HZ) == pytest.approx(mono, abs=1e-9)
    half = loudness_lufs(np.stack([one, 0 * one]), RATE_HZ)
    assert half == pytest.approx(mono - 10 * np.log10(2), abs=1e-9)


def test_rms_leaves_direct_current_out() -> None:
    wave = 0.1 * np.sin(2 * np.pi * np.arange(48000) / 48)
    expected = 20 * np.log10(0.1 / np.sqrt(2))
    assert rms_dbfs((wave + 0.5).astype(np.float32)) == pytest.approx(expected, abs=1e-3)
    assert rms_dbfs(np.full(100, 0.5, np.float32)) == -200.0


@pytest.mark.parametrize("rate_hz", [8000, 44100, 96000])
def test_guitar_that_asks_is_the_same_at_every_rate(rate_hz: int) -> None:
    signal, usual = guitar_signal(rate_hz), guitar_signal(48000)
    assert len(signal) == SECONDS * rate_hz
    assert np.max(np.abs(signal)) == pytest.approx(PEAK)
    # The peak, which sets the level, falls between samples of one rate and on one of the other.
    assert rms_dbfs(signal) == pytest.approx(rms_dbfs(usual), abs=0.15)
    expected = loudness_lufs(usual, 48000)
    if rate_hz >= 44100:  # 8 kHz lacks partials that the ear weighs
        assert loudness_lufs(signal, rate_hz) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.01])
def test_gain_is_read_as_loudness_and_its_sign_as_polarity(gain: float) -> None:
    found, usual = answer_of(gain), loudness_lufs(guitar_signal(RATE_HZ), RATE_HZ)
    # float32 rounds the products
    assert found.loudness_lufs == pytest.approx(usual + 20 * np.log10(abs(gain)), abs=1e-4)
    assert found.polarity == np.sign(gain)


@pytest.mark.parametrize("delay_frames", [0, 1, 138, 5000])
def test_delay_is_read_to_the_frame(delay_frames: int) -> None:
    found = answer_of(-0.5, delay_frames)
    assert (found.latency_frames, found.polarity) == (delay_frames, -1)


def test_direct_current_and_noise_are_told_apart() -> None:
    still = answer_of(1.0, add=0.01)
    assert still.dc_dbfs == pytest.approx(-40.0, abs=0.01)
    assert still.noise_dbfs < -140.0  # float32 rounding of 0.01 itself
    noise = 1e-3 * np.random.default_rng(1).standard_normal(len(examination_signal(RATE_HZ)))
    hiss = read_answer((examination_signal(RATE_HZ) + noise).astype(np.float32), RATE_HZ)
    assert hiss.noise_dbfs == pytest.approx(-60.0, abs=0.2)  # 12,000 samples of noise: 1 %
    assert (hiss.latency_frames, hiss.polarity) == (0, 1)


def test_noise_alone_is_no_answer_to_a_click() -> None:
    noise = 1e-3 * np.random.default_rng(1).uniform(-1, 1, len(examination_signal(RATE_HZ)))
    found = read_answer(noise.astype(np.float32), RATE_HZ)
    assert (found.latency_frames, found.polarity) == (None, 0)


def test_a_turn_of_a_quarter_has_no_polarity() -> None:
    asked = examination_signal(RATE_HZ).astype(np.float64)
    spectrum = np.fft.rfft(asked) * -1j
    found = read_answer(np.fft.irfft(spectrum, len(asked)).astype(np.float32), RATE_HZ)
    assert found.polarity == 0


def test_numbers_that_are_not_finite_are_read_as_silence() -> None:
    sound = np.full(len(examination_signal(RATE_HZ)), np.nan, np.float32)
    sound[1::2] = np.inf
    found = read_answer(sound, RATE_HZ)
    assert (found.loudness_lufs, found.rms_dbfs, found.latency_frames) == (-200.0, -200.0, None)


def test_examination_is_silence_a_click_and_the_guitar() -> None:
    signal = examination_signal(RATE_HZ)
    click = round(SETTLE_S * RATE_HZ)
    guitar = click + round(CLICK_S * RATE_HZ)
    assert np.flatnonzero(signal[:guitar]).tolist() == [click]
    assert np.array_equal(signal[guitar:], guitar_signal(RATE_HZ))
