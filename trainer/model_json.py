"""The project's own model file, written and read. Its definition is models/README.md."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.errors import ModelError
from trainer.files import replace_file
from trainer.networks import Network, ResidualWaveNet, reference_forward
from trainer.recipe import ModelConfig
from trainer.signals import self_test_input

FORMAT = "ampd-model"
VERSION = 1
ARCHITECTURE = "residual_wavenet"
MAX_FILE_BYTES = 64_000_000
MAX_FIELD_FRAMES = 480_000
SELF_TEST_TOLERANCE = 1e-6  # of peak: nine digits lose 1e-9, another libm's tanh less than that


@dataclasses.dataclass(frozen=True)
class Model:
    """A model file in memory."""

    net: Network  # float32, on the CPU; full-scale recording in, full scale out
    sample_rate_hz: int
    self_test: tuple[NDArray[np.float64], NDArray[np.float64]]  # input, expected output
    metadata: dict[str, Any]


def build_model(
    net: ResidualWaveNet, sample_rate_hz: int, metadata: dict[str, Any]
) -> dict[str, Any]:
    """The content of the file for a net whose weights are final."""
    probe = self_test_input(sample_rate_hz)
    answer = reference_forward(net, torch.from_numpy(probe)).numpy()
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "architecture": ARCHITECTURE,
        "sample_rate": sample_rate_hz,
        "causal": net.causal,
        "channels": net.channels,
        "kernel_size": net.kernel_size,
        "dilations": list(net.dilations),
        "activation": "tanh",
        "tensors": {name: numbers(t.numpy()) for name, t in net.state_dict().items()},
        "prewarm": "silence",
        "self_test": {"input": numbers(probe), "output": numbers(answer)},
        "sha256_weights": weights_sha256(net),
        "metadata": metadata,
    }


def numbers(values: "NDArray[Any]") -> list[float]:
    """Flat, row-major, nine significant digits: a float32 comes back as it was."""
    return [float(f"{value:.9g}") for value in values.ravel().tolist()]


def weights_sha256(net: Network) -> str:
    """Fingerprint of the weights: their little-endian float32 bytes in file order, in hex."""
    digest = hashlib.sha256()
    for tensor in net.state_dict().values():
        digest.update(tensor.numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def dump(content: dict[str, Any]) -> bytes:
    """JSON with one line a key, and one line a key of `tensors` and `self_test`."""

    def line(value: object) -> str:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)

    def group(values: dict[str, Any]) -> str:
        return "{\n" + ",\n".join(f"  {line(k)}: {line(v)}" for k, v in values.items()) + "\n }"

    rows = [
        f" {line(k)}: {group(v) if isinstance(v, dict) else line(v)}" for k, v in content.items()
    ]
    return ("{\n" + ",\n".join(rows) + "\n}\n").encode()


def write_model(content: dict[str, Any], path: Path) -> None:
    """raises: ModelError if the weights are not finite or the file cannot be written."""
    try:
        data = dump(content)
    except ValueError as error:
        raise ModelError(
            f"{path}: not written: found a value that is not finite, expected numbers; train again "
            "with a lower --training.muon_learning_rate"
        ) from error
    replace_file(path, lambda file: file.write(data))


def read_model(path: Path) -> Model:
    """Read and check a model file; its self-test is for the caller (`self_test_error`).

    raises: ModelError that names the file and the key
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
        content = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file, expected a model of this project") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(
            f'{path}: format: found no "{FORMAT}", expected the JSON that ampd-train writes'
        )
    expected = {
        "format_version": VERSION,
        "architecture": ARCHITECTURE,
        "activation": "tanh",
        "prewarm": "silence",
    }
    for key, value in expected.items():
        _require(content.get(key) == value, path, key, content.get(key), repr(value))
    net = _read_net(content, path)
    rate, test = _value(content, "sample_rate"), _value(content, "self_test")
    _require(_is_whole(rate, 8000, 768000), path, "sample_rate", rate, "8000 to 768000 Hz")
    _require(isinstance(test, dict), path, "self_test", test, "input and output")
    probe, answer = (_numbers(test, k, path, "self_test") for k in ("input", "output"))
    _require(len(probe) == len(answer) > 0, path, "self_test", len(answer), "two equal lengths")
    found = weights_sha256(net)
    stated = content.get("sha256_weights")
    _require(found == stated, path, "sha256_weights", stated, f"{found}, that of its tensors")
    metadata = content.get("metadata")
    return Model(net, rate, (probe, answer), metadata if isinstance(metadata, dict) else {})


