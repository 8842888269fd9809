"""Run the fuzzer for so many executions or minutes and say in words how it went.

python tests/fuzz/fuzz.py FUZZER SEEDS [--runs N | --minutes N] [--work FOLDER]: seeds come from
the kept corpus and SEEDS; what is found is kept in WORK/corpus and used again by the next run.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

KEPT = Path(__file__).with_name("corpus")
DICTIONARY = Path(__file__).with_name("json.dict")
SECONDS_BETWEEN_LINES = 10
# A machine that is stopped for a while makes no finding: the harness itself counts the CPU time.
HANG_SECONDS = 300
STATUS = re.compile(rb"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)")
DONE = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
KINDS = {"crash": "a crash", "timeout": "a hang", "oom": "too much memory", "leak": "a leak"}


def command(options: argparse.Namespace) -> list[str]:
    bound = f"-runs={options.runs}" if options.runs else f"-max_total_time={options.minutes * 60}"
    return [
        str(options.fuzzer),
        bound,
        "-max_len=8192",
        f"-timeout={HANG_SECONDS}",
        f"-report_slow_units={HANG_SECONDS}",
        "-rss_limit_mb=256",
        "-malloc_limit_mb=256",
        "-print_final_stats=1",
        f"-dict={DICTIONARY}",
        f"-artifact_prefix={options.work / 'found'}/",
        str(options.work / "corpus"),
        str(KEPT),
        str(options.seeds),
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fuzzer", type=Path)
    parser.add_argument("seeds", type=Path)
    bound = parser.add_mutually_exclusive_group(required=True)
    bound.add_argument("--runs", type=int, default=0)
    bound.add_argument("--minutes", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/fuzz/work"))
    options = parser.parse_args()
    for folder in ("corpus", "found"):
        (options.work / folder).mkdir(parents=True, exist_ok=True)
    before = set((options.work / "found").iterdir())
    start = time.monotonic()
    log = options.work / "fuzz.log"
    with subprocess.Popen(command(options), env=environment(), stderr=subprocess.PIPE) as process:
        count = follow(process, log)
    minutes = (time.monotonic() - start) / 60
    found = sorted(set((options.work / "found").iterdir()) - before)
    for path in found:
        print(f"FOUND {KINDS.get(path.name.split('-')[0], 'a fault')}: {path}")
    if found or process.returncode != 0:
        print(f"{count} executions in {minutes:.1f} min, not clean; the log is {log}")
        return 1
    print(f"{count} executions in {minutes:.1f} min, clean: no crash, no leak, no hang")
    return 0


if __name__ == "__main__":
    sys.exit(main())
