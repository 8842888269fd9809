"""From an OSC message to the first changed sample, on the engine's own clock: one JSON line.

    python -m tests.bench.osc_latency [--rounds 500]

A tone whose period is a whole number of frames plays through the daemon, so that the steady
output repeats itself; a gain is set by OSC, and the first sample that differs from the one a
period of the tone before it is the audible change. Both ends are on CLOCK_MONOTONIC: the sender's
before its send, and the recorder's stamp of the cycle that holds the sample.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from tests.demo.stage import Stage, until_status

RATE_HZ = 48_000
PERIOD_FRAMES = 64
TONE_FRAMES = 48
CHANGED = 1e-3
REST_S = 0.05
LIMIT_MS = 2 * 1000.0 * PERIOD_FRAMES / RATE_HZ + 3.0


def play(rounds: int, folder: Path) -> tuple[list[float], Path]:
    """Set the output gain `rounds` times while the tone plays; send times and the recording."""
    tone, wav = folder / "tone.wav", folder / "take.wav"
    seconds = rounds * (REST_S + 0.02) + 15.0
    phase = 2 * np.pi * np.arange(int(seconds * RATE_HZ)) / TONE_FRAMES
    sf.write(tone, 0.4 * np.sin(phase), RATE_HZ, subtype="FLOAT")
    sent: list[float] = []
    with Stage(folder, private=True, server_name="bench") as stage:
        stage.start_server(PERIOD_FRAMES)
        daemon = stage.start_daemon("--rig", "clean")
        with daemon.osc() as osc:
            until_status(osc, lambda s: s["jack"]["state"] == "running", "ampd runs")
            record = stage.tool("record", wav, "--from", "ampd:out_1")
            record.wait_for("ready")
            stage.tool("play", tone, "--to", "ampd:in_1").wait_for("ready")
            pause_until(time.monotonic() + 1.0)
            chance = random.Random(1)
            for number in range(rounds):
                sent.append(osc.send("/ampd/output/gain_db", -6.0 if number % 2 == 0 else 0.0))
                pause_until(sent[-1] + REST_S + 0.01 * chance.random())
        record.stop()
    return sent, wav


def pause_until(second: float) -> None:
    """Let the tone settle: the pace of the measurement, not a wait for anything."""
    time.sleep(max(0.0, second - time.monotonic()))


def latencies_ms(sent: list[float], wav: Path) -> tuple[NDArray[np.float64], int]:
    """Per message the time to its first changed sample; and how many met a stalled machine."""
    sound, _ = sf.read(wav, dtype="float32")
    clock = np.load(wav.with_suffix(".npz"))
    starts, seconds = clock["start"], clock["second"]
    frames = np.append(np.diff(clock["frame"]), PERIOD_FRAMES)
    moved = np.abs(sound[TONE_FRAMES:] - sound[:-TONE_FRAMES]) > CHANGED
    found: list[float] = []
    stalled = 0
    for second in sent:
        cycle = int(np.searchsorted(seconds, second))
        last = int(np.searchsorted(seconds, second + REST_S))
        settled = slice(max(0, starts[cycle] - 480 - TONE_FRAMES), starts[cycle] - TONE_FRAMES)
        window = moved[starts[cycle] - TONE_FRAMES : starts[last] - TONE_FRAMES]
        late = np.diff(seconds[max(0, cycle - 1) : last]).max() > 0.004
        lost = (frames[max(0, cycle - 8) : last] != PERIOD_FRAMES).any()
        if late or lost or moved[settled].any() or not window.any():
            stalled += 1
            continue
        changed = int(starts[cycle]) + int(np.argmax(window))
        at = int(np.searchsorted(starts, changed, side="right")) - 1
        heard = seconds[at] + (changed - starts[at]) / RATE_HZ
        found.append(1000.0 * (heard - second))
    return np.array(found), stalled


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=500)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        found, stalled = latencies_ms(*play(rounds, Path(folder)))
    p50, p99 = np.percentile(found, [50, 99]) if len(found) else (float("nan"),) * 2
    row = {
        "bench": "osc_latency_ms",
        "rounds": len(found),
        "stalled_rounds": stalled,  # a cycle was more than 4 ms late, or lost: the machine's doing
        "p50": round(float(p50), 3),
        "p99": round(float(p99), 3),
        "max": round(float(found.max(initial=0.0)), 3),
        "limit": round(LIMIT_MS, 3),
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
