import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.conftest import RATE_HZ, make_net
from trainer.aliasing import probe
from trainer.networks import Memory, Network


class Power(Network):
    """signal ** order: its harmonics are known, and all of them are at most the order's."""

    receptive_field_frames = 1

    def __init__(self, order: int) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))
        self._order = order

    def forward(self, signal: Tensor, memory: Memory | None = None) -> Tensor:
        return self.one * signal**self._order


def test_partials_above_half_the_rate_count_and_no_others() -> None:
    low, middle, high = probe(Power(9), RATE_HZ)
    # sin^9 has the partials 1, 3, 5, 7, 9 in the proportions 126, 84, 36, 9, 1.  Of 5 kHz those
    # from the fifth on are folded, of 2.5 kHz none (22.5 kHz), of 1.25 kHz none.
    expected = 10 * np.log10((36**2 + 9**2 + 1) / (126**2 + 84**2))
    assert high.ratio_db == pytest.approx(expected, abs=1e-6)
    assert max(low.ratio_db, middle.ratio_db) < -200
    folded = high.bins_hz[(high.levels_db > -60) & ~high.harmonic]
    assert folded == pytest.approx([3000, 13000, 23000], abs=15)


def test_cube_of_five_kilohertz_stays_below_half_the_rate() -> None:
    assert probe(Power(3), RATE_HZ)[2].ratio_db < -200


@pytest.mark.parametrize("causal", [True, False])
def test_net_that_hardly_bends_hardly_aliases_and_its_start_is_not_heard(causal: bool) -> None:
    net = make_net(causal)
    straight = {"blocks.0.weight", "blocks.1.weight", "blocks.2.weight"}
    for name, weight in net.named_parameters():
        if name in straight:
            weight.mul_(1e-5)
    assert all(found.ratio_db < -80 for found in probe(net, RATE_HZ))
    assert all(
        abs(found.frequency_hz - f) < 2
        for found, f in zip(probe(net, 44100), (1250, 2500, 5000), strict=True)
    )
