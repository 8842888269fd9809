"""What is minimised, and what is reported."""

from torch import Tensor


def esr(predicted: Tensor, target: Tensor) -> Tensor:
    """Energy of the error over energy of the target, one value per clip.

    predicted, target: float (batch, frames), same rate, already aligned
    returns: (batch,), unitless, >= 0; 0 is identical, 1 is what silence scores
    raises: ValueError if shapes differ or a target is silent
    source: Wright & Valimaki 2019, arXiv:1911.08922
    """
    _check_shapes(predicted, target)
    energy = target.square().sum(-1)
    if not bool((energy > 0).all()):
        raise ValueError("the target is silent: its energy is 0, so the ratio has no value")
    return (predicted - target).square().sum(-1) / energy


def esr_loss(predicted: Tensor, target: Tensor, floor_power: float) -> Tensor:
    """The mean ESR of the clips, each with floor_power added to its target's power.

    predicted, target: float (batch, frames)
    floor_power: mean square that is added to the denominator, in the target's unit squared,
        > 0.  A silent clip then costs a finite amount; a floor far above the clips' own power
        makes this the mean squared error.
    returns: scalar, unitless, >= 0, differentiable in predicted
    raises: ValueError if shapes differ or floor_power is not positive
    """
    _check_shapes(predicted, target)
    if not floor_power > 0:
        raise ValueError(f"floor_power is {floor_power}, expected a number above 0")
    error_power = (predicted - target).square().mean(-1)
    return (error_power / (target.square().mean(-1) + floor_power)).mean()


def _check_shapes(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim != 2:
        raise ValueError(
            f"predicted is {tuple(predicted.shape)} and target is {tuple(target.shape)}, "
            "expected two equal shapes (batch, frames)"
        )
