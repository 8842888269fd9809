"""A library of 10,000 models and 2,000 impulse responses: what it costs to have it.

Synthetic copies of the shipped models, each with a name and gear of its own, half of them in a
folder each; a daemon that plays dry on no server is started with a small library and with this
one.  `start_ms` is the time from the start of the process until the first rig is heard (its swap
is in the state), the least of some rounds, the two libraries in turn.

    python -m tests.bench.library [--models 10000] [--impulses 2000] [--rounds 12]

Prints one JSON line a figure.
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.demo.osc import Osc, free_port

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("ts9", "champ")
MAKES = ("Fender", "Marshall", "Vox", "Mesa", "Orange", "Ibanez", "Boss", "Soldano")
GEAR = ("Deluxe", "Plexi", "AC30", "Rectifier", "Rockerverb", "TS9", "SD-1", "SLO")
TONES = ("clean", "crunch", "overdrive", "hi_gain", "fuzz")
LIMIT_MS = 50.0
LIMIT_MB = 15.0
START_LIMIT_S = 60.0
INDEX_LIMIT_S = 900.0
WORDS = ("", "plexi", "mesa hi_gain", "family:nam cost<3k", "model-7", "nothing-has-this-name")
ASKS = 200
CALLS = 8


def write_models(folder: Path, count: int) -> None:
    """`count` models, each with metadata of its own; every second one in a folder of its own."""
    chance = random.Random(6)
    heads = []
    for name in MODELS:
        document = json.loads((ROOT / "models" / name / f"{name}.nam").read_text())
        document.pop("metadata")
        heads.append(json.dumps(document)[1:])
    for number in range(count):
        make, gear = chance.choice(MAKES), chance.choice(GEAR)
        name = f"{make}-{gear}-model-{number}"
        metadata = {
            "name": f"{make} {gear} no. {number}",
            "gear_make": make,
            "gear_model": gear,
            "gear_type": "amp",
            "tone_type": chance.choice(TONES),
        }
        place = folder / name if number % 2 else folder
        place.mkdir(parents=True, exist_ok=True)
        text = f'{{"metadata": {json.dumps(metadata)}, {heads[number % len(heads)]}'
        (place / f"{name}.nam").write_text(text)


def write_impulses(folder: Path, count: int) -> None:
    """`count` impulse responses of 200 ms, 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = struct.pack("<9600h", 32767, *([100, -100] * 4799), 0)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48000, 96000, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(sound)) + sound
    data = struct.pack("<4sI", b"RIFF", len(body)) + body
    for number in range(count):
        (folder / f"cab-4x12-{number}.wav").write_bytes(data)


def write_settings(folder: Path, models: Path, port: int) -> Path:
    """An ampd.toml whose rig plays a model of the library."""
    rigs = folder / "rigs"
    rigs.mkdir(parents=True, exist_ok=True)
    (rigs / "amp.yaml").write_text("program: 0\nchain:\n  - amp: {model: first}\n")
    (models / "first").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "models" / "ts9" / "ts9.json", models / "first" / "first.json")
    path = folder / "ampd.toml"
    path.write_text(
        f'[paths]\nrigs = "rigs"\nmodels = "{models}"\ncabs = "{models}/cabs"\n'
        f'cache = "cache"\nstate = "state"\n[osc]\nport = {port}\n[rig]\nstart = "amp"\n'
        f'[jack]\nserver_name = "nobody-runs-this"\n'
    )
    return path


@contextmanager
def daemon(settings: Path, port: int) -> Iterator[tuple[int, Osc, float]]:
    """The pid of a running daemon, a client, and the milliseconds until its rig was heard."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "ampd.cli", "run", "--config", str(settings)]
    with (settings.parent / "log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, cwd=ROOT, env=dict(os.environ))
    try:
        with Osc(port) as osc:
            while asked(osc, "/ampd/status", limit_s=0.01).get("rig") != "amp":
                if time.monotonic() - began_s > START_LIMIT_S or process.poll() is not None:
                    raise RuntimeError((settings.parent / "log").read_text()[-2000:])
            yield process.pid, osc, 1000 * (time.monotonic() - began_s)
    finally:
        process.terminate()
        process.wait(30)


def asked(osc: Osc, address: str, *values: str | int, limit_s: float = 10.0) -> dict[str, Any]:
    """The object that the daemon answers with; {} where it does not within the limit."""
    osc.send(address, *values)
    deadline_s = time.monotonic() + limit_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        message = osc.receive(left_s)
        if message is not None and message.address == address:
            answer: dict[str, Any] = json.loads(str(message.values[0]))
            return answer
    return {}


def looked_through(osc: Osc) -> tuple[float, list[float]]:
    """Wait until the library is looked through; the seconds, and the pings until then in ms."""
    began_s, pings = time.monotonic(), []
    while not asked(osc, "/ampd/models", "nothing-has-this-name")["complete"]:
        pings += pings_ms(osc, 20)
        if time.monotonic() - began_s > INDEX_LIMIT_S:
            raise RuntimeError("the library is not looked through")
    return time.monotonic() - began_s, pings


def pings_ms(osc: Osc, count: int) -> list[float]:
    """How long the daemon takes to answer at all."""
    pings = []
    for _ in range(count):
        sent_s = time.monotonic()
        osc.ask("/ampd/ping")
        pings.append(1000 * (time.monotonic() - sent_s))
        time.sleep(0.02)
    return pings


def memory_mb(pid: int) -> dict[str, float]:
    """RSS and PSS of a process, megabytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    return {"rss": kilobytes["Rss"] / 1024, "pss": kilobytes["Pss"] / 1024}


