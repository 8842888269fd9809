"""What the process of one capture does: doctor, training, export, a note that it is done."""

import contextlib
import dataclasses
import json
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainer.architectures import build_network
from trainer.batch.captures import Capture
from trainer.checkpoint import load_checkpoint
from trainer.data import Pair, load_pair, recording_paths
from trainer.doctor.report import as_lines
from trainer.doctor.treatment import examine_recipe, repaired
from trainer.errors import DataError, ModelError, TrainerError, TrainingError
from trainer.export import export
from trainer.files import prepare_folder, replace_file, sha256_file
from trainer.recipe import Recipe
from trainer.report.write import write_report
from trainer.run_state import load_state, states
from trainer.train import Progress, train

RESULT = "batch.json"  # in paths.run: what came out, and of what
FORMAT = "ampd-batch-result"


@dataclasses.dataclass(frozen=True)
class Update:
    """How a capture stands; numbers are those of trainer.train.Progress."""

    step: int = 0
    share: float = 0.0
    seconds_left: float = math.inf
    esr_valid: float = math.inf
    esr_best: float = math.inf
    notes: tuple[str, ...] = ()  # new ones, one sentence each


SHOWN = ("step", "share", "seconds_left", "esr_valid", "esr_best")


@dataclasses.dataclass(frozen=True)
class Result:
    """What came out of a capture."""

    finished: bool  # False: stopped by hand before its budget was used up
    esr_valid: float | None
    esr_test: float | None
    steps: int
    minutes: float  # of the clock of its budget, earlier sessions included
    mac_per_sample: int
    findings: int  # of the doctor, repaired ones included
    model: str  # path; "" where no weights had validated
    report: str  # path; "" where there is none


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why nothing came out, in a sentence."""

    text: str


def stored_result(capture: Capture) -> Result | None:
    """The result of an earlier session, where it is of these recordings and this recipe.

    The files that it names must still be there, byte for byte; otherwise it is no result.
    """
    try:
        stored = json.loads((capture.run / RESULT).read_text(encoding="utf-8"))
        if stored["format"] != FORMAT or stored["key"] != capture.key:
            return None
        if any(sha256_file(Path(path)) != sha for path, sha in stored["files"].items()):
            return None
        result = Result(**stored["result"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return result if result.finished else None


def attempt(capture: Capture, report: Callable[[Update], None]) -> Result | Failure:
    """`work`, with an error that a person can cause turned into its sentence."""
    try:
        return work(capture, report)
    except TrainerError as error:
        return Failure(str(error))


def work(capture: Capture, report: Callable[[Update], None]) -> Result:
    """Train one capture, from its newest checkpoint where there is one that fits.

    report: called often; where it raises KeyboardInterrupt, the run ends with its best weights
    raises: TrainerError
    """
    stored = stored_result(capture)
    if stored is not None:
        return stored
    recipe = capture.recipe
    net = build_network(recipe.model)
    empty = Result(False, None, None, 0, 0.0, net.mac_per_sample, 0, "", "")
    try:
        report(Update())
        pair, findings = _prepare(capture, report)
        report(Update())
    except KeyboardInterrupt:
        return empty
    result, files = _train(recipe, pair, dataclasses.replace(empty, findings=findings), report)
    if capture.report and files:
        result = dataclasses.replace(result, report=_write_page(capture, pair, report))
    _store(capture, result, files)
    return result


def _prepare(capture: Capture, report: Callable[[Update], None]) -> tuple[Pair, int]:
    """The pair as it will be trained on, and how much the doctor found."""
    recipe = capture.recipe
    _require_same_bytes(capture)
    for folder in (recipe.paths.run, recipe.paths.models):
        prepare_folder(Path(folder))
    if not capture.doctor:
        pair = load_pair(recipe)
        report(Update(notes=pair.warnings))
        return pair, 0
    diagnosis = examine_recipe(recipe)
    if diagnosis.findings:
        report(Update(notes=tuple(f"doctor: {line}" for line in as_lines(diagnosis))))
    return load_pair(recipe, repaired(diagnosis, recording_paths(recipe))), len(diagnosis.findings)


def _train(
    recipe: Recipe, pair: Pair, empty: Result, report: Callable[[Update], None]
) -> tuple[Result, list[Path]]:
    """Train and export; returns what came out, and the model files."""
    checkpoints = Path(recipe.paths.run) / "checkpoints"
    stopped = False

    def forward(progress: Progress) -> None:
        nonlocal stopped
        notes = (progress.note,) if progress.note else ()
        try:
            report(Update(**{name: getattr(progress, name) for name in SHOWN}, notes=notes))
        except KeyboardInterrupt:
            stopped = True
            raise

    try:
        outcome = train(recipe, pair, forward, can_resume(checkpoints, recipe, pair.sha256))
    except TrainingError:
        if stopped:
            return empty, []
        raise
    files = export(outcome.checkpoint, None, "all")
    result = dataclasses.replace(
        empty,
        finished=outcome.reason != "stopped",
        esr_valid=outcome.esr_valid,
        esr_test=outcome.esr_test,
        steps=outcome.steps,
        minutes=_spent_s(checkpoints) / 60,
        model=str(files[0]),
    )
    return result, files


def _write_page(capture: Capture, pair: Pair, report: Callable[[Update], None]) -> str:
    """The path of report/index.html, or "" with a note: a picture must not cost a model."""
    try:
        best = load_checkpoint(capture.run / "best_model.pt")
        return str(write_report(capture.run, best, pair))
    except Exception as error:  # noqa: BLE001  # whatever it is, the model is written
        text = f"no report, `ampd-train report {capture.run}` makes it ({error})"
        with contextlib.suppress(KeyboardInterrupt):
            report(Update(notes=(text,)))
        return ""


def can_resume(folder: Path, recipe: Recipe, sha256: dict[str, str]) -> bool:
    """Whether folder has a state of this recipe and these recordings; damaged ones are deleted."""
    for path in reversed(states(folder)):
        try:
            load_state(folder, recipe, sha256)
        except TrainingError:
            return False
        except ModelError:
            path.unlink(missing_ok=True)
        else:
            return True
    return False


def _require_same_bytes(capture: Capture) -> None:
    for path, sha in zip(recording_paths(capture.recipe), capture.sha256.values(), strict=True):
        found = sha256_file(path) if path.is_file() else "no file"
        if found != sha:
            raise DataError(
                f"{path}: found {found} on {platform.node()}, expected sha256 {sha} as queued; "
                "leave recordings alone while a batch runs, and let every machine of a cluster "
                "see the same folders under the same paths"
            )


def _spent_s(checkpoints: Path) -> float:
    found = states(checkpoints)
    if not found:
        return 0.0
    state: dict[str, Any] = torch.load(found[-1], map_location="cpu", weights_only=True)
    return float(state["spent"])


def _store(capture: Capture, result: Result, files: list[Path]) -> None:
    """Last of all, so that what it says is on the disk already."""
    content = {
        "format": FORMAT,
        "key": capture.key,
        "files": {str(path): sha256_file(path) for path in files},
        "result": dataclasses.asdict(result),
    }
    text = json.dumps(content, indent=1)
    replace_file(capture.run / RESULT, lambda file: file.write(text.encode()))
