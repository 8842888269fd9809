"""The plugin's figures in hosts: one JSON line each.

    make plugin && python -m tests.bench.plugin [--instances 64]

null    the plugin in pedalboard off the daemon's offline render, of peak: every shipped model and
        ten of the corpus, 44.1, 48 and 96 kHz, blocks of 32 to 4096
state   saved, the file deleted, its folder moved, opened again: samples that differ
memory  of each of 64 instances of the smallest shipped model that play; of stereo ones too
cold    loading an instance into a host that has none, opening a project in it, its first block

Swaps of models while a host plays are in plugin_swaps.py.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from tests.demo import guitar
from tests.plugin import hosts
from tests.plugin.hosts import ROOT, Signal, off, play, render_model
from tests.plugin.project import frame, model_state
from tests.plugin.test_sound import BLOCKS, CORPUS, OF_CORPUS, RATES, SHIPPED

RATE_HZ = 48_000
SMALLEST = ROOT / "models" / "ts9" / "ts9.nam"
NULL, MEMORY_MB, COLD_MS = 1e-6, 12.0, 150.0


def take(frames: int) -> Signal:
    """The project's own guitar part, as often as it takes."""
    part = guitar.make().astype(np.float32)
    return np.resize(part[np.flatnonzero(np.abs(part) > 0.01)[0] :], frames)


def tell(figure: str, value: float, limit: float, **more: object) -> None:
    row = {
        "figure": figure,
        "value": float(f"{value:.4g}"),
        "at_most": limit,
        "reached": bool(value <= limit),
    }
    print(json.dumps({**row, **more}), flush=True)


def null() -> None:
    """The worst of all models, rates and blocks."""
    signal = take(RATE_HZ)
    models = [*SHIPPED, *(CORPUS / name for name in OF_CORPUS if (CORPUS / name).exists())]
    worst, where = 0.0, ""
    for model in models:
        for rate_hz in RATES:
            plugin = hosts.load(hosts.VST3)
            plugin.raw_state = frame(model_state(model))
            truth = render_model(model, signal, rate_hz)
            for block in BLOCKS:
                difference = off(play(plugin, signal[None], rate_hz, block)[0], truth)
                if difference >= worst:
                    worst, where = difference, f"{model.name}, {rate_hz} Hz, {block} frames"
    tell("null", worst, NULL, models=len(models), worst=where)


def state() -> None:
    signal = take(RATE_HZ)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "captures"
        place.mkdir()
        model = place / "mödel b.nam"
        shutil.copy(SMALLEST, model)
        plugin = hosts.load(hosts.VST3)
        plugin.raw_state = frame(model_state(model, input_gain=2.0))
        before = play(plugin, signal[None], RATE_HZ)
        kept = plugin.raw_state
        model.unlink()
        place.rename(Path(folder) / "moved")
        again = hosts.load(hosts.VST3)
        again.raw_state = kept
        differ = int(np.sum(play(again, signal[None], RATE_HZ) != before))
    tell("state: samples that differ", differ, 0, samples=before.size)


def resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096 / 1e6


def memory(count: int, sides: int) -> None:
    """In a process of its own, since what was freed before would count as free."""
    signal = take(RATE_HZ // 10)
    truth = render_model(SMALLEST, signal, RATE_HZ)
    raw = frame(model_state(SMALLEST))
    sound = np.tile(signal, (sides, 1))
    instances = [hosts.load(hosts.VST3)]
    instances[0].raw_state = raw
    play(instances[0], sound, RATE_HZ)
    before = resident_mb()
    for _ in range(count - 1):
        instances.append(hosts.load(hosts.VST3))
        instances[-1].raw_state = raw
    worst = max(off(play(each, sound, RATE_HZ)[0], truth) for each in instances)
    each = (resident_mb() - before) / (count - 1)
    kind = "mono" if sides == 1 else "stereo"
    tell(f"memory, MB each, {kind}", each, MEMORY_MB, instances=count, off_the_daemon=worst)


COLD = """
import json, sys, time
import numpy as np, pedalboard
raw, signal = open(sys.argv[2], "rb").read(), np.zeros((1, 512), np.float32)
times = [time.perf_counter()]
plugin = pedalboard.load_plugin(sys.argv[1]); times.append(time.perf_counter())
plugin.raw_state = raw; times.append(time.perf_counter())
plugin(signal, 48000, buffer_size=512); times.append(time.perf_counter())
print(json.dumps([1000 * (b - a) for a, b in zip(times, times[1:])]))
"""


def cold(rounds: int = 9) -> None:
    """A process each: load, open a project, play the first block."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(frame(model_state(SMALLEST)))
        file.flush()
        times = []
        for _ in range(rounds):
            done = subprocess.run(
                [sys.executable, "-c", COLD, str(hosts.VST3), file.name],
                capture_output=True,
                text=True,
                check=True,
            )
            times.append(json.loads(done.stdout.splitlines()[-1]))
    whole = median(sum(each) for each in times)
    load, project, block = (round(median(each), 1) for each in zip(*times, strict=True))
    least = round(min(sum(each) for each in times), 1)
    parts = {"load_ms": load, "project_ms": project, "block_ms": block, "least_ms": least}
    tell("cold load, ms, median", whole, COLD_MS, rounds=rounds, **parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--instances", type=int, default=64)
    parser.add_argument("--memory", type=int, choices=[1, 2], help="that row alone; sides")
    told = parser.parse_args()
    if told.memory:
        memory(told.instances, told.memory)
        return
    null()
    state()
    for sides in ("1", "2"):
        more = ["--memory", sides, "--instances", str(told.instances)]
        subprocess.run([sys.executable, "-m", "tests.bench.plugin", *more], check=True)
    cold()


if __name__ == "__main__":
    main()
