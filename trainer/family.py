"""Captures of one amp at several settings of a knob -> a rig with that knob.

The engine plays the two captures beside the knob and mixes them by a straight line (the block
`amp` with `models`).  What that asks of the captures is measured here, on a riff: one rate and one
latency, one polarity, and answers alike enough that their sum has no hole.
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from trainer.doctor.finding import decibels, rms
from trainer.errors import ModelError, RecipeError
from trainer.export import proven_model
from trainer.fields import build, setting
from trainer.files import replace_file
from trainer.losses import esr
from trainer.model_json import Model
from trainer.networks import render
from trainer.recipe import MODEL_NAME
from trainer.signals import riff

SIZES = range(2, 9)  # what an amp block of the rack takes
RIFF_SECONDS = 6.0
SETTLE_S = 0.5  # of the answer, left out of every figure: recurrent nets settle
LAG_LIMIT_FRAMES = 64  # neighbours further apart than this are not captures of one amp
ALIKE = 0.7  # a correlation below this loses more than 0.7 dB of level half-way
HOLE_DB = -3.0  # what a third of an octave loses half-way where its two answers share nothing
BANDS_HZ = 100.0 * 2.0 ** (np.arange(20) / 3)  # 100 Hz to 8 kHz
QUIET_DB = -40.0  # bands this far below the loudest are not heard
SIGNATURE = "# Written by ampd-train family"

Answer = NDArray[np.float64]  # (frames,)


@dataclass(frozen=True)
class Capture:
    """One model, and where the knob stood when it was recorded."""

    model: str = setting("", "name of the model, as a rig has it")
    at: float = setting(math.nan, "the knob's position, in the player's own units")


@dataclass(frozen=True)
class Manifest:
    """What a family consists of."""

    name: str
    captures: tuple[Capture, ...]  # by rising position
    knob: str = "gain"  # what the amp calls it
    program: int | None = None  # MIDI program number of the rig


@dataclass(frozen=True)
class Step:
    """From one capture to its neighbour."""

    low: float
    high: float
    level_db: float  # how much louder the higher one answers
    correlation: float  # of the two answers, -1..1
    lag_frames: int  # by which the higher one answers later, where they are most alike
    hole_db: float  # what the third of an octave that loses most has lost half-way, <= 0
    hole_hz: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """One capture as it plays."""

    model: str
    at: float
    sample_rate_hz: int
    level_dbfs: float  # RMS of the answer to the riff
    mac_per_sample: int
    esr_without: float | None  # of its neighbours' mix in its place; None: it is the first or last


@dataclass(frozen=True)
class Family:
    """Everything that was measured."""

    manifest: Manifest
    members: tuple[Member, ...]
    steps: tuple[Step, ...]

    @property
    def thinnest(self) -> Member | None:
        """The inner capture that its neighbours predict worst; None where there is no inner one."""
        inner = [member for member in self.members if member.esr_without is not None]
        return max(inner, key=lambda member: member.esr_without or 0.0, default=None)


def read_manifest(path: Path) -> Manifest:
    """The manifest in a YAML file: name, knob, captures, program.

    raises: RecipeError with file, key, found and expected
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read as YAML: {error}") from error
    keys = {"name", "knob", "captures", "program"}
    if not isinstance(document, dict) or not keys >= document.keys() >= {"name", "captures"}:
        raise RecipeError(
            f"{path}: found {_short(document)}, expected the keys name and captures, and knob and "
            "program where wanted"
        )
    name, knob, program = document["name"], document.get("knob", "gain"), document.get("program")
    if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
        raise RecipeError(
            f"{path}: name: found {name!r:.60}, expected 1 to 64 of A-Z a-z 0-9 . _ -"
        )
    if not isinstance(knob, str) or not knob.isprintable() or not 0 < len(knob) <= 64:
        raise RecipeError(f"{path}: knob: found {knob!r:.60}, expected its name on the amp")
    if program is not None and (type(program) is not int or not 0 <= program <= 127):
        raise RecipeError(f"{path}: program: found {program!r:.60}, expected 0 to 127")
    return Manifest(name, _captures(path, document["captures"]), knob, program)


