"""How far a model file is from a recording, in float64."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from trainer.data import Recordings, cut_span, read_pair, recorded_frames
from trainer.errors import DataError
from trainer.export import read_any_model
from trainer.losses import esr
from trainer.model_json import self_test_error
from trainer.networks import reference_forward


@dataclasses.dataclass(frozen=True)
class Figures:
    """One row of a table of models."""

    model: str
    frames: int
    esr: float
    esr_db: float  # 10 log10: what a null test leaves, against the recording
    peak_error: float  # largest |difference|, full scale 1.0
    self_test_error: float  # of the self-test's peak, on this machine
    receptive_field_frames: int
    latency_frames: int
    mac_per_sample: int


def evaluate(
    model_path: Path,
    input_path: Path,
    target_path: Path,
    start: int = 0,
    end: int | None = None,
    delay_frames: int = 0,
    treated: Callable[[], Recordings] | None = None,
) -> Figures:
    """Compare over frames start..end, with the recording before `start` as history.

    treated: gives the pair as the doctor repaired it; without it the files must be mono, of one
        rate, and target late by delay_frames
    raises: ModelError, DataError
    """
    model = read_any_model(model_path)
    if treated is None:
        dry, wet, rate = read_pair(input_path, target_path, delay_frames)
    else:
        pair = treated()
        dry, wet, rate = pair.input, pair.target, pair.sample_rate_hz
    if rate != model.sample_rate_hz:
        raise DataError(
            f"{input_path}: found {rate} Hz, expected the {model.sample_rate_hz} Hz of "
            f"{model_path}; resample the recording"
        )
    stop = len(dry) if end is None else end
    if treated is not None:
        start, stop = cut_span((start, stop), len(dry), recorded_frames(input_path))
    _check_span(wet, start, stop, target_path)
    target = wet[start:stop].double()
    predicted = reference_forward(model.net, dry, start, stop)
    value = float(esr(predicted[None], target[None])[0])
    return Figures(
        model=model_path.stem,
        frames=stop - start,
        esr=value,
        esr_db=10 * math.log10(max(value, 1e-30)),
        peak_error=float((predicted - target).abs().max()),
        self_test_error=self_test_error(model),
        receptive_field_frames=model.net.receptive_field_frames,
        latency_frames=model.net.after_frames,
        mac_per_sample=model.net.mac_per_sample,
    )


def _check_span(recording: Tensor, start: int, stop: int, path: Path) -> None:
    length = len(recording)
    if not 0 <= start < stop <= length:
        raise DataError(
            f"--start {start} --end {stop}: expected 0 <= start < end <= {length}, the length "
            f"of {path} in frames"
        )
    if not bool(recording[start:stop].any()):
        raise DataError(
            f"{path}: frames {start} to {stop}: found silence, expected sound: ESR divides by "
            "its energy; move --start and --end"
        )


def as_row(figures: Figures) -> str:
    """A heading and a row of a Markdown table."""
    values = dataclasses.asdict(figures)
    cells = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in values.values()]
    widths = [max(len(k), len(c)) for k, c in zip(values, cells, strict=True)]
    lines = [
        [k.ljust(w) for k, w in zip(values, widths, strict=True)],
        ["-" * w for w in widths],
        [c.ljust(w) for c, w in zip(cells, widths, strict=True)],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(figures: Figures) -> str:
    """One line of JSON."""
    return json.dumps(dataclasses.asdict(figures))
