"""Percent of one core that each shipped model takes live: one JSON line a model.

    python -m tests.bench.model_cost [MODEL.json ...]

CPU time of the calling thread for 10 s of a guitar part in blocks of 64 frames, the whole chain
with its safety stage, several rounds: the least is the cost, the median says how noisy the
machine is.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from ampd._engine import BlockSpec, Engine, RigSpec
from tests.demo import guitar

ROOT = Path(__file__).resolve().parents[2]
LIMIT_PERCENT = 2.0
ROUNDS = 7
SECONDS = 10
BLOCK_FRAMES = 64


def cost(model: Path | None) -> dict[str, object]:
    """One row: percent of one core, of the chain with this model (None: an empty chain)."""
    engine = Engine(guitar.SAMPLE_RATE_HZ, threaded=False)
    blocks = [BlockSpec("amp", "amp", {}, str(model))] if model else []
    engine.install(0, RigSpec(blocks=blocks))
    engine.select(0)
    engine.service()
    part = guitar.make()[: SECONDS * guitar.SAMPLE_RATE_HZ]
    engine.process(part[: guitar.SAMPLE_RATE_HZ], BLOCK_FRAMES)
    engine.service()
    rounds = []
    for _ in range(ROUNDS):
        before = time.thread_time()
        engine.process(part, BLOCK_FRAMES)
        rounds.append(100.0 * (time.thread_time() - before) / SECONDS)
    return {
        "bench": "model_cost",
        "model": model.stem if model else "(empty chain)",
        "isa": engine.isa,
        "block_frames": BLOCK_FRAMES,
        "percent_of_core": round(min(rounds), 3),
        "median": round(statistics.median(rounds), 3),
        "limit": LIMIT_PERCENT,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("models", nargs="*", type=Path)
    models: list[Path] = parser.parse_args().models
    for model in (None, *(models or sorted((ROOT / "models").glob("*/*.json")))):
        print(json.dumps(cost(model)), flush=True)


if __name__ == "__main__":
    main()