def _captures(path: Path, entries: Any) -> tuple[Capture, ...]:
    if not isinstance(entries, list) or len(entries) not in SIZES:
        raise RecipeError(
            f"{path}: captures: found {_short(entries)}, expected a list of {SIZES[0]} to "
            f"{SIZES[-1]} such as {{model: champ_g02, at: 2}}"
        )
    captures = [build(Capture, e, f"{path}: captures[{i}]") for i, e in enumerate(entries)]
    for number, capture in enumerate(captures):
        where = f"{path}: captures[{number}]"
        if not MODEL_NAME.fullmatch(capture.model):
            raise RecipeError(
                f"{where}.model: found {capture.model!r:.60}, expected the name of a model, "
                "never a path"
            )
        if number and not capture.at > captures[number - 1].at:
            raise RecipeError(
                f"{where}.at: found {capture.at:g} behind {captures[number - 1].at:g}, expected "
                "rising positions; put the captures in order"
            )
    return tuple(captures)


def _short(value: object) -> str:
    return f"{len(value)} entries" if isinstance(value, list) else f"{value!r:.60}"


def measure(manifest: Manifest, models_folder: Path) -> Family:
    """Play the riff through every capture and compare.

    raises: ModelError where a model is missing, damaged or silent, or where two have another
        rate, latency or polarity
    """
    paths = [_find(models_folder, capture.model) for capture in manifest.captures]
    models = [proven_model(path) for path in paths]
    _check_kin(paths, models)
    signal = riff(RIFF_SECONDS, models[0].sample_rate_hz)
    answers = [_answer(path, model, signal) for path, model in zip(paths, models, strict=True)]
    pairs = itertools.pairwise(range(len(models)))
    steps = tuple(
        _compare(manifest, low, high, answers, models[0].sample_rate_hz) for low, high in pairs
    )
    members = tuple(
        Member(
            model=capture.model,
            at=capture.at,
            sample_rate_hz=model.sample_rate_hz,
            level_dbfs=decibels(rms(answers[i])),
            mac_per_sample=model.net.mac_per_sample,
            esr_without=_esr_without(manifest, i, answers),
        )
        for i, (capture, model) in enumerate(zip(manifest.captures, models, strict=True))
    )
    return Family(manifest, members, steps)


def _find(folder: Path, name: str) -> Path:
    """The file that the rack would play for this name."""
    candidates = [folder / name / f"{name}{ending}" for ending in (".json", ".nam")]
    candidates += [folder / f"{name}{ending}" for ending in (".nam", ".json")]
    for path in candidates:
        if path.is_file():
            return path
    raise ModelError(
        f"{folder}: no model {name}, expected {candidates[0]} or .nam; train it, or name the "
        "folder with --models"
    )


def _check_kin(paths: list[Path], models: list[Model]) -> None:
    first = models[0]
    for path, model in zip(paths, models, strict=True):
        if model.sample_rate_hz != first.sample_rate_hz:
            raise ModelError(
                f"{path}: found {model.sample_rate_hz} Hz, expected the {first.sample_rate_hz} Hz "
                f"of {paths[0]}; train it from recordings at that rate"
            )
        if model.net.after_frames != first.net.after_frames:
            raise ModelError(
                f"{path}: found a latency of {model.net.after_frames} frames, expected the "
                f"{first.net.after_frames} of {paths[0]}; train both with one recipe"
            )


def _answer(path: Path, model: Model, signal: Answer) -> Answer:
    with torch.no_grad():
        whole = render(model.net, torch.from_numpy(signal.astype(np.float32)))
    skipped = round(SETTLE_S * model.sample_rate_hz)
    answer: Answer = whole[skipped:].double().numpy()
    if not answer.any():
        raise ModelError(f"{path}: answers a riff with silence, expected sound; train it again")
    return answer