def self_test_error(model: Model) -> float:
    """Largest difference between the file's self-test and this machine's float64, of its peak."""
    probe, answer = model.self_test
    found = reference_forward(model.net, torch.from_numpy(probe)).numpy()
    return float(np.abs(found - answer).max() / max(np.abs(answer).max(), 1e-12))


def _read_net(content: dict[str, Any], path: Path) -> ResidualWaveNet:
    keys = ("causal", "channels", "kernel_size", "dilations", "tensors")
    causal, channels, kernel, dilations, tensors = (_value(content, key) for key in keys)
    _require(isinstance(causal, bool), path, "causal", causal, "true or false")
    _require(_is_whole(channels, 1, 256), path, "channels", channels, "1 to 256")
    _require(_is_whole(kernel, 1, 64), path, "kernel_size", kernel, "1 to 64")
    _require(causal or kernel % 2 == 1, path, "kernel_size", kernel, "an odd number")
    right = isinstance(dilations, list) and 1 <= len(dilations) <= 256
    right = right and all(_is_whole(d, 1, 1_000_000) for d in dilations)
    _require(right, path, "dilations", dilations, "1 to 256 numbers from 1 to 1000000")
    field = 1 + (kernel - 1) * sum(dilations)
    expected = f"a receptive field of at most {MAX_FIELD_FRAMES} frames"
    _require(field <= MAX_FIELD_FRAMES, path, "dilations", field, expected)
    values = _read_tensors(tensors, tensor_sizes(channels, kernel, len(dilations)), path)
    config = ModelConfig(
        causal=causal, channels=channels, kernel_size=kernel, dilations=tuple(dilations)
    )
    net = ResidualWaveNet(config).requires_grad_(False)
    for name, tensor in net.state_dict().items():
        tensor.copy_(torch.from_numpy(values[name]).view_as(tensor))
    return net


def tensor_sizes(channels: int, kernel_size: int, layers: int) -> dict[str, int]:
    """How many numbers each tensor holds, in the order that the hash goes through them."""
    square = channels * channels * kernel_size
    blocks = {
        f"blocks.{number}.{kind}": size
        for number in range(layers)
        for kind, size in (("weight", square), ("bias", channels))
    }
    entrance = {"input.weight": channels, "input.bias": channels}
    return {**entrance, **blocks, "output.weight": channels, "output.bias": 1}


def _read_tensors(tensors: Any, sizes: dict[str, int], path: Path) -> dict[str, Any]:
    # Sizes are checked before a net is made: a small file cannot ask for a huge one.
    right = isinstance(tensors, dict) and tensors.keys() == sizes.keys()
    found = [*tensors] if isinstance(tensors, dict) else tensors
    _require(right, path, "tensors", found, ", ".join(sizes))
    values = {name: _numbers(tensors, name, path, "tensors") for name in sizes}
    for name, size in sizes.items():
        _require(
            len(values[name]) == size, path, f"tensors.{name}", len(values[name]), f"{size} numbers"
        )
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in an object")
    return content


def _value(group: dict[str, Any], key: str) -> Any:
    return group.get(key)


def _numbers(group: Any, key: str, path: Path, where: str) -> NDArray[np.float64]:
    values = group.get(key)
    right = isinstance(values, list) and all(
        isinstance(v, int | float) and type(v) is not bool and math.isfinite(v) for v in values
    )
    _require(right, path, f"{where}.{key}", values, "a list of finite numbers")
    return np.array(values, dtype=np.float64)


def _is_whole(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _require(right: bool, path: Path, key: str, found: object, expected: str) -> None:
    if not right:
        raise ModelError(f"{path}: {key}: found {str(found)[:60]}, expected {expected}")
