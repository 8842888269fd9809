"""The page of a run: one HTML file that holds its pictures and asks nothing of the network."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from trainer.aliasing import PEAK
from trainer.closeness import Closeness, decibels
from trainer.recipe import recipe_to_dict
from trainer.report.contents import Contents

FIGURES = (
    ("esr", "ESR", "energy of the error over energy of the sound; 0.01 is -20 dB"),
    ("esr_db", "the same in dB", "how loud the difference is against the gear"),
    ("pre_emphasised_esr", "ESR, treble lifted", "closer to what an ear objects to"),
    ("mrstft", "MRSTFT", "distance of the spectra, whatever the phase"),
    ("dc", "DC", "squared mean error over the sound's power"),
    ("mae", "MAE", "mean absolute error, full scale 1"),
    ("peak_error", "largest error", "full scale 1"),
    ("correlation", "correlation", "1 is the same shape"),
    ("delay_frames", "delay", "frames that the model is late against the gear"),
)
SOUNDS = (
    ("gear.flac", "Your gear"),
    ("model.flac", "The model"),
    ("null-test.wav", "What is left over"),
)


def page(contents: Contents, images: Mapping[str, bytes]) -> str:
    """The whole document; `images` are PNG files by name."""
    style = (resources.files("trainer") / "report" / "page.css").read_text(encoding="utf-8")
    name = escape(contents.checkpoint.recipe.model.name)
    body = "\n".join(
        [
            _header(contents),
            _verdict(contents),
            _listen(contents),
            _closeness(contents, images),
            _details(contents, images),
            _doctor(contents),
            _origin(contents),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: training report</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _header(contents: Contents) -> str:
    model = contents.checkpoint.recipe.model
    gear = " ".join(text for text in (model.gear_make, model.gear_model) if text)
    trained = contents.checkpoint.finished[:16].replace("T", " ")
    line = " · ".join(text for text in (gear, f"trained {trained} UTC") if text)
    return (
        f'<header><div class="kind">Training report</div><h1>{escape(model.name)}</h1>'
        f"<p>{escape(line)}</p></header>"
    )


def _verdict(contents: Contents) -> str:
    verdict, shown = contents.verdict, contents.shown
    advice = "".join(f"<li>{escape(line)}</li>" for line in verdict.advice)
    closeness = shown.closeness
    worst = max(a.ratio_db for a in contents.aliasing)
    tiles = [
        (f"{closeness.esr_db:.1f} dB", f"ESR on {shown.name}: {closeness.esr:.5f}"),
        (f"{decibels(closeness.pre_emphasised_esr):.1f} dB", "ESR with treble lifted"),
        (f"{contents.net.after_frames} frames", _latency(contents)),
        (f"{worst:.0f} dB", "worst aliasing, of three sines"),
    ]
    cells = "".join(f'<div class="tile"><b>{b}</b><span>{s}</span></div>' for b, s in tiles)
    return (
        f'<div class="verdict {verdict.grade}"><span class="badge">{verdict.grade}</span>'
        f"<p>{escape(verdict.sentence)}</p>{f'<ul>{advice}</ul>' if advice else ''}</div>"
        f'<div class="tiles">{cells}</div>'
    )


def _latency(contents: Contents) -> str:
    return "latency: plays live" if contents.net.causal else "look-ahead: for files only"


def _listen(contents: Contents) -> str:
    cells = "".join(
        f'<div class="tile"><b style="font-size:16px">{title}</b><span>{file}</span>'
        f'<audio controls preload="none" src="{file}"></audio></div>'
        for file, title in SOUNDS
    )
    return (
        f'<h2>Listen</h2><div class="tiles" style="margin-top:0">{cells}</div>'
        f'<p class="note">The {contents.shown.name} part of the recording. The files lie beside '
        "this page; mailed alone it keeps its pictures, not its sound.</p>"
    )


def _closeness(contents: Contents, images: Mapping[str, bytes]) -> str:
    names = [span.name for span in contents.spans]
    rows = [
        [label, *(_cell(span.closeness, key) for span in contents.spans), note]
        for key, label, note in FIGURES
    ]
    floor = contents.self_esr
    if floor is not None:
        text = "ESR of the gear's two answers to one passage; half of it is the floor"
        rows.append(["self-ESR of the gear", _number(floor), *[""] * (len(names) - 1), text])
    part = {"TEST": "chose nothing", "VALID": "chose the weights"}
    notes = ", ".join(f"{name} {part[name]}" for name in names)
    return (
        "<h2>How close it is</h2>"
        f"<section>{_image(images, 'null-test')}</section>"
        f'<div class="pair" style="margin-top:12px"><section style="margin:0">'
        f'{_image(images, "waveform")}</section><section style="margin:0">'
        f"{_image(images, 'spectrum')}</section></div>"
        f"<section>{_image(images, 'spectrogram')}</section>"
        f"<section>{_image(images, 'passages')}</section>"
        f"<section>{_table(['', *names, ''], rows)}"
        f'<p class="note">{notes}. Pictures and sounds are of {names[0]}.</p></section>'
    )


def _cell(closeness: Closeness, key: str) -> str:
    value = getattr(closeness, key)
    if key == "esr_db":
        return f"{value:.1f} dB"
    return f"{value:.2f}" if key == "delay_frames" else _number(value)


def _number(value: float) -> str:
    if value != value:
        return "too short"
    return f"{value:.5f}" if 1e-3 <= abs(value) < 100 else f"{value:.2g}"


def _details(contents: Contents, images: Mapping[str, bytes]) -> str:
    sines = ", ".join(f"{a.ratio_db:.1f} dB" for a in contents.aliasing)
    training = ""
    if "training" in images:
        training = f"<h2>How it learnt</h2><section>{_image(images, 'training')}</section>"
    return (
        f"<h2>Aliasing</h2><section>{_image(images, 'aliasing')}"
        f'<p class="note">A sine of {20 * _log10(PEAK):.0f} dBFS goes in; blue is its harmonics, '
        "red what is folded back between them at half the sample rate. The figure is the energy of "
        f"red over blue: {sines} (Sato &amp; Smith 2025, arXiv:2505.04082). Recordings of digital "
        "gear hold its own aliasing, and a model learns that too.</p></section>" + training
    )


def _log10(value: float) -> float:
    return decibels(value) / 10


def _doctor(contents: Contents) -> str:
    doctor = contents.checkpoint.doctor
    if doctor is None:
        text = "<p>It did not look at these recordings.</p>"
    elif not doctor["findings"]:
        text = "<p>No fault found in these recordings.</p>"
    else:
        text = _table(["", "", ""], [_finding(f) for f in doctor["findings"]], raw=True)
    return f"<h2>What the doctor says</h2><section>{text}</section>"


def _finding(finding: Mapping[str, Any]) -> list[str]:
    kind = "fixed" if finding["fixed"] else finding["severity"]
    css = "note-chip" if kind == "note" else escape(kind)
    chip = f'<span class="chip {css}">{escape(kind)}</span>'
    return [chip, f"<code>{escape(finding['code'])}</code>", escape(finding["text"])]


def _origin(contents: Contents) -> str:
    checkpoint, net = contents.checkpoint, contents.net
    recipe, rate = checkpoint.recipe, checkpoint.sample_rate_hz
    files = {"input": recipe.data.input, "target": recipe.data.target}
    recordings = [
        [key, Path(files[key]).name, value] for key, value in checkpoint.data_sha256.items()
    ]
    weights = sum(p.numel() for p in net.parameters())
    field = net.receptive_field_frames
    facts = [
        ["net", f"{recipe.model.architecture}, {recipe.model.channels} channels"],
        ["weights", f"{weights:,}"],
        ["receptive field", f"{field:,} frames ({field / rate * 1000:.1f} ms)"],
        ["cost", f"{net.mac_per_sample:,} multiply-adds a sample"],
        ["sample rate", f"{rate:,} Hz"],
        ["steps", f"{checkpoint.step:,}"],
        *([["licence", recipe.model.licence]] if recipe.model.licence else []),
    ]
    # Folders say where one machine keeps things.
    plain = {k: v for k, v in recipe_to_dict(recipe).items() if k != "paths"}
    plain["data"] |= {key: Path(name).name for key, name in files.items()}
    text = escape(yaml.safe_dump(plain, sort_keys=False, width=90))
    return (
        f"<h2>Where it comes from</h2><section>{_table(['', ''], facts)}</section>"
        f"<section>{_table(['', 'file', 'SHA-256'], recordings)}</section>"
        f"<section><details><summary>The whole recipe</summary><pre>{text}</pre></details>"
        "</section><footer>ampd-train report RUN makes this page again.</footer>"
    )


def _image(images: Mapping[str, bytes], name: str) -> str:
    data = base64.b64encode(images[name]).decode()
    return f'<img alt="{name}" src="data:image/png;base64,{data}">'


def _table(heads: list[str], rows: Iterable[list[str]], raw: bool = False) -> str:
    def text(cell: str) -> str:
        return cell if raw else escape(cell)

    head = "".join(f"<th>{text(h)}</th>" for h in heads) if any(heads) else ""
    lines = "".join(
        "<tr>" + "".join(_data(text(cell), at, len(row)) for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{lines}</tbody></table>"
    )


def _data(cell: str, at: int, count: int) -> str:
    if at == 0:
        return f"<th>{cell}</th>"
    if len(cell) == 64 and cell.isalnum():
        cell = f"<code>{cell}</code>"
    return f'<td class="note">{cell}</td>' if at == count - 1 and count > 3 else f"<td>{cell}</td>"
