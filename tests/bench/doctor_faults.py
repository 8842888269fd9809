"""Every planted fault on every capture: what the doctor says of it, a table.

    python -m tests.bench.doctor_faults --data FOLDER [--capture champ] [--fault "late by 28"]

FOLDER holds di.flac and the captures.  Of each the first SECONDS are taken, a fault of
tests/trainer/planted.py is planted, and the doctor must find that fault, with its size, and
nothing else but what the capture has of its own: the lag of its loudspeaker.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from tests.trainer.conftest import write_wav
from tests.trainer.planted import FAULTS, RATE_HZ, Fault, Take
from trainer.doctor.examine import examine
from trainer.doctor.finding import STOPS, Finding

SECONDS = 40
OWN_LAG = {"ts9": 0.0, "champ": 0.0, "ts9_bigchump_celestion": 61.0}
CLEAN = "nothing"


def excerpt(folder: Path, capture: str, seconds: int = SECONDS) -> Take:
    """The first seconds of the DI and of one capture of it."""
    frames = seconds * RATE_HZ
    dry, wet = (
        soundfile.read(folder / f"{name}.flac", frames=frames)[0] for name in ("di", capture)
    )
    return Take(dry, wet)


def findings(folder: Path, take: Take) -> tuple[Finding, ...]:
    """What the doctor says of a pair; the folder is for its files."""
    dry = write_wav(folder / "dry.wav", take.dry)
    return examine(dry, write_wav(folder / "wet.wav", take.wet, take.wet_rate_hz)).findings


def disagreement(found: tuple[Finding, ...], fault: Fault | None, capture: str) -> str:
    """In what the findings differ from the fault and the capture's own lag; "" if in nothing."""
    sizes, own_lag = {f.code: f.size for f in found}, OWN_LAG[capture]
    stopped = any(f.severity == STOPS for f in found)
    wanted = {"lag"} if own_lag and not stopped else set()
    wanted |= set() if fault is None else {fault.code}
    if set(sizes) != wanted:
        return f"found {', '.join(sizes) or 'nothing'}, expected {', '.join(wanted) or 'nothing'}"
    # How much of an excerpt is played is the guitarist's affair, not the fault's.
    if fault is None or fault.size is None or fault.code == "short":
        return ""
    size, within = fault.size, max(fault.within, 1e-6 * abs(fault.size))
    if fault.code == "lag":
        size += own_lag
    if fault.code in ("tail", "cut"):
        within += own_lag / RATE_HZ
    off = sizes[fault.code] - size
    return "" if abs(off) <= within else f"{sizes[fault.code]:g}, expected {size:g} +- {within:g}"


def main() -> int:
    """1 if the doctor disagrees anywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--capture", choices=OWN_LAG, action="append")
    parser.add_argument("--fault", choices=[CLEAN, *FAULTS], action="append")
    options = parser.parse_args()
    wrong, started = 0, time.process_time()
    names = options.fault or [CLEAN, *FAULTS]
    for capture in options.capture or OWN_LAG:
        clean = excerpt(options.data, capture)
        for name in names:
            fault = FAULTS.get(name)
            take = clean if fault is None else fault.plant(*clean[:2])
            with tempfile.TemporaryDirectory() as folder:
                found = findings(Path(folder), take)
            problem = disagreement(found, fault, capture)
            wrong += bool(problem)
            told = ", ".join(f"{f.code} {f.size:.4g} {f.unit}" for f in found) or "no fault"
            print(f"| {capture} | {name} | {told} | {problem or 'yes'} |", flush=True)
    seconds = time.process_time() - started
    print(f"{wrong} of {len(names) * len(options.capture or OWN_LAG)} wrong, {seconds:.0f} CPU s")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
