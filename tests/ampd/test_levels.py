"""What trims a rig gets: the arithmetic on given answers, then real rigs on the real engine."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd.bank import Plan, plan_rig
from ampd.levels import MOST_DB, TARGET_LUFS, Leveller, Trims, rig_key
from ampd.library import Library
from ampd.passports import Store
from ampd.probe import guitar_signal, loudness_lufs
from ampd.rack import inspect_model
from ampd.rehearsal import rig_answer
from ampd.rig import Rig, RigBlock, parse_rig
from tests.ampd.conftest import RATE_HZ, write_model

GUITAR_LUFS = loudness_lufs(guitar_signal(RATE_HZ), RATE_HZ)


@dataclass
class Said:
    """A model's claim."""

    input_level_dbu: float | None = None
    output_level_dbu: float | None = None


@dataclass
class Bench:
    """A rig of plain gain that counts how often it is asked, and models that say what they say."""

    gain: float = 1.0
    models: dict[str, Said] = field(default_factory=dict)
    asked: int = 0

    def measure(self, plan: Plan, rate_hz: int) -> NDArray[np.float32]:
        self.asked += 1
        sound = self.gain * guitar_signal(rate_hz)
        return np.stack([sound, sound]).astype(np.float32)

    def leveller(self, store: Store | None = None) -> Leveller:
        return Leveller(RATE_HZ, 12.0, store or Store(), self.measure, self.models.__getitem__)


def plan_of(*models: str, family: tuple[str, ...] = ()) -> Plan:
    """Amps in series, one a model, or one of a family; each model lies at the path of its name."""
    blocks = [
        RigBlock("amp", f"amp{n + 1}" if n else "amp", {}, name) for n, name in enumerate(models)
    ]
    if family:
        blocks = [RigBlock("amp", "amp", {}, "", {float(n): name for n, name in enumerate(family)})]
    paths = {name: Path(name) for name in (*models, *family)}
    return Plan(Rig("board", blocks=tuple(blocks)), paths, ())


def test_raw_rig_is_left_alone_and_not_played() -> None:
    bench = Bench(gain=10.0)
    assert bench.leveller().trims(plan_of(), "raw") == Trims(0.0, 0.0, ())
    assert bench.asked == 0


@pytest.mark.parametrize("gain_db", [-20.0, 0.0, 20.0])
def test_normalized_rig_gets_what_it_lacks_to_the_target(gain_db: float) -> None:
    bench = Bench(gain=10 ** (gain_db / 20))
    trims = bench.leveller().trims(plan_of(), "normalized")
    # float32 rounds the answer
    assert trims.output_db == pytest.approx(TARGET_LUFS - GUITAR_LUFS - gain_db, abs=1e-4)
    assert (trims.input_db, trims.warnings) == (0.0, ())


@pytest.mark.parametrize(("gain_db", "trim"), [(-40.0, MOST_DB), (60.0, -MOST_DB)])
def test_trim_ends_at_its_limit_and_says_so(gain_db: float, trim: float) -> None:
    trims = Bench(gain=10 ** (gain_db / 20)).leveller().trims(plan_of(), "normalized")
    assert trims.output_db == trim
    assert len(trims.warnings) == 1
    assert f"it gets {trim:+.0f} dB" in trims.warnings[0]


def test_silent_rig_is_not_made_loud() -> None:
    trims = Bench(gain=0.0).leveller().trims(plan_of(), "normalized")
    assert (trims.input_db, trims.output_db) == (0.0, 0.0)
    assert "no sound" in trims.warnings[0]


def test_rig_is_played_once_even_over_a_restart(tmp_path: Path) -> None:
    bench = Bench()
    first = bench.leveller(Store(tmp_path)).trims(plan_of(), "normalized")
    assert bench.leveller(Store(tmp_path)).trims(plan_of(), "normalized") == first
    assert bench.asked == 1


Change = Callable[[Library], tuple[Plan, int]]


def planned(library: Library, text: str, name: str = "drive") -> Plan:
    return plan_rig(library, parse_rig(text.encode(), name))


def changed_model(library: Library) -> tuple[Plan, int]:
    write_model(library.models_path / "tiny" / "tiny.json", seed=2)
    return planned(library, "chain: [{amp: {model: tiny}}]"), RATE_HZ


