"""The folder report/ of a run."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib.figure import Figure

from trainer import pictures
from trainer.checkpoint import Checkpoint
from trainer.closeness import decibels
from trainer.data import Pair
from trainer.files import prepare_folder, replace_file
from trainer.report.contents import PASSAGE_S, Contents, gather
from trainer.report.page import page

FOLDER = "report"


def write_report(run: Path, checkpoint: Checkpoint, pair: Pair) -> Path:
    """Measure, draw and write run/report/: index.html, which holds its pictures, so that it can be
    mailed alone; the pictures as files too; gear.flac, model.flac and null-test.wav to listen to;
    figures.json for programs.

    returns: the page
    raises: ModelError where the folder cannot be written
    """
    folder = run / FOLDER
    prepare_folder(folder)
    contents = gather(run, checkpoint, pair)
    images = draw(contents)
    for name, data in images.items():
        replace_file(folder / f"{name}.png", lambda file, data=data: file.write(data))  # type: ignore[misc]
    _write_sounds(contents, folder)
    figures = json.dumps(as_plain(contents), indent=1).encode()
    replace_file(folder / "figures.json", lambda file: file.write(figures))
    html = page(contents, images).encode()
    replace_file(folder / "index.html", lambda file: file.write(html))
    return folder / "index.html"


def draw(contents: Contents) -> dict[str, bytes]:
    """Name -> PNG, in the order of the page."""
    span, rate = contents.shown, contents.checkpoint.sample_rate_hz
    signals = (span.target, span.predicted, rate)
    drawers: dict[str, tuple[float, float, Callable[[Figure], object]]] = {
        "null-test": (9.6, 2.5, lambda f: pictures.draw_null_test(f.subplots(), *signals)),
        "waveform": (4.75, 2.9, lambda f: pictures.draw_waveforms(f.subplots(), *signals)),
        "spectrum": (4.75, 2.9, lambda f: pictures.draw_spectra(f.subplots(), *signals)),
        "spectrogram": (9.6, 2.9, lambda f: _spectrograms(f, contents)),
        "passages": (9.6, 2.4, lambda f: _passages(f, contents)),
        "aliasing": (9.6, 2.4, lambda f: _aliasing(f, contents)),
    }
    if len(contents.valid) or len(contents.losses):
        curves = (contents.losses, contents.valid, contents.best)
        drawers["training"] = (
            9.6,
            2.8,
            lambda f: pictures.draw_training(f.subplots(), *curves),
        )
    return {name: pictures.picture(*drawer) for name, drawer in drawers.items()}


def as_plain(contents: Contents) -> dict[str, Any]:
    """The figures as plain values."""
    return {
        "name": contents.checkpoint.recipe.model.name,
        "grade": contents.verdict.grade,
        "verdict": contents.verdict.sentence,
        "advice": list(contents.verdict.advice),
        "self_esr": contents.self_esr,
        **{
            span.name.lower(): _finite(dataclasses.asdict(span.closeness))
            for span in contents.spans
        },
        "passages": {
            span.name.lower(): [{"frame": span.start + at, "esr": esr} for at, esr in span.passages]
            for span in contents.spans
        },
        "aliasing_db": {f"{a.frequency_hz:.0f}": a.ratio_db for a in contents.aliasing},
        "sha256": contents.checkpoint.data_sha256,
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: v if math.isfinite(v) else None for k, v in values.items()}


def _write_sounds(contents: Contents, folder: Path) -> None:
    span, rate = contents.shown, contents.checkpoint.sample_rate_hz
    rest = (span.target - span.predicted).astype(np.float32)
    sounds = (
        ("gear.flac", span.target, "FLAC", "PCM_24"),
        ("model.flac", span.predicted, "FLAC", "PCM_24"),
        ("null-test.wav", rest, "WAV", "FLOAT"),
    )
    for name, samples, form, subtype in sounds:
        replace_file(
            folder / name,
            lambda file, s=samples, f=form, t=subtype: soundfile.write(file, s, rate, t, format=f),  # type: ignore[misc]
        )


def _spectrograms(figure: Figure, contents: Contents) -> None:
    span, rate = contents.shown, contents.checkpoint.sample_rate_hz
    axes = figure.subplots(1, 3, sharey=True)
    top = pictures.draw_spectrogram(axes[0], span.target, rate, "Gear")
    pictures.draw_spectrogram(axes[1], span.predicted, rate, "Model", top)
    rest = span.target - span.predicted
    pictures.draw_spectrogram(axes[2], rest, rate, "Difference, same colours", top)
    for other in axes[1:]:
        other.set_ylabel("")


def _passages(figure: Figure, contents: Contents) -> None:
    span, rate = contents.shown, contents.checkpoint.sample_rate_hz
    bars = [((span.start + first) / rate, decibels(esr)) for first, esr in span.passages]
    pictures.draw_passages(figure.subplots(), bars, PASSAGE_S, span.closeness.esr_db)


def _aliasing(figure: Figure, contents: Contents) -> None:
    for axes, found in zip(figure.subplots(1, 3, sharey=True), contents.aliasing, strict=True):
        pictures.draw_aliasing(axes, found)
