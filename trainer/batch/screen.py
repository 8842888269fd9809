"""Tables for a terminal: while a batch runs, and when it has ended."""

import math
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Table

from trainer.batch.queue import DONE, FAILED, RUNNING, STOPPED, WAITING, Row

STYLES = {DONE: "green", FAILED: "red", STOPPED: "yellow", WAITING: "dim", RUNNING: ""}
FRAME_LINES = 6  # of a table: borders, heading, caption
ORDER = (RUNNING, FAILED, STOPPED, WAITING, DONE)  # what matters most while it runs


def live_table(rows: Sequence[Row], seconds_left: float, height: int) -> Table:
    """What runs, then as much of the rest as fits `height` lines; the caption counts them all."""
    table = _table(("at", "ESR", "best", "left"))
    table.caption, table.caption_justify = _caption(rows, seconds_left), "left"
    shown = sorted(rows, key=lambda row: ORDER.index(row.state))[: max(1, height - FRAME_LINES)]
    for row in shown:
        running, best = row.state == RUNNING, row.update.esr_best
        if row.result is not None and row.result.esr_valid is not None:
            best = row.result.esr_valid
        table.add_row(
            row.capture.name,
            row.state,
            f"{row.update.share:.0%}" if running else "",
            figure(row.update.esr_valid) if running else "",
            figure(best),
            duration(row.update.seconds_left) if running else "",
            style=STYLES[row.state],
        )
    return table


def outcome_table(rows: Sequence[Row]) -> Table:
    """One line a capture: how good it is, multiplications a sample, the doctor's findings."""
    table = _table(("VALID ESR", "TEST ESR", "steps", "minutes", "MAC", "doctor"))
    for row in rows:
        result = row.result
        cells = ["-"] * 6
        if result is not None:
            cells = [
                figure(result.esr_valid),
                figure(result.esr_test),
                str(result.steps),
                f"{result.minutes:.1f}",
                str(result.mac_per_sample),
                str(result.findings),
            ]
        table.add_row(row.capture.name, row.state, *cells, style=STYLES[row.state])
    return table


def _table(figures: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("take", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for heading in figures:
        table.add_column(heading, justify="right")
    return table


def figure(value: float | None) -> str:
    """An ESR, or a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.5f}"


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 12 min, 3 h 20 min."""
    if not math.isfinite(seconds):
        return "-"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _caption(rows: Sequence[Row], seconds_left: float) -> str:
    counts = Counter(row.state for row in rows)
    text = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
    return f"{text}; {duration(seconds_left)} left"
