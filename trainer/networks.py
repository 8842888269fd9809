"""What every net can do, and the residual WaveNet: one definition, causal or centred.

    x0 = Win u + bin;  x_{i+1} = x_i + tanh(conv_i(x_i) + b_i);  y = Wout x_N + bout

Signals are (batch, frames), streams between layers (batch, channels, 1, frames).  Without a memory
every convolution is "valid": a signal loses frames on its way through, and what comes out never
saw padding.  With a memory nothing is lost: each convolution goes on from the end of the chunk
before.  Who wants output for the first frame of a file lets the net listen to silence before the
INPUT (`render` does), as it would have for ever; padding each layer instead gives something else.
"""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainer.recipe import ModelConfig

NARROW_CHANNELS = 6  # up to here products of matrices are the faster step
FIRST_STEP = 0.5  # of torch's first weights: blocks that begin near the identity learn faster


class Memory:
    """What a net keeps from one chunk to the next: the end of each stream, or a state."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def join(self, name: str, stream: Tensor, frames: int) -> Tensor:
        """The stream behind the `frames` that came before it, at first zeros; keeps its end."""
        if frames == 0:
            return stream
        before = self.kept.get(name)
        if before is None:
            before = stream.new_zeros((*stream.shape[:-1], frames))
        joined = torch.cat([before, stream], -1)
        self.kept[name] = joined[..., -frames:].clone()
        return joined


class Network(nn.Module):
    """The one face of every architecture."""

    causal = True
    receptive_field_frames: int  # input frames that one output frame depends on, itself included

    @property
    def after_frames(self) -> int:
        """Input frames needed after an output frame: 0 for a causal net, else half the field."""
        return 0 if self.causal else (self.receptive_field_frames - 1) // 2

    @property
    def before_frames(self) -> int:
        """Input frames needed before an output frame."""
        return self.receptive_field_frames - 1 - self.after_frames

    @property
    def settle_frames(self) -> int:
        """Frames after which an empty memory holds what it would in a longer run."""
        return self.receptive_field_frames - 1

    @property
    def mac_per_sample(self) -> int:
        """Multiply-accumulates for one output frame, biases and activations not counted."""
        return sum(weight.numel() for name, weight in self.named_parameters() if "weight" in name)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The weights between hidden streams, (out, in, ...): what Muon is for."""
        raise NotImplementedError

    def divide_output(self, gain: float) -> None:
        """Make every answer smaller by this factor, with the weights that come last."""
        raise NotImplementedError

    def forward(self, signal: Tensor, memory: Memory | None = None) -> Tensor:
        """Without a memory: (batch, frames + receptive_field_frames - 1) in, (batch, frames) out;
        output frame n belongs to input frame n + before_frames.

        With one: (batch, frames) in, as many out; output frame n belongs to input frame
        n - after_frames.
        """
        raise NotImplementedError


class ResidualWaveNet(Network):
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
        self.receptive_field_frames = 1 + (config.kernel_size - 1) * sum(config.dilations)
        with torch.no_grad():
            for weight in self.hidden_matrices():
                weight.mul_(FIRST_STEP)

    def hidden_matrices(self) -> list[nn.Parameter]:
        return [p for n, p in self.named_parameters() if n.startswith("blocks.") and "weight" in n]

    @torch.no_grad()
    def divide_output(self, gain: float) -> None:
        for parameter in self.output.parameters():
            parameter.copy_(parameter.double() / gain)

    def forward(self, signal: Tensor, memory: Memory | None = None) -> Tensor:
        kind = _NarrowStep if self.channels <= NARROW_CHANNELS else _WideStep
        # Only a training step may be off by sigmoid's rounding, which grows from layer to layer.
        step: Callable[..., Tensor] = kind.apply if torch.is_grad_enabled() else _exact_step
        stream = convolve(self.input, signal[:, None, None])
        for number, (block, dilation) in enumerate(zip(self.blocks, self.dilations, strict=True)):
            lost = (self.kernel_size - 1) * dilation
            if memory is not None:
                stream = memory.join(f"blocks.{number}", stream, lost)
            first = lost if self.causal else lost // 2
            stream = step(stream, block.weight, block.bias, dilation, first)
        return convolve(self.output, stream)[:, 0, 0]


def convolve(layer: nn.Module | Tensor, stream: Tensor, dilation: int = 1) -> Tensor:
    """The valid convolution of a Conv1d's weights, on a stream with its channels side by side.

    Forward and backward take 0.79 to 0.86 of conv1d's time, whose layout is turned in each call.
    """
    assert isinstance(layer, nn.Conv1d)
    stream = stream.contiguous(memory_format=torch.channels_last)
    weight = layer.weight[:, :, None]
    answer = nn.functional.conv2d(stream, weight, layer.bias, dilation=(1, dilation))
    return answer.contiguous(memory_format=torch.channels_last)


def tanh(values: Tensor) -> Tensor:
    """torch's own; while training 2 sigmoid(2z) - 1, in a fraction of its time, to 1.2e-7."""
    if torch.is_grad_enabled():
        return torch.sigmoid(2 * values).mul(2).sub_(1)
    return values.tanh()


