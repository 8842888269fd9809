"""The residual WaveNet: one definition, causal or centred.

    x0 = Win u + bin;  x_{i+1} = x_i + tanh(conv_i(x_i) + b_i);  y = Wout x_N + bout

Shapes are (batch, channels, frames).  Every convolution is "valid": a signal loses frames on
its way through, and what comes out never saw padding.  Who wants output for the first frame of
a file puts silence before the INPUT (`render` does), which is what a net that has been listening
to silence for ever would give; padding each layer instead gives something else.
"""

import copy
import itertools

import torch
from torch import Tensor, nn

from trainer.recipe import ModelConfig


class ResidualWaveNet(nn.Module):
    """A stack of dilated convolutions on a residual stream.

    config.causal True: conv_i sees x[t - (K-1)d .. t].  False: x[t - (K-1)d/2 .. t + (K-1)d/2].
    Parameters are named as in the model file: input.*, blocks.N.*, output.*; the last axis of
    a block's weight is time, oldest first.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.causal = config.causal
        self.kernel_size = config.kernel_size
        self.dilations = config.dilations
        self.channels = config.channels
        channels = config.channels
        self.input = nn.Conv1d(1, channels, 1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(channels, channels, config.kernel_size, dilation=dilation)
            for dilation in config.dilations
        )
        self.output = nn.Conv1d(channels, 1, 1)

    @property
    def receptive_field_frames(self) -> int:
        """Input frames that one output frame depends on, itself included."""
        return 1 + sum((self.kernel_size - 1) * dilation for dilation in self.dilations)

    @property
    def after_frames(self) -> int:
        """Input frames needed after an output frame: 0 for a causal net, else half the field."""
        return 0 if self.causal else (self.receptive_field_frames - 1) // 2

    @property
    def before_frames(self) -> int:
        """Input frames needed before an output frame."""
        return self.receptive_field_frames - 1 - self.after_frames

    @property
    def mac_per_sample(self) -> int:
        """Multiply-accumulates for one output frame, biases and tanh not counted."""
        return sum(weight.numel() for name, weight in self.named_parameters() if "weight" in name)

    def forward(self, signal: Tensor) -> Tensor:
        """(batch, frames + receptive_field_frames - 1) in, (batch, frames) out.

        Output frame n belongs to input frame n + before_frames.
        """
        stream = self.input(signal.unsqueeze(1))
        for block in self.blocks:
            change = torch.tanh(block(stream))
            lost = stream.shape[-1] - change.shape[-1]
            first = lost if self.causal else lost // 2
            stream = stream[..., first : first + change.shape[-1]] + change
        output: Tensor = self.output(stream)
        return output.squeeze(1)


@torch.no_grad()
def render(
    net: ResidualWaveNet,
    signal: Tensor,
    start: int = 0,
    end: int | None = None,
    chunk_frames: int = 65536,
) -> Tensor:
    """What the net answers for frames start..end of a whole recording.

    signal: (frames,), in the net's dtype and on its device.  History before `start` and, for a
        centred net, what follows `end` is taken from the recording; silence lies around it.
    returns: (end - start,)
    """
    stop = len(signal) if end is None else end
    edges = [*range(start, stop, chunk_frames), stop]
    pieces = [
        net(padded_slice(signal, first - net.before_frames, last + net.after_frames)[None])[0]
        for first, last in itertools.pairwise(edges)
    ]
    return torch.cat(pieces) if pieces else signal.new_zeros(0)


def padded_slice(signal: Tensor, start: int, end: int) -> Tensor:
    """signal[start:end] where frames outside the recording are silence."""
    inside = signal[max(start, 0) : max(end, 0)]
    before = min(max(-start, 0), end - start)
    after = end - start - before - len(inside)
    return nn.functional.pad(inside, (before, after)) if before or after else inside


def reference_forward(
    net: ResidualWaveNet, signal: Tensor, start: int = 0, end: int | None = None
) -> Tensor:
    """`render` in float64 on the CPU: the truth that every other implementation is held to."""
    exact = copy.deepcopy(net).to("cpu", torch.float64)
    return render(exact, signal.to("cpu", torch.float64), start, end)
