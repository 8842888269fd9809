"""What is minimised, and what is reported."""

from torch import Tensor

from trainer.data import NORMAL_RMS
from trainer.recipe import TrainingConfig


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


def pre_emphasise(signal: Tensor, factor: float) -> Tensor:
    """y[t] - factor y[t-1], which weighs treble as the ear does more than as energy does.

    signal: float (batch, frames)
    returns: (batch, frames - 1)
    """
    return signal[:, 1:] - factor * signal[:, :-1]


def dc_loss(predicted: Tensor, target: Tensor, floor_power: float) -> Tensor:
    """The squared mean error of each clip over its power and floor_power, as in esr_loss."""
    _check_shapes(predicted, target)
    offset_power = (predicted - target).mean(-1).square()
    return (offset_power / (target.square().mean(-1) + floor_power)).mean()


class TrainingLoss:
    """The weighted sum that a recipe asks for; the ESR alone where every weight is 0."""

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._floor_power = config.loss_floor * NORMAL_RMS**2
        if config.mrstft_weight > 0:
            import auraloss  # noqa: PLC0415  # a dependency of this one term

            self._spectral = auraloss.freq.MultiResolutionSTFTLoss()

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """(batch, frames) twice -> scalar, differentiable in predicted."""
        config, floor = self._config, self._floor_power
        loss = esr_loss(predicted, target, floor)
        if config.pre_emphasis_weight > 0:
            factor = config.pre_emphasis
            # Playing lies low, where the filter's gain is about 1 - factor.
            low_gain = max(1 - factor, 0.01)
            treble = esr_loss(
                pre_emphasise(predicted, factor),
                pre_emphasise(target, factor),
                floor * low_gain**2,
            )
            loss = loss + config.pre_emphasis_weight * treble
        if config.dc_weight > 0:
            loss = loss + config.dc_weight * dc_loss(predicted, target, floor)
        if config.mrstft_weight > 0:
            spectral: Tensor = self._spectral(predicted[:, None], target[:, None])
            loss = loss + config.mrstft_weight * spectral
        return loss


def _check_shapes(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim != 2:
        raise ValueError(
            f"predicted is {tuple(predicted.shape)} and target is {tuple(target.shape)}, "
            "expected two equal shapes (batch, frames)"
        )
