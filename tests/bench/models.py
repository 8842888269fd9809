"""The shapes that the figures speak of, as model files with random weights.

Weights are normal, of deviation 0.9 / sqrt(inputs of the sum): signals then keep their size
through the net, tanh is driven as a capture drives it, and the cost does not depend on the values.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.model_json import numbers

RATE_HZ = 48_000
POWERS = tuple(2**n for n in range(10))
LITE = (tuple(2**n for n in range(7)), (128, 256, 512, *POWERS))
A1_SHAPES = {  # channels of the first and second array, dilations of each
    "a1-standard": (16, 8, POWERS, POWERS),
    "a1-lite": (12, 6, *LITE),
    "a1-feather": (8, 4, *LITE),
    "a1-nano": (4, 2, *LITE),
}
A2_CYCLE = (1, 3, 7, 17, 41, 101, 239)
A2_DILATIONS = (*A2_CYCLE, *A2_CYCLE, 1, 13, *A2_CYCLE)
A2_KERNELS = (6,) * 14 + (15, 15) + (6,) * 7
A2_HEAD_KERNEL = 16
A2_CHANNELS = {"a2-8ch": 8, "a2-3ch": 3}
RESIDUAL_CHANNELS, RESIDUAL_TAPS, RESIDUAL_DILATIONS = 16, 3, (1, 2, 4, 8, 16, 32)

Values = NDArray[np.float32]


class Weights:
    """Random tensors, one after another; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.flat: list[float] = []

    def draw(self, count: int, sum_of: int) -> Values:
        """`count` numbers for sums of `sum_of` terms."""
        values = self._random.standard_normal(count) * 0.9 / np.sqrt(sum_of)
        return np.asarray(values, np.float32)

    def add(self, count: int, sum_of: int) -> None:
        """Draw numbers into the flat list, with all their digits, as NAM's trainer writes them."""
        self.flat += self.draw(count, sum_of).tolist()


BIAS = 16  # a bias is as large as one of this many terms


def nam(
    architecture: str, version: str, config: dict[str, Any], weights: Weights
) -> dict[str, Any]:
    return {
        "version": version,
        "architecture": architecture,
        "config": config,
        "weights": weights.flat,
        "sample_rate": RATE_HZ,
    }


def a1(name: str) -> dict[str, Any]:
    """A NAM A1 WaveNet, file version 0.5.4."""
    first, second, first_dilations, second_dilations = A1_SHAPES[name]
    weights, layers = Weights(1), []
    for ins, channels, head, bias, dilations in (
        (1, first, second, False, first_dilations),
        (first, second, 1, True, second_dilations),
    ):
        weights.add(channels * ins, ins)
        for _ in dilations:
            weights.add(channels * channels * 3, channels * 3)
            weights.add(channels, BIAS)
            weights.add(channels, 1)
            weights.add(channels * channels, channels)
            weights.add(channels, BIAS)
        weights.add(head * channels, channels * len(dilations))
        weights.add(head if bias else 0, BIAS)
        layers.append(
            {
                "input_size": ins,
                "condition_size": 1,
                "channels": channels,
                "head_size": head,
                "kernel_size": 3,
                "dilations": list(dilations),
                "activation": "Tanh",
                "gated": False,
                "head_bias": bias,
            }
        )
    weights.flat.append(0.5)
    return nam("WaveNet", "0.5.4", {"layers": layers, "head": None, "head_scale": 0.5}, weights)


def a2(name: str) -> dict[str, Any]:
    """A NAM A2 WaveNet, file version 0.7.0."""
    channels, weights = A2_CHANNELS[name], Weights(2)
    weights.add(channels, 1)
    for kernel in A2_KERNELS:
        weights.add(channels * channels * kernel, channels * kernel)
        weights.add(channels, BIAS)
        weights.add(channels, 1)
        weights.add(channels * channels, channels)
        weights.add(channels, BIAS)
    weights.add(channels * A2_HEAD_KERNEL, channels * A2_HEAD_KERNEL * len(A2_KERNELS))
    weights.add(1, BIAS)
    weights.flat.append(0.5)
    layer = {
        "input_size": 1,
        "condition_size": 1,
        "channels": channels,
        "bottleneck": channels,
        "kernel_sizes": list(A2_KERNELS),
        "dilations": list(A2_DILATIONS),
        "activation": {"type": "LeakyReLU", "negative_slope": 0.01},
        "gating_mode": "none",
        "head": {"out_channels": 1, "kernel_size": A2_HEAD_KERNEL, "bias": True},
        "layer1x1": {"active": True, "groups": 1},
    }
    return nam("WaveNet", "0.7.0", {"layers": [layer], "head": None, "head_scale": 0.5}, weights)


