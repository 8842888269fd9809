"""How far apart rigs are in loudness, raw and normalized: one JSON line a figure.

    python -m tests.bench.loudness [--each]

The rigs are the shipped ones, and one of a bare amp for every capture in ../shared/model-corpus
where that is present; the fixtures of other projects, which are nets of random weights, are left
out.  They are measured with the guitar that decides their trims, which is the figure,
and for information with another guitar, ../shared/captures/di.flac, else the project's own part: of
a raw clean and a raw distorted amp each player's hand makes another difference.  --each adds a line
a rig.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd.bank import Plan, plan_model, plan_rig
from ampd.errors import RigError
from ampd.levels import SILENT_LUFS, TARGET_LUFS
from ampd.library import Library
from ampd.passports import Store
from ampd.probe import guitar_signal, loudness_lufs
from ampd.rack import Engine, Setup, build
from ampd.rehearsal import Levels, levelled, rig_answer, settle
from tests.demo.guitar import make
from tests.engine.conftest import MODELS, ROOT, SHARED, TEST_START

RATE_HZ = 48000
TAKE_FRAMES = 10 * RATE_HZ
CORPUS = SHARED / "model-corpus"
FIXTURES = ("test", "example", "identity", "fixtures", "rtneural/models")  # in repository and path
SPREAD_DB = 1.0
CEILING_DBFS = -1.0


def read_take() -> tuple[NDArray[np.float32], str]:
    path = SHARED / "captures" / "di.flac"
    if not path.exists():
        return np.ascontiguousarray(make()[:TAKE_FRAMES], np.float32), "own guitar part"
    stop = TEST_START + TAKE_FRAMES
    signal, _ = soundfile.read(path, dtype="float32", start=TEST_START, stop=stop)
    return np.ascontiguousarray(signal), "TEST take"


def shipped() -> Iterator[Plan]:
    library = Library(ROOT / "rigs", MODELS)
    return (plan_rig(library, library.load_rig(name)) for name in library.rig_names())


def corpus() -> Iterator[Plan]:
    """A rig of one amp for every capture of the corpus that the engine takes."""
    if not CORPUS.exists():
        return
    for entry in json.loads((CORPUS / "index.json").read_text())["models"]:
        origin = f"{entry['repo']}/{entry['path']}".lower()
        if any(word in origin for word in FIXTURES):
            continue
        plan = plan_model(CORPUS / entry["file"])
        try:
            rig_answer(plan, RATE_HZ, np.zeros(64, np.float32))
        except RigError:
            continue
        yield plan


def answer(plan: Plan, setup: Setup, signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the rig with its trims makes of the signal, as rig_answer."""
    engine = Engine(RATE_HZ, False, False)
    latency_frames = build(engine, 0, plan, setup).latency_frames
    settle(engine)
    tail = np.zeros(latency_frames, np.float32)
    return engine.process(np.concatenate([signal, tail]))[:, latency_frames:]


def heard(plan: Plan, setup: Setup, signal: NDArray[np.float32]) -> tuple[float, float]:
    """(LUFS, peak in dBFS) of the rig's answer; the safety stage takes direct current out."""
    sound = answer(plan, setup, signal)
    peak = float(np.max(np.abs(sound - sound.mean(axis=1, keepdims=True))))
    return loudness_lufs(sound, RATE_HZ), 20 * np.log10(max(peak, 1e-10))


Row = dict[str, float | str]


def row_of(plan: Plan, levels: Levels, take: NDArray[np.float32]) -> Row | None:
    """The loudness of a rig before and after; None where it is beyond the reach of a trim."""
    probe = guitar_signal(RATE_HZ)
    raw, _ = heard(plan, Setup(), probe)
    normalized = replace(plan, rig=replace(plan.rig, level="normalized"))
    setup = levelled(normalized, RATE_HZ, levels)
    if raw < SILENT_LUFS or setup.warnings:
        return None
    even, peak = heard(plan, setup, probe)
    raw_take, _ = heard(plan, Setup(), take)
    even_take, take_peak = heard(plan, setup, take)
    return {
        "rig": plan.rig.name,
        "trim_db": setup.output_trim_db,
        "raw": raw,
        "normalized": even,
        "peak": peak,
        "raw_take": raw_take,
        "normalized_take": even_take,
        "peak_take": take_peak,
    }


def spread(rows: list[Row], key: str) -> float:
    values = [float(row[key]) for row in rows]
    return max(values) - min(values)


def tell(figure: str, value: float, limit: float | None, **more: object) -> None:
    reached = {} if limit is None else {"limit": limit, "reached": value <= limit}
    print(json.dumps({"figure": figure, "value": round(value, 2), **reached, **more}), flush=True)


def tell_group(name: str, plans: Iterator[Plan], each: bool, ceiling_dbfs: float | None) -> None:
    take, take_name = read_take()
    levels = Levels(store=Store())
    found = [row_of(plan, levels, take) for plan in plans]
    rows = [row for row in found if row is not None]
    if not rows:
        return
    if each:
        for row in rows:
            told = {k: v if isinstance(v, str) else round(v, 2) for k, v in row.items()}
            print(json.dumps(told), flush=True)
    more = {"rigs": name, "count": len(rows), "out_of_reach": len(found) - len(rows)}
    tell("spread of raw rigs, dB", spread(rows, "raw"), None, **more)
    tell("spread of normalized rigs, dB", spread(rows, "normalized"), SPREAD_DB, **more)
    worst = max(abs(float(row["normalized"]) - TARGET_LUFS) for row in rows)
    tell("normalized rigs from the target, dB", worst, SPREAD_DB / 2, **more)
    tell(
        "highest peak, normalized, dBFS", max(float(r["peak"]) for r in rows), CEILING_DBFS, **more
    )
    more["on"] = take_name
    tell("spread of raw rigs on another guitar, dB", spread(rows, "raw_take"), None, **more)
    other = spread(rows, "normalized_take")
    tell("spread of normalized rigs on another guitar, dB", other, None, **more)
    peak = max(float(row["peak_take"]) for row in rows)
    tell("highest peak, normalized, on another guitar, dBFS", peak, None, **more)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--each", action="store_true", help="a line for every rig too")
    each: bool = parser.parse_args().each
    tell_group("shipped", shipped(), each, CEILING_DBFS)
    tell_group("corpus", corpus(), each, None)


if __name__ == "__main__":
    main()
