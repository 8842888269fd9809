"""`ampd-train export`."""

import argparse
from pathlib import Path

from trainer.export import export

NAME = "export"
HELP = "a checkpoint -> model files"
ABOUT = "Writes the model files of a checkpoint, and reads them back to prove them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, the folder and the kind of file."""
    parser.add_argument("checkpoint", type=Path, help="best_model.pt of a run")
    parser.add_argument("--out", type=Path, help="folder; default: the recipe's paths.models")
    parser.add_argument("--format", choices=("all", "json", "nam"), default="all")


def run(options: argparse.Namespace) -> int:
    """0 where every file was written."""
    return write_models(options.checkpoint, options.out, options.format)


def write_models(checkpoint: Path, folder: Path | None, kind: str) -> int:
    """Export and say what was written; as `trainer.export.export`."""
    written = export(checkpoint, folder, kind)
    for path in written:
        print(f"wrote {path} ({path.stat().st_size} bytes)")
    if kind == "all" and not any(path.suffix == ".nam" for path in written):
        print("no .nam: this net is not causal, and .nam cannot say that; it is for offline use")
    return 0
