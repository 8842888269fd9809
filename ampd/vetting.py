"""A model or an impulse response is vetted before it plays for the first time.

The bytes are read once, and these bytes are hashed, examined and played: what lies at the path
meanwhile is another file.  Bytes that nobody has vouched for go to a throw-away process, this
module run as a program, with little memory, few seconds and no privileges.  It loads them as the
engine does, plays a guitar and what is louder than any guitar, and says in one line of JSON what
came out, and what share of a period it took.  The verdict is kept by hash, so that it is asked for
once in the life of a file.

All functions block: call them off the event loop.
"""

import ctypes
import hashlib
import json
import math
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampd.bank import Plan
from ampd.errors import AudioFileError, LibraryError, NotVettedError, RigError
from ampd.passports import Store, Verdict
from ampd.rack import (
    MOST_SECONDS,
    READ_SECONDS,
    BlockSpec,
    LoadError,
    RigSpec,
    Trial,
    isas,
    load_model,
    to_impulse,
)
from ampd.wav import Samples, parse_wav

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ampd.cabinet import Impulse

MAX_BYTES = 32 * 1024 * 1024
LIMIT_PERCENT = 60.0  # of a period, for one model
LONGEST_BLOCK = 64  # frames: the engine cuts longer periods

BLOCKS = 2000  # that are timed; all but the slowest thousandth count
ROUNDS = 8  # at most: a slow moment of the machine is not the model's
FIRST_BLOCKS = 100  # a model that is far too slow is not played to the end
FAR_PERCENT = 1.25 * LIMIT_PERCENT
LOUD_S = 0.05  # of noise and of a square wave, both at full scale
BROKEN = 1e4  # the engine takes what is louder for broken

MEMORY_BYTES = 512 * 1024 * 1024
PROCESSOR_S = 5
MEASURE_S = 2.0  # of these, after which no round begins
PATIENCE_S = 30.0  # on a busy machine
FILES = 32
PR_SET_NO_NEW_PRIVS = 38

_hurry: ContextVar[bool] = ContextVar("hurry", default=False)


@contextmanager
def hasty() -> Iterator[None]:
    """Within it nobody waits for an examination: what was never vetted is a NotVettedError."""
    token = _hurry.set(True)
    try:
        yield
    finally:
        _hurry.reset(token)


@dataclass(frozen=True)
class Report:
    """What an examination says."""

    error: str = ""  # why it may not play, one sentence; "" it is sound
    final: bool = True  # False: another examination may say something else
    percent: float = 0.0  # of a period, that all but a thousandth of its blocks keep to


class Vetting:
    """Lets through what may play. Any thread, one at a time.

    roots: folders out of which no link may lead.
    """

    def __init__(self, store: Store, roots: Sequence[Path] = ()) -> None:
        self._store = store
        self._roots = roots
        self._isa = isas()[-1]
        self._seen: dict[str, Verdict] = {}  # what this process measured, the too slow among them
        self._bad: dict[str, str] = {}  # hash -> why

    def admit(self, plan: Plan, at: tuple[int, int]) -> Plan:
        """The plan with the content of its files in place of their paths. Raises RigError, and
        NotVettedError in haste.

        at: the rate in Hz and the period in frames, 0 not known yet.
        """
        held: dict[Path, object] = {}
        with _of_rig(plan):
            for path, is_model in _files(plan):
                data = self._vouched(path, is_model, at)
                held[path] = load_model(data, str(path)) if is_model else _impulse(path, data)
        return replace(plan, held=held)

    def look(self, plan: Plan, at: tuple[int, int]) -> None:
        """Raises as admit does; nothing is loaded here."""
        with _of_rig(plan):
            for path, is_model in _files(plan):
                self._vouched(path, is_model, at)

    def examine(self, name: str, data: bytes, is_model: bool, at: tuple[int, int]) -> None:
        """Vet what is no file yet. Raises LibraryError."""
        self._judge(name, data, is_model, *_place(at))

    def _vouched(self, path: Path, is_model: bool, at: tuple[int, int]) -> bytes:
        data = read_once(path, self._roots)
        self._judge(str(path), data, is_model, *_place(at))
        return data

    def _judge(self, name: str, data: bytes, is_model: bool, rate_hz: int, block: int) -> None:
        """Return if these bytes may play. Raises LibraryError, NotVettedError."""
        key = hashlib.sha256(data).hexdigest()
        kept = self._store.verdict(key)
        verdict = self._seen.get(key, kept) or Verdict()
        if kept is not None and kept.forced:
            verdict = replace(verdict, forced=True)
        percent = verdict.percent(self._isa, rate_hz, block)
        if not verdict.sound or (percent is None and not verdict.forced):
            if _hurry.get():
                if verdict.sound:
                    return
                raise NotVettedError(f"{name}: was never vetted.")
            verdict = self._ask(name, data, key, is_model, rate_hz, block, verdict)
            percent = verdict.percent(self._isa, rate_hz, block)
        if percent is not None and percent > LIMIT_PERCENT and not verdict.forced:
            raise LibraryError(
                f"{name}: takes {percent:.0f} % of a period of {block} frames at {rate_hz} Hz on "
                f"this machine, expected at most {LIMIT_PERCENT:.0f} %; "
                f"`ampd check --force FILE` lets it play all the same."
            )

    def _ask(
        self,
        name: str,
        data: bytes,
        key: str,
        is_model: bool,
        rate_hz: int,
        block: int,
        verdict: Verdict,
    ) -> Verdict:
        if key in self._bad:
            raise LibraryError(self._bad[key])
        report = examine(name, data, is_model, rate_hz, block)
        if report.error:
            if report.final:
                self._bad[key] = report.error
            raise LibraryError(report.error)
        verdict = verdict.measured(self._isa, rate_hz, block, report.percent)
        self._seen[key] = verdict
        # What was too slow today is measured again after a restart.
        if report.percent <= LIMIT_PERCENT or verdict.forced:
            self._store.keep_verdict(key, verdict)
        return verdict