def _exact_step(stream: Tensor, weight: Tensor, bias: Tensor, dilation: int, first: int) -> Tensor:
    """x -> x + tanh(conv(x) + b) to the last bit that float32 gives."""
    step = nn.functional.conv2d(stream, weight[:, :, None], bias, dilation=(1, dilation)).tanh_()
    return stream[..., first : first + step.shape[-1]] + step


class _WideStep(torch.autograd.Function):
    """x -> x + tanh(conv(x) + b) with a backward that adds into one gradient instead of making a
    second one of zeros; the first `first` frames of x have no output."""

    @staticmethod
    def forward(
        ctx: Any, stream: Tensor, weight: Tensor, bias: Tensor, dilation: int, first: int
    ) -> Tensor:
        # tanh z = 2 sigmoid(2z) - 1, as in tanh() above; the weights carry the factors.
        doubled = 2 * weight[:, :, None]
        half = nn.functional.conv2d(stream, doubled, 2 * bias, dilation=(1, dilation)).sigmoid_()
        ctx.save_for_backward(stream, weight, half)
        ctx.dilation, ctx.first = dilation, first
        return stream[..., first : first + half.shape[-1]].add(half, alpha=2).sub_(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        stream, weight, half = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        quarter = torch.ops.aten.sigmoid_backward(gradient, half)
        of_stream, of_weight, of_bias = torch.ops.aten.convolution_backward(
            quarter,
            stream,
            4 * weight[:, :, None],
            [weight.shape[0]],
            [1, 1],
            [0, 0],
            [1, ctx.dilation],
            False,
            [0, 0],
            1,
            [True, True, True],
        )
        of_stream[..., ctx.first : ctx.first + half.shape[-1]] += gradient
        return of_stream, 4 * of_weight[:, :, 0], 4 * of_bias, None, None


class _NarrowStep(torch.autograd.Function):
    """The same as a product of matrices for each tap, on streams with their frames side by side:
    for few channels a convolution spends more on arranging its input than on multiplying."""

    @staticmethod
    def forward(
        ctx: Any, stream: Tensor, weight: Tensor, bias: Tensor, dilation: int, first: int
    ) -> Tensor:
        taps, flat = (2 * weight).unbind(2), stream.contiguous()[:, :, 0]
        frames = flat.shape[-1] - (len(taps) - 1) * dilation
        # A clone even of one frame, whose expanded bias counts as contiguous and is the bias.
        spread = (2 * bias)[:, None].expand(len(flat), -1, frames)
        half = spread.clone(memory_format=torch.contiguous_format)
        for k, tap in enumerate(taps):
            earlier = flat[..., k * dilation : k * dilation + frames]
            half.baddbmm_(tap.expand(len(flat), *tap.shape), earlier)
        half.sigmoid_()
        ctx.save_for_backward(flat, weight, half)
        ctx.dilation, ctx.first = dilation, first
        return flat[..., first : first + frames].add(half, alpha=2).sub_(1)[:, :, None]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        flat, weight, half = ctx.saved_tensors
        frames, of_change = half.shape[-1], gradient.contiguous()[:, :, 0]
        inner = torch.ops.aten.sigmoid_backward(of_change, half).mul_(4)
        of_stream, of_weight = torch.zeros_like(flat), torch.empty_like(weight)
        of_stream[..., ctx.first : ctx.first + frames] = of_change
        for k, tap in enumerate(weight.unbind(2)):
            span = slice(k * ctx.dilation, k * ctx.dilation + frames)
            of_stream[..., span].baddbmm_(tap.T.expand(len(flat), *tap.shape), inner)
            of_weight[..., k] = (inner @ flat[..., span].mT).sum(0)
        return of_stream[:, :, None], of_weight, inner.sum((0, 2)), None, None


class Stream:
    """A net that plays: chunks of any length in, as many frames out, net.after_frames later.

    It starts as a net that has listened to silence for ever.
    """

    def __init__(self, net: Network) -> None:
        self._net, self._memory = net, Memory()
        some = next(net.parameters())
        if net.settle_frames:
            self.process(some.new_zeros(net.settle_frames))

    @torch.no_grad()
    def process(self, chunk: Tensor) -> Tensor:
        """(frames,) in, (frames,) out, in the net's dtype and on its device."""
        return self._net(chunk[None], self._memory)[0] if len(chunk) else chunk


@torch.no_grad()
def render(
    net: Network,
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
    lead = net.settle_frames + net.after_frames
    edges = [*range(start - net.settle_frames, stop + net.after_frames, chunk_frames)]
    edges.append(stop + net.after_frames)
    memory = Memory()
    pieces = [
        net(padded_slice(signal, first, last)[None], memory)[0]
        for first, last in itertools.pairwise(edges)
    ]
    return torch.cat(pieces)[lead:] if stop > start else signal.new_zeros(0)


def padded_slice(signal: Tensor, start: int, end: int) -> Tensor:
    """signal[start:end] where frames outside the recording are silence."""
    inside = signal[max(start, 0) : max(end, 0)]
    before = min(max(-start, 0), end - start)
    after = end - start - before - len(inside)
    return nn.functional.pad(inside, (before, after)) if before or after else inside


def reference_forward(
    net: Network, signal: Tensor, start: int = 0, end: int | None = None
) -> Tensor:
    """`render` in float64 on the CPU: the truth that every other implementation is held to."""
    exact = copy.deepcopy(net).to("cpu", torch.float64)
    return render(exact, signal.to("cpu", torch.float64), start, end)
