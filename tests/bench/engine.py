"""What the engine costs and how exact it is: one JSON line a figure.

    python -m tests.bench.engine [cost onnx error silence load]

Times are thread CPU time, the least of many short rounds; rounds of what is compared alternate, and
the peak of the core's multiply-add units is measured between them.  The models are random
(tests/bench/models.py); errors are taken over the model corpus too, where ../shared has it.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd import _engine
from ampd._engine import BlockSpec, Engine, RigSpec
from tests.bench import models
from tests.demo import guitar
from tests.engine.conftest import SHARED

RATE_HZ = 48_000
BLOCK_FRAMES = 64
TURNS, ROUNDS = 5, 15  # of each model, alternating
RECURRENT_NS = {"lstm-1x16": 62.0, "lstm-2x16": 125.0, "gru-h24": 147.0}
RECURRENT_PEAK = 108.6  # GMAC/s of the core that those were measured on
FRACTIONS = {("a1-standard", "avx512"): 0.55, ("a1-standard", "avx2"): 0.65} | {
    ("a2-8ch", "avx512"): 0.54,
    ("a2-8ch", "avx2"): 0.80,
}
CORPUS = SHARED / "model-corpus"
WAVENETS = ("WaveNet", "SlimmableContainer")
CHAOTIC_FRAMES = 2400  # 50 ms: until float32 and float64 part
SILENCE_S, WINDOW_S = 60, 5

Signal = NDArray[np.float32]
Files = dict[str, Path]


def tell(
    figure: str,
    value: float,
    at_most: float | None = None,
    at_least: float | None = None,
    **more: Any,
) -> None:
    limit = {"at_most": at_most} if at_most is not None else {"at_least": at_least}
    bound = at_most if at_most is not None else at_least
    assert bound is not None
    reached = value <= bound if at_most is not None else value >= bound
    row = {"figure": figure, "value": float(f"{value:.4g}"), **limit, "reached": reached, **more}
    print(json.dumps(row), flush=True)


def skip(figure: str, reason: str) -> None:
    print(json.dumps({"figure": figure, "skipped": reason}), flush=True)


Shape = tuple[str, int, str]  # model, block, isa


def measure(files: Files, shapes: list[Shape]) -> dict[Shape, tuple[float, float, int]]:
    """(least ns per sample, peak GMAC/s, MAC per sample) of each, in turns."""
    found: dict[Shape, list[_engine.Cost]] = {shape: [] for shape in shapes}
    for _, shape in itertools.product(range(TURNS), shapes):
        name, block, isa = shape
        found[shape].append(_engine.measure_cost(str(files[name]), block, isa, ROUNDS))
    return {
        shape: (
            min(cost.least_ns_per_sample for cost in costs),
            max(cost.peak_gmac_per_s for cost in costs),
            costs[0].model.mac_per_sample,
        )
        for shape, costs in found.items()
    }


def tell_cost(files: Files) -> None:
    isas = [isa for isa in _engine.isas() if isa.startswith("avx")]
    best = _engine.isas()[-1]
    shapes: list[Shape] = [(name, BLOCK_FRAMES, isa) for name, isa in FRACTIONS if isa in isas]
    shapes += [("a1-standard", 16, isa) for isa in isas]
    shapes += [(name, BLOCK_FRAMES, best) for name in RECURRENT_NS]
    found = measure(files, shapes)
    for (name, isa), asked in FRACTIONS.items():
        figure = f"{name}, block 64, {isa}: fraction of the FMA peak"
        if isa not in isas:
            skip(figure, f"this machine has no {isa}")
            continue
        ns, peak, macs = found[name, BLOCK_FRAMES, isa]
        more = {"ns_per_sample": round(ns, 1), "peak_gmac_per_s": round(peak, 1)}
        tell(figure, macs / ns / peak, at_least=asked, **more, mac_per_sample=macs)
    for isa in isas:
        short, long = (found["a1-standard", block, isa][0] for block in (16, BLOCK_FRAMES))
        more = {"ns_block_16": round(short, 1), "ns_block_64": round(long, 1)}
        tell(f"a1-standard, {isa}: block 16 over block 64", short / long, at_most=1.25, **more)
    for name, asked in RECURRENT_NS.items():
        ns, peak, _ = found[name, BLOCK_FRAMES, best]
        limit = asked * RECURRENT_PEAK / peak
        tell(
            f"{name}: ns per sample",
            ns,
            at_most=round(limit, 1),
            isa=best,
            peak_gmac_per_s=round(peak, 1),
        )


def tell_onnx(files: Files) -> None:
    figure = "residual 16 ch x 6, block 64: times as fast as onnxruntime, streaming"
    try:
        from tests.bench.onnx_twin import Twin  # noqa: PLC0415  # an extra of its own
    except ImportError as error:
        skip(figure, f"{error}: pip install -e .[onnx]")
        return
    path, blocks = files["residual-16x6"], 200
    twin = Twin(json.loads(path.read_text()), BLOCK_FRAMES)
    signal = np.ascontiguousarray(guitar.make()[: BLOCK_FRAMES * 1000], np.float32)
    ours = _engine.render_model(str(path), signal)
    # Zero histories are not silence: the twin is right once its field has passed.
    difference = np.abs(twin.play(signal) - ours)[2 * BLOCK_FRAMES :].max()
    assert difference <= 1e-5 * np.abs(ours).max(), "the two do not play the same net"
    engine_ns, bound_ns, plain_ns = [], [], []
    for _ in range(3 * TURNS):
        cost = _engine.measure_cost(str(path), BLOCK_FRAMES, "auto", 5)
        engine_ns.append(cost.least_ns_per_sample)
        bound_ns += [twin.ns_per_sample(blocks) for _ in range(5)]
        plain_ns += [twin.plain_ns_per_sample(blocks) for _ in range(5)]
    ns, bound, plain = min(engine_ns), min(bound_ns), min(plain_ns)
    more = {"ns_per_sample": round(ns, 1), "onnxruntime_ns": round(bound, 1)}
    more |= {"onnxruntime_run_ns": round(plain, 1), "times_of_run": round(plain / ns, 2)}
    tell(figure, bound / ns, at_least=8, isa=_engine.isas()[-1], **more)


@dataclass(frozen=True)
class Trial:
    """A model and what it plays; `reference`: how far NAM Core or whoever made the golden is from
    float64 on it, of peak, where that is known."""

    path: Path
    is_recurrent: bool
    sound: Signal
    source: str
    reference: float | None = None


def tell_errors(files: Files) -> None:
    """Every instruction set against the float64 path, which the tests hold to plain formulas."""
    take = np.ascontiguousarray(guitar.make()[6 * RATE_HZ : 9 * RATE_HZ], np.float32)
    names = (*models.A1_SHAPES, *models.A2_CHANNELS, *RECURRENT_NS)
    trials = [Trial(files[name], name in RECURRENT_NS, take, "own") for name in names]
    trials += corpus()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(error_of, trials))
    kinds = itertools.product((False, True), ("own", "corpus"), _engine.isas()[1:])
    for is_recurrent, source, isa in kinds:
        rows = [
            (error[isa], trial)
            for error, trial in zip(errors, trials, strict=True)
            if (trial.is_recurrent, trial.source) == (is_recurrent, source)
        ]
        kind, limit = ("recurrent", 1e-4) if is_recurrent else ("WaveNet", 2e-6)
        figure = f"{kind}, {source} models, {isa}: error against float64, of peak"
        if not rows:
            skip(figure, "shared/model-corpus is absent")
            continue
        error, worst = max(rows, key=lambda row: row[0])
        within = sum(row[0] <= limit for row in rows)
        more: dict[str, Any] = {"models": len(rows), "within": within, "worst": worst.path.name}
        tell(figure, error, at_most=limit, **more, reference_on_it=worst.reference)


def error_of(trial: Trial) -> dict[str, float]:
    """Largest difference from float64 over its peak, by instruction set."""

    def play(isa: str) -> NDArray[np.float64]:
        return _engine.render_model(str(trial.path), trial.sound, BLOCK_FRAMES, isa).astype(float)

    truth = play("scalar")
    peak = max(np.abs(truth).max(), 1e-9)
    return {isa: float(np.abs(play(isa) - truth).max() / peak) for isa in _engine.isas()[1:]}


def corpus() -> list[Trial]:
    """The corpus's WaveNets and recurrent nets on its own input; [] where it is absent."""
    if not CORPUS.exists():
        return []
    signal, _ = soundfile.read(CORPUS / "golden" / "input.wav", dtype="float32")
    trials = []
    for row in json.loads((CORPUS / "index.json").read_text())["models"]:
        path = CORPUS / row["file"]
        if not row["golden"]:
            continue
        is_recurrent = _engine.inspect_model(str(path)).memory_frames > 0
        if not is_recurrent and row["architecture"] not in WAVENETS:
            continue
        frames = CHAOTIC_FRAMES if row["chaotic"] else len(signal)
        sound = np.ascontiguousarray(signal[:frames], np.float32)
        known = row["reference_vs_float64"], row["max_abs"]
        reference = float(f"{known[0] / known[1]:.2g}") if None not in known else None
        trials.append(Trial(path, is_recurrent, sound, "corpus", reference))
    return trials


