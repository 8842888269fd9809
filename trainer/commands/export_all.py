"""`ampd-train export-all`."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trainer.commands.export import KINDS
from trainer.errors import ModelError
from trainer.export import Row, export_all

NAME = "export-all"
HELP = "every run of a folder -> model files"
ABOUT = """\
Exports every best_model.pt under DIR again, as ampd-train export does, and shows a table. A run
that fails is named with its reason and does not stop the others; the exit code is then 4.

example
  ampd-train export-all runs --format onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The runs, the folder and the kind of file."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of runs, such as runs")
    parser.add_argument(
        "--out", type=Path, help="files go to OUT/NAME; default: where each recipe says"
    )
    parser.add_argument(
        "--format", choices=KINDS, default="all", help="default: all, which is json and nam"
    )


def run(options: argparse.Namespace) -> int:
    """0 where every run was exported."""
    with Console(stderr=True).status("exporting"):
        rows = export_all(options.folder, options.out, options.format)
    Console().print(_table(rows))
    for row in rows:
        if row.error:
            print(f"failed: {row.error}")
    return ModelError.exit_code if any(row.error for row in rows) else 0


def _table(rows: list[Row]) -> Table:
    table = Table("run", "ESR VALID", "ESR TEST", "written", box=None, header_style="bold")
    for row in rows:
        figures = ("-" if v is None else f"{v:.5f}" for v in (row.esr_valid, row.esr_test))
        files = ", ".join(path.name for path in row.written)
        table.add_row(str(row.run), *figures, files or "failed, see below")
    return table