def spread(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and largest."""
    ordered = sorted(values)
    at = min(len(ordered) - 1, int(0.99 * len(ordered)))
    rows = {"median": statistics.median(ordered), "p99": ordered[at], "max": ordered[-1]}
    return {name: round(value, 2) for name, value in rows.items()}


def tell(**row: object) -> None:
    print(json.dumps(row), flush=True)


def call_ms(command: Sequence[str]) -> tuple[float, float]:
    """One process, in milliseconds of the clock and of the processor."""
    began_s, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * (time.monotonic() - began_s), 1000 * spent_s


def cli(settings: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ampd.cli", *arguments, "--config", str(settings)]


def least_ms(command: Sequence[str]) -> dict[str, float]:
    """The least of some calls."""
    calls = [call_ms(command) for _ in range(CALLS)]
    return {"clock": min(c for c, _ in calls), "processor": min(p for _, p in calls)}


def measure_start(small: tuple[Path, int], large: tuple[Path, int], rounds: int) -> None:
    """Both libraries in turn, the first round with no index yet."""
    times: dict[str, list[float]] = {"small": [], "large": []}
    for _ in range(rounds):
        for name, (settings, port) in (("small", small), ("large", large)):
            with daemon(settings, port) as (_, _, start_ms):
                times[name].append(start_ms)
    least = {name: min(values) for name, values in times.items()}
    tell(
        bench="library_start_ms",
        rounds=rounds,
        least={name: round(value, 1) for name, value in least.items()},
        median={name: round(statistics.median(values), 1) for name, values in times.items()},
        more=round(least["large"] - least["small"], 1),
        limit=LIMIT_MS,
    )


def measure_use(small: tuple[Path, int], large: tuple[Path, int]) -> None:
    """Search, memory and what the looking costs everybody else."""
    with daemon(*small) as (pid, osc, _):
        looked_through(osc)
        for words in WORDS:
            asked(osc, "/ampd/models", words)
        tell(bench="library_ping_at_rest_ms", **spread(pings_ms(osc, 200)))
        before = memory_mb(pid)
    with daemon(*large) as (pid, osc, _):
        seconds, pings = looked_through(osc)
        known = {path: asked(osc, f"/ampd/{path}")["total"] for path in ("models", "irs")}
        tell(bench="library_look", seconds=round(seconds, 1), known=known, ping_ms=spread(pings))
        for words in WORDS:
            times = []
            for _ in range(ASKS):
                sent_s = time.monotonic()
                total = asked(osc, "/ampd/models", words)["total"]
                times.append(1000 * (time.monotonic() - sent_s))
            tell(bench="library_osc_ms", words=words, total=total, **spread(times), limit=LIMIT_MS)
        bare = least_ms([sys.executable, "-c", "pass"])
        for arguments in (("models",), ("models", "mesa", "hi_gain"), ("irs", "4x12-19")):
            whole = least_ms(cli(large[0], *arguments))
            tell(
                bench="library_cli_ms",
                arguments=arguments,
                least={name: round(value, 1) for name, value in whole.items()},
                over_python={name: round(whole[name] - bare[name], 1) for name in whole},
                limit=LIMIT_MS,
            )
        after = memory_mb(pid)
    more = {name: round(after[name] - before[name], 2) for name in before}
    tell(bench="library_memory_mb", more=more, limit=LIMIT_MB)
    alone = least_ms(cli(large[0], "models", "mesa", "hi_gain"))
    tell(bench="library_cli_without_daemon_ms", **{n: round(v, 1) for n, v in alone.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--impulses", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = []
        for name, models, impulses in (
            ("small", 2, 1),
            ("large", options.models, options.impulses),
        ):
            place = Path(folder) / name
            write_models(place / "models", models)
            write_impulses(place / "models" / "cabs", impulses)
            port = free_port()
            places.append((write_settings(place, place / "models", port), port))
        measure_use(places[0], places[1])
        for settings, _ in places:
            shutil.rmtree(settings.parent / "cache")
        measure_start(places[0], places[1], options.rounds)


if __name__ == "__main__":
    main()