def tell_silence(files: Files) -> None:
    """A whole chain in silence after a loud burst beside one that plays on, a second each in turn;
    the dearest five seconds of sixty against the signal of the same seconds."""
    part = np.ascontiguousarray(guitar.make()[:RATE_HZ], np.float32)
    loud = np.clip(20 * part, -1, 1)
    silence = np.zeros(RATE_HZ, np.float32)
    for name in ("a1-standard", "a2-8ch", *RECURRENT_NS):
        playing, silent = (chain(files[name]) for _ in range(2))
        for engine in (playing, silent):
            engine.process(loud, BLOCK_FRAMES)
        costs = [(timed(silent, silence), timed(playing, part)) for _ in range(SILENCE_S)]
        windows = np.array(costs).reshape(-1, WINDOW_S, 2).min(axis=1)
        ratios = windows[:, 0] / windows[:, 1]
        tell(f"{name}: 60 s of silence over signal", float(ratios.max()), at_most=1.1)


def chain(path: Path) -> Engine:
    engine = Engine(RATE_HZ, threaded=False)
    engine.install(0, RigSpec(blocks=[BlockSpec("amp", "amp", {}, str(path))]))
    engine.select(0)
    engine.service()
    return engine


def timed(engine: Engine, part: Signal) -> float:
    before = time.thread_time()
    engine.process(part, BLOCK_FRAMES)
    return time.thread_time() - before


