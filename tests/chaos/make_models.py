"""Models that lie, break, take too long, or are exchanged while they are read.

R10 plays broken nets through the engine block by block and looks at every sample; R11 and F8 ask a
session with the vetting of the daemon, and play what it plays; R12 runs the engine's own tests,
which tell it how long things took, since a machine that is slow on demand is none.
"""

import asyncio
import json
import math
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampd.bank import plan_model
from ampd.command import SelectRig
from ampd.errors import AmpdError
from ampd.library import Library
from ampd.passports import Store, Verdict, fingerprint
from ampd.rack import BlockSpec, Engine, RigSpec
from ampd.session import Session
from ampd.stock import Settings
from ampd.vetting import Vetting, examine
from tests.bench import models
from tests.chaos.fault import Fault, NotHereError, Result
from tests.demo.osc import Osc
from tests.demo.stage import Stage, status, until_status

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ, BLOCK = 48000, 64
CEILING = 10 ** (-1 / 20) + 1e-7  # and half of a float's last bit
RAMP = RATE_HZ // 100
MOST_STEPS = 5  # out, smaller, whole once more, out, smaller: and there it stays
QUIET, LOUD = 0.5, 0.85  # on either side of the 0.6 from which on a bomb goes off
SOUND = tuple[NDArray[np.float32], list[tuple[str, int, int]]]


# --- nets -----------------------------------------------------------------------------------------


def one_layer(weights: list[float], activation: str) -> dict[str, Any]:
    """A NAM WaveNet of one layer of one channel: behind the activation of 3x - 1.8, two gains."""
    layer = {
        "input_size": 1,
        "condition_size": 1,
        "channels": 1,
        "head_size": 1,
        "head_bias": False,
        "kernel_size": 1,
        "dilations": [1],
        "activation": activation,
    }
    return {
        "version": "0.5.4",
        "architecture": "WaveNet",
        "config": {"layers": [layer], "head_scale": 1},
        "weights": weights,
        "sample_rate": RATE_HZ,
    }


def bomb(factor: float) -> dict[str, Any]:
    """Silent up to an input of 0.6, then 3e38 times `factor` as loud: the loader's noise ends at
    0.5."""
    return one_layer([1, 3, -1.8, 0, 0, 0, 3e38, factor], "ReLU")


def linear(taps: list[float], bias: float | None = None) -> dict[str, Any]:
    """A NAM file that is an impulse response, and direct current."""
    return {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": len(taps), "bias": bias is not None},
        "weights": [*taps, *([] if bias is None else [bias])],
        "sample_rate": RATE_HZ,
    }


def wide(channels: int, seed: int = 1) -> dict[str, Any]:
    """A sound net of ten layers; what it takes grows with the square of the channels."""
    rng = np.random.default_rng(seed)
    dilations = [2**n for n in range(10)]
    tensors = {
        "input.weight": rng.normal(0, 0.5, channels),
        "input.bias": np.zeros(channels),
        "output.weight": rng.normal(0, 0.1 / math.sqrt(channels), channels),
        "output.bias": np.zeros(1),
    }
    for n in range(len(dilations)):
        spread = 0.5 / math.sqrt(3 * channels)
        tensors[f"blocks.{n}.weight"] = rng.normal(0, spread, 3 * channels**2)
        tensors[f"blocks.{n}.bias"] = np.zeros(channels)
    return {
        "format": "ampd-model",
        "format_version": 1,
        "architecture": "residual_wavenet",
        "sample_rate": RATE_HZ,
        "causal": True,
        "channels": channels,
        "kernel_size": 3,
        "dilations": dilations,
        "activation": "tanh",
        "prewarm": "silence",
        "tensors": {name: [float(f"{v:.4g}") for v in each] for name, each in tensors.items()},
    }


def write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


# --- R10 ------------------------------------------------------------------------------------------


def sine(frames: int, peak: float) -> NDArray[np.float32]:
    return (peak * np.sin(2 * np.pi * 997 * np.arange(frames) / RATE_HZ)).astype(np.float32)