def residual() -> dict[str, Any]:
    """The project's own net, 16 channels and 6 layers."""
    channels, taps, weights = RESIDUAL_CHANNELS, RESIDUAL_TAPS, Weights(3)
    layers = len(RESIDUAL_DILATIONS)
    tensors = {
        "input.weight": weights.draw(channels, 1),
        "input.bias": weights.draw(channels, BIAS),
    }
    for layer in range(layers):
        square = channels * channels * taps
        tensors[f"blocks.{layer}.weight"] = weights.draw(square, channels * taps)
        tensors[f"blocks.{layer}.bias"] = weights.draw(channels, BIAS)
    tensors["output.weight"] = weights.draw(channels, channels * layers)
    tensors["output.bias"] = weights.draw(1, BIAS)
    return {
        "format": "ampd-model",
        "format_version": 1,
        "architecture": "residual_wavenet",
        "sample_rate": RATE_HZ,
        "causal": True,
        "channels": channels,
        "kernel_size": taps,
        "dilations": list(RESIDUAL_DILATIONS),
        "activation": "tanh",
        "prewarm": "silence",
        "tensors": {name: numbers(values) for name, values in tensors.items()},
    }


def lstm(layers: int, hidden: int) -> dict[str, Any]:
    """A NAM LSTM."""
    weights = Weights(4)
    for layer in range(layers):
        ins = hidden if layer else 1
        weights.add(4 * hidden * (ins + hidden), ins + hidden)
        weights.add(4 * hidden, BIAS)
        weights.flat += [0.0] * (2 * hidden)
    weights.add(hidden, hidden)
    weights.add(1, BIAS)
    config = {"num_layers": layers, "input_size": 1, "hidden_size": hidden}
    return nam("LSTM", "0.5.4", config, weights)


def gru(hidden: int) -> dict[str, Any]:
    """A GRU as Proteus writes it."""
    weights, rows = Weights(5), 3 * hidden
    return {
        "model_data": {
            "model": "SimpleRNN",
            "input_size": 1,
            "skip": 1,
            "output_size": 1,
            "unit_type": "GRU",
            "num_layers": 1,
            "hidden_size": hidden,
            "bias_fl": True,
        },
        "state_dict": {
            "rec.weight_ih_l0": [[value] for value in numbers(weights.draw(rows, 1))],
            "rec.weight_hh_l0": [numbers(weights.draw(hidden, hidden)) for _ in range(rows)],
            "rec.bias_ih_l0": numbers(weights.draw(rows, BIAS)),
            "rec.bias_hh_l0": numbers(weights.draw(rows, BIAS)),
            "lin.weight": [numbers(weights.draw(hidden, hidden))],
            "lin.bias": numbers(weights.draw(1, BIAS)),
        },
    }


def write_all(folder: Path) -> dict[str, Path]:
    """Write every shape as NAME.nam or NAME.json; name -> file."""
    documents = {f"{name}.nam": a1(name) for name in A1_SHAPES}
    documents |= {f"{name}.nam": a2(name) for name in A2_CHANNELS}
    documents["residual-16x6.json"] = residual()
    documents["lstm-1x16.nam"] = lstm(1, 16)
    documents["lstm-2x16.nam"] = lstm(2, 16)
    documents["gru-h24.json"] = gru(24)
    written = {}
    for file, document in documents.items():
        path = folder / file
        path.write_text(json.dumps(document))
        written[path.stem] = path
    return written