def tell_load(files: Files) -> None:
    """From the file to the first frame of the fade: read, check, build, hear the past."""
    path = files["a1-standard"]
    engine = chain(files["a1-nano"])
    part = np.ascontiguousarray(guitar.make()[:RATE_HZ], np.float32)
    engine.process(part, BLOCK_FRAMES)
    wall_ms, cpu_ms = [], []
    for turn in range(21):
        slot = 1 + turn % 2
        before, cpu_before = time.perf_counter(), time.thread_time()
        engine.install(slot, RigSpec(blocks=[BlockSpec("amp", "amp", {}, str(path))]))
        engine.select(slot)
        engine.process(part[:BLOCK_FRAMES], BLOCK_FRAMES)
        while not any(fact.kind == "audible" and fact.slot == slot for fact in engine.facts()):
            engine.service()
            engine.process(part[:BLOCK_FRAMES], BLOCK_FRAMES)
        wall_ms.append(1000 * (time.perf_counter() - before))
        cpu_ms.append(1000 * (time.thread_time() - cpu_before))
        for at in range(0, RATE_HZ // 10, BLOCK_FRAMES):
            engine.process(part[at : at + BLOCK_FRAMES], BLOCK_FRAMES)
            engine.service()
    more = {"least_ms": round(min(wall_ms), 2), "cpu_ms": round(statistics.median(cpu_ms), 2)}
    more["file_kb"] = round(path.stat().st_size / 1000)
    tell("a1-standard .nam, file to audible: ms", statistics.median(wall_ms), at_most=15, **more)


PARTS: dict[str, Callable[[Files], None]] = {
    "cost": tell_cost,
    "onnx": tell_onnx,
    "error": tell_errors,
    "silence": tell_silence,
    "load": tell_load,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART")
    parts: list[str] = parser.parse_args().parts
    with tempfile.TemporaryDirectory() as folder:
        files = models.write_all(Path(folder))
        for part in parts or PARTS:
            PARTS[part](files)


if __name__ == "__main__":
    main()