def _impulse(path: Path, data: bytes) -> "Samples | Impulse":
    plain = parse_wav(data, READ_SECONDS, MOST_SECONDS)
    if plain is not None:
        return plain
    from ampd.cabinet import parse_impulse  # noqa: PLC0415 (numpy is a sixth of all memory)

    return parse_impulse(path, data)


def _files(plan: Plan) -> list[tuple[Path, bool]]:
    """Each file of the plan once, and whether it is a model."""
    found = dict.fromkeys(plan.impulses.values(), False) | dict.fromkeys(plan.models.values(), True)
    return list(found.items())


@contextmanager
def _of_rig(plan: Plan) -> Iterator[None]:
    try:
        yield
    except (LibraryError, AudioFileError, LoadError) as error:
        raise RigError(f"{plan.rig.path or plan.rig.name}: {error}") from error
    except MemoryError as error:
        text = f"{plan.rig.path or plan.rig.name}: there is too little memory to examine it."
        raise RigError(text) from error


def _place(at: tuple[int, int]) -> tuple[int, int]:
    """Rate and block: the engine cuts longer periods."""
    rate_hz, period_frames = at
    return rate_hz, min(period_frames or LONGEST_BLOCK, LONGEST_BLOCK)


def read_once(path: Path, roots: Sequence[Path] = ()) -> bytes:
    """All bytes of a regular file of at most 32 MB, in one go. Raises LibraryError.

    roots: what lies below one of these must do so with all links followed.
    """
    try:
        real = path.resolve(strict=True)
        for root in roots:
            if path.is_relative_to(root) and not real.is_relative_to(root.resolve()):
                raise LibraryError(f"{path}: leads out of {root}; put a copy of the file there.")
        number = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode):
                raise LibraryError(f"{path}: is not a regular file; expected a model or a sound.")
            if status.st_size > MAX_BYTES:
                raise LibraryError(
                    f"{path}: the file has {status.st_size / 1e6:.0f} MB, expected at most "
                    f"{MAX_BYTES // 1024**2} MB."
                )
            data = _read(number, status.st_size)
        finally:
            os.close(number)
    except (OSError, RuntimeError) as error:
        text = error.strerror if isinstance(error, OSError) else error
        raise LibraryError(f"{path}: cannot be read ({text}).") from error
    if len(data) < status.st_size:
        raise LibraryError(f"{path}: was cut short while it was read; try again.")
    return data