CHANGES: dict[str, Change] = {
    "a knob": lambda lib: (planned(lib, "chain: [{amp: {model: tiny, gain_db: 1}}]"), RATE_HZ),
    "the output": lambda lib: (
        planned(lib, "chain: [{amp: {model: tiny}}]\noutput: {gain_db: 1}"),
        RATE_HZ,
    ),
    "the order": lambda lib: (planned(lib, "chain: [{gain: }, {amp: {model: tiny}}]"), RATE_HZ),
    "the rate": lambda lib: (planned(lib, "chain: [{amp: {model: tiny}}]"), 44100),
    "the bytes of a model": changed_model,
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_decides_the_loudness_changes_the_key(library: Library, what: str) -> None:
    before = rig_key(planned(library, "chain: [{amp: {model: tiny}}]"), RATE_HZ)
    assert rig_key(*CHANGES[what](library)) != before


def test_name_program_and_place_do_not_change_the_key(library: Library) -> None:
    text = "chain: [{amp: {model: tiny}}]"
    (library.rigs_path / "copy.yaml").write_text("# mine\nprogram: 9\n" + text)
    copy = plan_rig(library, library.load_rig("copy"))
    assert rig_key(copy, RATE_HZ) == rig_key(planned(library, text), RATE_HZ)


def test_calibrated_rig_meets_the_levels_of_its_first_and_last_amp() -> None:
    models = {"a": Said(18.0, 3.0), "b": Said(2.0, 15.5)}
    trims = Bench(models=models).leveller().trims(plan_of("a", "b"), "calibrated")
    # By hand, for an interface of 12 dBu: a guitar of 0 dBu reads -12 dBFS there and -18 in a's
    # capture, so 6 dB less; b's full scale is 15.5 dBu, which the interface reads as +3.5 dBFS.
    assert trims == Trims(-6.0, 3.5, ())


def test_what_a_model_does_not_say_is_left_and_told() -> None:
    models = {"a": Said(input_level_dbu=None, output_level_dbu=10.0)}
    trims = Bench(models=models).leveller().trims(plan_of("a"), "calibrated")
    assert (trims.input_db, trims.output_db) == (0.0, -2.0)
    assert len(trims.warnings) == 1
    assert "input_level_dbu" in trims.warnings[0]


def test_rig_without_an_amp_is_calibrated_as_it_is() -> None:
    assert Bench().leveller().trims(plan_of(), "calibrated") == Trims()


def test_metadata_cannot_ask_for_more_than_the_limit() -> None:
    models = {"a": Said(-1e9, 1e9)}
    trims = Bench(models=models).leveller().trims(plan_of("a"), "calibrated")
    assert (trims.input_db, trims.output_db) == (MOST_DB, MOST_DB)
    assert len(trims.warnings) == 2


def test_family_of_two_minds_goes_by_its_first_and_says_so() -> None:
    models = {"a": Said(18.0, 12.0), "b": Said(15.0, 12.0)}
    trims = Bench(models=models).leveller().trims(plan_of(family=("a", "b")), "calibrated")
    assert (trims.input_db, trims.output_db) == (-6.0, 0.0)
    assert len(trims.warnings) == 1
    assert "18 dBu" in trims.warnings[0]


def test_normalized_rigs_of_this_library_are_equally_loud(library: Library) -> None:
    leveller = Leveller(RATE_HZ, 12.0, Store(), rig_answer, inspect_model)
    for name in ("clean", "drive", "loud"):
        plan = plan_rig(library, library.load_rig(name))
        trims = leveller.trims(plan, "normalized")
        assert trims.warnings == ()
        values = dict(plan.rig.values)
        values["output/gain_db"] = values.get("output/gain_db", 0.0) + trims.output_db
        trimmed = replace(plan, rig=replace(plan.rig, values=values))
        heard = loudness_lufs(rig_answer(trimmed, RATE_HZ), RATE_HZ)
        # The issue asks for 1 dB; a gain at the end is exact but for float32.
        assert heard == pytest.approx(TARGET_LUFS, abs=0.01)


def test_answer_of_a_rig_is_its_gains_alone_and_passes_the_ceiling(library: Library) -> None:
    plan = planned(library, "chain: [{gain: {gain_db: 20}}]")
    expected = 10.0 * guitar_signal(RATE_HZ)  # peak 3.0: the safety stage would hold 0.89
    for side in rig_answer(plan, RATE_HZ):
        assert np.max(np.abs(side - expected)) < 1e-5  # the gain in float32


def test_answer_of_a_resampled_rig_lies_on_the_guitar(library: Library) -> None:
    write_model(library.models_path / "other.json", sample_rate_hz=44100)
    plan = planned(library, "chain: [{amp: {model: other}}]\nmix: 0")
    answer = rig_answer(plan, RATE_HZ)
    assert answer.shape == (2, len(guitar_signal(RATE_HZ)))
    assert np.max(np.abs(answer[0] - guitar_signal(RATE_HZ))) < 1e-6  # mix 0 is the guitar, late
