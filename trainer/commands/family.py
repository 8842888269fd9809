"""`ampd-train family`."""

import argparse
import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trainer.family import Family, measure, read_manifest, write_rig

NAME = "family"
HELP = "captures of one amp at several settings -> a rig with that knob"
ABOUT = """\
Reads a MANIFEST that names captures of one amp and where its knob stood for each, compares them on
a riff, and writes a rig whose amp has that knob: the rack plays the two captures beside it and
mixes them.

  name: champ
  knob: gain            # its name on the amp
  program: 5            # MIDI program of the rig; may be left out
  captures:             # 2 to 8, by rising position
    - {model: champ_g02, at: 2}
    - {model: champ_g05, at: 5}
    - {model: champ_g08, at: 8}

What the table says
  level, step    how loud each one answers, and the step from the one before
  alike          correlation with the one before; below 0.70 half-way sounds thin
  hole           what the third of an octave that loses most has lost half-way
  without        ESR of the neighbours' mix in place of a capture: how much the knob does there.
                 Beside the highest one another capture helps most

Captures of another rate, latency or polarity are refused (exit code 4).

examples
  ampd-train family champ.yaml
  ampd-train family champ.yaml --rig rigs/lead.yaml --models models"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The manifest, and where models are and the rig goes."""
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="YAML: name and captures")
    parser.add_argument("--rig", type=Path, help="the rig file; default: rigs/NAME.yaml")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), help="the models' folder; default: models"
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON")


def run(options: argparse.Namespace) -> int:
    """0 where the rig was written."""
    manifest = read_manifest(options.manifest)
    family = measure(manifest, options.models)
    path = options.rig or Path("rigs") / f"{manifest.name}.yaml"
    write_rig(manifest, path)
    if options.json:
        print(json.dumps({"rig": str(path), **dataclasses.asdict(family)}))
        return 0
    Console(soft_wrap=True).print(_table(family))
    for line in _lines(family):
        print(line)
    print(f"wrote {path}")
    return 0


def _table(family: Family) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(family.manifest.knob, justify="right")
    table.add_column("model")
    for heading in ("level dBFS", "step dB", "alike", "hole dB", "at Hz", "without", "MAC"):
        table.add_column(heading, justify="right")
    for number, member in enumerate(family.members):
        step = family.steps[number - 1] if number else None
        table.add_row(
            f"{member.at:g}",
            member.model,
            f"{member.level_dbfs:.1f}",
            *(
                ("", "", "", "")
                if step is None
                else (
                    f"{step.level_db:+.1f}",
                    f"{step.correlation:.3f}",
                    f"{step.hole_db:.1f}",
                    f"{step.hole_hz:.0f}",
                )
            ),
            "" if member.esr_without is None else f"{member.esr_without:.4f}",
            str(member.mac_per_sample),
        )
    return table


def _lines(family: Family) -> list[str]:
    lines = [
        f"warn   {step.low:g} to {step.high:g}: {'; '.join(step.warnings)}"
        for step in family.steps
        if step.warnings
    ]
    if (thinnest := family.thinnest) is not None:
        lines.append(
            f"The knob does most around {thinnest.at:g}: without {thinnest.model} its neighbours "
            f"would miss it by an ESR of {thinnest.esr_without:.4f}."
        )
    return lines
