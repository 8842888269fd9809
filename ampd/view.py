"""What people see on a terminal: rich tables there, plain lines in a pipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampd.passport import Bad, Checked, ModelPassport, RigPassport, Settings
from ampd.probe import QUIETEST_DBFS
from ampd.rack import PortInfo


@dataclass(frozen=True)
class RigRow:
    """One rig of a list."""

    name: str
    program: int | None
    mark: str  # "plays", "ready" or ""
    error: str


def show_rig_rows(rows: Iterable[RigRow]) -> None:
    """A line a rig: program, name, mark, trouble."""
    show_table(
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
    show_table(("port", "kind", "sound", "", "ampd would use"), rows)


def show_checks(rows: Iterable[Checked], in_full: bool) -> bool:
    """Each file as it comes, in full or in a line; returns whether all of them are good."""
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal and not in_full:
        console.print(CHECK_HEAD, style="dim")
    good = True
    for row in rows:
        good &= row.ok
        if isinstance(row, Bad):
            text = row.error if row.error.startswith(row.file) else f"{row.file}: {row.error}"
            console.print(f"[red]bad[/]  {escape(text)}")
        elif in_full:
            console.print(f"[green]ok[/]   {escape(row.file)}")
            for name, text in _passport(row):
                console.print(f"     {name:<9} {escape(text)}")
        else:
            # Who typed the paths knows them; a program may need them whole.
            file = Path(row.file).name if console.is_terminal else row.file
            console.print(f"[green]ok[/]   {escape(_check_line(row, file))}")
    return good


CHECK_COLUMNS = (-16, 7, 7, 5, 7, 6, 6)  # widths; negative: to the left
CHECK_HEAD = "     what             weights   field   kHz latency   LUFS   cost  file"


def _check_line(row: Settings | RigPassport | ModelPassport, file: str) -> str:
    cells = ["settings", *("" for _ in CHECK_COLUMNS[1:])]
    if isinstance(row, RigPassport):
        loudness = f"{row.loudness_lufs:.1f}"
        cells = ["rig", "", "", "", f"{row.latency_ms:.3g} ms", loudness, ""]
    elif isinstance(row, ModelPassport):
        cells = [
            row.architecture,
            str(row.weights),
            f"{row.memory_ms or row.receptive_field_ms:.0f} ms",
            f"{row.sample_rate_hz / 1000:g}",
            f"{row.latency_ms:.3g} ms",
            f"{row.loudness_lufs:.1f}",
            f"{row.cost.percent_of_period:.2f}%" if row.cost else "",
        ]
    return _aligned(cells, CHECK_COLUMNS, file)


def _aligned(cells: Sequence[str], widths: Sequence[int], file: str) -> str:
    """Cells in columns, and the file behind them, where no length of its name moves one."""
    padded = [
        cell.rjust(width) if width > 0 else cell.ljust(-width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return " ".join([*padded, "", file])


def _passport(row: Settings | RigPassport | ModelPassport) -> list[tuple[str, str]]:
    if isinstance(row, Settings):
        return [("settings", "every key is known and in its range")]
    host = f"at a host of {row.host_rate_hz} Hz"
    lines = [("latency", f"{row.latency_frames} frames, {row.latency_ms:.3g} ms, {host}")]
    if isinstance(row, RigPassport):
        lines = [
            ("rig", ", ".join(row.blocks) or "no blocks"),
            ("size", f"{row.memory_bytes / 1000:,.0f} kB in memory"),
            *lines,
            ("loudness", f"{row.loudness_lufs:.1f} LUFS for a guitar"),
        ]
    else:
        lines = _model_lines(row, lines)
    return [*lines, *(("warning", text) for text in row.warnings)]


POLARITIES = {1: "as the input", -1: "upside down", 0: "cannot be told"}


def _floor(level_dbfs: float) -> str:
    return "none" if level_dbfs <= QUIETEST_DBFS else f"{level_dbfs:.1f} dBFS"


def _click(frames: int | None) -> str:
    if frames is None:
        return "a click is not answered"
    return f"a click is answered {frames} frames later"


def _capture_lines(row: ModelPassport) -> list[tuple[str, str]]:
    levels = (("input", row.input_level_dbu), ("output", row.output_level_dbu))
    said = [f"{end} {level:g} dBu" for end, level in levels if level is not None]
    return [("captured", f"the file says full scale is {', '.join(said)}")] if said else []


def _model_lines(row: ModelPassport, latency: list[tuple[str, str]]) -> list[tuple[str, str]]:
    stated = "" if row.sample_rate_stated else ", assumed: the file does not say"
    field = f"{row.receptive_field_frames} frames, {row.receptive_field_ms:.3g} ms"
    if row.memory_frames:
        field += f"; a recurrent net, it settles in {row.memory_ms:.3g} ms"
    claim = row.loudness_file_db
    says = "the file does not say" if claim is None else f"the file says {claim:.1f} dB"
    lines = [
        ("model", row.name),
        ("kind", f"{row.architecture}, family {row.family}"),
        ("size", f"{row.weights} weights, {row.memory_bytes / 1000:,.0f} kB in memory"),
        ("field", field),
        ("rate", f"{row.sample_rate_hz} Hz{stated}"),
        *latency,
        (
            "loudness",
            f"{row.loudness_lufs:.1f} LUFS, {row.loudness_measured_dbfs:.1f} dBFS RMS measured; "
            f"{says}",
        ),
        ("silence", f"noise {_floor(row.noise_dbfs)}, direct current {_floor(row.dc_dbfs)}"),
        ("polarity", f"{POLARITIES[row.polarity]}; {_click(row.click_latency_frames)}"),
        *_capture_lines(row),
    ]
    if row.cost:
        share = f"{row.cost.percent_of_period:.2f} % of a {row.cost.period_frames}-frame period"
        lines.append(
            ("cost", f"{row.cost.ns_per_sample:.0f} ns a sample, {share} ({row.cost.isa})")
        )
    if row.knobs:
        lines.append(("knobs", ", ".join(row.knobs)))
    if row.has_quality:
        lines.append(("quality", "comes in several sizes; the largest is the one told here"))
    return lines


COST_COLUMNS = (7, 7, 6, 6, 6, 4, 7, -7, 5)
COST_HEAD = "     ns  median x real period GMAC/s peak of peak kernels block  model"


def show_costs(rows: Sequence[dict[str, Any]]) -> None:
    """A line a model: what it costs here."""
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        console.print(COST_HEAD, style="dim")
    for row in rows:
        cells = [
            f"{row['ns_per_sample']:.1f}",
            f"{row['median_ns_per_sample']:.1f}",
            f"{row['times_real_time']:.0f}",
            f"{row['percent_of_period']:.2f}%",
            f"{row['gmac_per_s']:.1f}",
            f"{row['peak_gmac_per_s']:.0f}",
            f"{row['fraction_of_peak']:.0%}",
            row["isa"],
            str(row["block"]),
        ]
        console.print(escape(_aligned(cells, COST_COLUMNS, Path(row["file"]).name)))


SAME = 1e-6  # values have gone through float32


def show_state(state: dict[str, Any]) -> None:
    """The daemon's state, the part that a player asks for."""
    jack, load, switch = state["jack"], state["load"], state["last_switch"]
    rig = state["rig"] or state["wanted_rig"]
    if state["wanted_rig"] != rig:
        rig = f"{rig} (on its way: {state['wanted_rig']})"
    on = [path.upper() for path in ("bypass", "mute", "tuner") if state["globals"].get(path)]
    rows = [("rig", " ".join([rig, *on])), ("set", state["set"] or "all rigs of the folder")]
    rows += _snapshot_row(state)
    rows += _value_rows(state)
    rows.append(("JACK", _jack_line(jack)))
    rows += [("", f"{source} -> {destination}") for source, destination in jack["links"]]
    if state["latency_frames"]:
        latency_ms = 1000.0 * state["latency_frames"] / state["sample_rate_hz"]
        rows.append(
            ("latency", f"{state['latency_frames']} frames ({latency_ms:.2f} ms), the rig's")
        )
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
    rows += [("not whole", _quarantine_line(each)) for each in state["quarantined"]]
    if state["store"]["error"]:
        rows.append(("not kept", state["store"]["error"]))
    if state["last_error"] not in ("", state["store"]["error"]):
        rows.append(("last error", state["last_error"]))
    hours = state["uptime_s"] / 3600
    rows.append(("ampd", f"{state['version']}, up {hours:.1f} h, kernels {state['isa']}"))
    show_table((), rows)


