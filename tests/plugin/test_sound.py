"""The plugin in a host against the daemon's offline render: one engine, one sound."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.plugin.hosts import ROOT, SHARED, Signal, Vst3, off, play, render_model
from tests.plugin.project import frame, model_state

SHIPPED = [ROOT / "models" / name for name in ("champ/champ.json", "champ/champ.nam")]
SHIPPED += [ROOT / "models" / name for name in ("ts9/ts9.json", "ts9/ts9.nam")]
CORPUS = SHARED / "model-corpus"
OF_CORPUS = [  # one of every family and architecture that people bring
    "nam/mikeolipha__BossWN-standard.nam",
    "nam/mikeolipha__BossWN-a2.nam",
    "nam/mikeolipha__BossLSTM-2x16.nam",
    "nam/sdatkinson__slimmable_container.nam",
    "nam/fabiohl__convnet_test.nam",
    "nam/fabiohl__linear_fft_rf4096.nam",
    "other/agam__GuitarML__6505Plus_Red_DirectOut.json",
    "other/agam__GuitarML__Benson_Chimaira_pedal_GainKnob.json",
    "other/rtneural__AidaDSP__tw40_blues_deluxe_deerinkstudios.json",
    "other/pedalnet__GuitarML__BritRock79.json",
]
RATES = (44100, 48000, 96000)
BLOCKS = (32, 64, 333, 4096)
LIMIT = 1e-6  # of peak; where a model is resampled both resample alike


def compare(load: Callable[[], Vst3], model: Path, signal: Signal, rate_hz: int) -> float:
    plugin = load()
    plugin.raw_state = frame(model_state(model))
    truth = render_model(model, signal, rate_hz)
    return max(off(play(plugin, signal[None], rate_hz, block)[0], truth) for block in BLOCKS)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("model", SHIPPED, ids=lambda path: path.name)
def test_shipped_model_sounds_as_in_the_daemon(
    load: Callable[[], Vst3], guitar: Signal, model: Path, rate_hz: int
) -> None:
    assert compare(load, model, guitar, rate_hz) <= LIMIT


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("name", OF_CORPUS)
def test_model_of_the_corpus_sounds_as_in_the_daemon(
    load: Callable[[], Vst3], guitar: Signal, name: str, rate_hz: int
) -> None:
    if not (CORPUS / name).exists():
        pytest.skip("shared/model-corpus is absent")
    assert compare(load, CORPUS / name, guitar, rate_hz) <= LIMIT


def test_comparison_sees_a_thousandth_of_a_decibel(
    load: Callable[[], Vst3], guitar: Signal
) -> None:
    plugin = load()
    plugin.raw_state = frame(model_state(SHIPPED[0], output_gain=0.01))
    truth = render_model(SHIPPED[0], guitar, 48000)
    assert off(play(plugin, guitar[None], 48000)[0], truth) > 1e-3


def test_bypass_and_mix_0_are_the_guitar(load: Callable[[], Vst3], guitar: Signal) -> None:
    for state in (model_state(SHIPPED[0], bypass=1.0), model_state(SHIPPED[0], mix=0.0)):
        plugin = load()
        plugin.raw_state = frame(state)
        np.testing.assert_array_equal(play(plugin, guitar[None], 48000)[0], guitar)


@pytest.mark.parametrize("rate_hz", [44100, 48000, 88200, 96000, 176400, 192000])
def test_every_rate_plays_and_is_as_loud(
    load: Callable[[], Vst3], guitar: Signal, rate_hz: int
) -> None:
    # The samples are played faster at a higher rate, so only the size of the sound is compared.
    plugin = load()
    plugin.raw_state = frame(model_state(SHIPPED[0]))
    heard = play(plugin, guitar[None], rate_hz)
    assert np.isfinite(heard).all()
    assert 0.2 < np.sqrt(np.mean(heard**2)) / np.sqrt(np.mean(guitar**2)) < 20


def test_stereo_plays_each_side_and_mono_is_the_left_one(
    load: Callable[[], Vst3], guitar: Signal
) -> None:
    sides = np.stack([guitar, guitar[::-1]])
    plugin = load()
    plugin.raw_state = frame(model_state(SHIPPED[0]))
    heard = play(plugin, sides, 48000)
    for side in (0, 1):
        truth = render_model(SHIPPED[0], np.ascontiguousarray(sides[side]), 48000)
        assert off(heard[side], truth) <= LIMIT
