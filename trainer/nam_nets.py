"""A1, A2 and LSTM nets <-> .nam files.

File version 0.5.4 where its keys can say the net (A1, LSTM), so that every NAM host reads it, and
0.7.0 where they cannot (A2).  What the project adds stands in metadata.ampd, as in trainer/nam.py:
licence, training, the SHA-256 of the weights and a self-test.
"""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.errors import ModelError
from trainer.model_json import MAX_FIELD_FRAMES, MAX_FILE_BYTES, Model, numbers, weights_sha256
from trainer.nam import FIELDS, VERSION
from trainer.networks import Network, reference_forward
from trainer.networks_nam import LEAK, ArrayShape, Lstm, NamWaveNet
from trainer.signals import self_test_input

A2_VERSION = "0.7.0"
UNKNOWN_RATE_HZ = 48000  # what a host assumes of a file that names no rate
FILMS = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)


def build_nam_net(
    net: NamWaveNet | Lstm, sample_rate_hz: int, metadata: dict[str, Any]
) -> dict[str, Any]:
    """The content of the file for a net whose weights are final."""
    probe = self_test_input(sample_rate_hz)
    answer = reference_forward(net, torch.from_numpy(probe)).numpy()
    known = {k: metadata[k] for k in ("date", "loudness", *FIELDS) if k in metadata}
    ampd = {
        "prewarm": "silence",
        "self_test": {"input": numbers(probe), "output": numbers(answer)},
        "sha256_weights": weights_sha256(net),
        "licence": metadata.get("licence"),
        "training": metadata.get("training"),
    }
    if isinstance(net, Lstm):
        version, architecture, config = VERSION, "LSTM", _lstm_config(net)
    else:
        version, config = _wavenet_config(net)
        architecture = "WaveNet"
    return {
        "version": version,
        "architecture": architecture,
        "config": config,
        "weights": numbers(flat_weights(net)),
        "sample_rate": sample_rate_hz,
        "metadata": {**known, "ampd": ampd},
    }