def _quarantine_line(held: dict[str, Any]) -> str:
    why = {
        "broken": "is left out, it gave what is no number",
        "slow": "is left out, it is too much for this machine",
        "smaller": "plays its smallest size, all of it is too much for this machine",
    }
    files = f" ({', '.join(held['models'])})" if held["models"] else ""
    return f"{held['rig']}/{held['block'] or 'all'}{files}: {why.get(held['reason'], '')}"


def _snapshot_row(state: dict[str, Any]) -> list[tuple[str, str]]:
    names = state["snapshots"]
    if not names:
        return []
    here = round(state["values"]["snapshot"])
    shown = [f"[{name}]" if number == here else name for number, name in enumerate(names, 1)]
    return [("snapshot", "  ".join(shown))]


def _value_rows(state: dict[str, Any]) -> list[tuple[str, str]]:
    """A row a block: what is not where the block itself would have it."""
    blocks: dict[str, list[str]] = {}
    for path, value in {**state["globals"], **state["values"]}.items():
        knob = state["params"].get(path)
        block, _, name = path.rpartition("/")
        if path in ("bypass", "mute", "tuner", "tuner_mutes", "snapshot") or knob is None:
            continue
        shown = blocks.setdefault(block, [])
        if name == "bypass":
            shown += ["BYPASSED"] if value else []
        elif abs(value - knob["default"]) > SAME * max(1.0, abs(value)):
            shown.append(f"{name} {value:g}{' ' if knob['unit'] else ''}{knob['unit']}")
    own = blocks.pop("", [])
    rows = [(block, "  ".join(shown) or "as it comes") for block, shown in blocks.items()]
    return [*rows, *([("all", "  ".join(own))] if own else [])]


def _jack_line(jack: dict[str, Any]) -> str:
    if jack["state"] != "running":
        return f"{jack['state']}: {jack['reason'] or 'looking for a server'} ({jack['server']})"
    period_ms = 1000.0 * jack["period_frames"] / jack["sample_rate_hz"]
    mode = "real-time" if jack["realtime"] else "NOT real-time"
    return (
        f"running: server {jack['server']}, {jack['sample_rate_hz']} Hz, "
        f"{jack['period_frames']} frames ({period_ms:.2f} ms), {mode}"
    )


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns on a terminal; tabs and no head in a pipe."""
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
