"""Muon: gradient descent whose steps for a matrix are made orthogonal.

The matrices of these nets are small (C x C*K) and there are many of one shape, so all of them
are orthogonalised as one stack in float32: ten matrices cost what one does.  torch.optim.Muon
does the same one by one and in bfloat16, and takes no tensors with three axes.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Chosen by the authors to push every singular value in (0, 1] to about 1 in five rounds.
ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest matrices (about) with all singular values 1, without an SVD.

    matrices: float (count, rows, columns)
    returns: the same shape; singular values in about 0.7..1.2
    source: Newton-Schulz iteration of K. Jordan et al. 2024, "Muon: an optimizer for hidden
        layers in neural networks", kellerjordan.github.io/posts/muon
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    size: Tensor = torch.linalg.matrix_norm(x, keepdim=True)
    x = x / (size + 1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, then an orthogonal step of size lr for every parameter.

    parameters: tensors (out, ...), each taken as a matrix out x rest; one common shape a group
    lr: size of a step, as the spectral norm of the change of one matrix
    momentum: 0..1
    """

    def __init__(self, parameters: Any, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step from the gradients that lie in the parameters; closure must be None."""
        if closure is not None:
            raise ValueError("Muon takes no closure: compute the gradients before step()")
        for group in self.param_groups:
            tensors: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not tensors:
                continue
            gradients = torch.stack([_gradient(p) for p in tensors])
            state = self.state[tensors[0]]
            velocity = state.setdefault("velocity", torch.zeros_like(gradients))
            velocity.lerp_(gradients, 1 - group["momentum"])
            steps = orthogonalise(gradients.lerp(velocity, group["momentum"]))
            for tensor, change in zip(tensors, steps, strict=True):
                tensor.sub_(change.view_as(tensor), alpha=group["lr"])


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad.flatten(1)


def muon_for(parameters: Iterable[Tensor], lr: float, momentum: float = 0.95) -> Muon:
    """Muon with one group for each shape of matrix, so that a group can be one stack."""
    shapes: dict[torch.Size, list[Tensor]] = {}
    for parameter in parameters:
        shapes.setdefault(parameter.shape, []).append(parameter)
    groups = [{"params": group} for group in shapes.values()]
    return Muon(groups, lr, momentum)
