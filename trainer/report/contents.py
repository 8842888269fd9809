"""Everything that the page of a run says, measured."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from trainer.aliasing import Aliasing, probe
from trainer.checkpoint import Checkpoint
from trainer.closeness import Closeness, measure, passages
from trainer.data import Pair
from trainer.export import finished_net
from trainer.networks import Network, render
from trainer.recipe import Frames
from trainer.report.verdict import Verdict, judge

PASSAGE_S = 2.0

Signal = NDArray[np.float64]
Points = NDArray[np.float64]  # (points, 2): step, value


@dataclasses.dataclass(frozen=True)
class Span:
    """A split of the recording, as the gear and as the model answer it."""

    name: str  # "TEST" or "VALID"
    start: int  # first frame in the recording
    target: Signal
    predicted: Signal
    closeness: Closeness
    passages: list[tuple[int, float]]  # (first frame of the span, ESR)


@dataclasses.dataclass(frozen=True)
class Contents:
    """Of one run."""

    checkpoint: Checkpoint
    net: Network
    spans: tuple[Span, ...]  # TEST first where there is one, then VALID
    aliasing: list[Aliasing]
    losses: Points
    valid: Points
    best: Points
    verdict: Verdict

    @property
    def shown(self) -> Span:
        """The split that chose nothing, or VALID where all was needed."""
        return self.spans[0]

    @property
    def self_esr(self) -> float | None:
        """How exactly the gear repeats itself, where the doctor could tell."""
        return self_esr(self.checkpoint)


def gather(run: Path, checkpoint: Checkpoint, pair: Pair) -> Contents:
    """Measure the best weights of a run on the pair it was trained with.

    run: the folder with losses.csv and the event files; what is missing is left out
    """
    net, rate = finished_net(checkpoint), pair.sample_rate_hz
    spans = tuple(
        _span(name, span, net, pair)
        for name, span in (("TEST", pair.test), ("VALID", pair.valid))
        if span is not None
    )
    events = _events(run)
    return Contents(
        checkpoint=checkpoint,
        net=net,
        spans=spans,
        aliasing=probe(net, rate),
        losses=_losses(run / "losses.csv"),
        valid=events["esr/valid"],
        best=events["esr/best"],
        verdict=judge([s.closeness for s in spans], self_esr(checkpoint), codes(checkpoint)),
    )


def self_esr(checkpoint: Checkpoint) -> float | None:
    """Of the doctor's findings: the ESR of the gear's two answers to one passage."""
    repeat = _doctor(checkpoint, "measures", {}).get("repeat")
    return None if repeat is None else float(repeat["self_esr"])


def codes(checkpoint: Checkpoint) -> set[str]:
    """The codes of the doctor's findings."""
    return {finding["code"] for finding in _doctor(checkpoint, "findings", [])}


def _doctor(checkpoint: Checkpoint, key: str, nothing: Any) -> Any:
    return nothing if checkpoint.doctor is None else checkpoint.doctor[key]


def _span(name: str, span: Frames, net: Network, pair: Pair) -> Span:
    target = pair.target[slice(*span)].double().numpy()
    # float32, as a player computes it: 1e-6 of peak is far below any ESR that is reached.
    predicted = render(net, pair.input, *span, chunk_frames=16384).double().numpy()
    closeness = measure(target, predicted, pair.sample_rate_hz)
    found = passages(target, predicted, pair.sample_rate_hz, PASSAGE_S)
    return Span(name, span[0], target, predicted, closeness, found)


def _losses(path: Path) -> Points:
    if not path.is_file():
        return np.zeros((0, 2))
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).reshape(-1, 2)


def _events(run: Path) -> dict[str, Points]:
    """esr/valid and esr/best of TensorBoard's files, (0, 2) where there are none."""
    log = EventAccumulator(str(run), size_guidance={SCALARS: 0})
    log.Reload()
    found = set(log.Tags()[SCALARS])
    return {
        tag: np.array(
            [(e.step, e.value) for e in log.Scalars(tag)] if tag in found else []
        ).reshape(-1, 2)
        for tag in ("esr/valid", "esr/best")
    }
