"""What people see on a terminal: rich tables there, plain lines in a pipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampd.session import PortInfo


@dataclass(frozen=True)
class RigRow:
    """One rig of a list."""

    name: str
    program: int | None
    mark: str  # "plays", "ready" or ""
    error: str


def show_rig_rows(rows: Iterable[RigRow]) -> None:
    """A line a rig: program, name, mark, trouble."""
    _table(
        ("program", "rig", "", "trouble"),
        [("" if r.program is None else str(r.program), r.name, r.mark, r.error) for r in rows],
    )


def show_ports(ports: Sequence[PortInfo], links: Sequence[tuple[str, str]]) -> None:
    """A line a port: what it is, and which port of ampd it would be connected to."""
    rows = []
    for port in ports:
        ends = [dst for src, dst in links if src == port.name]
        ends += [src for src, dst in links if dst == port.name]
        kind = "midi" if port.is_midi else "audio"
        direction = "gives" if port.is_output else "takes"
        mark = f"{'->' if port.is_output else '<-'} {' '.join(ends)}" if ends else ""
        rows.append((port.name, kind, direction, "hardware" if port.is_physical else "", mark))
    _table(("port", "kind", "sound", "", "ampd would use"), rows)


def show_checks(rows: Iterable[tuple[Path, bool, str]]) -> None:
    """A line a file; a complaint names its file itself."""
    console = Console(highlight=False, soft_wrap=True)
    for path, good, text in rows:
        if good:
            console.print(f"[green]ok[/]   {escape(str(path))}: {escape(text)}")
        else:
            line = text if text.startswith(str(path)) else f"{path}: {text}"
            console.print(f"[red]bad[/]  {escape(line)}")


def show_costs(rows: Sequence[dict[str, Any]]) -> None:
    """A line a model: what it costs here."""
    _table(
        (
            "model",
            "kernels",
            "block",
            "ns/sample",
            "x real time",
            "of a period",
            "GMAC/s",
            "of peak",
        ),
        [
            (
                Path(row["file"]).name,
                row["isa"],
                str(row["block"]),
                f"{row['ns_per_sample']:.1f}",
                f"{row['times_real_time']:.0f}",
                f"{row['percent_of_period']:.2f} %",
                f"{row['gmac_per_s']:.1f}",
                f"{row['fraction_of_peak']:.0%} of {row['peak_gmac_per_s']:.0f}",
            )
            for row in rows
        ],
    )


def show_state(state: dict[str, Any]) -> None:
    """The daemon's state, the part that a player asks for."""
    jack, load, switch = state["jack"], state["load"], state["last_switch"]
    rig = state["rig"] or state["wanted_rig"]
    if state["wanted_rig"] != rig:
        rig = f"{rig} (on its way: {state['wanted_rig']})"
    values = "  ".join(f"{path} {value:g}" for path, value in state["values"].items())
    on = [path for path, value in state["globals"].items() if value]
    rows = [("rig", " ".join([rig, *(word.upper() for word in on)])), ("values", values)]
    rows.append(("JACK", _jack_line(jack)))
    rows += [("", f"{source} -> {destination}") for source, destination in jack["links"]]
    if jack["state"] == "running":
        rows.append(
            (
                "load",
                f"p50 {load['p50']:.1%}, p99 {load['p99']:.1%} of the period; late blocks: "
                f"{load['late_engine']} by the engine, {load['late_machine']} by the machine; "
                f"xruns {jack['xruns']}",
            )
        )
    if switch:
        rows.append(
            (
                "last switch",
                f"{switch['source'] or '-'} -> {switch['target']}, audible after "
                f"{switch['ms_to_audible']:.1f} ms ({switch['method']})",
            )
        )
    rows += [("warning", text) for text in state["warnings"]]
    if state["last_error"]:
        rows.append(("last error", state["last_error"]))
    hours = state["uptime_s"] / 3600
    rows.append(("ampd", f"{state['version']}, up {hours:.1f} h, kernels {state['isa']}"))
    _table((), rows)


def _jack_line(jack: dict[str, Any]) -> str:
    if jack["state"] != "running":
        return f"{jack['state']}: {jack['reason'] or 'looking for a server'} ({jack['server']})"
    period_ms = 1000.0 * jack["period_frames"] / jack["sample_rate_hz"]
    mode = "real-time" if jack["realtime"] else "NOT real-time"
    return (
        f"running: server {jack['server']}, {jack['sample_rate_hz']} Hz, "
        f"{jack['period_frames']} frames ({period_ms:.2f} ms), {mode}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rows:
            print("\t".join(row).rstrip())
        return
    table = Table(*head, show_header=bool(head), box=None, pad_edge=False)
    if not head and rows:
        for _ in rows[0]:
            table.add_column()
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
