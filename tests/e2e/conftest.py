"""One private JACK world a test: own /dev/shm, own server, own daemon, all gone afterwards."""

import json
import shutil
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.demo.stage import AMPD, Stage, StageError, can_unshare, status
from tests.e2e.foot import settle
from tests.e2e.gig import HERE, Gig
from tests.e2e.rack import Rack, write_library

Opener = Callable[..., Rack]


class SickServerError(Exception):
    """jackd itself says that its graph is broken: the one failure for which a test runs again."""


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """jackd -S can lose a client's turn when the machine stalls while the graph changes. From then
    on every cycle waits 27 ms in vain and says so, and nothing on that server means anything.
    """
    try:
        return (yield)
    except (StageError, AssertionError, TimeoutError) as error:
        racks = [each for each in pyfuncitem.funcargs.values() if isinstance(each, Rack)]
        stage = racks[0].stage if racks else pyfuncitem.funcargs.get("stage")
        if isinstance(stage, Stage) and stage.server_is_sick():
            raise SickServerError("jackd: engine may now behave abnormally") from error
        for rack in racks:
            error.add_note(_scene(rack))
        raise


def _scene(rack: Rack) -> str:
    """What the daemon says of itself, for whoever reads that a test has failed."""
    try:
        with rack.daemon.osc() as osc:
            now = json.dumps(status(osc))
    except (StageError, TimeoutError) as error:
        now = str(error)
    return f"the daemon's State: {now}\nits last words: {rack.daemon.running.last_words()}"


@pytest.fixture(scope="session")
def jack_world() -> None:
    """Skip by name what this machine does not let us have."""
    for program in ("jackd", "jack_bufsize", "oscsend"):
        if not shutil.which(program):
            pytest.skip(f"{program} is absent")
    if not can_unshare():
        pytest.skip("no right to unshare a mount namespace")
    if not Path(AMPD).exists():
        pytest.skip(f"{AMPD} is absent")


@pytest.fixture
def stage(jack_world: None, tmp_path: Path) -> Iterator[Stage]:
    """A private world with no server yet."""
    with Stage(tmp_path, private=True, server_name="e2e") as opened:
        write_library(tmp_path)
        yield opened


@pytest.fixture
def open_rack(stage: Stage) -> Iterator[Opener]:
    """Start daemons on the stage; the caller says when the server starts."""
    racks: list[Rack] = []

    def open_(*arguments: str, **settings: str) -> Rack:
        daemon = stage.start_daemon(*(arguments or ("--rig", "loud")), settings=HERE | settings)
        rack = Rack(stage, daemon, daemon.osc())
        racks.append(rack)
        return rack

    yield open_
    for rack in racks:
        rack.osc.__exit__(None, None, None)


@pytest.fixture
def rack(stage: Stage, open_rack: Opener) -> Rack:
    """A daemon that plays the rig `loud` on a running server, with a subscription."""
    stage.start_server()
    opened = open_rack()
    opened.until_jack("running")
    opened.until_rig("loud")
    opened.osc.ask("/ampd/subscribe")
    return opened


@pytest.fixture(scope="module")
def gig(jack_world: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gig]:
    """The world that the tests of a file share."""
    opened = Gig(lambda: tmp_path_factory.mktemp("gig"))
    yield opened
    opened.close()


@pytest.fixture
def foot(gig: Gig) -> Iterator[Rack]:
    """The shared rack with the rig `plain`, and a conversation of its own."""
    shared = gig.rack()
    with shared.daemon.osc() as osc:
        rack = replace(shared, osc=osc)
        settle(rack, "plain")
        yield rack
