"""What `ampd watch` shows: a scene, drawn as lines of text of any size from 60 x 16 up."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

FLOOR_DB = -60.0
HOLD_S = 1.5
FALL_DB_PER_S = 20.0
LOUD_DB, HOT_DB = -12.0, -3.0
IN_TUNE_CENTS = 3.0
NEEDLE_CENTS = 50.0
BUSY, FULL = 0.5, 0.8  # of a period
TALL = 22  # lines from which the rig's name is large
WIDE = 110  # columns from which the chain has a column of its own
ENDS = ("input", "output")  # shown only where something was turned
GAUGE_WIDTH = 48  # what the counters need
SAME = 1e-6  # values have gone through float32
FLAGS = {"mute": "white on red", "bypass": "black on yellow", "tuner": "black on cyan"}
KEYS = (
    "↑↓ choose  enter load  ←→ rig  s snapshot  b bypass  m mute  t tuner  ! panic  z zero  q quit"
)
SHORT_KEYS = "↑↓ enter  ←→ rig  s snapshot  b bypass  m mute  t tuner  ! panic  z zero  q"


@dataclass
class Meter:
    """A level with a peak that stays for a while. Seconds are monotonic."""

    peak_db: float = FLOOR_DB
    rms_db: float = FLOOR_DB
    held_db: float = FLOOR_DB
    held_s: float = 0.0
    most_db: float = FLOOR_DB  # since it was zeroed
    told: bool = False

    def take(self, peak_db: float, rms_db: float, now_s: float) -> None:
        """A new reading."""
        self.peak_db, self.rms_db, self.told = peak_db, rms_db, True
        self.most_db = max(self.most_db, peak_db)
        if peak_db >= self.hold(now_s):
            self.held_db, self.held_s = peak_db, now_s

    def hold(self, now_s: float) -> float:
        """Where the peak stands now."""
        fallen = FALL_DB_PER_S * max(0.0, now_s - self.held_s - HOLD_S)
        return max(FLOOR_DB, self.held_db - fallen)


@dataclass
class Scene:
    """All that is shown. state: the daemon's, as JSON has it; empty while none answers."""

    state: dict[str, Any] = field(default_factory=dict)
    lost: str = ""  # why nothing is known now
    now_s: float = 0.0
    chosen: str = ""  # rig under the cursor
    note: str = ""  # about the last key
    trouble: str = ""  # the last fault or refusal
    meters: dict[str, Meter] = field(default_factory=lambda: {"in": Meter(), "out": Meter()})
    pitch: tuple[str, float, float] = ("", 0.0, 0.0)
    worst_load: float = 0.0  # since it was zeroed
    dismissed: str = ""  # the daemon's last error, when it was zeroed
    zero: Mapping[str, int] = field(default_factory=dict)  # counters, when they were zeroed


@dataclass(frozen=True)
class Glyphs:
    """What bars are drawn with."""

    full: str = "█"
    empty: str = "·"
    hold: str = "┃"
    rule: str = "─"
    plays: str = "▶"
    ascii_only: bool = False


PLAIN = Glyphs("#", ".", "|", "-", ">", True)


