"""A net as an ONNX graph that plays chunks of any length.

    input (1, 1, frames) float32   ->  output (1, 1, frames)
    past  (n, size)                ->  next   (1, size)

`past` is what the net remembers and `next` what it remembers after the chunk, which goes in as the
past of the chunk that follows.  A past of no rows, (0, size), is endless silence, so that a whole
file is one call.  output frame n belongs to input frame n - latency_frames.
This module is imported only where onnx and onnxruntime are installed.
"""

import copy
import json
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

from trainer.errors import ModelError
from trainer.model_json import numbers, weights_sha256
from trainer.networks import Memory, Network, ResidualWaveNet, reference_forward
from trainer.networks_nam import LEAK, Lstm, NamWaveNet
from trainer.signals import riff, self_test_input

OPSET, IR_VERSION = 17, 8  # of 2022: onnxruntime 1.13 and later
TO_THE_END = 2**63 - 1
# What a float32 loader may differ in the self-test; a recurrent net adds its rounding up.
TOLERANCE, RECURRENT_TOLERANCE = 1e-5, 1e-4
CHUNKS = (1, 63, 64, 1000)  # the last one is repeated
USE = (
    "input, output: (1, 1, frames), any number of frames. past: (0, size) to begin from silence, "
    "then each time the next of the call before. output frame n belongs to input frame "
    "n - latency_frames."
)

Array = NDArray[np.float32]


def build_onnx(net: Network, sample_rate_hz: int, metadata: dict[str, Any]) -> bytes:
    """The file's bytes; `check` proves them."""
    graph = _Graph(_silent_pasts(net))
    if isinstance(net, ResidualWaveNet):
        _residual(graph, net)
    elif isinstance(net, NamWaveNet):
        _nam(graph, net)
    else:
        assert isinstance(net, Lstm)
        _lstm(graph, net)
    model = helper.make_model(
        graph.finished(),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ampd-train",
        doc_string=USE,
    )
    probe = self_test_input(sample_rate_hz)
    answer = reference_forward(net, torch.from_numpy(probe)).numpy()
    facts = {
        "name": str(metadata.get("name", "")),
        "sample_rate": str(sample_rate_hz),
        "latency_frames": str(net.after_frames),
        "receptive_field_frames": str(net.receptive_field_frames),
        "sha256_weights": weights_sha256(net),
        "self_test": json.dumps({"input": numbers(probe), "output": numbers(answer)}),
        "metadata": json.dumps(metadata),
    }
    helper.set_model_props(model, facts)
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def check(data: bytes, net: Network, sample_rate_hz: int, name: str) -> float:
    """Play the file in onnxruntime, whole and in chunks, beside the net in float64.

    returns: the largest difference, of peak
    raises: ModelError where it is more than float32 explains
    """
    probe = np.concatenate([self_test_input(sample_rate_hz), riff(0.2, sample_rate_hz)])
    late = net.after_frames
    wanted = reference_forward(net, torch.from_numpy(probe)).numpy()
    ahead = np.concatenate([probe, np.zeros(late)]).astype(np.float32)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = (play(session, ahead, [len(ahead)]), play(session, ahead, CHUNKS))
    worst = max(float(np.abs(answer[late:] - wanted).max()) for answer in found)
    error = worst / max(float(np.abs(wanted).max()), 1e-12)
    limit = RECURRENT_TOLERANCE if isinstance(net, Lstm) else TOLERANCE
    if not error <= limit:
        raise ModelError(
            f"{name}: onnxruntime differs from the net by {error:.1e} of peak, expected {limit:g} "
            "or less; the file is not written, report this"
        )
    return error


def play(session: onnxruntime.InferenceSession, signal: Array, chunks: Any) -> Array:
    """(frames,) through the graph in chunks of these lengths, the last one repeated."""
    past = np.zeros((0, session.get_inputs()[1].shape[1]), np.float32)
    answers, at, turn = [], 0, 0
    while at < len(signal):
        chunk = signal[at : at + chunks[min(turn, len(chunks) - 1)]]
        answer, past = session.run(["output", "next"], {"input": chunk[None, None], "past": past})
        answers.append(answer[0, 0])
        at, turn = at + len(chunk), turn + 1
    return np.concatenate(answers)


