"""What `make demo` runs: a guitar through the daemon, rigs switched from outside, all recorded.

Four kinds of processes, none of which knows the others: the JACK server (the one that runs, or a
private one), the daemon, a player and a recorder, and the senders of OSC and MIDI.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from tests.demo import guitar
from tests.demo.osc import Message, Osc
from tests.demo.stage import (
    AMPD,
    ROOT,
    Daemon,
    Running,
    Stage,
    StageError,
    status,
    until_status,
)
from tests.demo.take import Switch, Take, draw

OUT = ROOT / "build" / "demo"
RATE_HZ = 48_000  # of the models that ship
MAX_DI_S = 600.0
TAIL_S = 0.5
# When, as a share of the part; how; to which rig ("": the next one).
SCORE: tuple[tuple[float, str, str], ...] = (
    (0.13, "OSC", "amp"),
    (0.31, "MIDI", "drive"),
    (0.42, "OSC", ""),
    (0.53, "MIDI", "clean"),
    (0.62, "OSC", "drive"),
    (0.775, "MIDI", "amp"),
    (0.885, "OSC", "clean"),
)


@dataclass
class Show:
    """One performance: who plays, what was asked, what was heard."""

    stage: Stage
    daemon: Daemon
    osc: Osc
    client: str
    programs: dict[str, int]
    switches: list[Switch] = field(default_factory=list)
    loads: list[dict[str, float]] = field(default_factory=list)


def say(text: str) -> None:
    print(text, flush=True)


def resample(sound: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """The whole signal at another rate, by its spectrum: linear phase, no images."""
    if from_hz == to_hz:
        return sound
    frames = round(len(sound) * to_hz / from_hz)
    pad = np.zeros(from_hz // 10, np.float32)  # keeps the end from leaking into the start
    padded = np.concatenate([sound, pad])
    spectrum = np.fft.rfft(padded)
    length = round(len(padded) * to_hz / from_hz)
    scaled = np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / len(padded))
    return np.asarray(scaled[:frames], np.float32)


def read_part(di: Path | None) -> tuple[NDArray[np.float32], int]:
    """What to play, as one channel, and its rate: the project's guitar, or the user's own."""
    if di is None:
        return guitar.make(), guitar.SAMPLE_RATE_HZ
    if not di.is_file():
        raise StageError(f"{di}: no such file; DI= names a WAV or FLAC of a guitar")
    if (seconds := sf.info(di).duration) > MAX_DI_S:
        raise StageError(f"{di}: {seconds:.0f} s long, expected at most {MAX_DI_S:.0f} s")
    channels, rate_hz = sf.read(di, dtype="float32", always_2d=True)
    if len(channels) < rate_hz or not np.isfinite(channels).all():
        raise StageError(f"{di}: shorter than a second, or samples that are no numbers")
    return channels[:, int(np.argmax(np.square(channels).mean(axis=0)))], rate_hz  # the played one


def find_server(directory: Path, stack: contextlib.ExitStack) -> Stage:
    """A stage on the server that runs already, or a private one; it ends with `stack`."""
    socket = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "pipewire-0"
    wrappers: list[tuple[str, ...]] = [()]
    if socket.exists() and shutil.which("pw-jack"):
        wrappers.append(("pw-jack", "-p", "64"))
    for wrapper in wrappers:
        stage = stack.enter_context(Stage(directory / "log", wrapper=wrapper))
        server = stage.probe()
        if not server:
            continue
        running = f"{'PipeWire' if wrapper else 'JACK'} runs at {_rate(server)}"
        if server["sample_rate_hz"] == RATE_HZ:
            say(f"server    {running}: this one is used")
            return stage
        say(f"server    {running}; the models that ship are made for {RATE_HZ} Hz, so")
    stage = stack.enter_context(Stage(directory / "log", private=True))
    stage.start_server(rate_hz=RATE_HZ)
    server = stage.probe()
    if not server:
        raise StageError("the private JACK server does not answer")
    threads = "real-time" if server["realtime"] else "no real-time"
    say(f"server    private jackd -d dummy, {_rate(server)}, {threads} threads")
    return stage


def _rate(server: dict[str, Any]) -> str:
    return f"{server['sample_rate_hz']} Hz, {server['period_frames']} frames"


def open_show(stage: Stage) -> Show:
    """Start the daemon on the clean rig and wait until it plays."""
    jack = {} if stage.private else {"outputs": '["system:playback_1", "system:playback_2"]'}
    daemon = stage.start_daemon("--rig", "clean", settings=jack)
    osc = daemon.osc()
    now = until_status(osc, lambda s: s["jack"]["state"] == "running", "ampd runs on the server")
    client = now["jack"]["client"]
    now = until_status(osc, lambda s: s["rig"] == "clean", "the rig clean plays")
    programs = {rig["name"]: rig["program"] for rig in now["rigs"] if rig["program"] is not None}
    osc.ask("/ampd/subscribe")
    say(f"daemon    ampd, pid {daemon.running.process.pid}, OSC port {daemon.port}, {now['isa']}")
    say(f"rigs      {', '.join(f'{name} (program {n})' for name, n in programs.items())}")
    return Show(stage, daemon, osc, client, programs)


def ask_for(show: Show, way: str, rig: str) -> tuple[str, float]:
    """Send one switch from a process of its own; returns what was sent, and when."""
    if way == "MIDI":
        number = show.programs[rig]
        sender = show.stage.tool("program", number, "--to", f"{show.client}:midi_in")
        return f"MIDI program change {number}", sender.wait_for("program")["second"]
    message = ["/ampd/rig", "s", rig] if rig else ["/ampd/rig/next"]
    second = time.monotonic()
    show.stage.run("oscsend", ["oscsend", "127.0.0.1", str(show.daemon.port), *message])
    return " ".join(["OSC", message[0], rig]).strip(), second


def switch(show: Show, way: str, rig: str) -> Switch:
    """Ask for a rig and wait for the news that it is heard."""
    sent, asked = ask_for(show, way, rig)

    def swapped(message: Message) -> bool:
        return message.address == "/ampd/event/swap" and rig in ("", message.values[0])

    heard = [m for m in show.osc.heard if swapped(m) and m.second >= asked]
    try:
        news = heard[0] if heard else show.osc.wait(swapped)
    except TimeoutError:
        reason = status(show.osc)["last_error"] or "ampd gives no reason"
        raise StageError(f"{sent} is not heard: {reason}") from None
    to, before, ms = str(news.values[0]), str(news.values[1]), float(news.values[2])
    return Switch(to, before, sent, asked, news.second, ms)


def wait_till(show: Show, second: float, player: Running) -> None:
    """Listen to the daemon until this moment of the part; twice a second ask how it is."""
    next_look = 0.0
    while (left := second - time.monotonic()) > 0 and not player.ended:
        if time.monotonic() > next_look:
            show.loads.append(status(show.osc)["load"])
            next_look = time.monotonic() + 0.5
        show.osc.receive(min(left, 0.2))


def perform(show: Show, part: Path, length_s: float, wav: Path) -> None:
    """Play the part, record both outputs, switch rigs on the way."""
    name = show.client
    record = show.stage.tool("record", wav, "--from", f"{name}:out_1", f"{name}:out_2")
    record.wait_for("ready")
    player = show.stage.tool("play", part, "--to", f"{name}:in_1")
    player.wait_for("ready")
    start = time.monotonic()
    say(f"playing   {length_s:.1f} s; the rig is clean")
    for share, way, rig in SCORE:
        wait_till(show, start + share * length_s, player)
        done = switch(show, way, rig)
        show.switches.append(done)
        say(f"  {done.asked_second - start:6.2f} s  {done.way:24} -> {done.rig}")
    wait_till(show, start + length_s + 30.0, player)
    if player.wait(5.0) != 0:
        raise StageError(f"the player failed: {player.last_words()}")
    wait_till(show, time.monotonic() + TAIL_S, record)
    record.stop()
    record.wait_for("recorded")


def report(show: Show, wav: Path, png: Path, title: str) -> None:
    """Say what is in the take, from the take itself."""
    now = status(show.osc)
    load, jack = now["load"], now["jack"]
    take = Take(wav)
    draw(take, show.switches, title, png)
    say("")
    say(f"recording {wav.relative_to(ROOT)}  ({len(take.sound) / take.rate_hz:.1f} s, 2 channels)")
    say(f"picture   {png.relative_to(ROOT)}")
    say("")
    say("  heard at  rig      asked by                  to audible   step   steady    ratio")
    for done, steps in zip(show.switches, take.steps(show.switches), strict=True):
        at = take.frame_at(done.audible_second) / take.rate_hz
        say(
            f"  {at:6.2f} s  {done.rig:8} {done.way:24} {done.ms_to_audible:8.2f} ms"
            f"  {steps.at_switch:6.4f}  {steps.steady:6.4f}  {steps.at_switch / steps.steady:6.2f}"
        )
    say("  step: the largest from sample to sample around the switch; steady: the largest of the")
    say("  two rigs away from it; a ratio up to 1.05 is a switch that nobody hears as a fault")
    say("")
    p50 = statistics.median(x["p50"] for x in show.loads)
    p99, most = (max(x[key] for x in show.loads) for key in ("p99", "maximum"))
    say(f"load      median {p50:.1%} of a period, worst second p99 {p99:.1%}, peak {most:.1%}")
    say(f"xruns     caused by the engine: {load['late_engine']}")
    say(f"          by the machine (the audio thread did not run): {load['late_machine']}")
    say(f"          reported by the server, whoever caused them: {jack['xruns']}")
    if len(take.gaps):
        say(f"gaps      {len(take.gaps)} in the recording: the machine stalled; not counted")
    silent = take.silences()
    if silent:
        say(f"silence   {silent} frames of exact silence inside the take")


def play_demo(directory: Path, di: Path | None) -> None:
    for needed in ("jackd", "oscsend"):
        if not shutil.which(needed):
            raise StageError(f"{needed} is not installed; make demo installs it")
    if not Path(AMPD).exists():
        raise StageError(f"{AMPD} is missing; make demo builds it")
    sound = resample(*read_part(di), RATE_HZ)
    directory.mkdir(parents=True, exist_ok=True)
    part, length_s = directory / "guitar.wav", len(sound) / RATE_HZ
    sf.write(part, sound, RATE_HZ, subtype="FLOAT")
    with contextlib.ExitStack() as stack:
        stage = find_server(directory, stack)
        show = open_show(stage)
        wav, png = directory / "take.wav", directory / "take.png"
        perform(show, part, length_s, wav)
        name = di.name if di else "A plucked-string guitar"
        report(show, wav, png, f"{name} through ampd: {len(SCORE)} switches by OSC and MIDI")
        code = show.daemon.running.stop()
        if code != 0:
            raise StageError(f"ampd ended with {code}: {show.daemon.running.last_words()}")
    say("stopped   everything that the demo started")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--di", type=Path, help="play this recording of a guitar instead")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        play_demo(args.out.resolve(), args.di)
    except KeyboardInterrupt:
        print(
            "\nstopped by the player; everything that the demo started has ended", file=sys.stderr
        )
        return 130
    except (StageError, TimeoutError, sf.LibsndfileError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
