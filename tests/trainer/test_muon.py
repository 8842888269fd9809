import pytest
import torch

from trainer.muon import Muon, muon_for, orthogonalise


@pytest.mark.parametrize("shape", [(6, 12, 36), (6, 36, 12), (1, 8, 8)])
def test_steps_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    # The authors' coefficients bring values from 0.05 of the largest on into 0.68..1.13 in five
    # rounds; the smallest of a random square matrix can start below that.
    assert float(values.max()) <= 1.25
    if shape[1] != shape[2]:
        assert float(values.min()) >= 0.6


def test_stacked_matrices_do_not_mix() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(1, 4, 12), torch.randn(1, 4, 12)
    both = orthogonalise(torch.cat([one, other]))
    assert torch.allclose(both[:1], orthogonalise(one), atol=1e-6)  # float32 sums


def test_a_step_has_the_size_of_the_learning_rate() -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(4, 4, 3))
    weight.grad = 1e-6 * torch.randn(4, 4, 3)
    Muon([weight], lr=0.1).step()
    largest = float(torch.linalg.svdvals(weight.detach().flatten(1)).max())
    assert 0.06 <= largest <= 0.125  # lr times the range above, however small the gradient


def test_matrices_of_several_shapes_each_have_their_own_stack() -> None:
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((4, 4, 3), (2, 2), (4, 4, 3))]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    alone = torch.nn.Parameter(torch.zeros(2, 2))
    alone.grad = weights[1].grad
    muon_for(weights, 0.1).step()
    Muon([alone], 0.1).step()
    assert torch.equal(alone, weights[1])
    assert all(bool(weight.any()) for weight in weights)
