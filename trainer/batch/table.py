"""DIR/batch.csv: one line a capture, for a person's spreadsheet and for programs."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.batch.queue import Row
from trainer.files import replace_file

TABLE = "batch.csv"


def plain(row: Row) -> dict[str, Any]:
    """A row as plain values; None where there is nothing to say yet."""
    result, update = row.result, row.update
    return {
        "name": row.capture.name,
        "state": row.state,
        "esr_valid": result.esr_valid if result else _finite(update.esr_best),
        "esr_test": result.esr_test if result else None,
        "steps": result.steps if result else update.step or None,
        "minutes": round(result.minutes, 2) if result else None,
        "mac_per_sample": result.mac_per_sample if result else None,
        "findings": result.findings if result else None,
        "model": result.model if result else "",
        "report": result.report if result else "",
        "text": row.text,
    }


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows; whoever reads meanwhile sees the old table or the new one.

    raises: ModelError where it cannot be written
    """
    lines = [plain(row) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*lines[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    replace_file(path, lambda file: file.write(text.getvalue().encode()))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
