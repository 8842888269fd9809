"""The remote's own figures, each as one JSON line; no sound card.

    python -m tests.bench.remote [echo] [flood] [page] [step] [back]

echo   OSC command to its answer at the same client, over `--rounds`, idle and with a page,
       ampd watch and four subscribers on, the meters moving
flood  valid messages for `--seconds` at `--rate`, with hostile packets between them: does control
       live, how long after the last message is the last value in force, and does one sample of the
       sound differ from the same sound without them
page   chromium here: touch to the accepted value shown, bytes and ms of a first visit, CPU time
       of the daemon's loop with the page on and the meters moving
step   two pages, an OSC client and a MIDI controller turn the same knobs at random for `--seconds`:
       how long after the last change do all show the same
back   the daemon is killed and started again `BACKS` times: from the start of its process and from
       its first answer until an open page shows the rig again, without a reload
"""

import argparse
import fcntl
import json
import os
import pty
import random
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ampd.control.packet import encode
from tests.demo.osc import Osc
from tests.demo.stage import AMPD, Stage
from tests.e2e.flood import HARMLESS, Flood, harmless
from tests.e2e.foot import control
from tests.e2e.rack import RATE_HZ, RIGS, SILENCE_FRAMES, Rack, noise, write_library

ADDRESS = "/ampd/input/gain_db"
SUBSCRIBERS = 4
TICKS = os.sysconf("SC_CLK_TCK")
CPU_SECONDS = 10.0
BACKS = 10
SETTINGS = {"rigs": '"rigs"', "models": '"models"', "server_name": '"remote"'}


@contextmanager
def live(rigs: Mapping[str, str] = RIGS) -> Iterator[Rack]:
    """A daemon that plays the first of the rigs on a server of its own."""
    with (
        tempfile.TemporaryDirectory() as name,
        Stage(Path(name), private=True, server_name="remote") as stage,
    ):
        write_library(Path(name), rigs)
        stage.start_server()
        running = stage.start_daemon("--rig", next(iter(rigs)), settings=SETTINGS)
        with running.osc() as osc:
            rack = Rack(stage, running, osc)
            rack.until_jack("running")
            yield rack


def say(**row: Any) -> None:
    print(json.dumps(row), flush=True)