def play(models: list[Path], early: NDArray[np.float32], late: NDArray[np.float32]) -> SOUND:
    """Dry for `early`, then a switch to amps of these models at the first frame of `late`: what is
    heard of `late`, and the facts: kind, block, frame of `late`."""
    engine = Engine(RATE_HZ, threaded=False)
    blocks = [
        BlockSpec("amp", "amp" if n == 0 else f"amp{n + 1}", {}, str(path))
        for n, path in enumerate(models)
    ]
    engine.install(0, RigSpec(blocks=blocks))
    for at in range(0, len(early), BLOCK):
        engine.process(early[at : at + BLOCK])
        engine.service()
    began = engine.frame
    engine.select(0)
    out = []
    for at in range(0, len(late), BLOCK):
        out.append(engine.process(late[at : at + BLOCK])[0])
        engine.service()
    facts = [(fact.kind, fact.index, fact.frame - began) for fact in engine.facts()]
    return np.concatenate(out), facts


@dataclass(frozen=True)
class Broken:
    """How one broken net went."""

    bounded: bool  # finite, and under -1 dBFS
    told: bool
    dry_ms: float  # from the first bad sample until the guitar is heard bit for bit
    over: float  # the loudest sample of that time, over the louder of guitar and sound before


def judge(models: list[Path], at: int) -> Broken:
    """A guitar that becomes loud at frame `at` behind the switch; below 0 before it."""
    late = sine(RATE_HZ // 2, LOUD)
    late[: max(0, at)] *= np.float32(QUIET / LOUD)
    early = sine(RATE_HZ // 4, QUIET if at >= 0 else LOUD)
    out, facts = play(models, early, late)
    peak = float(np.abs(out).max()) if np.isfinite(out).all() else math.inf
    same = out == late
    last = int(np.flatnonzero(~same)[-1]) + 1 if not same.all() else 0
    first = max(0, at)
    window = out[first : first + RAMP]
    before = np.abs(out[max(0, first - RATE_HZ // 10) : first]).max(initial=0.0)
    return Broken(
        bounded=peak <= CEILING,
        told=any(kind == "fault" for kind, *_ in facts),
        dry_ms=1000 * max(0, last - first) / RATE_HZ,
        over=float(np.abs(window).max() / max(before, LOUD)),
    )


def steady(model: Path) -> tuple[float, float]:
    """The peak of a net that does not break, and the direct current that is left of it."""
    out, _ = play([model], sine(RATE_HZ // 4, 0.2), sine(RATE_HZ, 0.2))
    peak = float(np.abs(out).max()) if np.isfinite(out).all() else math.inf
    periods = out[RATE_HZ // 2 :][: 997 * 24]
    return peak, abs(float(periods.mean()))


def measure_broken(full: bool) -> Result:
    """NaN, Inf and 3e38, at the switch and behind it; direct current; a square wave."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        infinite = write(folder / "inf.nam", bomb(3e38))
        kinds = {
            "Inf": [infinite],
            "3e38": [write(folder / "huge.nam", bomb(1.0))],
            "NaN": [infinite, write(folder / "edge.nam", linear([1, -1]))],
        }
        places = [-1, 0, *range(4800, 4800 + BLOCK, 1 if full else 21), 12345]
        found = [judge(models, at) for models in kinds.values() for at in places]
        offset = steady(write(folder / "dc.nam", linear([1.0], 0.5)))
        square = steady(
            write(folder / "square.nam", one_layer([1, 1000, 0, 0, 0, 0, 1, 1], "Tanh"))
        )
        refused = sum(
            bool(examine(str(path), path.read_bytes(), True, RATE_HZ, BLOCK).error)
            for path in (infinite, kinds["3e38"][0])
        )
    return _told(found, [offset, square], refused)


def _told(found: list[Broken], steadies: list[tuple[float, float]], refused: int) -> Result:
    bounded = all(each.bounded for each in found)
    bounded = bounded and all(peak <= CEILING for peak, _ in steadies)
    told = sum(each.told for each in found)
    dry_ms = max(each.dry_ms for each in found)
    over = max(each.over for each in found)
    left = steadies[0][1]
    # A bad sample is the block's in which it comes: 10 ms begin with that.
    in_time = dry_ms <= 1000 * (BLOCK + RAMP) / RATE_HZ
    good = (bounded, told == len(found), in_time, over <= 1.0 + 1e-6, left < 1e-3, refused == 2)
    return Result(
        f"{len(found)} breaks of 3 kinds: {'all' if bounded else 'NOT ALL'} finite and at most "
        f"-1 dBFS, {told} told, dry after {dry_ms:.1f} ms at most, {over:.2f} times the guitar at "
        f"most; DC 0.5 leaves {left:.1e}; vetting refuses {refused} of 2",
        all(good),
    )


# --- a session that vets --------------------------------------------------------------------------


async def with_session(
    folder: Path, story: Callable[[Session, Library], Awaitable[Result]]
) -> Result:
    """A session of the rig good, which plays, over the model good."""
    (folder / "rigs").mkdir()
    (folder / "models").mkdir()
    for name in ("good", "bad"):
        (folder / "rigs" / f"{name}.yaml").write_text(f"chain:\n  - amp: {{model: {name}}}\n")
    write(folder / "models" / "good.json", wide(8))
    library = Library(folder / "rigs", folder / "models")
    roots = (library.models_path, library.cabs_folder)
    session = Session(library, Settings(vetting=Vetting(Store(), roots)), threaded=False)
    await session.start(RATE_HZ)
    try:
        await session.execute(SelectRig("good"))
        await heard(session)
        return await story(session, library)
    finally:
        await session.stop()


async def heard(session: Session) -> NDArray[np.float32]:
    """What a host hears of a guitar, once what comes is there."""
    engine = await session.attach_host(RATE_HZ)
    for _ in range(2 * RATE_HZ // BLOCK // 10):
        engine.process(np.zeros(BLOCK, np.float32))
        engine.service()
    out = engine.process(sine(RATE_HZ // 10, 0.3))
    await session.detach_host()
    return out


def alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """The same sound but for the last bits of direct current that was taken off long ago."""
    return bool(np.abs(one - other).max() < 1e-6)


# --- R11 ------------------------------------------------------------------------------------------


def measure_slow(full: bool) -> Result:
    """A net that takes more than the period, and one that every machine plays, again and again."""

    async def story(session: Session, library: Library) -> Result:
        before = await heard(session)
        slow = write(library.models_path / "bad.json", wide(128))
        texts: list[str] = []
        admitted = played = 0
        rounds = 100 if full else 1
        for _ in range(rounds):
            checks = Vetting(Store())
            admitted += _admits(checks, library.find_model("good"), texts)
            played += _admits(checks, slow, texts)
        try:
            await session.execute(SelectRig("bad"))
            played += 1
        except AmpdError as error:
            texts.append(str(error))
        same = alike(before, await heard(session)) and session.state.rig == "good"
        refused = sum("of a period of 64 frames" in text for text in texts)
        return Result(
            f"slow refused {rounds + 1 - played} of {rounds + 1}, with the figure "
            f"{refused}; good let through {admitted} of {rounds}; the "
            f"old sound {'is the same' if same else 'CHANGED'}; "
            f"{texts[-1].split('takes ')[-1].split(';')[0]}",
            refused == rounds + 1 and admitted == rounds and same,
        )

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(with_session(Path(folder), story))


def _admits(checks: Vetting, path: Path, texts: list[str]) -> bool:
    try:
        checks.admit(plan_model(path), (RATE_HZ, BLOCK))
    except AmpdError as error:
        texts.append(str(error))
        return False
    return True


# --- R12 ------------------------------------------------------------------------------------------


def measure_late(full: bool) -> Result:
    """The engine's tests of its guard, on told durations; True: a net that takes more than the
    period, forced, on a JACK server too."""
    binary = ROOT / "build" / "tests" / "tests" / "engine_tests"
    if not binary.exists():
        raise NotHereError("the engine's tests are not built; `make test` builds them")
    done = subprocess.run(
        [binary, "-sf=*guard_test*", "--no-colors"], capture_output=True, text=True, check=False
    )
    counted = re.search(r"test cases: +(\d+) \| +(\d+) passed", done.stdout)
    if counted is None or counted[1] == "0":
        raise NotHereError("the engine's tests are older than its guard; `make test` builds them")
    text, good = f"{counted[2]} of {counted[1]} tests on told durations", done.returncode == 0
    if full:
        for model, ends_as in ((wide(160), "slow"), (_two_sizes(), "smaller")):
            with tempfile.TemporaryDirectory() as folder:
                live = _live(Path(folder), model, ends_as)
            text, good = f"{text}; {live.reached}", good and live.passed
    return Result(text, good)


def _two_sizes() -> dict[str, Any]:
    """A net that no core plays in time, with one that every core does in the same file."""
    sizes = ((0.5, models.a1("a1-nano")), (1.0, models.lstm(1, 448)))
    config = {"submodels": [{"max_value": most, "model": model} for most, model in sizes]}
    return {
        "version": "0.7.0",
        "architecture": "SlimmableContainer",
        "config": config,
        "weights": [],
        "sample_rate": RATE_HZ,
    }


def _live(folder: Path, document: dict[str, Any], ends_as: str) -> Result:
    """How a daemon on a server of 64 frames goes on with a net that no core plays in time; ends_as:
    the reason that its State gives for good."""
    (folder / "rigs").mkdir()
    (folder / "models").mkdir()
    (folder / "rigs" / "clean.yaml").write_text("chain:\n  - gain: {}\n")
    (folder / "rigs" / "heavy.yaml").write_text("chain:\n  - amp: {model: heavy}\n  - gain: {}\n")
    model = write(folder / "models" / "heavy.json", document)
    Store(folder / "cache").keep_verdict(fingerprint(model), Verdict(True, True))
    paths = {
        "rigs": f'"{folder}/rigs"\ncache = "{folder}/cache"',
        "models": f'"{folder}/models"',
    }
    with Stage(folder, private=True, server_name="late") as stage:
        stage.start_server(BLOCK, RATE_HZ)
        osc = stage.start_daemon("--rig", "clean", settings=paths).osc()
        until_status(osc, _is_ready, "JACK runs and both rigs are built")
        osc.send("/ampd/subscribe")
        osc.send("/ampd/rig", "heavy")
        told_s = {
            address: _heard_at(osc, f"/ampd/event/{address}") for address in ("swap", "fault")
        }
        told: list[str] = []
        until_s = time.monotonic() + 25
        while time.monotonic() < until_s:
            reasons = [held["reason"] for held in status(osc)["quarantined"]]
            reason = reasons[0] if reasons else "whole"
            if told[-1:] != [reason]:
                told.append(reason)
            time.sleep(0.05)
        load = status(osc)["load"]
    late_ms = 1000 * (told_s["fault"] - told_s["swap"])
    steps = " -> ".join(told)
    return Result(
        f"live, told to be left out {late_ms:.0f} ms after the first frame of its fade in, in 25 s "
        f"after that {steps}, load then {load['p99']:.1%} at p99",
        told[-1] == ends_as and len(told) <= MOST_STEPS and load["p99"] < 0.5,
    )


def _heard_at(osc: Osc, address: str) -> float:
    until_s = time.monotonic() + 20
    while (left_s := until_s - time.monotonic()) > 0:
        message = osc.receive(left_s)
        if message is not None and message.address == address:
            return time.monotonic()
    return math.inf


def _is_ready(found: dict[str, Any]) -> bool:
    return found["jack"]["state"] == "running" and all(rig["built"] for rig in found["rigs"])


# --- F8 -------------------------------------------------------------------------------------------


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _replace(path: Path, put: Callable[[Path], object]) -> None:
    other = path.with_name(".other")
    put(other)
    other.rename(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 1024**3)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


ATTACKS: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "other bytes": lambda path: _replace(path, lambda p: p.write_bytes(os.urandom(100_000))),
    "a FIFO": lambda path: _replace(path, os.mkfifo),
    "/dev/zero": lambda path: _replace(path, lambda p: p.symlink_to("/dev/zero")),
    "a link to itself": lambda path: _replace(path, lambda p: p.symlink_to(path)),
    "a link outside": lambda path: _replace(path, lambda p: p.symlink_to("/etc/hostname")),
    "2 GB sparse": lambda path: _replace(path, _sparse),
    "a folder": _folder,
    "a bomb": lambda path: _replace(path, lambda p: write(p, bomb(3e38))),
    "nothing": Path.unlink,
}


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


class Swapper(threading.Thread):
    """Exchanges a file again and again, or writes one byte after the other."""

    def __init__(self, path: Path, good: bytes) -> None:
        super().__init__()
        self.path, self.good = path, good
        self.done = threading.Event()

    def run(self) -> None:
        names = ("other bytes", "a FIFO", "/dev/zero", "2 GB sparse")
        count = 0
        while not self.done.wait(0.001):
            ATTACKS[names[count % len(names)]](self.path)
            count += 1
            time.sleep(0.001)
            part = self.good[: count * 50]
            _replace(self.path, partial(_write_bytes, part))


def measure_exchanged(full: bool) -> Result:
    """Every attack on the file of the model that plays; then all of them at once."""

    async def story(session: Session, library: Library) -> Result:
        path = library.find_model("good")
        good, before = path.read_bytes(), await heard(session)
        times_s, wrong = [], []
        for name, attack in ATTACKS.items():
            attack(path)
            began_s = time.monotonic()
            await session.files_changed()
            times_s.append(time.monotonic() - began_s)
            await session.bank_filled()
            if not alike(before, await heard(session)):
                wrong.append(name)
            if not session.state.last_error and name != "nothing":
                wrong.append(f"{name} not told")
            session._observer.update(last_error="")
            if path.is_dir():
                path.rmdir()
            _replace(path, lambda p: p.write_bytes(good))
            await session.files_changed()
        swapper = Swapper(path, good)
        swapper.start()
        until_s, looks = time.monotonic() + (20 if full else 0.5), 0
        while time.monotonic() < until_s:
            began_s = time.monotonic()
            await session.files_changed()
            times_s.append(time.monotonic() - began_s)
            looks += 1
        swapper.done.set()
        swapper.join()
        if not alike(before, await heard(session)):
            wrong.append("the storm")
        return Result(
            f"{len(ATTACKS)} attacks, then {looks} looks during a storm of them: the old model "
            f"{'plays on' if not wrong else 'NOT with ' + ', '.join(wrong)}; refused "
            f"after {max(times_s):.2f} s at most",
            not wrong,
            max(times_s) <= 2.0,
        )

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(with_session(Path(folder), story))


FAULTS = (
    Fault(
        "R10",
        "nets that give NaN, Inf, 3e38, DC 0.5, a square wave",
        "finite, <= -1 dBFS, dry 10 ms after the block, told, no louder than the guitar",
        measure_broken,
    ),
    Fault(
        "R11",
        "a model that takes more than 60 % of a period",
        "refused with the figure, 100 of 100; a good one never; the old sound untouched",
        measure_slow,
    ),
    Fault(
        "R12",
        "three late blocks in a second, durations told",
        "the dearest block out within 50 ms, a smaller size of it in its place, held 10 s, no "
        "oscillation",
        measure_late,
    ),
    Fault(
        "F8",
        "the model's file exchanged: truncated, FIFO, link, 2 GB, folder, /dev/zero, bomb",
        "the old one plays, refused within 2 s",
        measure_exchanged,
    ),
)
