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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.architectures import build_network
from trainer.checkpoint import Checkpoint, save_checkpoint
from trainer.data import Crops, Pair
from trainer.devices import find_device
from trainer.errors import TrainingError
from trainer.losses import TrainingLoss, esr
from trainer.muon import muon_for
from trainer.networks import Network, reference_forward, render
from trainer.recipe import Frames, Recipe, TrainingConfig
from trainer.run_log import RunLog
from trainer.run_state import clear_states, load_state, save_state
from trainer.safeguard import Safeguard
from trainer.schedule import Budget, rate_factor


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run is; given to the caller after every step."""

    step: int
    share: float  # of the budget, 0..1
    seconds_left: float  # at most: early stopping may end it sooner
    esr_valid: float  # latest validation; inf before the first
    esr_best: float
    loss: float  # running, about the ESR of the crops on top of what the recipe adds
    note: str = ""  # what a person should know, such as a step back


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    checkpoint: Path
    steps: int
    reason: str  # "budget", "target", "patience", "stopped"
    esr_valid: float
    esr_test: float | None


class Best:
    """The best weights so far, on disk from the moment they are found."""

    def __init__(self, path: Path, recipe: Recipe, pair: Pair) -> None:
        self.path, self.esr, self.waited = path, math.inf, 0
        self.weights: dict[str, Tensor] = {}
        self._recipe, self._pair = recipe, pair

    def offer(self, net: Network, value: float, step: int) -> bool:
        """Keep the net's weights if value is better; True if it was."""
        if not value < self.esr:
            return False
        self.esr = value
        self.weights = _weights(net)
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
            doctor=self._pair.doctor,
        )
        save_checkpoint(checkpoint, self.path)


def train(
    recipe: Recipe, pair: Pair, report: Callable[[Progress], None], resume: bool = False
) -> Outcome:
    """Train the recipe's net on the pair and leave best_model.pt in paths.run.

    report: called after every step
    resume: go on from the newest of paths.run/checkpoints instead of starting a new run there.
        A run whose budget is in steps then has, on one CPU, the losses and weights of one that
        was never stopped, bit for bit.
    Ctrl-C ends the run and keeps the best weights so far.
    raises: TrainingError if no validation gave a finite value; DataError if a crop does not fit;
        ModelError if there is nothing to resume
    """
    config, run = recipe.training, Path(recipe.paths.run)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    net = build_network(recipe.model)
    device = find_device(config.device, "training.device")
    net.to(device)
    placed = dataclasses.replace(pair, input=pair.input.to(device), target=pair.target.to(device))
    best = Best(run / "best_model.pt", recipe, pair)
    loop = Loop(net, placed, config, best)
    places = _Places(run, recipe, pair)
    if resume:
        loop.load_state(load_state(places.checkpoints, recipe, pair.sha256))
    else:
        clear_states(places.checkpoints)
        best.path.unlink(missing_ok=True)
    reason = loop.run_and_log(places, report)
    if not best.weights:
        raise TrainingError(
            f"training ended ({reason}) after {loop.step} steps before any weights validated; "
            "give it more --training.minutes, or lower --training.muon_learning_rate"
        )
    net.load_state_dict(best.weights)
    test = None if pair.test is None else span_esr(net, pair, pair.test)
    best.save(loop.step, test)
    return Outcome(best.path, loop.step, reason, best.esr, test)


class _Places:
    """Where the states of a run go, and what must be the same to go on from them."""

    def __init__(self, run: Path, recipe: Recipe, pair: Pair) -> None:
        self.run, self.checkpoints = run, run / "checkpoints"
        self._recipe, self._sha256 = recipe, pair.sha256

    def save(self, loop: "Loop") -> None:
        save_state(self.checkpoints, self._recipe, self._sha256, loop.state())


