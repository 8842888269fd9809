"""A diagnosis as text for a terminal, and as JSON."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainer.doctor.examine import Diagnosis
from trainer.doctor.finding import NOTES, STOPS

MARKS = {STOPS: "STOP", NOTES: "note"}


def as_lines(diagnosis: Diagnosis) -> list[str]:
    """One line a finding; one that says so where there is none."""
    lines = [
        f"{'fixed' if f.fixed else MARKS.get(f.severity, 'warn'):5}  {f.code:12} {f.text}"
        for f in diagnosis.findings
    ]
    return lines or ["no fault found"]


def as_text(diagnosis: Diagnosis) -> str:
    """Findings, then what was measured."""
    return "\n".join([*as_lines(diagnosis), *_measured(diagnosis.measures)])


def as_json(diagnosis: Diagnosis) -> str:
    """One object: findings (a list, each with its stable code) and measures."""
    findings = [dataclasses.asdict(f) for f in diagnosis.findings]
    return json.dumps({"findings": findings, "measures": diagnosis.measures})


def as_plain(diagnosis: Diagnosis, files: Iterable[Path]) -> dict[str, Any]:
    """The same as plain values, without the folders of the machine that it was found on.

    files: those that the texts name
    """
    plain: dict[str, Any] = json.loads(as_json(diagnosis))
    for finding in plain["findings"]:
        for path in files:
            finding["text"] = finding["text"].replace(str(path), path.name)
    return plain


def _measured(measures: dict[str, Any]) -> list[str]:
    """What is worth a look even where it is no fault."""
    lines = [""]
    if lag := measures.get("lag"):
        blips = "no blips" if lag["by_blips"] is None else f"{lag['by_blips']:g} by blips"
        agree = "agree" if measures["lag_agrees"] else "DISAGREE"
        both = "" if lag["by_blips"] is None else f" ({agree})"
        lines.append(f"lag          {blips}, {lag['by_correlation']} by correlation, frames{both}")
        sign = {1: "as the input", -1: "inverted", 0: "cannot be told"}[lag["polarity"]]
        lines.append(f"polarity     {sign}")
        lines.append(f"drift        {measures['drift_ppm']:+.2f} ppm")
    if floor := measures.get("floor"):
        lines.append(
            f"pauses       {floor['seconds']:.1f} s: offset {floor['offset']:+.1e}, "
            f"noise {floor['noise_db']:.0f} dB, hum {floor['hum_db']:.0f} dB against playing"
        )
    elif lag:
        lines.append("pauses       none of 0.75 s: noise and hum could not be measured")
    if memory := measures.get("memory"):
        lines += _memory(memory, measures.get("field_frames"))
    if repeat := measures.get("repeat"):
        lines.append(
            f"floor        self-ESR {repeat['self_esr']:.1e} of a passage of "
            f"{repeat['frames']} frames that comes twice: no model gets below half of it"
        )
    elif lag:
        lines.append("floor        unknown: no passage of the input comes twice")
    return lines if len(lines) > 1 else []


def _memory(memory: dict[str, Any], field_frames: int | None) -> list[str]:
    need = f"this gear needs {memory['frames']} frames of memory"
    recipe = "" if field_frames is None else f", the recipe has {field_frames}"
    heads = "".join(f"{taps:>8}" for taps in memory["esr_by_taps"])
    rows = [
        ("filter", memory["esr_by_taps"]),
        ("filter, curve, filter", memory["curved_esr_by_taps"]),
    ]
    table = [f"  {name:22}" + "".join(f"{v:8.3f}" for v in row.values()) for name, row in rows]
    static = f"  {'curve, no memory':22}{memory['static_esr']:8.3f}"
    return [f"memory       {need}{recipe}", f"  {'ESR by taps':22}{heads}", *table, static]