def _silent_pasts(net: Network) -> dict[str, Array]:
    """What the net's memory holds after endless silence, by its own names."""
    exact, memory = copy.deepcopy(net).to("cpu", torch.float64), Memory()
    with torch.no_grad():
        exact(torch.zeros(1, max(1, net.settle_frames), dtype=torch.float64), memory)
    found: dict[str, Any] = {}
    for name, kept in memory.kept.items():
        if isinstance(kept, tuple):
            hidden, cell = kept
            for layer in range(len(hidden)):
                found |= {f"h{layer}": hidden[layer][None], f"c{layer}": cell[layer][None]}
        else:
            found[name] = kept[:, :, 0]
    return {name: value.numpy().astype(np.float32) for name, value in found.items()}


class _Graph:
    """Nodes, weights and pasts under way; streams are (1, channels, frames)."""

    def __init__(self, silent_pasts: dict[str, Array]) -> None:
        self._silent = silent_pasts
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._nexts: dict[str, str] = {}  # the net's name of a memory -> what it holds afterwards
        self._count = 0

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """One node; returns the name of what it gives."""
        self._count += 1
        name = output or f"{kind.lower()}_{self._count}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """A tensor that belongs to the file; returns its name."""
        self._count += 1
        name = f"constant_{self._count}"
        self._constants.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def convolve(self, layer: torch.nn.Module, stream: str, dilation: int = 1) -> str:
        """A Conv1d without padding."""
        assert isinstance(layer, torch.nn.Conv1d)
        inputs = [stream, self.constant(layer.weight.numpy())]
        if layer.bias is not None:
            inputs.append(self.constant(layer.bias.numpy()))
        return self.add("Conv", inputs, dilations=[dilation])

    def slice(self, stream: str, first: int, end: int, output: str = "") -> str:
        """Frames first..end, either of them counted from the end where it is below 0."""
        ends = [self.constant([n], np.int64) for n in (first, end, 2)]
        return self.add("Slice", [stream, *ends], output)

    def past(self, name: str) -> str:
        """What one memory of the net holds before the chunk."""
        return f"past of {name}"

    def remember(self, name: str, stream: str) -> None:
        """What it holds after the chunk."""
        self._nexts[name] = stream

    def join(self, name: str, stream: str, frames: int) -> str:
        """The stream behind its past of so many frames."""
        if frames == 0:
            return stream
        joined = self.add("Concat", [self.past(name), stream], axis=2)
        self.remember(name, self.slice(joined, -frames, TO_THE_END))
        return joined

    def lstm(self, number: int, inputs: list[str], size: int) -> str:
        """A layer on a stream (frames, 1, channels); inputs: stream, weights, biases."""
        hidden, cell = (f"{kind}{number}" for kind in "hc")
        name, *states = (f"lstm_{number}_{kind}" for kind in ("output", "hidden", "cell"))
        given = [*inputs, "", self.past(hidden), self.past(cell)]
        self._nodes.append(helper.make_node("LSTM", given, [name, *states], hidden_size=size))
        for memory, state in zip((hidden, cell), states, strict=True):
            self.remember(memory, state)
        # It has an axis for directions, of which there is one.
        return self.add("Squeeze", [name, self.constant([1], np.int64)])

    def finished(self) -> Any:
        """The graph, with the memories in one tensor."""
        body, self._nodes = self._nodes, []
        self._unpack()
        self._nodes += body
        flat = [
            self.add("Reshape", [self._nexts[name], self.constant([1, -1], np.int64)])
            for name in self._silent
        ]
        self.add("Concat", flat, "next", axis=1) if flat else self.add("Identity", ["past"], "next")
        size = sum(value.size for value in self._silent.values())
        inputs = [_value("input", (1, 1, "frames")), _value("past", ("n", size))]
        outputs = [_value("output", (1, 1, "frames")), _value("next", (1 if size else "n", size))]
        return helper.make_graph(self._nodes, "net", inputs, outputs, self._constants)

    def _unpack(self) -> None:
        """past -> the past of each memory, or what silence leaves where it has no row."""
        if not self._silent:
            return
        silence = np.concatenate([value.ravel() for value in self._silent.values()])
        rows = self.add("Concat", [self.constant(silence[None]), "past"], axis=0)
        last = [self.constant([n], np.int64) for n in (-1, TO_THE_END, 0)]
        row = self.add("Slice", [rows, *last])
        sizes = self.constant([value.size for value in self._silent.values()], np.int64)
        parts = [f"flat {name}" for name in self._silent]
        self._nodes.append(helper.make_node("Split", [row, sizes], parts, axis=1))
        for part, (name, value) in zip(parts, self._silent.items(), strict=True):
            shape = self.constant(value.shape, np.int64)
            self.add("Reshape", [part, shape], self.past(name))


def _value(name: str, shape: Any) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _residual(graph: _Graph, net: ResidualWaveNet) -> None:
    stream = graph.convolve(net.input, "input")
    for number, (block, dilation) in enumerate(zip(net.blocks, net.dilations, strict=True)):
        lost = (net.kernel_size - 1) * dilation
        joined = graph.join(f"blocks.{number}", stream, lost)
        change = graph.add("Tanh", [graph.convolve(block, joined, dilation)])
        if not net.causal and lost:
            stream = graph.slice(joined, lost // 2, -(lost - lost // 2))
        stream = graph.add("Add", [stream, change])
    graph.add("Identity", [graph.convolve(net.output, stream)], "output")


def _nam(graph: _Graph, net: NamWaveNet) -> None:
    stream, head = "input", ""
    for number, array in enumerate(net.arrays):
        shape = net.shapes[number]
        stream = graph.convolve(array.rechannel, stream)  # type: ignore[arg-type]
        taps = zip(array.layers, shape.kernel_sizes, shape.dilations, strict=True)  # type: ignore[arg-type]
        for at, (layer, kernel_size, dilation) in enumerate(taps):
            joined = graph.join(f"arrays.{number}.{at}", stream, (kernel_size - 1) * dilation)
            hidden = graph.convolve(layer.conv, joined, dilation)
            hidden = graph.add("Add", [hidden, graph.convolve(layer.mixer, "input")])
            if shape.activation == "Tanh":
                change = graph.add("Tanh", [hidden])
            else:
                change = graph.add("LeakyRelu", [hidden], alpha=LEAK)
            stream = graph.add("Add", [stream, graph.convolve(layer.residual, change)])
            head = graph.add("Add", [head, change]) if head else change
        head = graph.join(f"arrays.{number}.head", head, shape.head_kernel_size - 1)
        head = graph.convolve(array.head, head)  # type: ignore[arg-type]
    graph.add("Mul", [head, graph.constant(float(net.head_scale))], "output")


def _lstm(graph: _Graph, net: Lstm) -> None:
    size = net.lstm.hidden_size
    # (1, 1, frames) -> (frames, 1, 1), as the operator has it: time, batch, channels.
    stream = graph.add("Transpose", ["input"], perm=[2, 0, 1])
    for layer in range(net.lstm.num_layers):
        weights = [
            _in_onnx_order(getattr(net.lstm, f"{name}_l{layer}").numpy())
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        parameters = [weights[0], weights[1], np.concatenate(weights[2:])]
        names = [graph.constant(values[None]) for values in parameters]
        stream = graph.lstm(layer, [stream, *names], size)
    weight = graph.constant(net.output.weight.numpy().T)
    answer = graph.add("MatMul", [stream, weight])
    answer = graph.add("Add", [answer, graph.constant(net.output.bias.numpy())])
    graph.add("Transpose", [answer], "output", perm=[1, 2, 0])


def _in_onnx_order(values: Any) -> Any:
    """torch's gates are in, forget, cell, out; ONNX' are in, out, forget, cell."""
    entry, forget, cell, out = np.split(values, 4)
    return np.concatenate([entry, out, forget, cell])
