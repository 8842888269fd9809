"""One daemon for many tests, whose control plane can be stopped."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo.stage import ROOT, Stage, until, until_status
from tests.e2e.foot import write_foot_library
from tests.e2e.rack import Rack

HERE = {"rigs": '"rigs"', "models": '"models"'}  # of the stage's own folder


class Gig:
    """One server and one daemon for many tests, opened anew where the server has fallen ill."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._rack: Rack | None = None

    def rack(self) -> Rack:
        rack = self._rack
        if rack is None or rack.stage.server_is_sick() or rack.daemon.running.ended:
            self.close()
            rack = self._rack = self._open(self._folder())
        return rack

    def close(self) -> None:
        if self._rack is not None:
            self._rack.osc.__exit__(None, None, None)
            self._rack.stage.__exit__(None, None, None)

    def _open(self, folder: Path) -> Rack:
        write_foot_library(folder)
        stage = Stage(folder, private=True, server_name="gig").__enter__()
        stage.start_server()
        program = (sys.executable, str(ROOT / "tests" / "e2e" / "frozen.py"))
        daemon = stage.start_daemon("--rig", "plain", settings=HERE, program=program)
        rack = Rack(stage, daemon, daemon.osc())
        rack.until_jack("running")
        until_status(rack.osc, lambda s: all(r["built"] for r in s["rigs"]), "all rigs are built")
        return rack


@contextmanager
def frozen(rack: Rack) -> Iterator[None]:
    """No line of Python runs in the daemon meanwhile (tests/e2e/frozen.py)."""
    running = rack.daemon.running

    def said(event: str) -> int:
        return sum(line["event"] == event for line in running.said())

    before = said("thawed")
    running.process.send_signal(signal.SIGUSR1)
    until(lambda: said("frozen") > before, "the control plane is frozen")
    try:
        yield
        assert said("thawed") == before, "the control plane ran"
    finally:
        running.process.send_signal(signal.SIGUSR2)
        until(lambda: said("thawed") > before, "the control plane runs again")
