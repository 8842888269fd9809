import auraloss
import numpy as np
import pytest
import torch

from tests.trainer.conftest import RATE_HZ, gear
from trainer.closeness import delay, measure, mrstft, passages
from trainer.doctor.timing import shifted
from trainer.signals import riff

SOUND = gear(riff(2.0, RATE_HZ))


def test_equal_signals_have_no_distance() -> None:
    found = measure(SOUND, SOUND.copy(), RATE_HZ)
    zero = (found.esr, found.pre_emphasised_esr, found.mae, found.peak_error, found.dc)
    assert not any(zero)
    assert found.correlation == pytest.approx(1)
    assert found.delay_frames == pytest.approx(0, abs=1e-6)
    assert found.mrstft == pytest.approx(0, abs=1e-6)


def test_figures_are_those_of_their_formulas() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(SOUND))
    other = SOUND + noise + 0.003
    found, error = measure(SOUND, other, RATE_HZ), noise + 0.003
    power = np.square(SOUND).mean()
    assert found.esr == pytest.approx(np.square(error).mean() / power)
    assert found.esr_db == pytest.approx(10 * np.log10(np.square(error).mean() / power))
    assert found.mae == pytest.approx(np.abs(error).mean())
    assert found.peak_error == pytest.approx(np.abs(error).max())
    assert found.dc == pytest.approx(error.mean() ** 2 / power)
    assert found.correlation == pytest.approx(np.corrcoef(SOUND, other)[0, 1])
    lifted = [s[1:] - 0.95 * s[:-1] for s in (error, SOUND)]
    expected = np.square(lifted[0]).sum() / np.square(lifted[1]).sum()
    assert found.pre_emphasised_esr == pytest.approx(expected)


@pytest.mark.parametrize("late", [-40.0, -1.0, 0.3, 0.5, 2.0, 333.0])
def test_delay_is_found_with_its_sign_to_a_tenth_of_a_frame(late: float) -> None:
    moved = shifted(SOUND, -late, len(SOUND))
    assert delay(SOUND, moved, RATE_HZ) == pytest.approx(late, abs=0.1)


def test_spectral_distance_is_auraloss_own_and_its_mean_over_long_files() -> None:
    other = np.roll(SOUND, 5)
    pair = [torch.from_numpy(s).float()[None, None] for s in (other, SOUND)]
    expected = float(auraloss.freq.MultiResolutionSTFTLoss()(*pair))
    assert mrstft(SOUND, other, RATE_HZ) == pytest.approx(expected, rel=1e-6)
    # At a rate of 9600 Hz these are ten seconds, and three times as much are three windows.
    long, longer = np.tile(SOUND, 3), np.concatenate([other, SOUND, SOUND])
    assert mrstft(long, longer, 9600) == pytest.approx(expected / 3, rel=1e-4)


def test_passages_leave_silence_out_and_name_the_bad_one() -> None:
    target = np.concatenate([SOUND, np.zeros(2 * RATE_HZ), SOUND])
    predicted = target.copy()
    predicted[5 * RATE_HZ :] *= 0.9
    found = dict(passages(target, predicted, RATE_HZ, 1.0))
    assert [*found] == [0, RATE_HZ, 4 * RATE_HZ, 5 * RATE_HZ]
    assert found[5 * RATE_HZ] == pytest.approx(0.01)
    assert found[0] == 0


def test_silent_target_is_refused() -> None:
    with pytest.raises(ValueError, match="silent"):
        measure(np.zeros(4800), SOUND[:4800], RATE_HZ)
