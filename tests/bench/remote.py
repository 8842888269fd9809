"""The remote's own figures, each as one JSON line; no JACK, and no sound card.

    python -m tests.bench.remote [echo] [flood] [page] [step]

echo   OSC command to its answer at the same client, over `--rounds`, idle and with a page, 25 Hz of
       tuner and four subscribers on
flood  valid messages for `--seconds` at `--rate`, with hostile packets between them: does control
       live, and how long after the last message is the last value in force
page   chromium here: touch to the accepted value shown, bytes and ms of a first visit, CPU time
       of the daemon with the page and the tuner on
step   two pages and an OSC client turn the same knobs at random for `--seconds`: how long after the
       last change do all show the same
"""

import argparse
import json
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pythonosc.osc_message_builder import OscMessageBuilder

from tests.demo.osc import Osc
from tests.demo.stage import Daemon, Stage

ADDRESS = "/ampd/input/gain_db"
SUBSCRIBERS = 4
TICKS = os.sysconf("SC_CLK_TCK")
HOSTILE = Path(__file__).resolve().parents[3] / "shared" / "osc-hostile.json"
CPU_SECONDS = 10.0


@contextmanager
def daemon() -> Iterator[Daemon]:
    """A daemon with the project's rigs that finds no server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stage(Path(folder), server_name="nobody") as stage,
    ):
        settings = {"server_name": '"nobody"'}
        program = (sys.executable, "-m", "ampd.cli")
        yield stage.start_daemon("--rig", "clean", settings=settings, program=program)


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


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure_echo(options: argparse.Namespace) -> None:
    from tests.e2e.browser import Page  # noqa: PLC0415 (selenium)

    with daemon() as running, running.osc() as osc:
        osc.ask("/ampd/ping")
        idle = echo_ms(osc, options.rounds)
        say(bench="osc_echo_ms", load="idle", rounds=len(idle), limit_p99=5, **percentiles(idle))
        with ExitStack() as stack:
            for _ in range(SUBSCRIBERS):
                stack.enter_context(running.osc()).ask("/ampd/subscribe")
            page = Page(running.port)
            stack.callback(page.close)
            page.open("#edit")
            osc.ask("/ampd/tuner", True)
            busy = echo_ms(osc, options.rounds)
        load = f"page, tuner, {SUBSCRIBERS} subscribers"
        say(bench="osc_echo_ms", load=load, rounds=len(busy), limit_p99=15, **percentiles(busy))


def message(address: str, value: float) -> bytes:
    builder = OscMessageBuilder(address)
    builder.add_arg(float(value))
    return bytes(builder.build().dgram)


def measure_flood(options: argparse.Namespace) -> None:
    hostile = [bytes.fromhex(p["hex"]) for p in json.loads(HOSTILE.read_text())]
    values = [message(ADDRESS, -40 + step / 25) for step in range(2000)]
    with daemon() as running, running.osc() as osc:
        osc.ask("/ampd/ping")
        begin_cpu, begin = cpu_seconds(running.running.process.pid), time.monotonic()
        sent = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.connect(("127.0.0.1", running.port))
            while (now := time.monotonic()) < begin + options.seconds:
                while sent < (now - begin) * options.rate:
                    flood.send(values[sent % len(values)])
                    sent += 1
                    if sent % 100 == 0:
                        flood.send(hostile[sent // 100 % len(hostile)])
                time.sleep(0.001)
            flood.send(message(ADDRESS, 12.5))
            last = time.monotonic()
        seconds = last - begin
        while osc.ask(ADDRESS).values[0] != 12.5:
            if time.monotonic() - last > 20.0:
                break
        settled_ms = 1000.0 * (time.monotonic() - last)
        busy = (cpu_seconds(running.running.process.pid) - begin_cpu) / seconds
        say(
            bench="osc_flood",
            messages_per_s=round(sent / seconds),
            seconds=round(seconds, 1),
            last_value_ms=round(settled_ms, 1),
            limit_ms=50,
            in_force=osc.ask(ADDRESS).values[0] == 12.5,
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

    with daemon() as running, running.osc() as osc:
        page = Page(running.port)
        try:
            usable = [page.open() for _ in range(5)]
            size = page.run(
                "return performance.getEntries().reduce((n, e) => n + (e.encodedBodySize || 0), 0)"
            )
            page.driver.set_script_timeout(60)
            touches = page.driver.execute_async_script(TOUCH)
            osc.ask("/ampd/tuner", True)
            pid = running.running.process.pid
            before, begin = cpu_seconds(pid), time.monotonic()
            time.sleep(CPU_SECONDS)
            share = (cpu_seconds(pid) - before) / (time.monotonic() - begin)
        finally:
            page.close()
    say(bench="page_first_visit", ms=round(min(usable)), limit_ms=1000, bytes=size, limit=300_000)
    say(bench="page_touch_ms", touches=len(touches), limit_p95=60, **percentiles(touches))
    say(bench="control_cpu", share_of_a_core=round(share, 4), limit=0.05, with_="page, tuner 20 Hz")


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


def measure_step(options: argparse.Namespace) -> None:
    from tests.e2e.browser import TABLET, Page  # noqa: PLC0415 (selenium)

    with daemon() as running, running.osc() as osc, ExitStack() as stack:
        osc.ask("/ampd/rig", "lead")
        pages = [Page(running.port), Page(running.port, TABLET)]
        for page in pages:
            stack.callback(page.close)
            page.open("#edit")
            page.run(TURN)
        paths = list(pages[0].run(SHOWN))
        chance = random.Random(1)
        deadline, turns = time.monotonic() + options.seconds, 0
        while time.monotonic() < deadline:
            osc.ask(f"/ampd/{chance.choice(paths)}/norm", chance.random())
            turns += 1
            time.sleep(0.02)
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
    say(bench="in_step", knobs=len(paths), osc_turns=turns, same=same, ms=round(took_ms), limit=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("what", nargs="*", default=["echo", "flood", "page", "step"])
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=20_000)
    options = parser.parse_args()
    measures: dict[str, Callable[[argparse.Namespace], None]] = {
        "echo": measure_echo,
        "flood": measure_flood,
        "page": measure_page,
        "step": measure_step,
    }
    for name in options.what:
        measures[name](options)


if __name__ == "__main__":
    main()
