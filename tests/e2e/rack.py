"""What the end-to-end tests play: rigs and a small net made here, sound in, sound out."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from tests.demo.osc import Message, Osc
from tests.demo.stage import AMPD, Daemon, Running, Stage, StageError, until, until_status

RATE_HZ = 48_000
SILENCE_FRAMES = RATE_HZ  # the safety stage's DC blocker settles here, live and offline alike
CHANNELS, KERNEL, DILATIONS = 3, 3, (1, 2, 4, 8, 16)

Signal = NDArray[np.float32]
Wave = NDArray[np.float64]
Tensors = dict[str, Wave]
Script = Sequence[tuple[int, bytes]]  # MIDI bytes, each with its frame of the sound, in order

RIGS = {
    "loud": "program: 0\nchain: []\n",
    "quiet": "program: 1\nchain:\n  - gain: {gain_db: -12}\n",
    "net": "program: 2\nchain:\n  - amp: {model: tiny, gain_db: 3, level_db: -3}\n",
    "softer": "chain: []\noutput: {gain_db: -6}\n",
    "broken": "chain:\n  - amp: {model: half}\n",
    "typo": "chain:\n  - gain: {gian_db: 3}\n",
    "orphan": "chain:\n  - amp: {model: nowhere}\n",
}


def tensors() -> Tensors:
    """Weights of a small residual WaveNet, in the file's order."""
    rng = np.random.default_rng(7)
    made: Tensors = {
        "input.weight": rng.normal(0.0, 0.7, CHANNELS),
        "input.bias": rng.normal(0.0, 0.1, CHANNELS),
    }
    for i in range(len(DILATIONS)):
        made[f"blocks.{i}.weight"] = rng.normal(0.0, 0.3, CHANNELS * CHANNELS * KERNEL)
        made[f"blocks.{i}.bias"] = rng.normal(0.0, 0.1, CHANNELS)
    made["output.weight"] = rng.normal(0.0, 0.4, CHANNELS)
    made["output.bias"] = rng.normal(0.0, 0.05, 1)
    return {name: value.astype(np.float32).astype(np.float64) for name, value in made.items()}


def forward(weights: Tensors, signal: Wave) -> Wave:
    """float64 truth of the net, from infinite silence: (frames,) to (frames,)."""
    field = (KERNEL - 1) * sum(DILATIONS)
    padded = np.concatenate([np.zeros(field + 1), signal])
    x = np.outer(weights["input.weight"], padded) + weights["input.bias"][:, None]
    for i, dilation in enumerate(DILATIONS):
        kernel = weights[f"blocks.{i}.weight"].reshape(CHANNELS, CHANNELS, KERNEL)
        past = np.pad(x, ((0, 0), ((KERNEL - 1) * dilation, 0)), mode="edge")
        y = sum(
            kernel[:, :, k] @ past[:, k * dilation : k * dilation + x.shape[1]]
            for k in range(KERNEL)
        )
        x = x + np.tanh(y + weights[f"blocks.{i}.bias"][:, None])
    result: Wave = weights["output.weight"] @ x + weights["output.bias"][0]
    return result[field + 1 :]


def model_text() -> str:
    """The small net as the project's own JSON, with its self-test."""
    weights = tensors()
    probe = 0.3 * np.random.default_rng(8).standard_normal(512)
    probe = probe.astype(np.float32).astype(np.float64)
    raw = b"".join(value.astype("<f4").tobytes() for value in weights.values())

    def digits(values: Wave) -> list[float]:
        return [float(f"{value:.9g}") for value in values]

    document: dict[str, Any] = {
        "format": "ampd-model",
        "format_version": 1,
        "architecture": "residual_wavenet",
        "sample_rate": RATE_HZ,
        "causal": True,
        "channels": CHANNELS,
        "kernel_size": KERNEL,
        "dilations": list(DILATIONS),
        "activation": "tanh",
        "tensors": {name: digits(value) for name, value in weights.items()},
        "prewarm": "silence",
        "self_test": {"input": digits(probe), "output": digits(forward(weights, probe))},
        "sha256_weights": hashlib.sha256(raw).hexdigest(),
        "metadata": {"name": "tiny"},
    }
    return json.dumps(document)


