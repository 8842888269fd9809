"""When a run goes wrong: the last good weights again, at half the learning rate."""

import dataclasses
import math

from trainer.errors import TrainingError

SMOOTHING = 0.98  # of the running loss: about fifty steps
EXPLOSION = 10.0  # the running loss over the lowest that it has been
MAX_HALVINGS = 10


@dataclasses.dataclass
class Safeguard:
    """Watches the loss; scale is what the learning rates are multiplied with."""

    recent: float = math.nan
    lowest: float = math.inf
    halvings: int = 0

    @property
    def scale(self) -> float:
        return 0.5**self.halvings

    def is_wrong(self, loss: float, gradient_norm: float) -> bool:
        """True if a step with this loss must not be taken; learns from it otherwise."""
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            return True
        first = math.isnan(self.recent)
        self.recent = loss if first else SMOOTHING * self.recent + (1 - SMOOTHING) * loss
        self.lowest = min(self.lowest, self.recent)
        return self.recent > EXPLOSION * self.lowest

    def halve(self, step: int, loss: float) -> None:
        """Halve the rates and forget what the loss has been.

        raises: TrainingError after MAX_HALVINGS of them
        """
        if self.halvings == MAX_HALVINGS:
            raise TrainingError(
                f"step {step}: the loss is {loss:.3g} again, at 1/{2**MAX_HALVINGS} of the "
                "learning rates; lower --training.muon_learning_rate and "
                "--training.adam_learning_rate, and look at the recordings"
            )
        self.halvings += 1
        self.recent, self.lowest = math.nan, math.inf