def glyphs() -> Glyphs:
    """Those that this terminal can show."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Glyphs() if encoding == "utf8" else PLAIN


def draw(scene: Scene, width: int, height: int, how: Glyphs) -> list[Text]:
    """Exactly `height` lines of at most `width` columns."""
    if not scene.state:
        text = scene.lost or "Waiting for the daemon's answer ..."
        lines = [
            Text(),
            Text(f"  {text}", "bold red" if scene.lost else ""),
            Text(),
            Text("  q quit"),
        ]
        return _fitted(lines, width, height)
    top = [*_head(scene, width), *_rig(scene, width, how, height >= TALL)]
    bottom = [*_tuner(scene, width, how), *_foot(scene, width, how)]
    room = max(0, height - len(top) - len(bottom))
    return _fitted([*top, *_middle(scene, width, room, how), *bottom], width, height)


def _fitted(lines: Sequence[Text], width: int, height: int) -> list[Text]:
    fitted = [*lines[:height], *(Text() for _ in range(height - len(lines)))]
    for line in fitted:
        line.truncate(width)
    return fitted


# --- above --------------------------------------------------------------------------------------


def _head(scene: Scene, width: int) -> list[Text]:
    state, jack = scene.state, scene.state["jack"]
    if scene.lost:
        left = Text(f" {scene.lost}", "bold white on red")
    elif jack["state"] == "running":
        period_ms = 1000 * jack["period_frames"] / max(1, jack["sample_rate_hz"])
        left = Text(
            f" JACK {jack['server']}  {jack['sample_rate_hz']} Hz  {jack['period_frames']} frames "
            f"({period_ms:.2f} ms)",
            "green",
        )
        if not jack["realtime"]:
            left.append("  NOT REAL-TIME", "bold red")
    else:
        reason = jack["reason"] or "looking for a server"
        left = Text(f" JACK {jack['state']}: {reason}", "bold red")
    hours, minutes = divmod(int(state["uptime_s"]) // 60, 60)
    return [_ends(left, Text(f"ampd {state['version']}  up {hours}:{minutes:02} ", "dim"), width)]


def _rig(scene: Scene, width: int, how: Glyphs, large: bool) -> list[Text]:
    state = scene.state
    heard, wanted = state["rig"] or state["wanted_rig"], state["wanted_rig"]
    programs = {rig["name"]: rig["program"] for rig in state["rigs"]}
    program = programs.get(heard)
    label = f"   {' '.join(heard) if large else heard}   {'' if program is None else program}  "
    name = Text(" ").append(label, "bold reverse")
    edge = [Text(" ").append(" " * len(label), "reverse")] if large else []
    if wanted != heard:
        name.append(f"  {how.plays} {wanted} is on its way", "yellow")
    flags = Text()
    for path, style in FLAGS.items():
        if state["globals"].get(path):
            flags.append(f" {path.upper()} ", f"bold {style}").append(" ")
    set_ = Text(" set ", "dim").append(state["set"] or "all rigs")
    snapshots = Text("   snapshot ", "dim") if state["snapshots"] else Text()
    here = round(state["values"].get("snapshot", 0))
    for number, snapshot in enumerate(state["snapshots"], 1):
        snapshots.append(f" {snapshot} ", "black on green" if number == here else "").append(" ")
    return [
        Text() if large else Text(how.rule * width, "dim"),
        *edge,
        _ends(name, flags, width),
        *edge,
        set_.append(snapshots),
        Text(how.rule * width, "dim"),
    ]


# --- middle -------------------------------------------------------------------------------------


def _middle(scene: Scene, width: int, room: int, how: Glyphs) -> list[Text]:
    left_width = min(30, max(20, width // 4))
    left = _bank(scene, left_width, room, how)
    right_width = width - left_width - 2
    if width < WIDE:
        right = [*_gauges(scene, right_width, how), Text(), *_chain(scene)]
        return _beside((left, left_width), (right, right_width), room=room)
    gauge_width = max(GAUGE_WIDTH, right_width // 2)
    gauges = (_gauges(scene, gauge_width, how), gauge_width)
    chain = (_chain(scene), right_width - gauge_width - 2)
    return _beside((left, left_width), gauges, chain, room=room)


def _beside(*columns: tuple[list[Text], int], room: int) -> list[Text]:
    lines = []
    for row in range(room):
        line = Text()
        for number, (column, width) in enumerate(columns):
            cell = column[row].copy() if row < len(column) else Text()
            last = number == len(columns) - 1
            cell.truncate(width, pad=not last)
            line.append(cell).append("" if last else "  ")
        lines.append(line)
    return lines


def _bank(scene: Scene, width: int, room: int, how: Glyphs) -> list[Text]:
    rigs = scene.state["rigs"]
    heard = scene.state["rig"] or scene.state["wanted_rig"]
    names = [rig["name"] for rig in rigs]
    at = names.index(scene.chosen) if scene.chosen in names else 0
    first = max(0, min(at - room // 2, len(rigs) - room))
    lines = []
    for rig in rigs[first : first + room]:
        mark = how.plays if rig["name"] == heard else "!" if rig["error"] else " "
        program = "" if rig["program"] is None else str(rig["program"])
        line = Text(f"{mark}{program:>3} {rig['name']}")
        style = "red" if rig["error"] else "" if rig["built"] else "dim"
        line.stylize("bold green" if rig["name"] == heard else style)
        line.truncate(width, pad=True, overflow="ellipsis")
        if rig["name"] == scene.chosen:
            line.stylize("reverse")
        lines.append(line)
    return lines or [Text(" no rigs", "dim")]


def _gauges(scene: Scene, width: int, how: Glyphs) -> list[Text]:
    bar = max(10, width - 26)
    lines = [_level(name, meter, scene.now_s, bar, how) for name, meter in scene.meters.items()]
    if not any(meter.told for meter in scene.meters.values()):
        lines = [Text("level    nothing was heard yet", "dim")]
    lines += [Text(), *_load(scene, bar, how), Text(), _late(scene)]
    switch, rate_hz = scene.state["last_switch"], scene.state["sample_rate_hz"]
    if switch:
        lines.append(
            Text("switch   ", "dim").append(
                f"{switch['source'] or '-'} to {switch['target']} {switch['ms_to_audible']:.1f} ms "
                f"({switch['method']})"
            )
        )
    latency_ms = 1000 * scene.state["latency_frames"] / max(1, rate_hz)
    lines.append(Text("rig      ", "dim").append(f"latency {latency_ms:.2f} ms"))
    return lines


def _level(name: str, meter: Meter, now_s: float, width: int, how: Glyphs) -> Text:
    def place(level_db: float) -> int:
        share = (min(0.0, max(FLOOR_DB, level_db)) - FLOOR_DB) / -FLOOR_DB
        return round(share * width)

    line = Text(f"{name:<9}", "dim")
    lit, hold = place(meter.peak_db), place(meter.hold(now_s))
    for at in range(width):
        level_db = FLOOR_DB - FLOOR_DB * at / width
        style = "red" if level_db >= HOT_DB else "yellow" if level_db >= LOUD_DB else "green"
        if at == hold - 1 and hold > 0:
            line.append(how.hold, f"bold {style}")
        else:
            line.append(how.full if at < lit else how.empty, style if at < lit else "dim")
    line.append(f" {meter.peak_db:6.1f}" if meter.told else "      -")
    clipped = meter.most_db >= 0.0
    line.append(f" max {meter.most_db:5.1f}", "bold red" if clipped else "dim")
    return line


def _load(scene: Scene, width: int, how: Glyphs) -> list[Text]:
    load = scene.state["load"]
    if scene.state["jack"]["state"] != "running":
        return [Text("load     no server drives the engine", "dim")]
    lines = []
    shown = (("p50", load["p50"]), ("p99", load["p99"]), ("max", load["maximum"]))
    for number, (name, share) in enumerate(shown):
        style = "red" if share >= FULL else "yellow" if share >= BUSY else "green"
        lit = min(width, round(share * width))
        line = Text(f"{'' if number else 'load':<5}{name} ", "dim")
        line.append(how.full * lit, style).append(how.empty * (width - lit - 1), "dim")
        line.append(f" {100 * share:6.1f} %")
        if name == "max":
            line.append(f" {100 * scene.worst_load:5.0f} %", "dim")
        lines.append(line)
    return lines


COUNTERS = ("late_engine", "late_machine", "xruns")


def counted(state: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a state by the names of COUNTERS."""
    both = {**state["load"], **state["jack"]}
    return {name: both[name] for name in COUNTERS}


