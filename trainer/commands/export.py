"""`ampd-train export`."""

import argparse
from pathlib import Path

from trainer.export import export

NAME = "export"
HELP = "a checkpoint or model -> model files"
KINDS = ("all", "json", "nam", "onnx")
ABOUT = """\
Writes the model files of a checkpoint, and reads them back to prove them: NAME.json (the project's
own, of a residual_wavenet) and NAME.nam (for every player of NAM files, of a causal net). With
--format onnx NAME.onnx, played in onnxruntime beside the net before it is written; what goes in
and out of it stands in models/README.md. MODEL may also be a .json or .nam: --format then names
the kind of file to make of it.

examples
  ampd-train export runs/plexi/best_model.pt
  ampd-train export models/plexi/plexi.json --format onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the folder and the kind of file."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="best_model.pt, .json or .nam")
    parser.add_argument(
        "--out", type=Path, help="folder; default: the recipe's paths.models, or beside MODEL"
    )
    parser.add_argument(
        "--format", choices=KINDS, default="all", help="default: all, which is json and nam"
    )


def run(options: argparse.Namespace) -> int:
    """0 where every file was written."""
    return write_models(options.model, options.out, options.format)


def write_models(model: Path, folder: Path | None, kind: str) -> int:
    """Export and say what was written; as `trainer.export.export`."""
    written = export(model, folder, kind)
    for path in written:
        print(f"wrote {path} ({path.stat().st_size} bytes)")
    if kind == "all" and not any(path.suffix == ".nam" for path in written):
        print("no .nam: this net is not causal, and .nam cannot say that; it is for offline use")
    return 0