def flat_weights(net: NamWaveNet | Lstm) -> NDArray[np.float32]:
    """NAM's flat list, (count,)."""
    if isinstance(net, NamWaveNet):
        parts = [p.detach().numpy().ravel() for p in net.parameters()]
        return np.concatenate([*parts, net.head_scale.numpy().reshape(1)]).astype(np.float32)
    hidden, cell = copy.deepcopy(net).double().silent_state()
    parts = []
    for layer in range(net.lstm.num_layers):
        weights, recurrent, bias, other = (
            getattr(net.lstm, f"{name}_l{layer}").detach().numpy()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        parts.append(np.concatenate([weights, recurrent], 1).ravel())
        parts += [bias + other, hidden[layer].numpy(), cell[layer].numpy()]
    parts += [p.detach().numpy().ravel() for p in net.output.parameters()]
    return np.concatenate(parts).astype(np.float32)


def _lstm_config(net: Lstm) -> dict[str, Any]:
    layers = net.lstm.num_layers
    return {"input_size": 1, "hidden_size": net.lstm.hidden_size, "num_layers": layers}


def _wavenet_config(net: NamWaveNet) -> tuple[str, dict[str, Any]]:
    old = all(
        s.activation == "Tanh" and len({*s.kernel_sizes}) == 1 and s.head_kernel_size == 1
        for s in net.shapes
    )
    arrays = [_array_config(shape) if old else _array_config_a2(shape) for shape in net.shapes]
    config = {"layers": arrays, "head": None, "head_scale": float(net.head_scale)}
    return (VERSION if old else A2_VERSION), config


def _array_config(shape: ArrayShape) -> dict[str, Any]:
    return {
        "input_size": shape.input_size,
        "condition_size": 1,
        "head_size": shape.head_size,
        "channels": shape.channels,
        "kernel_size": shape.kernel_sizes[0],
        "dilations": list(shape.dilations),
        "activation": "Tanh",
        "gated": False,
        "head_bias": shape.head_bias,
    }


def _array_config_a2(shape: ArrayShape) -> dict[str, Any]:
    layers = len(shape.dilations)
    activation: Any = {"type": "LeakyReLU", "negative_slope": LEAK}
    if shape.activation == "Tanh":
        activation = "Tanh"
    head = {"out_channels": shape.head_size, "kernel_size": shape.head_kernel_size}
    return {
        "input_size": shape.input_size,
        "condition_size": 1,
        "head": {**head, "bias": shape.head_bias},
        "channels": shape.channels,
        "kernel_sizes": list(shape.kernel_sizes),
        "dilations": list(shape.dilations),
        "activation": [activation] * layers,
        "bottleneck": shape.channels,
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "groups_input": 1,
        "groups_input_mixin": 1,
        **{film: {"active": False, "shift": True, "groups": 1} for film in FILMS},
        "gating_mode": ["none"] * layers,
        "secondary_activation": [None] * layers,
        "slimmable": None,
    }


def read_nam(path: Path) -> Model:
    """Read a .nam of the kinds that this package trains: A1, A2 or LSTM.

    The self-test is that of metadata.ampd, or one frame of silence in a file without one.
    raises: ModelError that names the file and the key
    """
    content = _read_json(path)
    reader = _Reader(content, path)
    net: Network = (
        reader.lstm() if content.get("architecture") == "LSTM" else reader.wavenet()
    ).requires_grad_(False)
    rate = content.get("sample_rate") or UNKNOWN_RATE_HZ
    reader.require(
        isinstance(rate, int | float) and 8000 <= rate <= 768000, "sample_rate", "8000 to 768000 Hz"
    )
    metadata = content.get("metadata") or {}
    test = (metadata.get("ampd") or {}).get("self_test")
    if test is None:
        silence = np.zeros(1)
        answer = reference_forward(net, torch.from_numpy(silence)).numpy()
        return Model(net, int(rate), (silence, answer), metadata)
    probe, answer = (np.array(test[key], dtype=np.float64) for key in ("input", "output"))
    return Model(net, int(rate), (probe, answer), metadata)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file, expected a .nam model") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from error
    keys = ("version", "architecture", "config", "weights")
    if not isinstance(content, dict) or any(key not in content for key in keys):
        raise ModelError(f"{path}: found no .nam model, expected the keys {', '.join(keys)}")
    return content


class _Reader:
    """The net of a file's content; sizes are checked before a net is made."""

    def __init__(self, content: dict[str, Any], path: Path) -> None:
        self.content, self.path = content, path
        self.config = content["config"]
        self.require(isinstance(self.config, dict), "config", "an object")
        weights = content["weights"]
        right = isinstance(weights, list) and all(
            type(w) in (int, float) and math.isfinite(w) for w in weights
        )
        self.require(right, "weights", "a list of finite numbers")
        self.weights = torch.tensor(weights, dtype=torch.float64)

    def require(self, right: bool, key: str, expected: str) -> None:
        if not right:
            found = str(self.content.get(key, self.config))[:60]
            raise ModelError(f"{self.path}: {key}: found {found}, expected {expected}")

    def count(self, expected: int) -> None:
        found = len(self.weights)
        if found != expected:
            raise ModelError(
                f"{self.path}: weights: found {found} numbers, expected {expected}; the file is "
                "cut off, or it is a kind of net that this trainer does not read"
            )

    def wavenet(self) -> NamWaveNet:
        self.require(self.content["architecture"] == "WaveNet", "architecture", "WaveNet or LSTM")
        layers = self.config.get("layers")
        self.require(isinstance(layers, list) and 1 <= len(layers) <= 16, "config", "layers")
        plain = self.config.get("head") is None and not self.config.get("condition_dsp")
        self.require(plain, "config", "neither a head nor a condition_dsp")
        shapes = [self._shape(layer) for layer in layers]
        field = sum(shape.field_frames for shape in shapes)
        self.require(field < MAX_FIELD_FRAMES, "config", f"a field up to {MAX_FIELD_FRAMES} frames")
        self.count(sum(shape.weight_count for shape in shapes) + 1)
        net = NamWaveNet(shapes, float(self.weights[-1]))
        self._fill(list(net.parameters()), self.weights[:-1])
        return net

    def _shape(self, layer: Any) -> ArrayShape:
        try:
            dilations = tuple(int(d) for d in layer["dilations"])
            kernels = layer.get("kernel_sizes") or [layer["kernel_size"]] * len(dilations)
            head = layer.get("head") or {
                "out_channels": layer["head_size"],
                "kernel_size": 1,
                "bias": layer["head_bias"],
            }
            shape = ArrayShape(
                int(layer["input_size"]),
                int(layer["channels"]),
                int(head["out_channels"]),
                bool(head["bias"]),
                tuple(int(k) for k in kernels),
                dilations,
                _activation(layer["activation"]),
                int(head["kernel_size"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{self.path}: config.layers: found an array without {error}, expected the keys "
                "of a NAM WaveNet"
            ) from error
        self.require(_is_plain(layer, shape), "config", "no gating, FiLM, groups or bottleneck")
        return shape

    def lstm(self) -> Lstm:
        size, layers = self.config.get("hidden_size"), self.config.get("num_layers")
        right = type(size) is int and 1 <= size <= 1024 and type(layers) is int and 1 <= layers <= 8
        self.require(right and self.config.get("input_size") == 1, "config", "an LSTM of one input")
        inputs = [1, *[size] * (layers - 1)]
        self.count(sum(4 * size * (i + size) + 6 * size for i in inputs) + size + 1)
        net, at = Lstm(size, layers, 1), 0
        for layer, columns in enumerate(inputs):
            rows, width = 4 * size, columns + size
            matrix = self.weights[at : at + rows * width].view(rows, width)
            bias = self.weights[at + rows * width : at + rows * width + rows]
            at += rows * width + rows + 2 * size  # the state that follows is that of silence
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            values = (matrix[:, :columns], matrix[:, columns:], bias, torch.zeros(rows))
            with torch.no_grad():
                for name, value in zip(names, values, strict=True):
                    getattr(net.lstm, f"{name}_l{layer}").copy_(value)
        self._fill(list(net.output.parameters()), self.weights[at:])
        return net

    @torch.no_grad()
    def _fill(self, parameters: list[Any], values: torch.Tensor) -> None:
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, value in zip(parameters, torch.split(values, sizes), strict=True):
            parameter.copy_(value.view_as(parameter))


def _activation(value: Any) -> str:
    kinds = value if isinstance(value, list) else [value]
    names = {kind if isinstance(kind, str) else kind["type"] for kind in kinds}
    slopes = {kind.get("negative_slope", LEAK) for kind in kinds if isinstance(kind, dict)}
    if names == {"Tanh"} or (names == {"LeakyReLU"} and slopes <= {LEAK}):
        return str(names.pop())
    raise ValueError(f"an activation Tanh or LeakyReLU {LEAK} (it has {sorted(names)})")


def _is_plain(layer: dict[str, Any], shape: ArrayShape) -> bool:
    layers = {key: layer.get(key) or {} for key in ("head1x1", "layer1x1", *FILMS)}
    switched = {key: bool(v) and v.get("active", True) for key, v in layers.items()}
    switched["layer1x1"] = not (layers["layer1x1"] or {"active": True}).get("active", True)
    gates = layer.get("gating_mode", "none")
    ones = ("condition_size", "groups_input", "groups_input_mixin")
    return (
        _is_sized(shape)
        and not any(switched.values())
        and not layer.get("gated", False)
        and {*(gates if isinstance(gates, list) else [gates])} <= {"none"}
        and layer.get("bottleneck", shape.channels) == shape.channels
        and all(layer.get(key, 1) == 1 for key in ones)
        and layers["layer1x1"].get("groups", 1) == 1
    )


def _is_sized(shape: ArrayShape) -> bool:
    widths = (shape.channels, shape.input_size, shape.head_size, shape.head_kernel_size)
    return (
        all(1 <= width <= 256 for width in widths)
        and len(shape.kernel_sizes) == len(shape.dilations) <= 256
        and all(1 <= k <= 64 for k in shape.kernel_sizes)
        and all(1 <= d <= 1_000_000 for d in shape.dilations)
    )