def _late(scene: Scene) -> Text:
    """Dropouts by who caused them."""
    line = Text("late     ", "dim")
    words = ("engine", "machine", "xruns of JACK")
    for name, word in zip(COUNTERS, words, strict=True):
        count = counted(scene.state)[name] - scene.zero.get(name, 0)
        bad = "bold red" if name == "late_engine" else "yellow"
        line.append(f"{word} ").append(f"{count}", bad if count else "green").append("  ")
    return line


def _chain(scene: Scene) -> list[Text]:
    """A line a block, in the order of the sound, with its p50, p99 and longest share of a period
    and what is not as the block itself has it."""
    state = scene.state
    loads = {load["name"].partition("+")[0]: load for load in state["load"]["blocks"]}
    blocks: dict[str, Text] = {}
    for path, value in state["values"].items():
        block, _, name = path.rpartition("/")
        knob = state["params"].get(path)
        if not block or knob is None:
            continue
        line = blocks.setdefault(block, _block(block, loads.get(block)))
        if name == "bypass":
            if value:
                line.append(" BYPASSED", "yellow")
        elif abs(value - knob["default"]) > SAME * max(1.0, abs(value)):
            unit = knob["unit"]
            bare = name.removesuffix(f"_{unit.lower()}") if unit else name
            line.append(f" {bare} ", "dim").append(f"{value:g}{' ' * bool(unit)}{unit}")
    head = [Text("block     p50   p99   max %", "dim")] if loads else []
    return head + [line for name, line in blocks.items() if name not in ENDS or line.spans[1:]]