def write_library(folder: Path, rigs: Mapping[str, str] = RIGS) -> None:
    """folder/rigs and folder/models: rigs such as those with each fault, a good and a truncated
    model."""
    (folder / "rigs").mkdir(parents=True)
    for name, text in rigs.items():
        (folder / "rigs" / f"{name}.yaml").write_text(text)
    model = model_text()
    for name, text in (("tiny", model), ("half", model[: len(model) // 2])):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / f"{name}.json").write_text(text)


def noise(seconds: float, seed: int = 1, silence_frames: int = SILENCE_FRAMES) -> Signal:
    """Silence, then coloured noise at -30 dBFS or so that never repeats."""
    rng = np.random.default_rng(seed)
    sound = rng.standard_normal(int(seconds * RATE_HZ))
    sound = np.convolve(sound, np.hanning(24) / 12.0, mode="same") * 0.1
    return np.concatenate([np.zeros(silence_frames), sound]).astype(np.float32)


@dataclass
class Rack:
    """A daemon that plays on a private server."""

    stage: Stage
    daemon: Daemon
    osc: Osc
    rate_hz: int = RATE_HZ

    @property
    def pid(self) -> int:
        return self.daemon.running.process.pid

    def begin(self, sound: Signal, script: Script = ()) -> "Passage":
        """Start to play `sound`, the foot its `script`, and to record what comes out."""
        return Passage(self, sound, script)

    def passed(self, sound: Signal, script: Script = ()) -> Signal:
        """`sound` as it comes out: (frames, 2), sample for sample."""
        return self.begin(sound, script).end()

    def rendered(self, rig: str, sound: Signal) -> Signal:
        """The left channel of rendered_stereo: (frames,)."""
        return self.rendered_stereo(rig, sound)[:, 0]

    def rendered_stereo(self, rig: str, sound: Signal) -> Signal:
        """The same by `ampd render`: (frames, 2), or one channel of a mono rig."""
        folder = self.stage.directory
        into, out = folder / "render-in.wav", folder / "render-out.wav"
        sf.write(into, sound, self.rate_hz, subtype="FLOAT")
        argv = [AMPD, "render", str(into), str(out), "--rig", rig]
        self.stage.run("render", argv, cwd=folder, limit_s=60.0)
        rendered, _ = sf.read(out, dtype="float32", always_2d=True)
        return np.asarray(rendered, np.float32)

    def until_rig(self, rig: str) -> None:
        until_status(self.osc, lambda s: s["rig"] == rig, f"the rig {rig} is heard")

    def until_jack(self, *states: str) -> dict[str, Any]:
        wanted = " or ".join(states)
        return until_status(self.osc, lambda s: s["jack"]["state"] in states, f"JACK is {wanted}")

    def swapped(self, rig: str) -> Message:
        """Wait for the news that `rig` is heard; needs a subscription."""
        return self.osc.wait(lambda m: m.address == "/ampd/event/swap" and m.values[0] == rig)


class Passage:
    """One sound on its way through the daemon: two clients, so that no feedback loop delays it."""

    def __init__(self, rack: Rack, sound: Signal, script: Script = ()) -> None:
        self._stage, self._sound = rack.stage, sound
        self.seconds: NDArray[np.float64] = np.zeros(0)  # monotonic, of every frame; after end()
        number = len(rack.stage.running)
        self._take = rack.stage.directory / f"{number:02d}-take.wav"
        wav = rack.stage.directory / f"{number:02d}-sound.wav"
        sf.write(wav, sound, rack.rate_hz, subtype="FLOAT")
        outs = ("ampd:out_1", "ampd:out_2")
        self._record = rack.stage.tool("record", self._take, "--from", *outs)
        self._record.wait_for("ready")
        arguments: list[object] = [wav, "--to", "ampd:in_1"]
        if script:
            json_ = wav.with_suffix(".json")
            json_.write_text(json.dumps([(frame, data.hex()) for frame, data in script]))
            arguments += ["--script", json_]
        self._play = rack.stage.tool("play", *arguments)
        self._play.wait_for("ready")

    @property
    def player(self) -> Running:
        return self._play

    def cut(self) -> Signal:
        """The same as end(), but the sound ends a quarter of a second from now."""
        self._play.process.terminate()
        return self.end()

    def end(self) -> Signal:
        """Wait for the last sample; the take from the sound's own first frame on: (frames, 2)."""
        limit_s = len(self._sound) / RATE_HZ + 30.0

        def over() -> bool:
            if self._stage.server_is_sick():
                raise StageError("jackd has lost its graph: no sound of it means anything")
            said = (line["event"] for line in self._play.said())
            return self._play.ended or "played" in said

        until(over, "play says 'played'", limit_s)
        played = self._play.wait_for("played")
        self._play.wait(limit_s)
        self._record.stop()
        self._record.wait_for("recorded")
        take, _ = sf.read(self._take, dtype="float32", always_2d=True)
        clock = np.load(self._take.with_suffix(".npz"))
        at = np.flatnonzero(clock["frame"] == played["first_frame"])
        if not len(at):
            raise StageError("the recorder missed the cycle in which the player began")
        start = int(clock["start"][at[0]])
        cycles = np.searchsorted(clock["start"], np.arange(start, len(take)), side="right") - 1
        self.seconds = clock["second"][cycles]
        result: Signal = take[start : start + played["frames"]]
        if len(result) < played["frames"]:
            raise StageError(f"the take ends {played['frames'] - len(result)} frames early")
        return result


def far(one: Signal, other: Signal) -> float:
    """Largest difference after the settling silence."""
    return float(np.abs(one[SILENCE_FRAMES:] - other[SILENCE_FRAMES:]).max())
