"""How much of a budget is used up, and the learning rate that goes with it."""

import math
import time
from collections.abc import Callable

from trainer.recipe import TrainingConfig

FINAL_RATE = 0.01  # learning rate at the end of the cosine, as a share of the recipe's


class Budget:
    """Steps, CPU seconds of this process or minutes, whichever the recipe sets first.

    spent: what a run that is resumed had used of it; steps count themselves
    """

    def __init__(self, config: TrainingConfig, spent: float = 0.0) -> None:
        self._steps, self._clock = config.steps, _clock(config)
        self._allowed = config.cpu_seconds or config.minutes * 60
        self._started = self._clock() - spent
        self._wall_started, self._share_at_start = time.monotonic(), -1.0

    @property
    def spent(self) -> float:
        """Seconds of the budget's own clock, those before a resume included."""
        return self._clock() - self._started

    def share(self, step: int) -> float:
        """0 at the start, 1 or more when it is used up."""
        share = step / self._steps if self._steps else self.spent / self._allowed
        if self._share_at_start < 0:
            self._share_at_start = share
        return share

    def seconds_left(self, share: float) -> float:
        """Extrapolated from the time on the wall that the share of this session took."""
        elapsed, gone = time.monotonic() - self._wall_started, share - self._share_at_start
        return elapsed * (1 - share) / gone if gone > 0 else math.inf


def _clock(config: TrainingConfig) -> Callable[[], float]:
    return time.process_time if config.cpu_seconds > 0 else time.monotonic


def rate_factor(share: float, warm_up_share: float) -> float:
    """Learning rate at a share of the budget: a line up to 1, then a cosine to FINAL_RATE."""
    if share < warm_up_share:
        return max(share / warm_up_share, 0.01)
    turn = math.pi * (share - warm_up_share) / (1 - warm_up_share)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(turn))
