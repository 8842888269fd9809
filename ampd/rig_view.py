"""A rig as people see it: the table of `ampd rig show`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampd.bank import Built
from ampd.midi import describe_control, describe_manner, message_document
from ampd.rig import Rig, RigBlock

UNITS = {"db": "dB", "ms": "ms", "s": "s", "hz": "Hz", "bpm": "bpm"}  # by the end of the name
SWITCH = "bypass"
Row = tuple[str, str, str]  # what, which, values


@dataclass(frozen=True)
class Shown:
    """A rig that was built, and what was measured of it."""

    built: Built
    program: int | None
    host_rate_hz: int
    cost_percent: float  # of one core
    period_frames: int


def show_rig_table(shown: Shown) -> None:
    """The rig in full: a table on a terminal, lines with tabs in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rig_rows(shown):
            print("\t".join(row).rstrip())
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for style in ("dim", "", ""):
        table.add_column(style=style)
    for row in rig_rows(shown):
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def rig_rows(shown: Shown) -> list[Row]:
    """What stands in the table, from the rig's name to what it costs."""
    rig, values = shown.built.plan.rig, shown.built.values
    program = "no program" if shown.program is None else f"program {shown.program}"
    level = rig.level or "level as ampd.toml says"
    return [
        ("rig", rig.name, ", ".join([program, *([str(rig.path)] if rig.path else [])])),
        ("input", "", value_text("gain_db", values["input/gain_db"])),
        *(_block_row(shown.built, number, b) for number, b in enumerate(rig.blocks, 1)),
        ("output", "", f"{value_text('gain_db', values['output/gain_db'])}  {level}"),
        *_mix_row(values),
        *_foot_rows(rig),
        *_cost_rows(shown),
    ]


def _block_row(built: Built, number: int, block: RigBlock) -> Row:
    at = f"{block.name}/"
    values = {p.removeprefix(at): v for p, v in built.values.items() if p.startswith(at)}
    off = "BYPASSED  " if values.pop(SWITCH, 0) else ""
    cells = [value_text(name, value) for name, value in values.items()]
    return (str(number), _title(block), off + "  ".join(cells))


def _title(block: RigBlock) -> str:
    """The block and what it plays: "amp2 jazz beside amp"."""
    files = block.models or ((block.impulse or "built-in speaker",) if block.kind == "cab" else ())
    beside = f"beside {block.beside}" if block.beside else ""
    return " ".join(word for word in (block.name, *files, beside) if word)


def _mix_row(values: Mapping[str, float]) -> Iterable[Row]:
    if values["mix"] != 1:
        yield ("mix", "", f"{values['mix']:g}")


def _foot_rows(rig: Rig) -> Iterable[Row]:
    for number, snapshot in enumerate(rig.snapshots, 1):
        cells = [value_text(path, value) for path, value in snapshot.values.items()]
        yield (f"snapshot {number}", snapshot.name, "  ".join(cells) or "the rig as it is")
    if rig.morph != (0, 0):
        ends = [rig.snapshots[n - 1].name if n else "the rig itself" for n in rig.morph]
        yield ("morph", "", " to ".join(ends))
    for binding in rig.midi:
        manner = describe_manner(binding)
        yield ("midi", describe_control(binding), ", ".join(filter(None, (binding.path, manner))))
    for message in rig.on_load:
        cells = [f"{key} {value}" for key, value in message_document(message).items()]
        yield ("on load", "", ", ".join(cells))


def _cost_rows(shown: Shown) -> Iterable[Row]:
    built, rate_hz = shown.built, shown.host_rate_hz
    latency_ms = 1000 * built.latency_frames / rate_hz
    yield ("latency", "", f"{built.latency_frames} frames, {latency_ms:.3g} ms at {rate_hz} Hz")
    yield ("memory", "", f"{built.memory_bytes / 1000:,.0f} kB")
    cost = f"{shown.cost_percent:.2f} % of one core here at {shown.period_frames} frames"
    yield ("cost", "", cost)
    for text in built.warnings:
        yield ("warning", "", text)


def value_text(path: str, value: float) -> str:
    """A value behind its name, in the unit that the name ends in: "gain_db -3 dB"."""
    if path.rpartition("/")[2] == SWITCH:
        return f"{path} {'on' if value else 'off'}"
    unit = UNITS.get(path.rpartition("_")[2], "") if "_" in path else ""
    return f"{path} {value:g} {unit}".rstrip()
