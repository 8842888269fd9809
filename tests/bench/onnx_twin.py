"""The project's residual WaveNet in onnxruntime, streaming: its histories are inputs and outputs.

One graph a block: each layer joins its history to the new frames, convolves without padding, and
hands the newest frames back as its next history.  One thread, every optimisation of the graph,
buffers bound once, so that a call costs no copy through Python.  The trainer's own ONNX files keep
all histories in one tensor, which is easier to use and costs a rival a quarter more time.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]
OPSET, IR_VERSION = 17, 8


def build(document: dict[str, Any], block_frames: int) -> bytes:
    """The ONNX model of a document of the project's own format, for blocks of one length."""
    channels, taps = document["channels"], document["kernel_size"]
    weights: dict[str, NDArray[Any]] = {"axis": np.array([2], np.int64)}
    for name, values in document["tensors"].items():
        shape: Sequence[int] = (channels,)
        if name in ("input.weight", "output.weight"):
            shape = (channels, 1, 1) if name[0] == "i" else (1, channels, 1)
        elif name.endswith(".weight"):
            shape = (channels, channels, taps)
        elif name == "output.bias":
            shape = (1,)
        weights[name] = np.array(values, np.float32).reshape(shape)
    nodes = [helper.make_node("Conv", ["u", "input.weight", "input.bias"], ["x0"])]
    ins = [_value("u", 1, block_frames)]
    outs = [_value("y", 1, block_frames)]
    for layer, dilation in enumerate(document["dilations"]):
        past = (taps - 1) * dilation
        weights[f"newest{layer}"] = np.array([block_frames], np.int64)
        weights[f"end{layer}"] = np.array([block_frames + past], np.int64)
        nodes += [
            helper.make_node("Concat", [f"past{layer}", f"x{layer}"], [f"all{layer}"], axis=2),
            helper.make_node(
                "Conv",
                [f"all{layer}", f"blocks.{layer}.weight", f"blocks.{layer}.bias"],
                [f"sum{layer}"],
                dilations=[dilation],
            ),
            helper.make_node("Tanh", [f"sum{layer}"], [f"z{layer}"]),
            helper.make_node("Add", [f"x{layer}", f"z{layer}"], [f"x{layer + 1}"]),
            helper.make_node(
                "Slice",
                [f"all{layer}", f"newest{layer}", f"end{layer}", "axis"],
                [f"next{layer}"],
            ),
        ]
        ins.append(_value(f"past{layer}", channels, past))
        outs.append(_value(f"next{layer}", channels, past))
    last = f"x{len(document['dilations'])}"
    nodes.append(helper.make_node("Conv", [last, "output.weight", "output.bias"], ["y"]))
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    return _model(nodes, ins, outs, constants)


def _model(nodes: list[Any], ins: list[Any], outs: list[Any], constants: list[Any]) -> bytes:
    graph = helper.make_graph(nodes, "net", ins, outs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return bytes(model.SerializeToString())


def _session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _value(name: str, channels: int, frames: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, frames])


class Twin:
    """A session with its state, in blocks of one length, from zero histories."""

    def __init__(self, document: dict[str, Any], block_frames: int) -> None:
        self._session = _session(build(document, block_frames))
        self._block = block_frames
        self._in = np.zeros((1, 1, block_frames), np.float32)
        self._out = np.zeros((1, 1, block_frames), np.float32)
        self._inputs = self._session.get_inputs()
        self._states = [value.name for value in self._inputs[1:]]
        shapes = [tuple(value.shape) for value in self._inputs[1:]]
        # The histories go from one set to the other and back, call by call.
        one, other = ([np.zeros(shape, np.float32) for shape in shapes] for _ in range(2))
        self._bindings = [self._bind(one, other), self._bind(other, one)]
        self._kept = (one, other)  # a binding keeps addresses, not arrays
        self._turn = 0

    def _bind(self, old: list[Array], new: list[Array]) -> Any:
        binding = self._session.io_binding()
        for to, array in zip(self._inputs, [self._in, *old], strict=True):
            binding.bind_input(to.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for to, array in zip(self._session.get_outputs(), [self._out, *new], strict=True):
            binding.bind_output(to.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding

    def play(self, signal: Array) -> Array:
        """(frames,) in, (frames,) out; whole blocks."""
        out = np.empty_like(signal)
        for at in range(0, len(signal), self._block):
            self._in[0, 0] = signal[at : at + self._block]
            self._step()
            out[at : at + self._block] = self._out[0, 0]
        return out

    def ns_per_sample(self, blocks: int) -> float:
        """Thread CPU time of so many calls on the block that lies in the input buffer."""
        before = time.thread_time_ns()
        for _ in range(blocks):
            self._step()
        return (time.thread_time_ns() - before) / (blocks * self._block)

    def plain_ns_per_sample(self, blocks: int) -> float:
        """The same by session.run with a dict of arrays, as most programs call it."""
        feed = {value.name: np.zeros(value.shape, np.float32) for value in self._inputs}
        before = time.thread_time_ns()
        for _ in range(blocks):
            _, *state = self._session.run(None, feed)
            feed.update(zip(self._states, state, strict=True))
        return (time.thread_time_ns() - before) / (blocks * self._block)

    def _step(self) -> None:
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
