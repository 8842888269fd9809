"""The training loop.

Many small steps (a few crops of a few thousand frames) rather than few large ones; warm-up, then
a cosine that ends with the budget; Muon for the hidden matrices, Adam for the rest; a moving
average of the weights, taken wherever it validates better than the weights themselves.  Weight
decay keeps the nets well conditioned: without it the first layer saturates and later ones amplify
its rounding, and a float32 engine then strays from the float64 forward by 5e-6 of peak, not 1e-6.
"""

import copy
import dataclasses
import datetime
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from trainer.checkpoint import Checkpoint, save_checkpoint
from trainer.data import NORMAL_RMS, Crops, Pair
from trainer.errors import TrainingError
from trainer.losses import esr, esr_loss
from trainer.muon import Muon
from trainer.networks import ResidualWaveNet, reference_forward, render
from trainer.recipe import Frames, Recipe, TrainingConfig

FINAL_RATE = 0.01  # learning rate at the end of the cosine, as a share of the recipe's


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run is; given to the caller after every step."""

    step: int
    share: float  # of the budget, 0..1
    seconds_left: float  # at most: early stopping may end it sooner
    esr_valid: float  # latest validation; inf before the first
    esr_best: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    checkpoint: Path
    steps: int
    reason: str  # "budget", "patience", "stopped"
    esr_valid: float
    esr_test: float | None


class Budget:
    """How much of the time or of the steps is used up."""

    def __init__(self, config: TrainingConfig) -> None:
        self._steps, self._seconds = config.steps, config.minutes * 60
        self._started = time.monotonic()

    def share(self, step: int) -> float:
        """0 at the start, 1 or more when it is used up."""
        if self._steps:
            return step / self._steps
        return (time.monotonic() - self._started) / self._seconds

    def seconds_left(self, share: float) -> float:
        """Extrapolated from what the share so far took."""
        elapsed = time.monotonic() - self._started
        return elapsed * (1 - share) / share if share > 0 else math.inf


class Best:
    """The best weights so far, on disk from the moment they are found."""

    def __init__(self, path: Path, recipe: Recipe, pair: Pair) -> None:
        self.path, self.esr, self.waited = path, math.inf, 0
        self.weights: dict[str, Tensor] = {}
        self._recipe, self._pair = recipe, pair

    def offer(self, net: ResidualWaveNet, value: float, step: int) -> bool:
        """Keep the net's weights if value is better; True if it was."""
        if not value < self.esr:
            return False
        self.esr = value
        self.weights = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
        self.save(step, None)
        return True

    def save(self, step: int, esr_test: float | None) -> None:
        """Write the checkpoint."""
        checkpoint = Checkpoint(
            recipe=self._recipe,
            weights=self.weights,
            target_gain=self._pair.target_gain,
            sample_rate_hz=self._pair.sample_rate_hz,
            data_sha256=self._pair.sha256,
            esr_valid=self.esr,
            esr_test=esr_test,
            step=step,
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        save_checkpoint(checkpoint, self.path)


def train(recipe: Recipe, pair: Pair, report: Callable[[Progress], None]) -> Outcome:
    """Train the recipe's net on the pair and leave best_model.pt in paths.run.

    report: called after every step
    Ctrl-C ends the run and keeps the best weights so far.
    raises: TrainingError if no validation gave a finite value; DataError if a crop does not fit
    """
    config = recipe.training
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    net = ResidualWaveNet(recipe.model)
    device = _device(config.device)
    net.to(device)
    placed = dataclasses.replace(pair, input=pair.input.to(device), target=pair.target.to(device))
    best = Best(Path(recipe.paths.run) / "best_model.pt", recipe, pair)
    loop = Loop(net, placed, config, best)
    try:
        reason = loop.run(report)
    except KeyboardInterrupt:
        reason = "stopped"
    if not best.weights:
        raise TrainingError(
            f"training ended ({reason}) after {loop.step} steps before any weights validated; "
            "give it more --training.minutes, or lower --training.muon_learning_rate"
        )
    net.load_state_dict(best.weights)
    test = None if pair.test is None else span_esr(net, pair, pair.test)
    best.save(loop.step, test)
    return Outcome(best.path, loop.step, reason, best.esr, test)


class Loop:
    """Net, optimisers and average of one run."""

    def __init__(
        self, net: ResidualWaveNet, pair: Pair, config: TrainingConfig, best: Best
    ) -> None:
        self.net, self.pair, self.config, self.best = net, pair, config, best
        self.step = 0
        self.esr_valid = math.inf
        hidden = [p for name, p in net.named_parameters() if _is_hidden_matrix(name)]
        rest = [p for name, p in net.named_parameters() if not _is_hidden_matrix(name)]
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon(hidden, config.muon_learning_rate),
            torch.optim.Adam(rest, config.adam_learning_rate),
        ]
        self.rates = [config.muon_learning_rate, config.adam_learning_rate]
        self.average = copy.deepcopy(net)
        self.crops = Crops(pair, net, config.batch_size, config.segment_frames, config.seed)

    def run(self, report: Callable[[Progress], None]) -> str:
        """Step until the budget or the patience is used up; returns which."""
        budget = Budget(self.config)
        share = 0.0
        while share < 1:
            self.take_step(rate_factor(share, self.config.warm_up_share))
            share = min(1.0, budget.share(self.step))
            if share >= 1 or self.step % self.config.validate_every_steps == 0:
                self.validate()
                if self.best.waited >= self.config.patience:
                    return "patience"
            left = budget.seconds_left(share)
            report(Progress(self.step, share, left, self.esr_valid, self.best.esr))
        return "budget"

    def take_step(self, factor: float) -> float:
        """One batch, one step of both optimisers; returns the loss."""
        inputs, targets = self.crops.draw()
        loss = esr_loss(self.net(inputs), targets, self.config.loss_floor * NORMAL_RMS**2)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"step {self.step}: the loss is {value}, expected a finite number; lower "
                "--training.muon_learning_rate and --training.adam_learning_rate"
            )
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.gradient_clip)
        for optimiser in self.optimisers:
            optimiser.step()
        self._decay_weights(factor)
        self._update_average()
        self.step += 1
        return value

    @torch.no_grad()
    def _decay_weights(self, factor: float) -> None:
        for weight in self.net.parameters():
            weight.mul_(1 - self.config.weight_decay * factor)

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average forgets faster, or the first random weights would stay in it.
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.net.parameters(), strict=True)
        for mean, weight in pairs:
            mean.lerp_(weight, 1 - decay)

    def validate(self) -> None:
        """Offer the weights and their average to `best`."""
        candidates = [self.net, self.average]
        values = [valid_esr(net, self.pair) for net in candidates]
        self.esr_valid = min(values)
        better = [
            self.best.offer(net, value, self.step)
            for net, value in zip(candidates, values, strict=True)
        ]
        self.best.waited = 0 if any(better) else self.best.waited + 1


def rate_factor(share: float, warm_up_share: float) -> float:
    """Learning rate at a share of the budget: a line up to 1, then a cosine to FINAL_RATE."""
    if share < warm_up_share:
        return max(share / warm_up_share, 0.01)
    turn = math.pi * (share - warm_up_share) / (1 - warm_up_share)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(turn))


def valid_esr(net: ResidualWaveNet, pair: Pair) -> float:
    """ESR on the VALID split in float32, with the history that lies before it."""
    first, end = pair.valid
    wanted = pair.target[first:end].cpu().double() * pair.target_gain
    predicted = render(net, pair.input, first, end).cpu().double()
    return float(esr(predicted[None], wanted[None])[0])


def span_esr(net: ResidualWaveNet, pair: Pair, span: Frames) -> float:
    """ESR on any span in float64."""
    wanted = pair.target[slice(*span)].cpu().double() * pair.target_gain
    return float(esr(reference_forward(net, pair.input, *span)[None], wanted[None])[0])


def _is_hidden_matrix(name: str) -> bool:
    return name.startswith("blocks.") and name.endswith(".weight")


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            f"training.device: found {name!r}, expected a device that this machine has "
            f"({str(error).splitlines()[0]}); use --device cpu"
        ) from error
    return torch.device(name)