def _compare(
    manifest: Manifest, low: int, high: int, answers: list[Answer], sample_rate_hz: int
) -> Step:
    one, two = manifest.captures[low], manifest.captures[high]
    a, b = answers[low], answers[high]
    lag, alike = _most_alike(a, b)
    if not alike > 0:
        raise ModelError(
            f"{two.model}: has the opposite polarity of {one.model} (correlation {alike:.2f}), "
            "expected the same: mixed they would cancel; turn its recording round, train it again"
        )
    correlation = float(a @ b / math.sqrt((a @ a) * (b @ b)))
    hole_db, hole_hz = _deepest_hole(a, b, sample_rate_hz)
    warnings = []
    if lag:
        warnings.append(f"{two.model} lies {lag:+d} frames from {one.model}: align the recordings")
    if correlation < ALIKE:
        warnings.append(f"a correlation of {correlation:.2f}: half-way sounds thinner than both")
    if hole_db < HOLE_DB:
        warnings.append(f"{hole_hz:.0f} Hz loses {-hole_db:.1f} dB half-way")
    if warnings:
        warnings.append(f"another capture between {one.at:g} and {two.at:g} would help")
    return Step(
        low=one.at,
        high=two.at,
        level_db=decibels(rms(b)) - decibels(rms(a)),
        correlation=correlation,
        lag_frames=lag,
        hole_db=hole_db,
        hole_hz=hole_hz,
        warnings=tuple(warnings),
    )


def _most_alike(a: Answer, b: Answer) -> tuple[int, float]:
    """The lag of b behind a at which their correlation is strongest, and its value, with sign."""
    size = 2 ** math.ceil(math.log2(len(a) + LAG_LIMIT_FRAMES))
    product = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    lags = np.arange(-LAG_LIMIT_FRAMES, LAG_LIMIT_FRAMES + 1)
    near = product[lags] / math.sqrt((a @ a) * (b @ b))
    best = int(np.argmax(np.abs(near)))
    return int(lags[best]), float(near[best])


def _deepest_hole(a: Answer, b: Answer, sample_rate_hz: int) -> tuple[float, float]:
    """Where mixing half and half falls furthest below the mean of both, by thirds of an octave."""
    spectra = [np.fft.rfft(signal) for signal in (a, b, (a + b) / 2)]
    bins_hz = np.fft.rfftfreq(len(a), 1 / sample_rate_hz)
    edges = np.searchsorted(bins_hz, np.append(BANDS_HZ, BANDS_HZ[-1] * 2 ** (1 / 3)))
    one, two, mixed = (
        np.array([rms(np.abs(s[first:last])) for first, last in itertools.pairwise(edges)])
        for s in spectra
    )
    mean = (one + two) / 2
    heard = mean > mean.max() * 10 ** (QUIET_DB / 20)
    share = np.divide(mixed, mean, out=np.ones_like(mean), where=heard)
    loss_db = 20 * np.log10(np.maximum(share, 1e-6))
    deepest = int(np.argmin(loss_db))
    return float(loss_db[deepest]), float(BANDS_HZ[deepest])


def _esr_without(manifest: Manifest, index: int, answers: list[Answer]) -> float | None:
    """How far the neighbours' mix at its position is from a capture."""
    if index in (0, len(answers) - 1):
        return None
    before, here, after = (capture.at for capture in manifest.captures[index - 1 : index + 2])
    share = (here - before) / (after - before)
    mixed = (1 - share) * answers[index - 1] + share * answers[index + 1]
    return float(esr(torch.from_numpy(mixed)[None], torch.from_numpy(answers[index])[None])[0])


def rig_text(manifest: Manifest) -> str:
    """The rig that plays the family, its knob in the middle of its captures."""
    captures = manifest.captures
    middle = captures[len(captures) // 2].at
    amp = {
        "models": {_plain(capture.at): capture.model for capture in captures},
        "knob": _plain(middle),
        "gain_db": 0,
        "level_db": 0,
    }
    document: dict[str, Any] = {} if manifest.program is None else {"program": manifest.program}
    document["chain"] = [{"amp": amp}]
    head = f"{SIGNATURE}: {manifest.name}, its {manifest.knob} from {captures[0].at:g} to "
    return f"{head}{captures[-1].at:g}.\n" + yaml.safe_dump(document, sort_keys=False)


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def write_rig(manifest: Manifest, path: Path) -> None:
    """Write the rig file; one that somebody else wrote stays.

    raises: RecipeError where such a file is there, ModelError where the place cannot be written
    """
    if path.exists() and not path.read_text("utf-8", "replace").startswith(SIGNATURE):
        raise RecipeError(
            f"{path}: is there and was not written by this command, expected a new name; choose "
            "one with --rig, or remove the file"
        )
    text = rig_text(manifest).encode()
    replace_file(path, lambda file: file.write(text))
