"""What nets would cost on a Raspberry Pi 4 and 5: an estimate, made without one.

    python -m tests.bench.arm_estimate ONE_BLOCK [NAME ...]

ONE_BLOCK (tests/engine/one_block.cpp, cross-built by g++ for aarch64) plays one block of 64 frames
in qemu, which writes down each instruction that it executes; llvm-mca then says how many cycles a
Cortex-A72 (Pi 4) and a Neoverse N1 take for them. The N1 stands for the Cortex-A76 of a Pi 5: it
is the same core for servers, and LLVM's own cortex-a76 model is the Cortex-A57's. Every cache
hits and every branch is foreseen. Nothing beyond the standard library is imported.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FRAMES = 64
RATE_HZ = 48000
LOOP_ROUNDS = 100
MCA = "llvm-mca-22"
A1_LONG = [2**i for i in range(10)]
A1_FIRST, A1_SECOND = A1_LONG[:7], A1_LONG[7:] + A1_LONG
A2_DILATIONS = [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]
A2_KERNELS = [15 if layer in (14, 15) else 6 for layer in range(23)]


@dataclass(frozen=True)
class Core:
    board: str
    cpu: str  # llvm-mca's name
    clock_hz: float


CORES = (Core("Pi 4 (Cortex-A72)", "cortex-a72", 1.8e9), Core("Pi 5 (A76)", "neoverse-n1", 2.4e9))


@dataclass(frozen=True)
class Net:
    document: dict[str, object]
    macs: int  # multiply-adds a sample that the net asks for
    recurrent: bool = False


def document(architecture: str, config: dict[str, object], count: int) -> dict[str, object]:
    """A .nam file of `count` weights, random, the same every time, small enough for any net."""
    source = random.Random(1)
    weights = [round(source.uniform(-0.05, 0.05), 6) for _ in range(count)]
    return {
        "version": "0.5.4" if architecture == "LSTM" else "0.7.0",
        "architecture": architecture,
        "config": config,
        "weights": weights,
        "sample_rate": RATE_HZ,
    }


def a1(channels: int, head: int, first: list[int], second: list[int]) -> Net:
    """Two arrays of tanh layers, kernel 3."""
    layers: list[dict[str, object]] = []
    macs = weights = 0
    for ins, width, outs, dilations in ((1, channels, head, first), (channels, head, 1, second)):
        layers.append(
            {
                "input_size": ins,
                "condition_size": 1,
                "head_size": outs,
                "channels": width,
                "kernel_size": 3,
                "dilations": dilations,
                "activation": "Tanh",
                "gated": False,
                "head_bias": outs == 1,
            }
        )
        mine = ins * width + len(dilations) * (4 * width * width + width) + width * outs
        macs += mine
        weights += mine + 2 * width * len(dilations) + (outs == 1)
    macs -= head * head  # the last 1x1 has nobody to hear it
    config: dict[str, object] = {"layers": layers, "head": None, "head_scale": 0.02}
    return Net(document("WaveNet", config, weights + 1), macs)


def a2(channels: int) -> Net:
    """One array of 23 leaky layers, head of 16 taps."""
    layer = {
        "input_size": 1,
        "condition_size": 1,
        "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
        "channels": channels,
        "bottleneck": channels,
        "kernel_sizes": A2_KERNELS,
        "dilations": A2_DILATIONS,
        "activation": [{"type": "LeakyReLU", "negative_slope": 0.01}] * len(A2_KERNELS),
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
    }
    count = len(A2_KERNELS)
    square = channels * channels
    macs = channels + square * (sum(A2_KERNELS) + count) + channels * count + 16 * channels
    config: dict[str, object] = {"layers": [layer], "head": None, "head_scale": 0.02}
    return Net(document("WaveNet", config, macs + 2 * channels * count + 2), macs)


def lstm(hidden: int) -> Net:
    config: dict[str, object] = {"num_layers": 1, "input_size": 1, "hidden_size": hidden}
    macs = 4 * hidden * (1 + hidden) + hidden
    return Net(document("LSTM", config, macs + 4 * hidden + 2 * hidden + 1), macs, recurrent=True)


NETS = {
    "A1 standard": a1(16, 8, A1_LONG, A1_LONG),
    "A1 lite": a1(12, 6, A1_FIRST, A1_SECOND),
    "A1 feather": a1(8, 4, A1_FIRST, A1_SECOND),
    "A1 nano": a1(4, 2, A1_FIRST, A1_SECOND),
    "A2 8 ch": a2(8),
    "LSTM 1x16": lstm(16),
}


@dataclass
class Trace:
    """The pieces of straight code that ran, in order; each begins at its address."""

    code: dict[int, list[str]]
    path: list[int]

    def instructions(self) -> Iterator[str]:
        for address in self.path:
            yield from self.code[address]

    def hot_loop(self) -> list[str]:
        """The round that multiplies most in all: the usual way from a piece of code to itself."""
        counts = Counter(self.path)
        hot = max(counts, key=lambda at: counts[at] * sum("fmla" in i for i in self.code[at]))
        rounds: Counter[tuple[int, ...]] = Counter()
        start: int | None = None
        for i, address in enumerate(self.path):
            if address == hot:
                if start is not None:
                    rounds[tuple(self.path[start:i])] += 1
                start = i
        return [text for at in rounds.most_common(1)[0][0] for text in self.code[at]]


def trace_block(program: Path, model: Path) -> Trace:
    """What one block executes. The way there is long, so it is dropped as it comes."""
    qemu = ["qemu-aarch64", "-cpu", "cortex-a72", "-d", "in_asm,exec,nochain"]
    command = [*qemu, str(program), str(model)]
    trace = Trace({}, [])
    piece: list[str] = []
    inside = False
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith(b"Trace"):
                if b"traced_block_" in line:
                    inside = b"traced_block_begins" in line
                elif inside:
                    trace.path.append(int(line.split(b"/", 2)[1], 16))
            elif line.startswith(b"0x"):
                address, _, text = line.decode().partition(":")
                if not piece:
                    trace.code[int(address, 16)] = piece
                piece.append(text.split(None, 1)[1].strip())
            elif line.startswith(b"---"):
                piece = []
    if run.returncode != 0 or not trace.path:
        raise SystemExit(f"{program}: no trace of a block, status {run.returncode}")
    return trace


def cycles(instructions: Iterator[str], core: Core, rounds: int, through_memory: bool) -> float:
    """Of one round of these instructions, by llvm-mca. Where branches go does not matter to it."""
    branch = re.compile(r"^(b|bl|b\.\w+)\s+#\w+$|^((?:cbn?z|tbn?z)\s.*,)\s*#\w+$")
    text = "\n".join(branch.sub(lambda m: f"{m[1] or m[2]} #8", line) for line in instructions)
    command = [MCA, "-mtriple=aarch64-linux-gnu", f"-mcpu={core.cpu}", f"-iterations={rounds}"]
    command += [
        "-instruction-info=0",
        "-resource-pressure=0",
        f"-noalias={int(not through_memory)}",
    ]
    command += ["-skip-unsupported-instructions=parse-failure"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    skipped = done.stderr.count("error:") + done.stderr.count("warning:")
    if found is None or skipped > 0.001 * (text.count("\n") + 1):
        raise SystemExit(f"{MCA}: {done.stderr[:2000]}")
    return int(found[1]) / rounds


def estimate(name: str, net: Net, program: Path) -> dict[str, object]:
    """One row for a net: its hot loop and its whole block on each core."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.nam"
        model.write_text(json.dumps(net.document))
        trace = trace_block(program, model)
    loop = trace.hot_loop()
    row: dict[str, object] = {
        "bench": "arm_estimate",
        "model": name,
        "mac_per_sample": net.macs,
        "instructions_per_sample": round(sum(1 for _ in trace.instructions()) / FRAMES, 1),
    }
    loop_macs = 4 * sum("fmla" in text for text in loop)
    for core in CORES:
        hot = cycles(iter(loop), core, LOOP_ROUNDS, through_memory=False)
        # A frame of a recurrent net waits for what the one before has stored.
        block = cycles(trace.instructions(), core, 1, through_memory=net.recurrent)
        row[core.board] = {
            "hot_loop_cycles": round(hot, 1),
            "hot_loop_mac_per_cycle": round(loop_macs / hot, 2),
            "mac_per_cycle": round(net.macs * FRAMES / block, 2),
            "estimated_percent_of_core": round(100 * block / FRAMES * RATE_HZ / core.clock_hz, 1),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("one_block", type=Path)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NETS)}; default: all")
    asked = parser.parse_args()
    print(
        "An ESTIMATE by llvm-mca, of arithmetic alone, at 48 kHz in blocks of 64: every cache hit, "
        "no other load. By what was published for real boards such estimates are 1.7 to 2 times "
        "too good.",
        file=sys.stderr,
    )
    for name in asked.names or NETS:
        print(json.dumps(estimate(name, NETS[name], asked.one_block)), flush=True)


if __name__ == "__main__":
    main()
