"""Does to the box what a stage, a network and a power cut may do, and prints a table.

    python -m tests.chaos [F1 F7 ...] [--short] [--write systemd/RELIABILITY.md]

Each module of this folder with FAULTS is a part of it. What is written keeps the rows that were
measured another day. Ends with 1 where a figure is not reached.
"""

import argparse
import datetime
import os
import platform
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.fault import Fault, NotHereError, Result
from tests.chaos.faults import all_faults

HEAD = ("fault", "what is done", "asked", "reached", "when, and the load of the machine before")
CELLS = re.compile(r"(?<!\\)\|")

Row = tuple[str, ...]


def machine() -> str:
    """The processor, for people."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, Linux {platform.release()}"
    return f"{platform.machine()}, Linux {platform.release()}"


def run(fault: Fault, full: bool) -> tuple[Result | None, str]:
    """One fault: its result, or None and why it could not be made here."""
    try:
        result = fault.measure(full)
    except NotHereError as missing:
        return None, f"not measured: {missing}"
    return result, result.reached if result.passed else f"NOT REACHED: {result.reached}"


def kept_rows(path: Path) -> dict[str, Row]:
    """The rows of a kept table by the number of their fault."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in CELLS.split(line)[1:-1]) for line in lines]
    return {row[0]: row for row in rows if len(row) == len(HEAD) and row[0] not in ("---", HEAD[0])}


def keep(path: Path, measured: list[Row]) -> None:
    """Put the rows into the kept table, in the order of the faults."""
    rows = kept_rows(path) | {row[0]: tuple(c.replace("|", "\\|") for c in row) for row in measured}
    order = [fault.number for fault in all_faults() if fault.number in rows]
    table = (HEAD, ("---",) * len(HEAD), *(rows[number] for number in order))
    lines = ["# What the box survives", "", f"Measured by `make chaos`: {machine()}.", ""]
    lines += ["| " + " | ".join(row) + " |" for row in table]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Faults that the box must survive, measured."
    )
    parser.add_argument("faults", nargs="*", help="which, by number; all of them unless told")
    parser.add_argument("--short", action="store_true", help="each a few times only")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the table as Markdown")
    parser.add_argument("--list", action="store_true", help="the numbers, and what is done")
    return parser


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    if options.short and options.write:
        parser.error("--short and --write exclude each other: what is kept is measured in full")
    chosen = [f for f in all_faults() if not options.faults or f.number in options.faults]
    if not chosen:
        parser.error(f"no such fault; there are {', '.join(f.number for f in all_faults())}")
    console = Console()
    if options.list:
        for fault in chosen:
            console.print(f"{fault.number:<4} {fault.what}", highlight=False)
        return 0
    return 0 if measure(chosen, console, options) else 1


def measure(chosen: list[Fault], console: Console, options: argparse.Namespace) -> bool:
    """Make them one by one and print the table; whether every figure is reached."""
    rows: list[Row] = []
    missed = 0
    for fault in chosen:
        console.print(f"{fault.number}: {fault.what} ...", highlight=False)
        when = f"{datetime.date.today().isoformat()}, {os.getloadavg()[0]:.1f}"
        result, text = run(fault, not options.short)
        console.print(f"    {text}", highlight=False)
        missed += result is not None and not result.passed
        rows.append((fault.number, fault.what, fault.asked, text, when))
        if options.write is not None and result is not None:
            keep(options.write, rows[-1:])
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    return missed == 0


if __name__ == "__main__":
    sys.exit(main())
