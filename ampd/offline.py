"""Files through the engine without a daemon: the verbs render, check and bench.

All functions block for as long as the work takes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd.bank import Plan, plan_rig
from ampd.config import load_config
from ampd.errors import AmpdError, AudioFileError, EngineError
from ampd.library import Library
from ampd.rig import read_rig
from ampd.session import (
    DEFAULT_RATE_HZ,
    Engine,
    LoadError,
    ModelInfo,
    build,
    inspect_model,
    isas,
    measure_cost,
    render_model,
)

SETTLE_FRAMES = 64
SETTLE_ROUNDS = 4096
RIG_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Rendered:
    """What a render did: for the one line that says so."""

    frames: int
    channels: int
    sample_rate_hz: int
    peak: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RenderJob:
    """source, target: sound files; exactly one of model and plan says what it goes through."""

    source: Path
    target: Path
    model: Path | None = None
    plan: Plan | None = None
    block_frames: int = 64
    resample: bool = True  # False: run at the file's rate whatever the model's own is
    isa: str = "auto"


def render(job: RenderJob) -> Rendered:
    """Render a file to a float32 WAV at the same rate. Raises AmpdError."""
    signal, rate, notes = _read_signal(job.source)
    try:
        if job.plan is not None:
            out = _render_rig(job, job.plan, signal, rate)
        else:
            assert job.model is not None
            _check_rate(job, inspect_model(str(job.model)), rate)
            out = render_model(str(job.model), signal, job.block_frames, job.isa)[np.newaxis, :]
    except LoadError as error:
        raise EngineError(str(error)) from error
    except ValueError as error:
        raise EngineError(f"The engine refuses: {error}.") from error
    try:
        soundfile.write(job.target, out.T, rate, subtype="FLOAT", format="WAV")
    except (OSError, RuntimeError) as error:
        raise AudioFileError(f"{job.target}: cannot be written ({error}).") from error
    peak = float(np.max(np.abs(out)))
    return Rendered(out.shape[1], out.shape[0], rate, peak, tuple(notes))


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


def bench(path: Path, block_frames: int = 64, isa: str = "auto") -> BenchRow:
    """Measure one model file for about a second. Raises EngineError where it is bad."""
    try:
        cost = measure_cost(str(path), block_frames, isa)
    except LoadError as error:
        raise EngineError(str(error)) from error
    except ValueError as error:
        raise EngineError(f"The engine refuses: {error}.") from error
    model, ns = cost.model, cost.least_ns_per_sample
    budget_ns = 1e9 / (model.sample_rate_hz or DEFAULT_RATE_HZ)
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


def check(path: Path, library: Library) -> str:
    """What a rig, model or ampd.toml holds, in one phrase. Raises AmpdError where it is bad."""
    if path.suffix == ".toml":
        load_config(path)
        return "settings"
    if path.suffix in RIG_ENDINGS:
        rig = read_rig(path)
        engine = Engine(DEFAULT_RATE_HZ, False)
        built = build(engine, 0, plan_rig(library, rig))
        chain = ", ".join(f"{block.name} {block.model}".strip() for block in rig.blocks)
        memory_kb = -(-built.memory_bytes // 1024)
        return f"rig: {chain or 'no blocks'}, {memory_kb} kB"
    if not path.is_file():
        raise EngineError(f"{path}: no such file; expected a model, a rig or an ampd.toml.")
    try:
        return describe_model(inspect_model(str(path)))
    except LoadError as error:
        raise EngineError(str(error)) from error


def describe_model(model: ModelInfo) -> str:
    """The passport of a model in one phrase."""
    rate = f"{model.sample_rate_hz} Hz" if model.sample_rate_hz else "rate not said (48000 Hz)"
    parts = [
        f"model: {model.architecture}",
        rate,
        "causal" if model.causal else "offline",
        f"field {model.receptive_field_frames} frames",
        f"latency {model.latency_frames} frames",
        f"{model.weight_count} weights",
    ]
    return ", ".join([*parts, *model.warnings])


def _read_signal(path: Path) -> tuple[NDArray[np.float32], int, list[str]]:
    try:
        data, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise AudioFileError(
            f"{path}: cannot be read as sound ({error}); expected WAV, FLAC, OGG or AIFF."
        ) from error
    if not len(data):
        raise AudioFileError(f"{path}: holds no sound, expected at least one frame.")
    notes = []
    if data.shape[1] > 1:
        notes.append(f"{path} has {data.shape[1]} channels; the first one is used.")
    return np.ascontiguousarray(data[:, 0]), int(rate), notes


def _check_rate(job: RenderJob, model: ModelInfo, rate: int) -> None:
    own = model.sample_rate_hz or DEFAULT_RATE_HZ
    if job.resample and own != rate:
        raise AudioFileError(
            f"{job.source}: the file has {rate} Hz and the model {model.path} is for {own} Hz; "
            f"convert the file, or run the model at the file's rate by --no-resample."
        )


def _render_rig(
    job: RenderJob, plan: Plan, signal: NDArray[np.float32], rate: int
) -> NDArray[np.float32]:
    """(frames,) in; (1, frames) out, or (2, frames) where the two sides differ."""
    for path in plan.models.values():
        model = inspect_model(str(path))
        _check_rate(job, model, rate)
        # Without resampling the chain takes the file's samples for samples at its model's rate.
        rate = model.sample_rate_hz or DEFAULT_RATE_HZ
    engine = Engine(rate, False, True, job.isa)
    build(engine, 0, plan)
    engine.select(0)
    silence = np.zeros(SETTLE_FRAMES, np.float32)
    for _ in range(SETTLE_ROUNDS):
        engine.process(silence, SETTLE_FRAMES)
        engine.service()
        if any(fact.kind == "switched" for fact in engine.facts()):
            break
    else:
        raise EngineError("The engine did not finish the switch to the rig.")
    out = engine.process(signal, job.block_frames)
    return out[:1] if np.array_equal(out[0], out[1]) else out


def check_all(paths: list[Path], library: Library) -> list[tuple[Path, bool, str]]:
    """(file, good, text) for each file, in order."""
    rows = []
    for path in paths:
        try:
            rows.append((path, True, check(path, library)))
        except AmpdError as error:
            rows.append((path, False, str(error)))
    return rows