def _read(number: int, size: int) -> bytes:
    parts = []
    while size > 0 and (part := os.read(number, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# --- the throw-away process ---------------------------------------------------------------------


def examine(name: str, data: bytes, is_model: bool, rate_hz: int, block: int) -> Report:
    """Have the bytes examined in a process of their own. name: what errors call them."""
    kind = "model" if is_model else "cab"
    command = [sys.executable, "-P", "-m", "ampd.vetting", kind, name, str(rate_hz), str(block)]
    # One thread: each takes address space, of which there is little.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=PATIENCE_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Report(f"{name}: its examination did not end within {PATIENCE_S:.0f} s.", False)
    except OSError as error:
        return Report(f"{name}: cannot be examined ({error.strerror}).", False)
    if done.returncode == -signal.SIGXCPU:
        return Report(f"{name}: took more than {PROCESSOR_S} s to be examined.")
    try:
        found = json.loads(done.stdout)
        percent = float(found["percent"])
        if math.isfinite(percent):
            return Report(str(found["error"])[:2000], True, percent)
    except (ValueError, KeyError, TypeError):
        pass
    words = signal.Signals(-done.returncode).name if done.returncode < 0 else "without an answer"
    return Report(f"{name}: its examination ended {words}; it may not play.")


def confine() -> None:
    """Leave this process little to do harm with."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, PROCESSOR_S),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
    with suppress(OSError, MemoryError, AttributeError):  # a hardened unit has seen to it
        ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _loud(rate_hz: int) -> "NDArray[np.float32]":
    """What no guitar reaches: noise and a square wave of 100 Hz, full scale, and silence."""
    import numpy as np  # noqa: PLC0415 (of the throw-away process alone)

    frames = round(LOUD_S * rate_hz)
    noise = np.random.default_rng(1).uniform(-1, 1, frames)
    square = np.sign(np.sin(2 * np.pi * 100 * (np.arange(frames) + 0.5) / rate_hz))
    return np.concatenate([noise, square, np.zeros(frames)]).astype(np.float32)


def _percent(trial: Trial, rate_hz: int, block: int) -> tuple[float, float]:
    """Share of a period that 999 of 1000 blocks keep to, the least of some rounds; and the peak."""
    import numpy as np  # noqa: PLC0415

    from ampd.probe import guitar_signal  # noqa: PLC0415

    guitar = guitar_signal(rate_hz)
    asked = np.resize(guitar, BLOCKS * block)
    period_ns = 1e9 * block / rate_hz
    least, loudest = math.inf, 0.0
    until_s = time.process_time() + MEASURE_S
    for length in (FIRST_BLOCKS, *[BLOCKS] * ROUNDS):
        times_ns, peak = trial.play(asked[: length * block], block)
        shares = 100 * times_ns / period_ns
        loudest = max(loudest, peak)
        median = float(np.median(shares))
        if length == FIRST_BLOCKS:
            if median > FAR_PERCENT:
                return median, loudest
            continue
        least = min(least, float(np.quantile(shares, 0.999, method="lower")))
        if least <= LIMIT_PERCENT or median > LIMIT_PERCENT or time.process_time() > until_s:
            break
    return least, loudest


def _examined(is_model: bool, name: str, data: bytes, rate_hz: int, block: int) -> dict[str, Any]:
    from ampd.cabinet import parse_impulse  # noqa: PLC0415

    try:
        if is_model:
            spec = BlockSpec("amp", "amp", {}, name, loaded={name: load_model(data, name)})
        else:
            impulse = to_impulse(parse_impulse(Path(name), data))
            spec = BlockSpec("cab", "cab", {}, impulse=impulse)
        trial = Trial(RigSpec(blocks=[spec]), rate_hz)
        _, peak = trial.play(_loud(rate_hz), block)
        percent, loudest = _percent(trial, rate_hz, block)
    except (LoadError, AudioFileError) as error:
        return {"error": str(error), "percent": 0}
    except MemoryError:
        megabytes = MEMORY_BYTES // 1024**2
        return {"error": f"{name}: needs more than {megabytes} MB to be read.", "percent": 0}
    if not max(peak, loudest) < BROKEN:
        text = f"{name}: gives what is no number or 80 dB over full scale; it may not play."
        return {"error": text, "percent": 0}
    return {"error": "", "percent": round(percent, 2)}


def main(arguments: Sequence[str]) -> int:
    """Examine what comes by stdin, and say what was found in one line of JSON."""
    kind, name, rate_hz, block = arguments
    for module in ("ampd.cabinet", "ampd.probe"):  # while there are descriptors and memory
        import_module(module)
    confine()
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    print(json.dumps(_examined(kind == "model", name, data, int(rate_hz), int(block))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
