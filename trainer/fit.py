"""The widest net of a recipe that a box can carry live.

What a net costs is measured here by the engine itself (`ampd bench`), or estimated for a board that
is not at hand: nanoseconds for each multiply-add and for each activation, fitted to the estimates
of `make bench-arm` (six nets of tanh, within 5 %; one A2, one LSTM) and doubled, because boards
take up to twice what such estimates say.
"""

import dataclasses
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from trainer.architectures import build_network
from trainer.errors import RecipeError, TrainerError
from trainer.model_json import build_model, write_model
from trainer.nam_nets import build_nam_net
from trainer.networks import ResidualWaveNet
from trainer.networks_nam import Lstm, NamWaveNet
from trainer.recipe import ModelConfig

# Two chains run while one rig fades into the next, and the host needs the rest.
DEFAULT_PERCENT = 40.0
PLACE = re.compile(r"(?P<host>[a-z0-9]+)@(?P<frames>[0-9]+)(?::(?P<percent>[0-9.]+)%?)?")
MAX_BLOCK_FRAMES = 8192
REFERENCE_FRAMES = 64  # of the estimates
BLOCK_SHARE = 0.043  # of the cost that is per block at 64 frames: 16 take 1.13 times as long there
BOARD_FACTOR = 2.0
BENCH_TIMEOUT_S = 120

# Widths that are tried, narrow to wide; A2 is played by its hosts in two widths only.
WIDTHS: dict[str, tuple[int, ...]] = {
    "residual_wavenet": (*range(3, 17), *range(18, 33, 2)),
    "nam_a1": tuple(range(4, 33, 2)),
    "nam_a2": (3, 8),
    "lstm": tuple(range(8, 65, 4)),
}


@dataclasses.dataclass(frozen=True)
class Board:
    """A box that is not at hand: nanoseconds on one core."""

    name: str
    ns_per_mac: float
    ns_per_activation: dict[str, float]  # by architecture; of an LSTM, per gate or state


TANH_4, TANH_5 = 7.7, 3.56
BOARDS = {
    "pi4": Board(
        "Raspberry Pi 4",
        0.1305,
        {"residual_wavenet": TANH_4, "nam_a1": TANH_4, "nam_a2": 3.08, "lstm": 10.7},
    ),
    "pi5": Board(
        "Raspberry Pi 5",
        0.073,
        {"residual_wavenet": TANH_5, "nam_a1": TANH_5, "nam_a2": 2.91, "lstm": 4.98},
    ),
}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a net is to play."""

    host: str  # "this", or a key of BOARDS
    block_frames: int
    percent: float  # of one core that it may take


@dataclasses.dataclass(frozen=True)
class Fit:
    """The net that was chosen."""

    model: ModelConfig
    percent: float  # of one core
    measured: bool  # False: estimated
    widest: bool  # nothing wider was on offer


def parse_place(text: str) -> Place:
    """HOST@FRAMES or HOST@FRAMES:PERCENT; raises: RecipeError."""
    found = PLACE.fullmatch(text)
    hosts = ", ".join(("this", *BOARDS))
    if found and (found["host"] == "this" or found["host"] in BOARDS):
        frames, percent = int(found["frames"]), float(found["percent"] or DEFAULT_PERCENT)
        if 1 <= frames <= MAX_BLOCK_FRAMES and 0 < percent <= 100:
            return Place(found["host"], frames, percent)
    raise RecipeError(
        f"--fit: found {text!r}, expected HOST@FRAMES, such as pi4@64 or this@32:25 (a quarter of "
        f"a core): HOST one of {hosts}, 1 to {MAX_BLOCK_FRAMES} frames a block, up to 100 %"
    )


def widest_net(model: ModelConfig, place: Place, sample_rate_hz: int) -> Fit:
    """The widest net of this architecture and these dilations that fits the place.

    raises: RecipeError where even the narrowest does not, or where it could never play live;
        TrainerError where the engine cannot be asked
    """
    if not model.causal:
        raise RecipeError("--fit: model.causal is false, expected a net that plays live")

    def cost(width: int) -> float:
        net = dataclasses.replace(model, channels=width)
        if place.host == "this":
            return measured_percent(net, place.block_frames, sample_rate_hz)
        return estimated_percent(net, BOARDS[place.host], place.block_frames, sample_rate_hz)

    widths = WIDTHS[model.architecture]
    number, percent = _last_within(widths, cost, place.percent)
    if number < 0:
        raise RecipeError(
            f"--fit {place.host}@{place.block_frames}: {model.architecture} with {widths[0]} "
            f"channels takes {percent:.1f} % of a core, expected {place.percent:g} % or less; "
            "take fewer model.dilations, longer blocks or the recipe nano"
        )
    chosen = dataclasses.replace(model, channels=widths[number])
    return Fit(chosen, percent, place.host == "this", number == len(widths) - 1)


def _last_within(
    widths: tuple[int, ...], cost: Callable[[int], float], limit: float
) -> tuple[int, float]:
    """(index of the widest whose cost is within the limit, its cost); (-1, cost of the first)."""
    inside, within = -1, cost(widths[0])
    if within > limit:
        return inside, within
    inside, outside = 0, len(widths)
    while outside - inside > 1:
        middle = (inside + outside) // 2
        percent = cost(widths[middle])
        if percent <= limit:
            inside, within = middle, percent
        else:
            outside = middle
    return inside, within


def estimated_percent(
    model: ModelConfig, board: Board, block_frames: int, sample_rate_hz: int
) -> float:
    """Of one core of a board, for one net without its chain."""
    macs = build_network(model).mac_per_sample
    ns = board.ns_per_mac * macs + board.ns_per_activation[model.architecture] * activations(model)
    ns *= 1 + BLOCK_SHARE * (REFERENCE_FRAMES / block_frames - 1)
    return BOARD_FACTOR * ns * 1e-9 * sample_rate_hz * 100


def activations(model: ModelConfig) -> int:
    """Values of an activation function for one output frame."""
    if model.architecture == "nam_a1":
        first = model.first_array_layers
        return model.channels * first + model.channels // 2 * (len(model.dilations) - first)
    if model.architecture == "nam_a2":
        return 23 * model.channels
    if model.architecture == "lstm":
        return 5 * model.channels * model.layers
    return model.channels * len(model.dilations)


def measured_percent(model: ModelConfig, block_frames: int, sample_rate_hz: int) -> float:
    """Of one core of this machine, by the engine, for one net without its chain.

    raises: TrainerError where `ampd bench` cannot be run
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.json"
        net = build_network(model).requires_grad_(False)
        if isinstance(net, ResidualWaveNet):
            write_model(build_model(net, sample_rate_hz, {}), path)
        else:
            assert isinstance(net, NamWaveNet | Lstm)
            write_model(build_nam_net(net, sample_rate_hz, {}), path)
        command = [sys.executable, "-m", "ampd.cli", "bench", "--json"]
        command += ["--block", str(block_frames), str(path)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=BENCH_TIMEOUT_S
            )
            (row,) = json.loads(done.stdout)
            return float(row["percent_of_period"])
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
            raise TrainerError(
                f"--fit this@{block_frames}: `ampd bench` failed ({said}); install ampd with its "
                "engine here, or name a board such as pi4@64"
            ) from error