def _block(name: str, load: Mapping[str, float] | None) -> Text:
    line = Text().append(f"{name:<8}", "bold")
    if load is not None:
        shares = (100 * load[key] for key in ("p50", "p99", "maximum"))
        line.append("".join(f"{share:6.2f}"[:6] for share in shares), "dim")
    return line


# --- below --------------------------------------------------------------------------------------


def _tuner(scene: Scene, width: int, how: Glyphs) -> list[Text]:
    if not scene.state["globals"].get("tuner"):
        return []
    note, cents, hz = scene.pitch
    scale_width = max(11, min(61, (width - 40) // 2 * 2 + 1))
    middle = scale_width // 2
    scale = [how.rule] * scale_width
    scale[middle] = "|" if how.ascii_only else "┼"
    in_tune = abs(cents) <= IN_TUNE_CENTS
    line = Text("  ").append(f" {note or '-':<3}", "bold reverse" if hz > 0 else "dim").append("  ")
    at = middle + round(max(-1.0, min(1.0, cents / NEEDLE_CENTS)) * middle)
    for number, mark in enumerate(scale):
        if hz > 0 and number == at:
            line.append("#" if how.ascii_only else "█", "bold green" if in_tune else "bold yellow")
        else:
            line.append(mark, "" if number == middle else "dim")
    if hz > 0:
        turn = "in tune" if in_tune else "tune up" if cents < 0 else "tune down"
        line.append(f" {cents:+5.1f} c {hz:7.2f} Hz  {turn}", "green" if in_tune else "")
    return [Text(how.rule * width, "dim"), line]


def _foot(scene: Scene, width: int, how: Glyphs) -> list[Text]:
    state = scene.state
    error = "" if state["last_error"] == scene.dismissed else state["last_error"]
    trouble = scene.trouble or error or next(iter(state["warnings"]), "")
    keys = KEYS if width >= len(KEYS) + 2 else SHORT_KEYS
    if how.ascii_only:
        keys = keys.replace("↑↓", "up/dn").replace("←→", "</>")
    told = Text(f" {scene.note}") if scene.note else Text(f" {trouble}", "red")
    told.truncate(width, overflow="ellipsis")
    return [Text(how.rule * width, "dim"), told, Text(f" {keys}", "dim")]


def _ends(left: Text, right: Text, width: int) -> Text:
    gap = width - left.cell_len - right.cell_len
    if gap < 1:
        left = left.copy()
        left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
        gap = width - left.cell_len - right.cell_len
    return left.copy().append(" " * max(1, gap)).append(right)
