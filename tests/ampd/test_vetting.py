"""Nothing plays that nobody vouches for: what is let through, what is refused, and why."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ampd import resume, vetting
from ampd.bank import Plan, plan_model, plan_rig
from ampd.cli import main
from ampd.command import SelectRig, SetParam
from ampd.errors import AmpdError, LibraryError, NotVettedError, RigError
from ampd.generations import Generations
from ampd.keeper import Keeper
from ampd.kept import Kept
from ampd.library import Library
from ampd.passports import Store, Verdict, fingerprint
from ampd.rack import Model, RigSpec, Trial
from ampd.resume import first_sound
from ampd.session import Session
from ampd.state import Quarantined
from ampd.vetting import MAX_BYTES, Report, Vetting, hasty, read_once
from tests.ampd.conftest import LIMIT_S, heard, host, model, opened, refusal, run, write_model
from tests.chaos.make_models import one_layer

AT = (48000, 64)
Examine = Callable[..., Report]


def exploding() -> dict[str, Any]:
    """A model that is silent up to an input of 0.6, and gives no number beyond it: the loader does
    not try it so loud."""
    return one_layer([1, 3, -1.8, 0, 0, 0, 3e38, 3e38], "ReLU")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be examined; it is sound, and takes 10 % of a period."""
    names: list[str] = []

    def examine(name: str, *_: object) -> Report:
        names.append(name)
        return Report(percent=10.0)

    monkeypatch.setattr(vetting, "examine", examine)
    return names


def quarantined(session: Session) -> tuple[Quarantined, ...]:
    return session.state.quarantined


def tiny(library: Library) -> Plan:
    return plan_model(library.find_model("tiny"))


# --- one look at the file -------------------------------------------------------------------------


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_folder(path: Path) -> None:
    path.mkdir()


def put_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_loop(path: Path) -> None:
    path.symlink_to(path)


def put_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 1024**3)


