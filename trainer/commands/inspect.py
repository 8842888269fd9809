"""`ampd-train inspect`, and what `train` does with the doctor."""

import argparse
from collections.abc import Callable
from pathlib import Path

import soundfile
from rich.console import Console

from trainer.architectures import build_network
from trainer.data import Recordings, recording_paths
from trainer.doctor.examine import Diagnosis, examine
from trainer.doctor.report import as_json, as_lines, as_text
from trainer.doctor.treatment import examine_recipe, repaired
from trainer.errors import DataError
from trainer.files import prepare_folder, replace_file
from trainer.recipe import Recipe, load_recipe

NAME = "inspect"
HELP = "what is wrong with two recordings, before training"
ABOUT = """\
Looks at a pair of recordings as `train` does before it starts: rates, channels, length, clipping,
lag, polarity, drift, lost frames, offset, hum, noise, gates, echoes, swapped files, how closely
the gear repeats itself, and how much memory it has. One line a finding:
  fixed  training goes on without it; --fix writes the repaired pair
  warn   training is possible, the way out is in the line
  STOP   training would be wasted (exit code 3)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pair, and what to do with the findings."""
    parser.add_argument("input", type=Path, metavar="IN", help="the dry recording")
    parser.add_argument("target", type=Path, metavar="OUT", help="the gear's recording")
    parser.add_argument("--recipe", help="compare its receptive field with the gear's memory")
    parser.add_argument("--json", action="store_true", help="findings and measures as JSON")
    parser.add_argument(
        "--fix", type=Path, metavar="FOLDER", help="write the repaired pair there as float WAV"
    )


def run(options: argparse.Namespace) -> int:
    """3 where a finding stops training, else 0."""
    recipe = load_recipe(options.recipe) if options.recipe else None
    field = None if recipe is None else build_network(recipe.model).receptive_field_frames
    diagnosis = examine(options.input, options.target, field_frames=field)
    print(as_json(diagnosis) if options.json else as_text(diagnosis))
    if diagnosis.recordings is None:
        return DataError.exit_code
    if options.fix is not None:
        _write_pair(diagnosis.recordings, options.fix, options.json)
    return 0


def treat(recipe: Recipe, console: Console) -> Recordings:
    """Examine the recipe's recordings, say what was found, hand on the repaired ones.

    raises: DataError where a finding stops training
    """
    return _treated(recording_paths(recipe), console, lambda: examine_recipe(recipe))


def treat_pair(paths: tuple[Path, Path], console: Console, delay_frames: int) -> Recordings:
    """The same for a pair of files, (input, target)."""
    return _treated(paths, console, lambda: examine(*paths, delay_frames=delay_frames))


def _treated(
    paths: tuple[Path, Path], console: Console, look: Callable[[], Diagnosis]
) -> Recordings:
    with console.status("the doctor looks at the recordings"):
        diagnosis = look()
    recordings = repaired(diagnosis, paths)
    _say(diagnosis, console)
    return recordings


def _say(diagnosis: Diagnosis, console: Console) -> None:
    for line in as_lines(diagnosis):
        console.print(f"doctor: {line}", highlight=False, markup=False, soft_wrap=True)


def _write_pair(pair: Recordings, folder: Path, quiet: bool) -> None:
    prepare_folder(folder)
    for name, signal in (("input.wav", pair.input), ("target.wav", pair.target)):
        samples = signal.numpy()

        def write(file: object, samples: object = samples) -> None:
            soundfile.write(file, samples, pair.sample_rate_hz, format="WAV", subtype="FLOAT")

        replace_file(folder / name, write)
        if not quiet:
            print(f"wrote {folder / name}")
