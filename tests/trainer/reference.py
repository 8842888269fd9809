"""Plain numpy float64 forwards, written from the formulas and sharing no code with the trainer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]


def convolve(
    stream: Signal, weight: Signal, bias: Signal, dilation: int, centred: bool = False
) -> Signal:
    """y[t] = b + sum_k W[:, :, k] x[t - (K-1-k) d], later by half the span where centred.

    stream: (in, frames), weight: (out, in, k) oldest first; frames outside repeat the edge, which
    for a signal that begins and ends in silence is the state of a net warmed with silence
    """
    taps, frames = weight.shape[2], stream.shape[1]
    ahead = (taps - 1) * dilation // 2 if centred else 0
    result = np.repeat(bias[:, None], frames, axis=1)
    for k in range(taps):
        times = np.arange(frames) - (taps - 1 - k) * dilation + ahead
        result = result + weight[:, :, k] @ stream[:, np.clip(times, 0, frames - 1)]
    return result


def project_forward(content: dict[str, Any], signal: Signal) -> Signal:
    """The formula of models/README.md; signal must begin (and, centred, end) with silence."""
    channels, taps = content["channels"], content["kernel_size"]
    tensors = {k: np.array(v) for k, v in content["tensors"].items()}
    stream = np.outer(tensors["input.weight"], signal) + tensors["input.bias"][:, None]
    for number, dilation in enumerate(content["dilations"]):
        weight = tensors[f"blocks.{number}.weight"].reshape(channels, channels, taps)
        bias = tensors[f"blocks.{number}.bias"]
        stream = stream + np.tanh(
            convolve(stream, weight, bias, dilation, centred=not content["causal"])
        )
    result: Signal = tensors["output.weight"] @ stream + tensors["output.bias"][0]
    return result


def nam_forward(content: dict[str, Any], signal: Signal) -> Signal:
    """A .nam WaveNet of file version 0.5 (Tanh, no gating); signal must begin with silence.

    source: NAM file format 0.5.x: per array rechannel, layers of conv + mixer -> tanh -> 1x1 with
        a residual, head over the sum of the tanh's; the next array goes on from that sum
    """
    reader = _Reader(np.array(content["weights"], dtype=np.float64))
    condition = signal[None, :]
    stream, head = condition, None
    for array in content["config"]["layers"]:
        channels, taps = array["channels"], array["kernel_size"]
        stream = reader.take(channels, array["input_size"]) @ stream
        total = np.zeros((channels, len(signal))) if head is None else head
        for dilation in array["dilations"]:
            weight, bias = reader.take(channels, channels, taps), reader.take(channels)
            mixer = reader.take(channels, array["condition_size"])
            z = np.tanh(convolve(stream, weight, bias, dilation) + mixer @ condition)
            weight, bias = reader.take(channels, channels), reader.take(channels)
            stream = stream + weight @ z + bias[:, None]
            total = total + z
        head = reader.take(array["head_size"], channels) @ total
        if array["head_bias"]:
            head = head + reader.take(array["head_size"])[:, None]
    scale = reader.take(1)
    assert reader.is_at_end, "weights are left over"
    assert head is not None
    result: Signal = head[0] * scale
    return result


class _Reader:
    """Takes tensors one after another from a flat list."""

    def __init__(self, values: Signal) -> None:
        self._values, self._at = values, 0

    def take(self, *shape: int) -> Signal:
        count = int(np.prod(shape))
        part = self._values[self._at : self._at + count]
        self._at += count
        return part.reshape(shape)

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._values)
