import numpy as np
import pytest
import torch

from trainer.losses import esr, esr_loss

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
