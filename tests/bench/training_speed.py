"""Training steps a CPU second of the residual net, beside a plain conv1d loop: a JSON line a net.

    python -m tests.bench.training_speed

Both train the same net from the same weights on the same crops (noise; only the cost counts), one
thread, STEPS in turns within one process; each figure is the median of its rounds.  The plain loop
is what one writes first: conv1d, torch's autograd, tanh, clipping, Adam.  Ours is the trainer's own
step, Muon, weight decay and the average of the weights included.
"""

import copy
import json
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.data import Pair
from trainer.losses import esr_loss
from trainer.networks import ResidualWaveNet
from trainer.recipe import Recipe, load_recipe
from trainer.train import Best, Loop

ROUNDS, STEPS = 7, 25
LIMIT = 1.3


class PlainLoop:
    """A training loop without any thought of speed."""

    def __init__(self, net: ResidualWaveNet, loop: Loop) -> None:
        self._net, self._loop = net, loop
        self._optimiser = torch.optim.Adam(net.parameters(), 5e-3)

    def forward(self, signal: Tensor) -> Tensor:
        stream = self._net.input(signal[:, None])
        for block in self._net.blocks:
            change = torch.tanh(block(stream))
            stream = stream[..., stream.shape[-1] - change.shape[-1] :] + change
        output: Tensor = self._net.output(stream)
        return output[:, 0]

    def take_step(self) -> float:
        inputs, targets = self._loop.crops.draw()
        self._optimiser.zero_grad()
        loss = esr_loss(self.forward(inputs), targets, 1.0)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimiser.step()
        return loss.item()


def make_loops(recipe: Recipe) -> tuple[Loop, PlainLoop]:
    random = torch.Generator().manual_seed(0)
    signal = 0.2 * torch.randn(200_000, generator=random)
    spans = ((0, 180_000), (180_000, 190_000))
    pair = Pair(signal, signal, 48000, *spans, None, {}, ())
    torch.manual_seed(0)
    net = ResidualWaveNet(recipe.model)
    best = Best(Path("unused"), recipe, pair)
    loop = Loop(copy.deepcopy(net), pair, recipe.training, best)
    plain = PlainLoop(net, loop)
    with torch.no_grad():
        inputs, _ = loop.crops.draw()
        difference = (plain.forward(inputs) - loop.net(inputs)).abs().max()
    assert difference <= 1e-5, "the two loops train different nets"
    return loop, plain


def measure(name: str) -> None:
    loop, plain = make_loops(load_recipe(name))
    steps = {"ours": lambda: loop.take_step(0.1), "plain": plain.take_step}
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(ROUNDS):
        for which, take_step in steps.items():
            started = time.process_time()
            for _ in range(STEPS):
                take_step()
            seconds[which].append((time.process_time() - started) / STEPS)
    middle = {which: statistics.median(values) for which, values in seconds.items()}
    print(
        json.dumps(
            {
                "figure": "training steps a CPU second over a plain conv1d loop",
                "value": round(middle["plain"] / middle["ours"], 3),
                "limit": LIMIT,
                "recipe": name,
                "steps_per_s": round(1 / middle["ours"], 1),
                "plain_steps_per_s": round(1 / middle["plain"], 1),
            }
        )
    )


def main() -> None:
    torch.set_num_threads(1)
    for name in ("nano", "ts9", "realtime"):
        measure(name)


if __name__ == "__main__":
    main()
