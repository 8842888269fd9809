"""`ampd-train report`, and what `train` does at its end."""

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console

from trainer.checkpoint import Checkpoint, load_checkpoint
from trainer.commands.inspect import treat
from trainer.data import Pair, load_pair, recording_paths
from trainer.errors import DataError
from trainer.files import sha256_file
from trainer.report.write import write_report

NAME = "report"
HELP = "the page of a training run, again"
ABOUT = """\
Writes RUN/report/ from the run's best_model.pt and its recordings, as `train` does at its end:
index.html (a verdict, the figures, pictures, the doctor's findings; it can be mailed alone), the
pictures as PNG, figures.json, and gear.flac, model.flac and null-test.wav to listen to.

examples
  ampd-train report runs/plexi
  ampd-train report runs/plexi --data /mnt/recordings"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and where its recordings are now."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of best_model.pt")
    parser.add_argument(
        "--data", metavar="FOLDER", help="where the recordings are, if not where they were"
    )


def run(options: argparse.Namespace) -> int:
    """0 where the page was written."""
    checkpoint = load_checkpoint(options.run / "best_model.pt")
    pair = _load_same_pair(checkpoint, options.data)
    print(f"wrote {write_report(options.run, checkpoint, pair)}")
    return 0


def report_run(folder: Path, checkpoint_path: Path, pair: Pair, console: Console) -> None:
    """Write the report of a run that has just ended.

    The model files are written by then, so that nothing that goes wrong here may end the command
    as a failure: it is said, with the way to the report.
    """
    again = f"no report; the model is written. `ampd-train report {folder}` makes the report"
    try:
        with console.status("writing the report"):
            page = write_report(folder, load_checkpoint(checkpoint_path), pair)
        print(f"wrote {page}")
    except KeyboardInterrupt:
        console.print(f"stopped: {again}", highlight=False, markup=False, soft_wrap=True)
    except Exception as error:  # noqa: BLE001  # a picture must not cost a model
        text = f"{again} ({type(error).__name__}: {error})"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _load_same_pair(checkpoint: Checkpoint, data: str | None) -> Pair:
    recipe = checkpoint.recipe
    if data is not None:
        moved = dataclasses.replace(
            recipe.data,
            input=Path(recipe.data.input).name,
            target=Path(recipe.data.target).name,
        )
        paths = dataclasses.replace(recipe.paths, data=data)
        recipe = dataclasses.replace(recipe, paths=paths, data=moved)
    for key, path in zip(("input", "target"), recording_paths(recipe), strict=True):
        if not path.is_file():
            raise DataError(
                f"{path}: no such file, expected the {key} that this run was trained with; name "
                "its folder with --data FOLDER"
            )
        if sha256_file(path) != checkpoint.data_sha256[key]:
            raise DataError(
                f"{path}: found another file than the {key} that this run was trained with (its "
                "SHA-256 differs); name the folder of the right one with --data FOLDER"
            )
    looked = checkpoint.doctor is not None
    return load_pair(recipe, treat(recipe, Console(stderr=True)) if looked else None)
