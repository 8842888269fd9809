"""Sound files through the engine without a daemon: the verb render.

All functions block for as long as the work takes.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd.bank import Plan
from ampd.errors import AudioFileError, EngineError
from ampd.rack import (
    Engine,
    LoadError,
    build,
    inspect_model,
    render_model,
)
from ampd.rehearsal import Levels, levelled, settle


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
    levels: Levels = field(default_factory=Levels)


def render(job: RenderJob) -> Rendered:
    """Render a file to a float32 WAV at the same rate, as long as the file and lying on it: what
    a resampler delays is cut. Raises AmpdError."""
    signal, rate, notes = _read_signal(job.source)
    try:
        if job.plan is not None:
            out = _render_rig(job, job.plan, signal, rate)
        else:
            assert job.model is not None
            own = rate if job.resample else 0
            out = render_model(str(job.model), signal, job.block_frames, job.isa, own)[None, :]
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


def _own_rate(plan: Plan, rate: int) -> int:
    """The rate at which no model of the rig is resampled."""
    models = [inspect_model(str(path)) for path in plan.models.values()]
    rates = sorted({model.playing_rate_hz for model in models})
    if len(rates) > 1:
        raise EngineError(
            f"{plan.rig.path or plan.rig.name}: its models are for {rates[0]} and {rates[-1]} Hz; "
            f"--no-resample needs one rate, leave it out."
        )
    return rates[0] if rates else rate


def _render_rig(
    job: RenderJob, plan: Plan, signal: NDArray[np.float32], rate: int
) -> NDArray[np.float32]:
    """(frames,) in; (1, frames) out, or (2, frames) where the two sides differ."""
    if not job.resample:
        rate = _own_rate(plan, rate)
    engine = Engine(rate, False, True, job.isa)
    setup = levelled(plan, rate, job.levels)
    latency_frames = build(engine, 0, plan, setup).latency_frames
    settle(engine)
    tail = np.zeros(latency_frames, np.float32)
    out = engine.process(np.concatenate([signal, tail]), job.block_frames)[:, latency_frames:]
    return out[:1] if np.array_equal(out[0], out[1]) else out
