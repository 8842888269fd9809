"""`ampd-train capture`."""

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trainer.capture.levels import FULL_SCALE, Levels, decibels
from trainer.capture.recorder import Server, survey
from trainer.capture.signal import LEAST_MINUTES, MOST_MINUTES
from trainer.capture.take import capture, check_place, prepare_sound, take_recipe
from trainer.doctor.report import as_lines
from trainer.errors import RecipeError
from trainer.recipe import SHAPE_KEYS, ModelConfig

NAME = "capture"
HELP = "play the signal through the gear and record it (JACK)"
ABOUT = """\
Sends the test signal through your gear and records what comes back, through JACK. What it leaves
is a folder OUT/NAME with input.wav, target.wav and recipe.yaml, ready to train.

  ampd-train capture --list
  ampd-train capture --out takes --name plexi --send system:playback_3 --return system:capture_2
  ampd-train capture --out takes --name plexi --signal my-di.wav --gear_make Marshall

Cables: send -> the gear's input (a reamp box makes the level and impedance of a guitar), the gear
-> a loudspeaker or a load, microphone or line out -> return. Set the send so that the gear sounds
as it does under your hands; set the return to peak between -12 and -3 dBFS.

The take ends early where the return is silent or clipped. Where JACK loses frames (an xrun) the
tape is wound back and goes on from before that; the seam must fit to the frame. The round trip is
measured by the blips and taken off; then the doctor looks. A take that is clipped, inverted, torn
or silent is refused and leaves no file."""

BAR = 46
BOTTOM_DB = -60.0


def gear_keys() -> list[dataclasses.Field[object]]:
    """The keys of a recipe's model section that say what the gear is."""
    shapes = {key for keys in SHAPE_KEYS.values() for key in keys}
    fields = dataclasses.fields(ModelConfig)
    return [f for f in fields if f.name not in shapes | {"name", "architecture"}]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, through which ports, and what the model file will say."""
    parser.add_argument("--list", action="store_true", help="show the ports, record nothing")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the take goes to DIR/NAME")
    parser.add_argument("--name", default="take", help="of the take and its model; default take")
    parser.add_argument("--send", metavar="PORT", help="to the gear; default: the first")
    parser.add_argument("--return", metavar="PORT", dest="back", help="from it; default: the first")
    parser.add_argument(
        "--signal", type=Path, metavar="FILE", help="of ampd-train signal, or any dry guitar"
    )
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="of the signal made here; default 3"
    )
    parser.add_argument("--inverted", action="store_true", help="the gear itself inverts: keep it")
    parser.add_argument("--recipe", default="realtime", help="to train with; default realtime")
    group = parser.add_argument_group("gear", "what the model file says about it")
    for field in gear_keys():
        group.add_argument(f"--{field.name}", metavar="VALUE", help=str(field.metadata["text"]))


def run(options: argparse.Namespace) -> int:
    """0 where a take was kept."""
    if options.list:
        print(as_list(survey()))
        return 0
    if options.out is None:
        raise RecipeError("--out DIR: missing; name the folder for your takes")
    if not LEAST_MINUTES <= options.minutes <= MOST_MINUTES:
        raise RecipeError(
            f"--minutes: found {options.minutes:g}, expected {LEAST_MINUTES:g} to {MOST_MINUTES:g}"
        )
    folder = options.out.resolve() / options.name
    keys = {
        f"model.{f.name}": v for f in gear_keys() if (v := getattr(options, f.name)) is not None
    }
    keys["model.name"] = options.name
    take_recipe(options.recipe, folder, {}, keys)  # a wrong key is told of before a note is played
    check_place(folder)
    server = survey()
    ports = server.send(options.send), server.return_(options.back)
    sound = prepare_sound(options.signal, server, options.minutes)
    recipe = take_recipe(options.recipe, folder, sound.splits, keys)
    console = Console(stderr=True)
    say(console, f"send {ports[0]}, return {ports[1]}, {sound.sample_rate_hz} Hz")
    meters = Meters(sound.sample_rate_hz)
    with Live(console=console, get_renderable=meters.render, refresh_per_second=8, transient=True):
        kept = capture(sound, ports, folder, recipe, meters.show, options.inverted)
    for line in (*as_lines(kept.diagnosis), *filter(None, (kept.remark, meters.tears()))):
        say(console, f"take: {line}")
    shown = options.out / options.name
    print(f"kept {shown}: round trip {kept.lag_frames:.2f} frames, taken off")
    print(f"next: ampd-train train {shown / 'recipe.yaml'}")
    return 0


def say(console: Console, line: str) -> None:
    """One plain line."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def as_list(server: Server) -> str:
    """Rate, period, and the ports that --send and --return take."""
    lines = [f"JACK at {server.sample_rate_hz} Hz, {server.period_frames} frames a period"]
    for title, names in (("--send", server.sends), ("--return", server.returns)):
        lines.append(title)
        lines += [f"  {n}{'' if n in server.physical else '  (software)'}" for n in names]
    return "\n".join(lines)


class Meters:
    """What the take sounds like right now."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._now = Levels(0, 1, 0.0, 0.0, False, 0)
        self._held = [0.0, 0.0]

    def show(self, levels: Levels) -> None:
        """Take in the next levels."""
        peaks = (levels.sent_peak, levels.heard_peak)
        self._held = [max(held, peak) for held, peak in zip(self._held, peaks, strict=True)]
        self._now = levels

    def tears(self) -> str:
        """How often the tape was wound back; "" if it never was."""
        count = self._now.tears
        return f"xruns: {count} x wound back and spliced, without a slip" if count else ""

    def render(self) -> RenderableType:
        """Two bars with their peaks held, the clip lamp, the time left."""
        table = Table.grid(padding=(0, 1))
        now = self._now
        for name, peak, held in zip(
            ("send", "return"), (now.sent_peak, now.heard_peak), self._held, strict=True
        ):
            lamp = (
                Text(" CLIP ", "bold white on red") if held >= FULL_SCALE else Text(" clip ", "dim")
            )
            table.add_row(name, bar(peak, held), f"{decibels(held):6.1f} dBFS", lamp)
        left_s = (now.frames - now.position) / self._rate
        xruns = f", {now.tears} x wound back after an xrun" if now.tears else ""
        return Group(table, Text(f"{left_s:.0f} s left{xruns}"))


def bar(peak: float, held: float) -> Text:
    """-60 to 0 dBFS; green, yellow from -12, red from -3; a line where the highest peak was."""
    text = Text()
    lit, mark = (round(BAR * (1 - max(BOTTOM_DB, decibels(p)) / BOTTOM_DB)) for p in (peak, held))
    for place in range(BAR):
        level_db = BOTTOM_DB * (1 - place / BAR)
        colour = "green" if level_db < -12 else "yellow" if level_db < -3 else "red"
        if place < lit:
            text.append("█", colour)
        else:
            text.append("│" if place == min(mark, BAR) - 1 else "·", colour if mark else "dim")
    return text
