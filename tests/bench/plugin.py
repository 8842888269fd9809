"""The plugin's figures in a host that automates: one JSON line each.

    make plugin && python -m tests.bench.plugin [--swaps 200] [--instances 64]

null    the plugin in pedalboard off the daemon's offline render, of peak: every shipped model and
        ten of the corpus, 44.1, 48 and 96 kHz, blocks of 32 to 4096
swap    models swapped through the host while a 997 Hz sine and a guitar play, in real time: the
        largest step in a fade over the steady one, the level of 10 ms under the softer model, and,
        0.5 s behind the fade, the difference from the model having always played
state   saved, the file deleted, its folder moved, opened again: samples that differ
memory  of each of 64 instances of the smallest shipped model that play; of stereo ones too
cold    loading an instance into a host that has none, opening a project in it, its first block
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from tests.demo import guitar
from tests.plugin import hosts
from tests.plugin.hosts import ROOT, Signal, off, play, render_model
from tests.plugin.project import frame, model_state
from tests.plugin.test_sound import BLOCKS, CORPUS, OF_CORPUS, RATES, SHIPPED

RATE_HZ = 48_000
BLOCK = 64
EVERY = 48_000  # a second from swap to swap: time for a busy machine to build
LEVEL_FRAMES = 480
FADE_FRAMES = 480  # 10 ms
LATE_FRAMES = 24_000
SOFTEST = 1e-4  # -80 dBFS: a level below counts as this, no ratio of two silences is heard
SMALLEST = ROOT / "models" / "ts9" / "ts9.nam"
QUIET_DB = -18.0  # far from the ceiling, whose gain remembers for 80 ms what was loud
NULL, STEP, UNDER_DB, AFTER, MEMORY_MB, COLD_MS = 1e-6, 1.05, -3.0, 1e-5, 12.0, 150.0


def sine(frames: int) -> Signal:
    """997 Hz, -12 dBFS."""
    wave = 10 ** (-12 / 20) * np.sin(2 * np.pi * 997 / RATE_HZ * np.arange(frames))
    return np.asarray(wave, np.float32)


def take(frames: int) -> Signal:
    """The project's own guitar part, as often as it takes."""
    part = guitar.make().astype(np.float32)
    return np.resize(part[np.flatnonzero(np.abs(part) > 0.01)[0] :], frames)


def tell(figure: str, value: float, limit: float, at_least: bool = False, **more: object) -> None:
    row = {
        "figure": figure,
        "value": float(f"{value:.4g}"),
        "at_least" if at_least else "at_most": limit,
        "reached": bool(value >= limit if at_least else value <= limit),
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


@dataclass(frozen=True)
class Swap:
    """A swap that was heard: from which model to which, its first frame, that of the next swap."""

    old: int
    new: int
    begin: int
    until: int


def swapped(states: Sequence[bytes], signal: Signal, swaps: int) -> Signal:
    """The signal through an instance whose host opens another model every EVERY frames, paced as
    in real time."""
    plugin = hosts.load(hosts.VST3)
    plugin.raw_state = states[0]
    play(plugin, np.zeros((1, BLOCK), np.float32), RATE_HZ)
    heard: list[Signal] = []
    began = time.monotonic()
    for at in range(0, (swaps + 1) * EVERY, BLOCK):
        if at > 0 and at % EVERY == 0:
            plugin.raw_state = states[at // EVERY % len(states)]
        block = signal[at : at + BLOCK]
        heard.append(plugin.process(block[None], RATE_HZ, buffer_size=BLOCK, reset=at == 0))
        time.sleep(max(0.0, began + at / RATE_HZ - time.monotonic()))
    left: Signal = np.concatenate(heard, axis=1)[0]
    return left


def find_swaps(heard: Signal, steady: Sequence[Signal], swaps: int) -> list[Swap]:
    found = []
    for number in range(1, swaps + 1):
        old, new = (number - 1) % len(steady), number % len(steady)
        first, until = number * EVERY, (number + 1) * EVERY
        differs = np.flatnonzero(np.abs(heard[first:until] - steady[old][first:until]) > AFTER)
        begin = first + int(differs[0]) if len(differs) else until
        found.append(Swap(old, new, begin, until))
    return found


def swap_figures(name: str, signal: Signal, swaps: int) -> None:
    models = [ROOT / "models" / "champ" / "champ.json", SMALLEST]
    states = [frame(model_state(model, output_gain=QUIET_DB)) for model in models]
    signal = signal[: (swaps + 1) * EVERY]
    gain = np.float32(10 ** (QUIET_DB / 20))
    steady = [gain * render_model(model, signal, RATE_HZ) for model in models]
    heard = swapped(states, signal, swaps)
    judged = find_swaps(heard, steady, swaps)
    largest = [float(np.abs(np.diff(sound)).max()) for sound in steady]
    missed = sum(each.begin == each.until for each in judged)
    steps, under, after = [], [], []
    for each in judged:
        fade = slice(each.begin - 1, min(each.begin + FADE_FRAMES + 1, each.until))
        step = float(np.abs(np.diff(heard[fade])).max(initial=0))
        steps.append(step / max(largest[each.old], largest[each.new]))
        window = slice(each.begin, each.begin + LEVEL_FRAMES)
        level = [
            max(float(np.sqrt(np.mean(sound[window] ** 2))), SOFTEST) for sound in (heard, *steady)
        ]
        under.append(20 * float(np.log10(level[0] / min(level[1:]))))
        late = slice(each.begin + LATE_FRAMES, each.until)
        after.append(float(np.abs(heard[late] - steady[each.new][late]).max(initial=0)))
    tell(f"swap, {name}: step over the steady step", max(steps), STEP, swaps=swaps, missed=missed)
    tell(f"swap, {name}: dB of 10 ms under the softer", min(under), UNDER_DB, True, swaps=swaps)
    tell(f"swap, {name}: late behind the fade", max(after), AFTER, swaps=swaps)


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
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--instances", type=int, default=64)
    parser.add_argument("--memory", type=int, choices=[1, 2], help="that row alone; sides")
    told = parser.parse_args()
    if told.memory:
        memory(told.instances, told.memory)
        return
    null()
    frames = (told.swaps + 1) * EVERY
    for name, signal in (("sine", sine(frames)), ("guitar", take(frames))):
        swap_figures(name, signal, told.swaps)
    state()
    for sides in ("1", "2"):
        more = ["--memory", sides, "--instances", str(told.instances)]
        subprocess.run([sys.executable, "-m", "tests.bench.plugin", *more], check=True)
    cold()


if __name__ == "__main__":
    main()
