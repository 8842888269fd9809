import numpy as np
import pytest
import torch

from trainer.data import NORMAL_RMS
from trainer.losses import TrainingLoss, dc_loss, esr, esr_loss
from trainer.recipe import TrainingConfig, recipe_from_dict

RANDOM = np.random.default_rng(3)
TARGET = RANDOM.normal(size=(3, 100))
PREDICTED = TARGET + 0.1 * RANDOM.normal(size=(3, 100))


def test_esr_equals_its_formula_per_clip() -> None:
    expected = ((PREDICTED - TARGET) ** 2).sum(1) / (TARGET**2).sum(1)
    found = esr(torch.from_numpy(PREDICTED), torch.from_numpy(TARGET)).numpy()
    assert found == pytest.approx(expected, rel=1e-12)  # float64 sums in another order


def test_silence_as_an_answer_scores_one() -> None:
    target = torch.from_numpy(TARGET)
    assert esr(torch.zeros_like(target), target).tolist() == pytest.approx([1, 1, 1])


def test_esr_of_a_silent_target_is_refused() -> None:
    with pytest.raises(ValueError, match="silent"):
        esr(torch.ones(1, 4), torch.zeros(1, 4))


def test_loss_equals_its_formula() -> None:
    error, power = ((PREDICTED - TARGET) ** 2).mean(1), (TARGET**2).mean(1)
    found = float(esr_loss(torch.from_numpy(PREDICTED), torch.from_numpy(TARGET), 0.25))
    assert found == pytest.approx((error / (power + 0.25)).mean(), rel=1e-12)


def test_loss_of_a_silent_crop_is_finite_and_has_a_gradient() -> None:
    predicted = torch.full((1, 8), 0.5, requires_grad=True)
    loss = esr_loss(predicted, torch.zeros(1, 8), 0.01)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(25.0)  # 0.5^2 / 0.01
    assert predicted.grad is not None
    assert bool((predicted.grad > 0).all())


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        esr_loss(torch.zeros(1, 4), torch.zeros(1, 5), 1.0)


def config(**settings: object) -> TrainingConfig:
    return recipe_from_dict({"training": settings}, "test").training


def test_loss_without_terms_is_the_esr_loss() -> None:
    signals = torch.from_numpy(PREDICTED), torch.from_numpy(TARGET)
    expected = esr_loss(*signals, 2.0 * NORMAL_RMS**2)
    assert torch.equal(TrainingLoss(config(loss_floor=2.0))(*signals), expected)


def test_pre_emphasis_term_is_the_esr_of_the_filtered_signals() -> None:
    signals = torch.from_numpy(PREDICTED), torch.from_numpy(TARGET)
    error, target = (s[:, 1:] - 0.9 * s[:, :-1] for s in (PREDICTED - TARGET, TARGET))
    power = (target**2).mean(1) + 0.01 * NORMAL_RMS**2  # the floor, times (1 - 0.9)^2
    expected = ((error**2).mean(1) / power).mean()
    with_term = TrainingLoss(config(pre_emphasis=0.9, pre_emphasis_weight=0.5))(*signals)
    found = with_term - TrainingLoss(config())(*signals)
    assert float(found) == pytest.approx(0.5 * expected, rel=1e-9)


def test_dc_term_sees_an_offset_and_nothing_else() -> None:
    target = torch.from_numpy(TARGET)
    wave = torch.sin(torch.arange(100) * 2 * torch.pi / 50).double()
    floor = 1.0
    assert float(dc_loss(target + wave, target, floor)) == pytest.approx(0, abs=1e-12)
    expected = (0.3**2 / ((TARGET**2).mean(1) + floor)).mean()
    assert float(dc_loss(target + 0.3, target, floor)) == pytest.approx(expected, rel=1e-9)


def test_spectral_term_is_zero_for_the_target_itself_and_has_a_gradient() -> None:
    pytest.importorskip("auraloss")
    torch.manual_seed(0)
    target = torch.randn(2, 4096)
    loss = TrainingLoss(config(mrstft_weight=1.0, segment_frames=4096))
    assert float(loss(target, target)) == pytest.approx(0, abs=1e-6)
    predicted = (0.5 * target).requires_grad_()
    found = loss(predicted, target)
    found.backward()  # type: ignore[no-untyped-call]
    assert float(found.detach()) > 0.5
    assert predicted.grad is not None
    assert bool(torch.isfinite(predicted.grad).all())
