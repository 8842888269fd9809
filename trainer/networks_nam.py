"""The nets of NAM files: the WaveNet of A1 and A2, and the LSTM.

Parameters are registered in the order in which a .nam file lists them, so the flat list of a file
is the parameters one after another.  Source: NAM file format 0.5 to 0.7.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.networks import Memory, Network, convolve, tanh

# A2 is one fixed shape but for its width: hosts with a fast path for it take no other.
A2_DILATIONS = (1, 3, 7, 17, 41, 101, 239) * 2 + (1, 13) + (1, 3, 7, 17, 41, 101, 239)
A2_KERNEL_SIZES = (6,) * 14 + (15, 15) + (6,) * 7
A2_HEAD_KERNEL_SIZE = 16
A2_HEAD_SCALE = 0.01
A1_HEAD_SCALE = 0.02
LEAK = 0.01  # slope of LeakyReLU below 0
SETTLE_FRAMES = 24000  # half a second at 48 kHz: what NAM's core lets an LSTM listen to silence


@dataclasses.dataclass(frozen=True)
class ArrayShape:
    """One array of layers: a rechannel, layers on a residual stream, a head over their sum."""

    input_size: int
    channels: int
    head_size: int
    head_bias: bool
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    activation: str = "Tanh"  # or "LeakyReLU"
    head_kernel_size: int = 1

    @property
    def field_frames(self) -> int:
        """Frames lost on the way from input to head."""
        taps = zip(self.kernel_sizes, self.dilations, strict=True)
        return sum((k - 1) * d for k, d in taps) + self.head_kernel_size - 1

    @property
    def weight_count(self) -> int:
        width = self.channels
        layers = sum(
            width * width * k + width + width + width * width + width for k in self.kernel_sizes
        )
        head = self.head_size * (width * self.head_kernel_size + self.head_bias)
        return width * self.input_size + layers + head


def a1_shapes(
    channels: int, kernel_size: int, dilations: Sequence[int], split: int
) -> tuple[ArrayShape, ArrayShape]:
    """Two arrays, the second of half the width; standard, lite, feather and nano differ in
    width (16, 12, 8, 4) and in where the dilations are split."""
    kernels, half = (kernel_size,) * len(dilations), channels // 2
    first = ArrayShape(1, channels, half, False, kernels[:split], tuple(dilations[:split]))
    second = ArrayShape(channels, half, 1, True, kernels[split:], tuple(dilations[split:]))
    return first, second


def a2_shape(channels: int) -> ArrayShape:
    """The one array of A2; NAM's full net has 8 channels, its lite one 3."""
    return ArrayShape(
        1, channels, 1, True, A2_KERNEL_SIZES, A2_DILATIONS, "LeakyReLU", A2_HEAD_KERNEL_SIZE
    )


class NamWaveNet(Network):
    """NAM's WaveNet without gating, FiLM, bottleneck or groups; the condition is the input."""

    head_scale: Tensor

    def __init__(self, shapes: Sequence[ArrayShape], head_scale: float) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.arrays = nn.ModuleList(_Array(shape) for shape in shapes)
        self.register_buffer("head_scale", torch.tensor(head_scale))
        self.receptive_field_frames = 1 + sum(shape.field_frames for shape in shapes)

    def hidden_matrices(self) -> list[nn.Parameter]:
        ends = ("conv.weight", "residual.weight")
        return [p for name, p in self.named_parameters() if name.endswith(ends)]

    @torch.no_grad()
    def divide_output(self, gain: float) -> None:
        self.head_scale.div_(gain)

    def forward(self, signal: Tensor, memory: Memory | None = None) -> Tensor:
        condition = signal[:, None, None].contiguous(memory_format=torch.channels_last)
        stream, head = condition, None
        for number, array in enumerate(self.arrays):
            stream, head = array(stream, condition, head, memory, f"arrays.{number}")
        assert head is not None
        output: Tensor = head[:, 0, 0] * self.head_scale
        return output


class _Array(nn.Module):
    def __init__(self, shape: ArrayShape) -> None:
        super().__init__()
        self.shape = shape
        self.rechannel = nn.Conv1d(shape.input_size, shape.channels, 1, bias=False)
        self.layers = nn.ModuleList(_Layer(shape.channels, size) for size in shape.kernel_sizes)
        self.head = nn.Conv1d(
            shape.channels, shape.head_size, shape.head_kernel_size, bias=shape.head_bias
        )

    def forward(
        self,
        stream: Tensor,
        condition: Tensor,
        head: Tensor | None,
        memory: Memory | None,
        name: str,
    ) -> tuple[Tensor, Tensor]:
        stream, shape = convolve(self.rechannel, stream), self.shape
        taps = zip(self.layers, shape.kernel_sizes, shape.dilations, strict=True)
        for number, (layer, kernel_size, dilation) in enumerate(taps):
            if memory is not None:
                stream = memory.join(f"{name}.{number}", stream, (kernel_size - 1) * dilation)
            hidden = convolve(layer.conv, stream, dilation)
            frames = hidden.shape[-1]
            hidden = hidden + convolve(layer.mixer, _last(condition, frames))
            if shape.activation == "Tanh":
                change = tanh(hidden)
            else:
                change = nn.functional.leaky_relu(hidden, LEAK)
            stream = _last(stream, frames) + convolve(layer.residual, change)
            head = change if head is None else _last(head, frames) + change
        assert head is not None
        if memory is not None:
            head = memory.join(f"{name}.head", head, shape.head_kernel_size - 1)
        return stream, convolve(self.head, head)


class _Layer(nn.Module):
    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size)
        self.mixer = nn.Conv1d(1, channels, 1, bias=False)
        self.residual = nn.Conv1d(channels, channels, 1)


def _last(stream: Tensor, frames: int) -> Tensor:
    return stream[..., stream.shape[-1] - frames :]


class Lstm(Network):
    """Layers of LSTM and a linear output.  Its memory has no end: a crop is heard after
    warm_up_frames that have no output and give no gradient."""

    def __init__(self, hidden_size: int, layers: int, warm_up_frames: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden_size, layers, batch_first=True)
        for layer in range(layers):
            # torch adds two biases where the file has one; the second stays 0.
            nn.init.zeros_(getattr(self.lstm, f"bias_hh_l{layer}")).requires_grad_(False)
        self.output = nn.Linear(hidden_size, 1)
        self.receptive_field_frames = warm_up_frames + 1

    @property
    def settle_frames(self) -> int:
        return SETTLE_FRAMES

    def hidden_matrices(self) -> list[nn.Parameter]:
        return []  # four gates share one matrix, which has no one scale to make orthogonal

    @torch.no_grad()
    def divide_output(self, gain: float) -> None:
        for parameter in self.output.parameters():
            parameter.copy_(parameter.double() / gain)

    def forward(self, signal: Tensor, memory: Memory | None = None) -> Tensor:
        if memory is None:
            with torch.no_grad():
                _, state = self.lstm(signal[:, : self.before_frames, None])
            hidden, _ = self.lstm(signal[:, self.before_frames :, None], state)
        else:
            hidden, memory.kept["lstm"] = self.lstm(signal[..., None], memory.kept.get("lstm"))
        output: Tensor = self.output(hidden)[..., 0]
        return output

    def silent_state(self) -> tuple[Tensor, Tensor]:
        """(h, c), each (layers, hidden), after settle_frames of silence."""
        memory = Memory()
        with torch.no_grad():
            self(next(self.parameters()).new_zeros(1, self.settle_frames), memory)
        hidden, cell = memory.kept["lstm"]
        return hidden[:, 0], cell[:, 0]