def percentiles(ms: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(ms, [50, 95, 99])
    return {
        "p50": round(p50, 3),
        "p95": round(p95, 3),
        "p99": round(p99, 3),
        "max": round(max(ms), 3),
    }


def echo_ms(osc: Osc, rounds: int) -> list[float]:
    """From the send to the answer, a new value each time."""
    found = []
    for number in range(rounds):
        begin = osc.send(ADDRESS, float(number % 80 - 40))
        answer = osc.wait(lambda m: m.address == ADDRESS)
        found.append(1000.0 * (answer.second - begin))
        time.sleep(0.002)
    return found


def cpu_seconds(pid: int, of: str = "") -> float:
    """User and system time so far of a process, or of its thread that runs the control plane."""
    fields = Path(f"/proc/{pid}{of}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def terminal(port: int) -> Iterator[None]:
    """ampd watch on a terminal of 80x24 that somebody reads."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    argv = [AMPD, "watch", "--port", str(port)]
    watch = subprocess.Popen(argv, stdin=writer, stdout=writer, stderr=writer, close_fds=True)
    os.close(writer)
    threading.Thread(target=_read_all, args=(reader,), daemon=True).start()
    try:
        yield
    finally:
        watch.terminate()
        watch.wait(10.0)
        os.close(reader)


def _read_all(reader: int) -> None:
    with suppress(OSError):
        while os.read(reader, 65536):
            pass


def measure_echo(options: argparse.Namespace) -> None:
    from tests.e2e.browser import Page  # noqa: PLC0415 (selenium)

    with live() as rack, ExitStack() as stack:
        osc = rack.osc
        passage = rack.begin(noise(options.rounds * 0.05))  # so that the meters move
        idle = echo_ms(osc, options.rounds)
        say(bench="osc_echo_ms", load="idle", rounds=len(idle), limit_p99=5, **percentiles(idle))
        for _ in range(SUBSCRIBERS):
            stack.enter_context(rack.daemon.osc()).ask("/ampd/subscribe")
        page = Page(rack.daemon.port)
        stack.callback(page.close)
        page.open("#edit")
        stack.enter_context(terminal(rack.daemon.port))
        busy = echo_ms(osc, options.rounds)
        passage.player.stop()
        load = f"page, terminal, meters of {SUBSCRIBERS} subscribers"
        say(bench="osc_echo_ms", load=load, rounds=len(busy), limit_p99=15, **percentiles(busy))


def measure_flood(options: argparse.Namespace) -> None:
    """The same sound through the daemon twice, the second time with the flood beside it."""
    with live({"net": RIGS["net"]}) as rack:
        osc, sound = rack.osc, noise(options.seconds)
        calm = rack.passed(sound)
        flood = Flood(rack.daemon.port, harmless(osc), options.rate)
        before, begin = cpu_seconds(rack.pid), time.monotonic()
        passage = rack.begin(sound)
        flood.start()
        flooded = passage.end()
        busy = (cpu_seconds(rack.pid) - before) / (time.monotonic() - begin)
        last_s = flood.end(encode(HARMLESS, [441.5]))
        while (value := osc.ask(HARMLESS).values[0]) != 441.5:
            if time.monotonic() - last_s > 20.0:
                break
        settled_ms = 1000.0 * (time.monotonic() - last_s)
    differ = int((calm[SILENCE_FRAMES:] != flooded[SILENCE_FRAMES:]).any(axis=1).sum())
    say(
        bench="osc_flood",
        messages_per_s=round(flood.sent / flood.seconds),
        seconds=round(flood.seconds, 1),
        last_value_ms=round(settled_ms, 1),
        limit_ms=50,
        in_force=value == 441.5,
        frames_that_differ=differ,
        of_frames=len(calm) - SILENCE_FRAMES,
        daemon_cores=round(busy, 2),
    )


TOUCH = """
const done = arguments[0];
const node = document.querySelector('.pad.bypass');
const times = [];
const touch = () => {
  const begin = performance.now();
  const wanted = node.getAttribute('aria-pressed') === 'true' ? 'false' : 'true';
  const seen = new MutationObserver(() => {
    if (node.getAttribute('aria-pressed') !== wanted) return;
    seen.disconnect();
    times.push(performance.now() - begin);
    if (times.length < 200) setTimeout(touch, 30); else done(times);
  });
  seen.observe(node, { attributes: true });
  node.click();
};
touch();
"""


def measure_page(options: argparse.Namespace) -> None:
    from tests.e2e.browser import Page  # noqa: PLC0415 (selenium)

    with live() as rack:
        page = Page(rack.daemon.port)
        try:
            usable = [page.open() for _ in range(5)]
            size = page.run(
                "return performance.getEntries().reduce((n, e) => n + (e.encodedBodySize || 0), 0)"
            )
            page.driver.set_script_timeout(60)
            touches = page.driver.execute_async_script(TOUCH)
            passage = rack.begin(noise(2 * CPU_SECONDS))
            loop = f"/task/{rack.pid}"
            before, begin = cpu_seconds(rack.pid, loop), time.monotonic()
            time.sleep(CPU_SECONDS)
            share = (cpu_seconds(rack.pid, loop) - before) / (time.monotonic() - begin)
            passage.player.stop()
        finally:
            page.close()
    say(bench="page_first_visit", ms=round(min(usable)), limit_ms=1000, bytes=size, limit=300_000)
    say(bench="page_touch_ms", touches=len(touches), limit_p95=60, **percentiles(touches))
    say(
        bench="control_cpu", share_of_a_core=round(share, 4), limit=0.05, with_="page, meters 25 Hz"
    )


TURN = """
const keys = ['ArrowRight', 'ArrowLeft', 'PageUp', 'PageDown', 'Home', 'Delete'];
window.turning = setInterval(() => {
  const faders = document.querySelectorAll('.fader');
  const fader = faders[Math.floor(Math.random() * faders.length)];
  const key = keys[Math.floor(Math.random() * keys.length)];
  fader.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
}, 50);
"""
SHOWN = """
return Object.fromEntries([...document.querySelectorAll('.fader')].map(
  (n) => [n.dataset.path, Number(n.getAttribute('aria-valuenow'))]))
"""


CONTROLS = {20: "gain/gain_db", 21: "eq/low_db", 22: "delay/mix", 23: "reverb/mix"}
WIDE = "program: 0\nchain: [gain: {}, eq: {}, delay: {}, reverb: {}]\nmidi:\n" + "".join(
    f"  - {{control: {control}, path: {path}}}\n" for control, path in CONTROLS.items()
)


def measure_step(options: argparse.Namespace) -> None:
    from tests.e2e.browser import TABLET, Page  # noqa: PLC0415 (selenium)

    chance = random.Random(1)
    events = range(0, int(options.seconds * RATE_HZ), RATE_HZ // 20)
    script = [(at, control(chance.choice(list(CONTROLS)), chance.randrange(128))) for at in events]
    with live({"wide": WIDE}) as rack, ExitStack() as stack:
        osc, port = rack.osc, rack.daemon.port
        pages = [Page(port), Page(port, TABLET)]
        for page in pages:
            stack.callback(page.close)
            page.open("#edit")
            page.run(TURN)
        paths = list(pages[0].run(SHOWN))
        foot = rack.begin(noise(options.seconds, silence_frames=0), script)
        deadline, turns = time.monotonic() + options.seconds, 0
        while time.monotonic() < deadline:
            osc.ask(f"/ampd/{chance.choice(paths)}/norm", chance.random())
            turns += 1
            time.sleep(0.02)
        foot.end()
        for page in pages:
            page.run("clearInterval(window.turning)")
        last = time.monotonic()
        while True:
            shown = [page.run(SHOWN) for page in pages]
            held = {path: osc.ask(f"/ampd/{path}").values[0] for path in paths}
            same = all(held[p] == each[p] for each in shown for p in paths)
            took_ms = 1000.0 * (time.monotonic() - last)
            if same or took_ms > 5000:
                break
    say(
        bench="in_step",
        seconds=options.seconds,
        knobs=len(paths),
        osc_turns=turns,
        midi_turns=len(script),
        same=same,
        ms=round(took_ms),
        limit=100,
    )


def measure_back(options: argparse.Namespace) -> None:
    from tests.e2e.browser import Page  # noqa: PLC0415 (selenium)

    rig = next(iter(RIGS))
    started_ms, answered_ms = [], []
    with live() as rack, ExitStack() as stack:
        port = rack.daemon.port
        page = Page(port)
        stack.callback(page.close)
        page.open()
        page.run("window.kept = true")
        daemon = rack.daemon
        for _ in range(BACKS):
            daemon.running.process.kill()
            daemon.running.wait(5.0)
            page.until(lambda: page.find("#lost").is_displayed(), "the page says that it is lost")
            begin = time.monotonic()
            daemon = rack.stage.start_daemon("--rig", rig, settings=SETTINGS, port=port)
            daemon.osc().__exit__(None, None, None)
            answers = time.monotonic()
            page.until(
                lambda: not page.find("#lost").is_displayed() and page.text("#stage h1") == rig,
                "the page is whole again",
            )
            now = time.monotonic()
            started_ms.append(1000.0 * (now - begin))
            answered_ms.append(1000.0 * (now - answers))
        kept = bool(page.run("return window.kept"))
    say(bench="page_back_from_start_ms", kills=BACKS, kept=kept, **percentiles(started_ms))
    say(bench="page_back_ms", kills=BACKS, kept=kept, limit=2000, **percentiles(answered_ms))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("what", nargs="*", default=["echo", "flood", "page", "step", "back"])
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=20_000)
    options = parser.parse_args()
    measures: dict[str, Callable[[argparse.Namespace], None]] = {
        "echo": measure_echo,
        "flood": measure_flood,
        "page": measure_page,
        "step": measure_step,
        "back": measure_back,
    }
    for name in options.what:
        measures[name](options)


if __name__ == "__main__":
    main()