def put_link_outside(path: Path) -> None:
    outside = path.parents[1] / "outside.nam"
    outside.write_text(json.dumps(model()))
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("put", "words"),
    [
        (put_fifo, "not a regular file"),
        (put_folder, "not a regular file"),
        (put_zeros, "leads out of"),
        (put_loop, "cannot be read"),
        (put_sparse, "expected at most 32 MB"),
        (put_link_outside, "leads out of"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_what_is_no_file_of_the_library_is_refused_at_once(
    tmp_path: Path, put: Callable[[Path], None], words: str
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    put(folder / "bad.nam")
    began_s = time.monotonic()
    with pytest.raises(LibraryError, match=words):
        read_once(folder / "bad.nam", [folder])
    assert time.monotonic() - began_s < LIMIT_S  # no read waits for a writer


def test_what_shrinks_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.nam"
    path.write_bytes(b"x" * 1000)
    monkeypatch.setattr(vetting, "_read", lambda *_: b"x" * 500)
    with pytest.raises(LibraryError, match="cut short"):
        read_once(path)


def test_a_file_at_the_limit_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.nam"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES)
    assert len(read_once(path)) == MAX_BYTES


# --- verdicts -------------------------------------------------------------------------------------


def test_a_file_is_examined_once_in_its_life(
    library: Library, tmp_path: Path, asked: list[str]
) -> None:
    plan, cache = tiny(library), tmp_path / "cache"
    Vetting(Store(cache)).admit(plan, AT)
    with hasty():
        admitted = Vetting(Store(cache)).admit(plan, AT)
    assert len(asked) == 1
    (held,) = admitted.held.values()
    assert isinstance(held, Model)
    assert held.info.name == "tiny"


def test_a_file_that_was_never_seen_is_not_waited_for_in_haste(
    library: Library, asked: list[str]
) -> None:
    checks = Vetting(Store())
    with hasty(), pytest.raises(NotVettedError, match="never vetted"):
        checks.admit(tiny(library), AT)
    assert asked == []
    checks.admit(tiny(library), AT)
    write_model(library.find_model("tiny"), seed=2)
    with hasty(), pytest.raises(NotVettedError):
        checks.admit(tiny(library), AT)


def test_what_plays_is_what_was_examined_whatever_lies_there_now(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = library.find_model("tiny")
    good = path.read_bytes()

    def examine(name: str, data: bytes, *_: object) -> Report:
        assert data == good
        path.write_text(json.dumps(exploding()))
        return Report(percent=1.0)

    monkeypatch.setattr(vetting, "examine", examine)
    (held,) = Vetting(Store()).admit(plan_model(path), AT).held.values()
    assert isinstance(held, Model)
    assert held.info.architecture == "residual_wavenet"


def test_a_model_that_takes_too_long_is_refused_with_its_figure(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "examine", lambda *_: Report(percent=83.2))
    checks = Vetting(Store(tmp_path / "cache"))
    for _ in range(2):
        with pytest.raises(RigError, match=r"takes 83 % of a period of 64 frames at 48000 Hz"):
            checks.admit(tiny(library), AT)
    # A slow day must not be remembered for ever.
    monkeypatch.setattr(vetting, "examine", lambda *_: Report(percent=59.9))
    Vetting(Store(tmp_path / "cache")).admit(tiny(library), AT)


def test_a_model_that_is_forced_plays_however_long_it_takes(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "examine", lambda *_: Report(percent=83.2))
    settings = tmp_path / "ampd.toml"
    settings.write_text('[paths]\ncache = "cache"\n')
    checks = Vetting(Store(tmp_path / "cache"))
    with pytest.raises(RigError):
        checks.admit(tiny(library), AT)
    path = str(library.find_model("tiny"))
    assert main(["check", "--config", str(settings), "--no-cost", "--force", path]) == 0
    checks.admit(tiny(library), AT)
    Vetting(Store(tmp_path / "cache")).admit(tiny(library), AT)
    write_model(library.find_model("tiny"), seed=2)  # other bytes are another model
    with pytest.raises(RigError):
        checks.admit(tiny(library), AT)


def test_forced_or_not_what_is_not_sound_does_not_play(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "examine", lambda *_: Report("it bites"))
    store = Store(tmp_path)
    checks = Vetting(store)
    store.keep_verdict(fingerprint(library.find_model("tiny")), Verdict(forced=True))
    with pytest.raises(RigError, match="it bites"):
        checks.admit(tiny(library), AT)


def test_shares_of_other_rates_and_shorter_blocks_tell_enough() -> None:
    verdict = Verdict().measured("avx2", 48000, 32, 20.0).measured("avx2", 48000, 64, 15.0)
    assert verdict.sound
    assert verdict.percent("avx2", 48000, 64) == 15.0
    assert verdict.percent("avx2", 96000, 64) == pytest.approx(30.0)
    assert verdict.percent("avx2", 48000, 48) == 20.0
    assert verdict.percent("avx2", 48000, 16) is None
    assert verdict.percent("generic", 48000, 64) is None


def test_a_spoilt_verdict_is_not_believed(tmp_path: Path) -> None:
    store, key = Store(tmp_path), "a" * 64
    store.keep_verdict(key, Verdict(True, False, {"avx2 48000 64": 12.5}))
    assert Store(tmp_path).verdict(key) == Verdict(True, False, {"avx2 48000 64": 12.5})
    (file,) = tmp_path.iterdir()
    good = json.loads(file.read_text())
    spoilt: tuple[object, ...] = ([], {"avx2": 1}, {"avx2 0 64": 1}, {"avx2 48000 64": "x"}, None)
    for shares in spoilt:
        file.write_text(json.dumps({**good, "shares": shares}))
        assert Store(tmp_path).verdict(key) is None


# --- the throw-away process -----------------------------------------------------------------------


def test_a_good_model_and_a_good_cab_are_sound_and_have_a_figure(tmp_path: Path) -> None:
    report = vetting.examine("good.json", json.dumps(model()).encode(), True, 48000, 64)
    assert report.error == ""
    assert 0 < report.percent < 60
    wave = np.exp(-np.arange(2000) / 100.0)
    soundfile.write(tmp_path / "ir.wav", wave, 44100)
    cab = vetting.examine("ir.wav", (tmp_path / "ir.wav").read_bytes(), False, 48000, 64)
    assert cab.error == ""
    assert 0 < cab.percent < 60


@pytest.mark.parametrize(
    ("data", "is_model", "words"),
    [
        (json.dumps(exploding()).encode(), True, "bad: gives what is no number"),
        (b'{"format": "ampd"', True, "bad: "),
        (b"RIFF", False, "bad: cannot be read as sound"),
    ],
)
def test_what_is_not_sound_is_told_in_one_sentence(data: bytes, is_model: bool, words: str) -> None:
    report = vetting.examine("bad", data, is_model, 48000, 64)
    assert report.error.startswith(words)


def test_the_process_has_little_memory_few_files_and_no_new_privileges() -> None:
    program = """
import os, resource
from ampd.vetting import confine
confine()
try:
    bytearray(600 * 1024**2)
except MemoryError:
    print("memory")
try:
    kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(64)]
except OSError:
    print("files")
print(resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_CORE))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == ["memory", "files", "(5, 5) (0, 0)"]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended SIGSEGV"),
        ("import os; os.kill(os.getpid(), 24)", "took more than 5 s"),
        ("print('[]')", "ended without an answer"),
        ('print(\'{"error": "", "percent": NaN}\')', "ended without an answer"),
    ],
)
def test_a_process_that_dies_or_lies_vouches_for_nothing(
    monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    real = subprocess.run
    monkeypatch.setattr(
        "ampd.vetting.subprocess.run",
        lambda _, **options: real([sys.executable, "-S", "-c", program], **options),
    )
    assert words in vetting.examine("bad", b"", True, 48000, 64).error


def test_a_slow_moment_does_not_make_a_model_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    class Disturbed:
        rounds = 0

        def play(self, signal: Any, block: int) -> tuple[Any, float]:
            times_ns = np.full(len(signal) // block, 0.2 * 1e9 * block / 48000)
            self.rounds += 1
            if self.rounds < 4:
                times_ns[::50] *= 10
            return times_ns.astype(np.float32), 0.5

    percent, _ = vetting._percent(Disturbed(), 48000, 64)  # type: ignore[arg-type]
    assert percent == pytest.approx(20, abs=0.01)


def test_a_trial_plays_what_an_engine_plays(library: Library) -> None:
    trial = Trial(RigSpec(values={"output/gain_db": 6.0}), 48000)
    times_ns, peak = trial.play(np.full(1000, 0.25, np.float32), 64)
    assert len(times_ns) == 1000 // 64
    assert (times_ns > 0).all()
    assert peak == pytest.approx(0.25 * 10 ** (6 / 20), rel=1e-5)


# --- in the daemon --------------------------------------------------------------------------------


def test_a_rig_with_a_model_that_is_refused_leaves_what_plays(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "examine", lambda name, *_: Report(f"{name}: it bites."))

    async def story() -> None:
        async with opened(library, vetting=Vetting(Store())) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            level = await heard(session)
            assert "it bites" in await refusal(session, SelectRig("drive"))
            assert session.state.rig == "clean"
            assert await heard(session) == level
            entry = next(each for each in session.state.rigs if each.name == "drive")
            assert "it bites" in entry.error

    run(story())


def test_what_is_brought_is_examined_first(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "examine", lambda name, *_: Report(f"{name}: it bites."))

    async def story() -> None:
        async with opened(library, vetting=Vetting(Store())) as (session, _):
            with pytest.raises(AmpdError, match=r"new\.json: it bites"):
                await session.store("new.json", json.dumps(model(seed=5)).encode())
            assert "new" not in library.model_names()

    run(story())


def test_a_kept_rig_of_unknown_bytes_follows_when_it_is_vetted(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Generations(tmp_path / "state", "ampd")
    kept = Kept("drive", {"amp/gain_db": -4.0})
    files.write(kept)
    vetted = threading.Event()

    def examine(*_: object) -> Report:
        vetted.wait(LIMIT_S)
        return Report(percent=1.0)

    monkeypatch.setattr(vetting, "examine", examine)

    async def story() -> None:
        async with opened(library, vetting=Vetting(Store())) as (session, ear):
            keeper = Keeper(session, files)
            keeper.start(await first_sound(session, files, "clean"))
            assert session.state.wanted_rig == "clean"  # at once
            await session.execute(SetParam("gain/gain_db", 1.0))
            await asyncio.sleep(0.7)  # more than a change may wait to be written
            assert files.read(files.newest) == kept
            vetted.set()
            await ear.swap("drive")
            assert session.state.values["amp/gain_db"] == -4.0
            await keeper.stop()
        read = files.read(files.newest)
        assert read is not None
        assert (read.rig, read.values) == (kept.rig, kept.values)

    run(story())


def test_a_kept_rig_of_known_bytes_plays_at_once(
    library: Library, tmp_path: Path, asked: list[str]
) -> None:
    checks = Vetting(Store(tmp_path / "cache"))
    checks.admit(plan_rig(library, library.load_rig("drive")), AT)
    files = Generations(tmp_path / "state", "ampd")
    files.write(Kept("drive", {}))

    async def story() -> None:
        async with opened(library, vetting=Vetting(Store(tmp_path / "cache"))) as (session, _):
            await first_sound(session, files, "clean")
            assert session.state.wanted_rig == "drive"

    run(story())
    assert len(asked) == 1


def test_a_foot_that_goes_on_is_not_overtaken_by_what_is_vetted_late(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Generations(tmp_path / "state", "ampd")
    files.write(Kept("drive", {}))

    def examine(*_: object) -> Report:
        time.sleep(0.2)
        return Report(percent=1.0)

    monkeypatch.setattr(vetting, "examine", examine)

    async def story() -> None:
        async with opened(library, vetting=Vetting(Store())) as (session, ear):
            await first_sound(session, files, "clean")
            await session.execute(SelectRig("loud"))
            await asyncio.wait(set(resume._tasks))
            await ear.swap("loud")
            assert session.state.wanted_rig == "loud"

    run(story())


def test_a_model_that_breaks_is_named_until_its_rig_is_selected_again(library: Library) -> None:
    path = library.models_path / "bomb.nam"
    path.write_text(json.dumps(exploding()))
    (library.rigs_path / "bomb.yaml").write_text("chain:\n  - amp: {model: bomb}\n")

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("bomb"))
            await ear.swap("bomb")
            out = await host(session, signal=np.full(4096, 0.9, np.float32))
            await session.execute(SetParam("mix", 1.0))
            named = Quarantined("bomb", "amp", ("bomb",), "broken")
            assert quarantined(session) == (named,)
            assert "(amp: bomb)" in session.state.last_error
            assert np.isfinite(out).all()
            await session.execute(SelectRig("clean"))
            assert quarantined(session) == (named,)
            ear.events.clear()
            await session.execute(SelectRig("bomb"))
            await ear.swap("bomb")
            assert not quarantined(session)

    run(story())


def test_a_block_that_rests_is_named_and_forgotten_with_its_rig(library: Library) -> None:
    @dataclass
    class Fact:
        kind: str = "rest"
        slot: int = 1
        index: int = 0
        value: float = 1.0
        frame: int = 0
        id: int = 0

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            observer = session._observer
            observer.take([Fact()])
            assert quarantined(session) == (Quarantined("drive", "amp", ("tiny",), "slow"),)
            assert "more than this machine carries" in session.state.last_error
            observer.take([Fact(value=0.5)])
            assert quarantined(session) == (Quarantined("drive", "amp", ("tiny",), "smaller"),)
            assert "amp plays its smallest size" in session.state.last_error
            observer.take([Fact(value=0.0)])
            assert not quarantined(session)
            observer.take([Fact()])
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            assert not quarantined(session)

    run(story())
