"""A fuzzer of one of the readers in Python, with the arguments of a libFuzzer program.

    python -m tests.fuzz.python_fuzzer osc -runs=1000000 FOLDER...

atheris measures which lines an input reaches; where it is not installed, and with -blind=1, which
is several times as fast, changes are made without looking.
"""

import hashlib
import itertools
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

if atheris is not None:
    with atheris.instrument_imports(include=["ampd", "tomllib"]):
        from tests.fuzz.targets import READERS, run
else:
    from tests.fuzz.targets import READERS, run
from tests.fuzz.mutate import mutate, seeds_of

EVERY = 10_000  # executions between two lines


def guided(kind: str, arguments: Sequence[str]) -> None:
    """By libFuzzer; ends the process."""

    def change(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(data, chance, kind)[:most]

    reader = READERS[kind]
    atheris.Setup([sys.argv[0], *arguments], lambda data: run(reader, data), custom_mutator=change)
    atheris.Fuzz()


def blind(kind: str, arguments: Sequence[str]) -> int:
    """Without coverage: seeds and their changes. Returns the exit code."""
    flags = dict(each[1:].split("=", 1) for each in arguments if each.startswith("-"))
    folders = [Path(each) for each in arguments if not each.startswith("-")]
    known = [path.read_bytes() for folder in folders for path in folder.glob("*")]
    known += seeds_of(kind)
    chance = random.Random(int(flags.get("seed", "0")) or None)
    until_s = time.monotonic() + float(flags.get("max_total_time", "inf"))
    most = int(flags.get("runs", "0")) or None
    count = 0
    for count in itertools.count(1):
        data = (
            known[count - 1] if count <= len(known) else mutate(chance.choice(known), chance, kind)
        )
        try:
            run(READERS[kind], data)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
            name = f"{flags.get('artifact_prefix', '')}crash-{hashlib.sha1(data).hexdigest()}"
            Path(name).write_bytes(data)
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        if count % EVERY == 0:
            print(f"#{count}\tpulse cov: 0 ft: 0 corp: {len(known)}", file=sys.stderr, flush=True)
        if count == most or time.monotonic() > until_s:
            break
    print(f"stat::number_of_executed_units: {count}", file=sys.stderr)
    return 0


def main() -> int:
    kind, *arguments = sys.argv[1:]
    if atheris is None or "-blind=1" in arguments:
        return blind(kind, arguments)
    guided(kind, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