class Loop:
    """Net, optimisers and average of one run."""

    def __init__(self, net: Network, pair: Pair, config: TrainingConfig, best: Best) -> None:
        self.net, self.pair, self.config, self.best = net, pair, config, best
        self.step, self.esr_valid, self.note = 0, math.inf, ""
        hidden = net.hidden_matrices()
        known = {id(parameter) for parameter in hidden}
        rest = [p for p in net.parameters() if id(p) not in known]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(rest, config.adam_learning_rate, foreach=True)
        ]
        self.rates = [config.adam_learning_rate]
        if hidden:
            self.optimisers.append(muon_for(hidden, config.muon_learning_rate))
            self.rates.append(config.muon_learning_rate)
        self.average = copy.deepcopy(net)
        self.crops = Crops(pair, net, config.batch_size, config.segment_frames, config.seed)
        self.loss = TrainingLoss(config)
        self.guard = Safeguard()
        self.budget = Budget(config)
        self._keep_good()

    def run_and_log(self, places: _Places, report: Callable[[Progress], None]) -> str:
        """Step until the budget, target or patience is used up, or Ctrl-C; returns which."""
        log = RunLog(places.run, self.step)
        try:
            return self.run(places, log, report)
        except KeyboardInterrupt:
            return "stopped"
        finally:
            log.close()

    def run(self, places: _Places, log: RunLog, report: Callable[[Progress], None]) -> str:
        share, reason = min(1.0, self.budget.share(self.step)), self._early_end()
        while share < 1 and not reason:
            factor = rate_factor(share, self.config.warm_up_share)
            value = self.take_step(factor)
            log.loss(self.step, value)
            share = min(1.0, self.budget.share(self.step))
            if share >= 1 or self.step % self.config.validate_every_steps == 0:
                self.validate()
                reason = self._early_end()
                figures = {"esr/valid": self.esr_valid, "esr/best": self.best.esr}
                log.figures(
                    self.step, {**figures, "loss": value, "rate": factor * self.guard.scale}
                )
            if share >= 1 or reason or self.step % self.config.checkpoint_every_steps == 0:
                log.flush()
                places.save(self)
            left = self.budget.seconds_left(share)
            loss = self.guard.recent
            report(Progress(self.step, share, left, self.esr_valid, self.best.esr, loss, self.note))
            self.note = ""
        return reason or "budget"

    def _early_end(self) -> str:
        if self.best.esr <= self.config.target_esr:
            return "target"
        return "patience" if self.best.waited >= self.config.patience else ""

    def take_step(self, factor: float) -> float:
        """One batch, one step of the optimisers; returns the loss.

        A loss that is not finite, or explodes, steps back to the last good weights instead.
        """
        self.step += 1
        inputs, targets = self.crops.draw()
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss = self.loss(self.net(inputs), targets)
        value = loss.item()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(
            self.net.parameters(), self.config.gradient_clip, foreach=True
        )
        if self.guard.is_wrong(value, float(norm)):
            self._step_back(value)
            return value
        scaled = factor * self.guard.scale
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * scaled
            optimiser.step()
        self._decay_weights(scaled)
        self._update_average()
        return value

    @torch.no_grad()
    def _decay_weights(self, factor: float) -> None:
        if self.config.weight_decay > 0:
            share = self.config.weight_decay * factor
            torch._foreach_mul_([*self.net.parameters()], 1 - share)

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average forgets faster, or the first random weights would stay in it.
        decay = min(self.config.average_decay, self.step / (9 + self.step))
        mean: list[Tensor] = [*self.average.parameters()]
        weights: list[Tensor] = [*self.net.parameters()]
        torch._foreach_lerp_(mean, weights, 1 - decay)

    def _keep_good(self) -> None:
        self.good: dict[str, Any] = {
            "step": self.step,
            "net": _weights(self.net),
            "average": _weights(self.average),
        }

    def _step_back(self, loss: float) -> None:
        self.guard.halve(self.step, loss)
        self.net.load_state_dict(self.good["net"])
        self.average.load_state_dict(self.good["average"])
        for optimiser in self.optimisers:
            optimiser.state.clear()
        self.note = (
            f"step {self.step}: the loss went to {loss:.3g}; back to the weights of step "
            f"{self.good['step']}, at {self.guard.scale:g} of the learning rates"
        )

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
        if all(math.isfinite(value) for value in values):
            self._keep_good()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as plain values and tensors."""
        best = {"esr": self.best.esr, "waited": self.best.waited, "weights": self.best.weights}
        return {
            "step": self.step,
            "esr_valid": self.esr_valid,
            "spent": self.budget.spent,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "good": self.good,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "guard": dataclasses.asdict(self.guard),
            "best": best,
            "random": {"crops": self.crops.random.get_state(), "torch": torch.get_rng_state()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.step, self.esr_valid = state["step"], state["esr_valid"]
        self.budget = Budget(self.config, state["spent"])
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.good = state["good"]
        for optimiser, values in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(values)
        self.guard = Safeguard(**state["guard"])
        for key, value in state["best"].items():
            setattr(self.best, key, value)
        self.crops.random.set_state(state["random"]["crops"])
        torch.set_rng_state(state["random"]["torch"])


def valid_esr(net: Network, pair: Pair) -> float:
    """ESR on the VALID split in float32, with the history that lies before it."""
    first, end = pair.valid
    wanted = pair.target[first:end].cpu().double() * pair.target_gain
    predicted = render(net, pair.input, first, end).cpu().double()
    return float(esr(predicted[None], wanted[None])[0])


def span_esr(net: Network, pair: Pair, span: Frames) -> float:
    """ESR on any span in float64."""
    wanted = pair.target[slice(*span)].cpu().double() * pair.target_gain
    return float(esr(reference_forward(net, pair.input, *span)[None], wanted[None])[0])


def _weights(net: Network) -> dict[str, Tensor]:
    return {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
