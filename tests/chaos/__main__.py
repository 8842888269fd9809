"""Does to the box what a stage, a network and a power cut may do, and prints a table.

    python -m tests.chaos [F1 F7 ...] [--short] [--write systemd/RELIABILITY.md]

Each module of this folder with FAULTS is a part of it. Ends with 1 where a figure is not reached.
"""

import argparse
import datetime
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.fault import Fault, NotHereError, Result
from tests.chaos.faults import all_faults

HEAD = ("fault", "what is done", "asked", "reached")


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


def as_markdown(rows: list[tuple[str, ...]]) -> str:
    """The kept table with its date and machine."""
    today = datetime.date.today().isoformat()
    lines = [
        "# What the box survives",
        "",
        f"Measured by `make chaos` on {today}: {machine()}.",
        "",
    ]
    table = (HEAD, ("---",) * len(HEAD), *rows)
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Faults that the box must survive, measured."
    )
    parser.add_argument("faults", nargs="*", help="which, by number; all of them unless told")
    parser.add_argument("--short", action="store_true", help="each a few times only")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the table as Markdown")
    parser.add_argument("--list", action="store_true", help="the numbers, and what is done")
    options = parser.parse_args()
    chosen = [f for f in all_faults() if not options.faults or f.number in options.faults]
    if not chosen:
        parser.error(f"no such fault; there are {', '.join(f.number for f in all_faults())}")
    console = Console()
    if options.list:
        for fault in chosen:
            console.print(f"{fault.number:<4} {fault.what}", highlight=False)
        return 0
    rows: list[tuple[str, ...]] = []
    good = True
    for fault in chosen:
        console.print(f"{fault.number}: {fault.what} ...", highlight=False)
        result, text = run(fault, not options.short)
        good = good and (result is None or result.passed)
        rows.append((fault.number, fault.what, fault.asked, text))
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if options.write is not None:
        options.write.write_text(as_markdown(rows), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
