"""Run a fuzzer for so many executions or minutes and say in words how it went.

python -m tests.fuzz.fuzz WHAT [--runs N | --minutes N] [--build FOLDER] [--work FOLDER]: model and
midi are programs in BUILD/fuzz, osc, rig, state and toml readers in Python.  It begins with the
kept corpus; what is found is kept in WORK/WHAT/corpus and used again by the next run.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PROGRAMS = ("model", "midi")
READERS = ("osc", "rig", "state", "toml")
LONGEST = {"midi": 256, "osc": 512}  # bytes of an input
MB = 256
SECONDS_BETWEEN_LINES = 10
# A machine that is stopped for a while makes no finding: the harness itself counts the CPU time.
HANG_SECONDS = 300
STATUS = re.compile(rb"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)")
DONE = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
KINDS = {"crash": "a crash", "timeout": "a hang", "oom": "too much memory", "leak": "a leak"}


def fuzzer(what: str, build: Path) -> list[str]:
    """The program of one fuzzer, and the folders and words that it alone has."""
    if what in READERS:
        return [sys.executable, "-m", "tests.fuzz.python_fuzzer", what]
    program = [str(build / "fuzz" / f"fuzz_{what}")]
    if what == "model":
        program.append(f"-dict={HERE / 'json.dict'}")
    return program


def command(options: argparse.Namespace, work: Path) -> list[str]:
    bound = f"-runs={options.runs}" if options.runs else f"-max_total_time={options.minutes * 60}"
    seeds = [str(options.build / "seeds")] if options.what == "model" else []
    return [
        *fuzzer(options.what, options.build),
        bound,
        f"-max_len={LONGEST.get(options.what, 8192)}",
        f"-timeout={HANG_SECONDS}",
        f"-report_slow_units={HANG_SECONDS}",
        f"-rss_limit_mb={MB}",
        f"-malloc_limit_mb={MB}",
        "-print_final_stats=1",
        f"-artifact_prefix={work / 'found'}/",
        str(work / "corpus"),
        str(HERE / "corpus" / options.what),
        *seeds,
    ]


def environment() -> dict[str, str]:
    # Freed memory that the sanitizer keeps back counts as used: little of it, the limit is tight.
    asan = "quarantine_size_mb=4:malloc_context_size=8:detect_leaks=1"
    return {**os.environ, "ASAN_OPTIONS": asan, "UBSAN_OPTIONS": "print_stacktrace=1"}


def follow(process: subprocess.Popen[bytes], log: Path) -> int:
    """Show a line now and then; returns how many executions there were."""
    count, shown = 0, time.monotonic()
    assert process.stderr is not None
    with log.open("wb") as sink:
        for line in process.stderr:
            sink.write(line)
            if done := DONE.search(line):
                count = int(done[1])
            status = STATUS.match(line)
            if status and time.monotonic() - shown >= SECONDS_BETWEEN_LINES:
                runs, edges, features, kept = (int(group) for group in status.groups())
                print(f"{runs} executions, {edges} edges, {features} features, {kept} files kept")
                sys.stdout.flush()
                shown, count = time.monotonic(), max(count, runs)
    return count


def attack(options: argparse.Namespace) -> int:
    """0 where nothing was found."""
    work = options.work / options.what
    for folder in ("corpus", "found"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    before = set((work / "found").iterdir())
    start = time.monotonic()
    log = work / "fuzz.log"
    with subprocess.Popen(
        command(options, work),
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        count = follow(process, log)
    minutes = (time.monotonic() - start) / 60
    found = sorted(set((work / "found").iterdir()) - before)
    for path in found:
        print(f"FOUND {KINDS.get(path.name.split('-')[0], 'a fault')}: {path}")
    told = f"{options.what}: {count} executions in {minutes:.1f} min"
    if found or process.returncode != 0:
        print(f"{told}, not clean; the log is {log}")
        return 1
    print(f"{told}, clean: no crash, no leak, no hang")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=(*PROGRAMS, *READERS))
    bound = parser.add_mutually_exclusive_group(required=True)
    bound.add_argument("--runs", type=int, default=0)
    bound.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "fuzz" / "work")
    return attack(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
