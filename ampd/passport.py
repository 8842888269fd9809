"""What a file is, and what it costs on this machine: the verbs check and bench.

All functions block for as long as the work takes; none needs a daemon or JACK.  The dataclasses
are the JSON of both verbs, key for key: a name ends in its unit, null is "not known here".
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ampd.bank import plan_rig
from ampd.config import load_config
from ampd.errors import AmpdError, EngineError
from ampd.levels import rig_loudness_lufs
from ampd.library import Library
from ampd.passports import Cost, Passport, Store, Verdict, fingerprint
from ampd.probe import examination_signal, read_answer
from ampd.rack import (
    BlockSpec,
    Engine,
    LoadError,
    RigSpec,
    build,
    isas,
    measure_cost,
    render_model,
)
from ampd.rehearsal import rig_answer
from ampd.rig import read_rig

RIG_ENDINGS = (".yaml", ".yml")
PERIOD_FRAMES = 64
CHECK_ROUNDS = 15  # a tenth of a second: good to a few percent
BENCH_ROUNDS = 61


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A file that ampd would not take."""

    file: str
    ok: bool = False
    kind: str | None = None
    error: str  # one sentence: place, found, expected, way out


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An ampd.toml."""

    file: str
    ok: bool = True
    kind: str = "settings"


@dataclass(frozen=True, kw_only=True)
class RigPassport:
    """A rig, built as it would be played."""

    file: str
    ok: bool = True
    kind: str = "rig"
    blocks: list[str]  # "amp ts9", "gain"; a family with all its models
    memory_bytes: int
    host_rate_hz: int
    latency_frames: int  # at the host's rate
    latency_ms: float
    loudness_lufs: float  # of its answer to ampd.probe's guitar, K-weighted, as the file has it
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class ModelPassport:
    """A model, tried as a rig of one amp; knobs at 0.5, quality at its highest."""

    file: str
    ok: bool = True
    kind: str = "model"
    family: str
    architecture: str
    name: str
    weights: int
    mac_per_sample: int
    memory_bytes: int  # of one playing instance
    receptive_field_frames: int  # at the model's rate; 1 for a net that only remembers
    receptive_field_ms: float
    memory_frames: int  # in which a recurrent net settles; 0: the field says it all
    memory_ms: float
    sample_rate_hz: int  # the one that it is right at
    sample_rate_stated: bool  # False: the file does not say, its family's counts
    host_rate_hz: int
    latency_frames: int  # at the host's rate
    latency_ms: float
    loudness_file_db: float | None  # what the file's metadata claims: RMS of full scale
    loudness_measured_dbfs: float  # RMS of the answer to ampd.probe's guitar, for comparison
    loudness_lufs: float  # of the same answer, K-weighted: as the ear has it
    dc_dbfs: float  # for silence; -200 is none
    noise_dbfs: float  # for silence, direct current left out; -200 is none
    polarity: int  # 1 as the input, -1 upside down, 0 where it cannot be told
    click_latency_frames: int | None  # measured, at the model's rate; None: a click is not answered
    input_level_dbu: float | None  # what the file's metadata claims of the capture: dBu RMS of a
    output_level_dbu: float | None  # 1 kHz sine that was 0 dBFS peak
    sha256: str  # of the file
    cost: Cost | None
    knobs: list[str]
    has_quality: bool
    warnings: list[str]


Checked = Bad | Settings | RigPassport | ModelPassport


def check_all(
    paths: Sequence[Path],
    library: Library,
    host_rate_hz: int,
    with_cost: bool,
    store: Store | None = None,
) -> Iterator[Checked]:
    """What each file is, in order, each as soon as it is known; a bad one ends nothing."""
    store = store or Store()
    for path in paths:
        try:
            yield check(path, library, host_rate_hz, with_cost, store)
        except AmpdError as error:
            yield Bad(file=str(path), error=str(error))


def check(
    path: Path,
    library: Library,
    host_rate_hz: int,
    with_cost: bool,
    store: Store | None = None,
) -> Checked:
    """What a model, rig or ampd.toml is, about half a second. Raises AmpdError where it is bad.

    What the store has of it is not measured again, except its cost.
    """
    store = store or Store()
    if path.suffix == ".toml":
        load_config(path)
        return Settings(file=str(path))
    if path.suffix in RIG_ENDINGS:
        return _check_rig(path, library, host_rate_hz, store)
    if not path.is_file():
        raise EngineError(f"{path}: no such file; expected a model, a rig or an ampd.toml.")
    try:
        return _check_model(path, host_rate_hz, with_cost, store)
    except LoadError as error:
        raise EngineError(str(error)) from error


def force(row: Checked, store: Store) -> Checked:
    """Let the model play however much time it takes, by this hash, from now on; returns the row."""
    if isinstance(row, ModelPassport):
        verdict = store.verdict(row.sha256) or Verdict()
        store.keep_verdict(row.sha256, replace(verdict, forced=True))
    return row


def _check_rig(path: Path, library: Library, host_rate_hz: int, store: Store) -> RigPassport:
    rig = read_rig(path)
    plan = plan_rig(library, rig)
    built = build(Engine(host_rate_hz, False), 0, plan)
    return RigPassport(
        file=str(path),
        blocks=[" ".join((block.name, *block.models)) for block in rig.blocks],
        memory_bytes=built.memory_bytes,
        host_rate_hz=host_rate_hz,
        latency_frames=built.latency_frames,
        latency_ms=_ms(built.latency_frames, host_rate_hz),
        loudness_lufs=round(rig_loudness_lufs(plan, host_rate_hz, store, rig_answer), 2),
        warnings=list(built.warnings),
    )


def _check_model(path: Path, host_rate_hz: int, with_cost: bool, store: Store) -> ModelPassport:
    amp = BlockSpec("amp", "amp", {}, str(path))
    chain = Engine(host_rate_hz, False).install(0, RigSpec(blocks=[amp]))
    (model,) = chain.models
    rate_hz = model.playing_rate_hz
    sha256 = fingerprint(path)
    measured = _examine(path, sha256, rate_hz, with_cost, store)
    claimed = model.loudness_db
    return ModelPassport(
        file=str(path),
        family=model.family,
        architecture=model.architecture,
        name=model.name,
        weights=model.weight_count,
        mac_per_sample=model.mac_per_sample,
        memory_bytes=chain.memory_bytes,
        receptive_field_frames=model.receptive_field_frames,
        receptive_field_ms=_ms(model.receptive_field_frames, rate_hz),
        memory_frames=model.memory_frames,
        memory_ms=_ms(model.memory_frames, rate_hz),
        sample_rate_hz=rate_hz,
        sample_rate_stated=model.sample_rate_hz > 0,
        host_rate_hz=host_rate_hz,
        latency_frames=chain.latency_frames,
        latency_ms=_ms(chain.latency_frames, host_rate_hz),
        loudness_file_db=None if claimed is None else round(claimed, 2),
        loudness_measured_dbfs=round(measured.rms_dbfs, 2),
        loudness_lufs=round(measured.loudness_lufs, 2),
        dc_dbfs=round(measured.dc_dbfs, 2),
        noise_dbfs=round(measured.noise_dbfs, 2),
        polarity=measured.polarity,
        click_latency_frames=measured.latency_frames,
        input_level_dbu=model.input_level_dbu,
        output_level_dbu=model.output_level_dbu,
        sha256=sha256,
        cost=measured.cost if with_cost else None,
        knobs=model.knobs,
        has_quality=model.has_quality,
        warnings=model.warnings,
    )


def _examine(path: Path, sha256: str, rate_hz: int, with_cost: bool, store: Store) -> Passport:
    """What the store has, the rest measured; a cost is always measured, since machines change."""
    kept = store.passport(sha256)
    passport = kept
    if passport is None:
        sound = render_model(str(path), examination_signal(rate_hz), PERIOD_FRAMES)
        passport = Passport(**asdict(read_answer(sound, rate_hz)), cost=None)
    if with_cost:
        passport = replace(passport, cost=_cost(path))
    if passport != kept:
        store.keep_passport(sha256, passport)
    return passport


def _ms(frames: int, rate_hz: int) -> float:
    return round(1000 * frames / rate_hz, 3)


def _cost(path: Path) -> Cost:
    row = bench(path, PERIOD_FRAMES, "auto", CHECK_ROUNDS)
    return Cost(row.isa, row.block, row.ns_per_sample, row.percent_of_period, row.times_real_time)


@dataclass(frozen=True)
class BenchRow:
    """What a model costs on this core, in thread CPU time; the least of many warm rounds."""

    file: str
    family: str
    architecture: str
    block: int  # frames
    isa: str
    ns_per_sample: float
    median_ns_per_sample: float
    times_real_time: float
    percent_of_period: float
    mac_per_sample: int
    gmac_per_s: float
    peak_gmac_per_s: float  # of this core's multiply-add units, measured in the same run
    fraction_of_peak: float


def bench(
    path: Path, block_frames: int = 64, isa: str = "auto", rounds: int = BENCH_ROUNDS
) -> BenchRow:
    """Measure one model file for about half a second. Raises EngineError where it is bad."""
    try:
        cost = measure_cost(str(path), block_frames, isa, rounds)
    except LoadError as error:
        raise EngineError(str(error)) from error
    except ValueError as error:
        raise EngineError(f"The engine refuses: {error}.") from error
    model, ns = cost.model, cost.least_ns_per_sample
    budget_ns = 1e9 / model.playing_rate_hz
    gmac_per_s = model.mac_per_sample / ns
    return BenchRow(
        file=str(path),
        family=model.family,
        architecture=model.architecture,
        block=block_frames,
        isa=isas()[-1] if isa == "auto" else isa,
        ns_per_sample=round(ns, 2),
        median_ns_per_sample=round(cost.median_ns_per_sample, 2),
        times_real_time=round(budget_ns / ns, 1),
        percent_of_period=round(100 * ns / budget_ns, 3),
        mac_per_sample=model.mac_per_sample,
        gmac_per_s=round(gmac_per_s, 2),
        peak_gmac_per_s=round(cost.peak_gmac_per_s, 2),
        fraction_of_peak=round(gmac_per_s / cost.peak_gmac_per_s, 4),
    )
