"""The engine under what looks at every call of it: RealtimeSanitizer, the interposer of
tests/engine/rt_checks.hpp with the kernel's own traps, page faults, ThreadSanitizer; and a storm of
switches that must leave nothing behind.

The programs are built by `make rtsan`, `make test` and `make tsan`; what is not built is not here.
"""

import functools
import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.bench.storms import FIRST, MOST_RSS_MB, Storm, held
from tests.chaos.fault import Fault, NotHereError, Result
from tests.demo.stage import ROOT

SWITCHES, FEW = 10_000, 40
RACES = 2000  # ThreadSanitizer takes a quarter of a second for each
STORM, BREEZE = 100_000, 300
LIMIT_S = 3600
HEARD = re.compile(
    r"(\d+) switches heard: (\d+) heap, (\d+) lock, (\d+) system calls; "
    r"(\d+) major and (\d+) minor faults"
)
ASKED = re.compile(r"(\d+) changes asked for, (\d+) heard")


def program(build: str, name: str, target: str) -> Path:
    path = ROOT / "build" / build / "tests" / name
    if not path.exists():
        raise NotHereError(f"{path.relative_to(ROOT)} is not built: make {target}")
    return path


def run(argv: list[str | Path], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, argv)),
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def catches(build: str, target: str, what: str, word: str) -> bool:
    """Whether the sanitizer of a build ends a program with this fault, and says so."""
    ended = run([program(build, "planted", target), what])
    return ended.returncode != 0 and word in ended.stderr


def under_sanitizer(build: str, target: str, planted: str, word: str, switches: int) -> Result:
    """So many selections, half of them crossfades and half of them ducks, while a host plays and
    rigs, values, bindings and maps change beside them."""
    threads = program(build, "engine_threads", target)
    if not catches(build, target, planted, word):
        return Result(f"a planted {planted} is not caught: the checks are none", False)
    ended = run([threads], AMP_THREADS_CHANGES=str(switches // 2))
    reports = ended.stderr.count(word)
    told = [tuple(map(int, each)) for each in ASKED.findall(ended.stdout)]
    asked, heard = (sum(column) for column in zip(*told, strict=True)) if told else (0, 0)
    return Result(
        f"{reports} reports in {asked} selections, {heard} heard; a planted {planted} is caught",
        ended.returncode == 0 and reports == 0 and asked >= switches // 2 * 2,
    )


def measure_rtsan(full: bool) -> Result:
    switches = SWITCHES if full else FEW
    return under_sanitizer("rtsan", "rtsan", "malloc", "RealtimeSanitizer", switches)


def measure_races(full: bool) -> Result:
    switches = RACES if full else FEW
    return under_sanitizer("tsan", "tsan", "race", "ThreadSanitizer", switches)


@functools.cache
def interposed(switches: int) -> tuple[int, str, tuple[int, ...]]:
    """(exit code, output, (heard, heap, lock, system calls, major, minor)) of rt_safety_test."""
    ended = run([program("tests", "rt_safety_test", "test"), str(switches)])
    found = HEARD.search(ended.stdout)
    return ended.returncode, ended.stdout, tuple(map(int, found.groups())) if found else ()


def measure_calls(full: bool) -> Result:
    """Allocations, locks and system calls of the audio thread; storms of feet as well."""
    switches = SWITCHES if full else FEW
    code, text, found = interposed(switches)
    if code != 0 or not found:
        return Result(" ".join(re.findall("FAILED: .*", text)) or "it did not end", False)
    planted = len(re.findall("ok: a planted", text))
    traps = "" if "a planted system call" in text else " (this kernel traps no system calls)"
    return Result(
        f"{sum(found[1:4])} calls in {found[0]} switches; {planted} planted faults caught{traps}",
        found[0] >= switches and sum(found[1:4]) == 0,
    )


def measure_faults(full: bool) -> Result:
    """Page faults of the same audio thread, once it is warm."""
    _, text, found = interposed(SWITCHES if full else FEW)
    if "memory may not be locked" in text:
        raise NotHereError("memory may not be locked here")
    caught = "ok: a planted page fault is counted" in text
    if not found or not caught:
        return Result("a planted page fault is not counted", False)
    return Result(
        f"{found[4]} major, {found[5]} minor in {found[0]} switches; a planted one is counted",
        found[4] == found[5] == 0,
    )


def maps() -> int:
    return Path("/proc/self/maps").read_text().count("\n")


def measure_storm(full: bool) -> Result:
    """What the process holds after the storm, over what it held after its first thousand."""
    first = FIRST if full else BREEZE // 2
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder), threaded=False)
    storm.blow(first)
    before, maps_before = held(), maps()
    storm.blow((STORM if full else BREEZE) - first)
    after, maps_after = held(), maps()
    heard = storm.last_wins()
    grown_mb = after.rss_mb - before.rss_mb
    same = (before.descriptors, before.threads, maps_before) == (
        after.descriptors,
        after.threads,
        maps_after,
    )
    return Result(
        f"{grown_mb:+.2f} MB from switch {first} to {STORM if full else BREEZE}; descriptors "
        f"{after.descriptors - before.descriptors:+d}, threads "
        f"{after.threads - before.threads:+d}, maps {maps_after - maps_before:+d}; the last one "
        f"is {'heard' if heard else 'not heard'}",
        heard and (not full or (same and grown_mb <= MOST_RSS_MB)),
    )


FAULTS = (
    Fault("R1", "10,000 switches under RealtimeSanitizer", "0 reports", measure_rtsan),
    Fault(
        "R2",
        "10,000 switches with malloc, locks and system calls trapped on the audio thread",
        "0 calls",
        measure_calls,
    ),
    Fault("R4", "page faults of the audio thread in the same", "0 major, 0 minor", measure_faults),
    Fault(
        "R8",
        "100,000 switches among six rigs",
        f"memory + {MOST_RSS_MB:g} MB at most; descriptors, threads, maps equal",
        measure_storm,
    ),
    Fault("R13", f"{RACES:,} switches under ThreadSanitizer", "0 races", measure_races),
)
