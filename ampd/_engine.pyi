"""Typed face of the compiled engine module (ampd/engine/python.cpp).

Every call releases the GIL while it works.  "control" calls belong to one control thread at a
time (the session's); "supervisor" calls belong to the thread that owns libjack.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

class LoadError(Exception):
    """A model or rig cannot be built; the text says file, place, found, expected, way out."""

class JackError(Exception):
    """libjack is missing, or it refused; the text says what and the way out."""

@final
class ParamInfo:
    """One knob: where it is addressed, and what it accepts."""

    path: str  # "input/gain_db", "amp/gain_db", "mix"
    unit: str  # "dB", "" for a bare number
    minimum: float
    maximum: float
    default: float
    taper: str  # "linear" | "log" | "toggle"
    text: str  # one phrase for people

@final
class ModelInfo:
    """What a model file is, read without building it to play."""

    path: str
    family: str  # "ampd" | "nam" | "rtneural" | "state_dict" | "pedalnet"
    architecture: str  # "residual_wavenet", "wavenet", "convnet", "linear", "lstm", "gru", ...
    name: str
    sample_rate_hz: int  # 0 = the file does not say
    playing_rate_hz: int  # the file's, else the one that its family is trained at
    causal: bool
    receptive_field_frames: int
    memory_frames: int  # in which a recurrent net settles; 0 = the receptive field says it all
    latency_frames: int
    knobs: list[str]  # params of the amp block besides its own, 0..1, 0.5 at first
    weight_count: int
    mac_per_sample: int
    loudness_db: float | None  # what the file's metadata claims: RMS in dB of full scale
    input_level_dbu: float | None  # of the capture: dBu RMS of a 1 kHz sine that is 0 dBFS peak
    output_level_dbu: float | None
    has_quality: bool  # the net comes in several sizes
    warnings: list[str]

@final
class Impulse:
    """A cabinet's answer to a click: channels (1 or 2, frames). name is its file, for errors."""

    def __init__(self, name: str, sample_rate_hz: int, channels: NDArray[np.float32]) -> None: ...

@final
class Model:
    """A model that was read; rigs that play it share it."""

    info: ModelInfo

@final
class BlockSpec:
    """One block of a rig, as plain values. kind "amp" needs model (a path), or family: for 2 to 8
    rising positions of the param "knob" the path of the model that plays there. A cab without
    impulse is the built-in speaker. beside names the block before it: both hear the same and are
    blended. loaded: by path, models that need not be read any more."""

    def __init__(
        self,
        kind: str,
        name: str,
        values: dict[str, float],
        model: str = "",
        family: Sequence[tuple[float, str]] = (),
        impulse: Impulse | None = None,
        beside: str = "",
        loaded: Mapping[str, Model] = ...,
    ) -> None: ...

@final
class BindingSpec:
    """One controller and what it moves: a param, a global or an action (ampd.midi names them).

    channel 1..16, 0 any; mode and curve as in ampd.midi; low, high: None is the end of the param's
    own range; own: of the rig itself, which must have the param, and whose controller no global
    binding hears then. Raises ValueError.
    """

    def __init__(
        self,
        path: str,
        control: int,
        channel: int = 0,
        mode: str = "absolute",
        curve: str = "linear",
        low: float | None = None,
        high: float | None = None,
        leds: Sequence[int] = (),
        own: bool = False,
    ) -> None: ...

@final
class RigSpec:
    """A rig as plain values. values: "input/gain_db", "output/gain_db", "mix"; snapshots: up to 8,
    by path, laid over the values; morph: the two between which the param "morph" goes, 0 the rig
    itself; trims: gains in front and behind that are no knobs; on_load: MIDI messages of 1 to 3
    bytes, sent when the rig comes in."""

    def __init__(
        self,
        values: dict[str, float] = ...,
        blocks: Sequence[BlockSpec] = ...,
        snapshots: Sequence[dict[str, float]] = ...,
        morph: tuple[int, int] = (0, 0),
        input_trim_db: float = 0.0,
        output_trim_db: float = 0.0,
        bindings: Sequence[BindingSpec] = ...,
        on_load: Sequence[bytes] = ...,
    ) -> None: ...

@final
class ChainInfo:
    """A built chain: its knobs in index order, with the values it starts from."""

    params: list[ParamInfo]
    blocks: list[str]  # by name, "amp+amp2" of two side by side
    values: list[float]
    models: list[ModelInfo]
    latency_frames: int
    memory_frames: int
    memory_bytes: int
    cost_ns: float  # of a frame, thread CPU time, the least of a few runs

@final
class Pitch:
    """What a tuner shows; hz 0: no single note is heard."""

    hz: float
    cents: float  # from note, -50 to 50
    note: int  # MIDI number
    clarity: float  # 0 to 1

@final
class Fact:
    """Something that happened on the audio thread, in engine frames.

    kind      "selected" a switch was asked for (slot);  "switched" its fade is over (slot)
              "superseded" a later selection came before the one with this id was heard (slot)
              "audible"  the first frame of the new chain (slot)
              "changed"  a value was taken (slot, index, value as accepted); slot -1: a global
              "refused"  the command id found no such chain playing (slot, index)
              "fault"    the chain in `slot` gave a non-finite sample and is dry until reselected;
                         index: the block that did, -1 the sum of them
              "rest"     the block `index` of the chain in `slot` was too much for the machine and
                         rests: value = 1; its smallest size plays: 0.5; or all of it again: 0
              "late"     a block took longer than its period: value = 1 engine, 0 the machine
              "now"      reports were lost or a selection refused: wanted in `slot`, heard in
                         `index`; all values follow
              "program"  MIDI asked for program index % 128 of another bank, index // 128
              "action"   a controller asked for another set: value = 1 the next, -1 the one before
              "controller"  while learning: channel index // 128, controller index % 128, value
    "audible" has value 1 where the change is a duck.
    frame     engine frame at which it took effect
    id        the command's id; 0 where MIDI or the engine itself caused it
    """

    kind: str
    slot: int
    index: int
    value: float
    frame: int
    id: int

@final
class Shares:
    """How long something took in each callback since the last call, as shares of its period."""

    callbacks: int  # how many were measured
    p50: float
    p99: float
    maximum: float

@final
class Load:
    """What the audio thread has to do."""

    whole: Shares
    slot: int  # the rig that is heard stands there, -1 none
    blocks: list[Shares]  # of each of its blocks, the first 16; empty right after a switch
    late_engine: int  # blocks late by the engine's own CPU time, since start
    late_machine: int  # blocks late while the thread did not run, since start

@final
class Level:
    """How loud a signal was since the last call, 1.0 is full scale."""

    peak: float
    rms: float

@final
class Levels:
    """The guitar as it came in, and both sides as they went out."""

    input: Level
    left: Level
    right: Level

@final
class Trial:
    """A rig alone, without an engine around it: what it takes, and whether it is sound."""

    def __init__(self, rig: RigSpec, sample_rate_hz: int) -> None:
        """Raises LoadError."""
    def play(
        self, signal: NDArray[np.float32], block_frames: int
    ) -> tuple[NDArray[np.float32], float]:
        """Play it on: ns of thread CPU time of each block of 1 to 64 frames, and the peak before
        the safety stage, infinity where a sample is not sound."""

SLOT_COUNT: int  # 132: programs 0..127, then scratch slots for rigs outside the bank
GLOBALS: list[ParamInfo]  # of the whole rack; their paths: bypass, mute, tuner ... tempo_bpm

@final
class Engine:
    """The rack: slots of built chains, one playing. sample_rate_hz is fixed for its life.

    threaded False: no warm thread; service() runs between offline blocks (deterministic).
    safety False: the output is taken before the safety stage (tests).
    isa: "auto" | "scalar" | "generic" | "neon" | "avx2" | "avx512"
    budget: the share of a core that two chains may take in a crossfade; beyond it, a duck
    """

    def __init__(
        self,
        sample_rate_hz: int,
        threaded: bool = True,
        safety: bool = True,
        isa: str = "auto",
        budget: float = 0.7,
    ) -> None: ...
    @property
    def sample_rate_hz(self) -> int: ...
    @property
    def isa(self) -> str: ...
    @property
    def frame(self) -> int:
        """Frames processed so far. Any thread."""
    def install(self, slot: int, rig: RigSpec) -> ChainInfo:
        """Build a chain and park it in `slot`; what plays goes on. Raises LoadError (nothing has
        changed then)."""
    def remove(self, slot: int) -> None: ...
    def select(self, slot: int, fresh: bool = False, instead_of: int = -1) -> int:
        """Switch to `slot` and return the command id. If it already plays, its values ramp back
        to the rig's own, unless fresh: then the chain parked there by install replaces it. Answered
        by "refused" where another slot than instead_of is wanted by then; -1: any."""
    def set_param(self, slot: int, index: int, value: float) -> int: ...
    def set_global(self, index: int, value: float) -> int: ...
    def tap(self) -> int:
        """One tap of the tempo; the answer is "changed" of tempo_bpm."""
    def panic(self) -> int:
        """The dry guitar at once; the answer is "changed" of bypass."""
    def set_programs(self, slots: Sequence[int], bank: int = 0) -> None:
        """MIDI program n of `bank` selects slots[n]; -1: no rig. 0 to 128 entries."""
    def set_bindings(self, bindings: Sequence[BindingSpec]) -> bool:
        """The controllers of the whole rack, in place of those before; those of params are left
        out, a rig has its own. False where the queue has no room now."""
    def set_feedback(self, on: bool) -> None:
        """Whether values go back to the controllers. Any thread."""
    def refresh_controllers(self) -> int:
        """Tell the controllers all values again."""
    def learn(self, on: bool) -> None:
        """While on, a controller does nothing but become a Fact. Any thread."""
    def pitch(self, reference_hz: float = 440.0) -> Pitch:
        """The note of the last tenth of a second of input. Any thread, one at a time."""
    def facts(self) -> list[Fact]:
        """All facts since the last call. Control thread."""
    def facts_fd(self) -> int:
        """An eventfd that becomes readable when facts wait (read 8 bytes to clear); -1 unless
        threaded. Owned by the engine."""
    def load(self) -> Load: ...
    def levels(self) -> Levels: ...
    def process(
        self,
        signal: NDArray[np.float32],
        block_frames: int = 64,
        midi: Sequence[tuple[int, bytes]] = (),
        midi_out: list[tuple[int, bytes]] | None = None,
    ) -> NDArray[np.float32]:
        """Offline host: (frames,) in, (2, frames) out. midi: (frame, message) in frame order;
        midi_out: what the engine sends is put behind what it holds, likewise. Only while no
        JackHost is active on this engine."""
    def play_silence(self, frames: int) -> None:
        """Offline host without arrays: 1 to 65536 frames of silence in, what comes out is dropped.
        Only while no JackHost is active on this engine."""
    def service(self) -> None:
        """One round of the warm thread's work, for threaded=False between calls of process."""

@final
class PortInfo:
    name: str
    is_input: bool
    is_output: bool
    is_physical: bool
    is_midi: bool
    connections: list[str]

@final
class JackHost:
    """JACK ports -> Engine. All calls: supervisor thread; any of them can block for ever when
    the server hangs, so the caller keeps the deadline."""

    def __init__(self) -> None: ...
    def open(self, client_name: str, server_name: str = "") -> None:
        """Open the client and register in_1 out_1 out_2 midi_in midi_out; never starts a
        server. Raises JackError."""
    def activate(self, engine: Engine) -> None:
        """Start the audio thread. The engine's rate must be the server's."""
    def close(self) -> None:
        """Stop and forget the client; no error when there is none."""
    def release(self) -> bool:
        """Take the engine out of libjack's hands, whatever that does: its thread plays silence from
        then on. False: it stands still inside the engine, which nobody may drive. Any thread."""
    @property
    def is_active(self) -> bool:
        """Whether it drives an engine. Any thread."""
    @property
    def graph_changes(self) -> int:
        """Grows with everything that happens to ports and links. Any thread."""
    @property
    def vanished(self) -> int:
        """How many ports went away so far. Any thread."""
    @property
    def client_name(self) -> str: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def lost(self) -> str:
        """Why the server went away, "" while it is there. Any thread."""
    @property
    def sample_rate_hz(self) -> int: ...
    @property
    def period_frames(self) -> int: ...
    @property
    def is_realtime(self) -> bool: ...
    @property
    def cycles(self) -> int:
        """Cycles run so far. Any thread."""
    @property
    def xruns(self) -> int:
        """What the server reported, whoever caused it. Any thread."""
    def ports(self) -> list[PortInfo]: ...
    def connect(self, source: str, destination: str) -> None: ...
    def disconnect(self, source: str, destination: str) -> None: ...
    def set_latency(self, frames: int) -> None:
        """Tell the server that the outputs lag the input by so many frames; 0 after open."""

def load_model(data: bytes, name: str) -> Model:
    """The model in the bytes of its file; name: its path in errors. Raises LoadError."""

def inspect_model(path: str) -> ModelInfo:
    """Read, validate and self-test a model file. Raises LoadError."""

def render_model(
    path: str,
    signal: NDArray[np.float32],
    block_frames: int = 64,
    isa: str = "auto",
    sample_rate_hz: int = 0,
) -> NDArray[np.float32]:
    """The bare net from the state that the model starts from, its knobs at 0.5: (frames,) in,
    (frames,) out. Where sample_rate_hz is not the model's rate it is resampled in and out, and
    the output lies on the input: the latency is cut. 0: the signal is at the model's rate,
    whatever that is. Raises LoadError."""

@final
class Cost:
    """What a net costs on this core, in thread CPU time."""

    model: ModelInfo
    least_ns_per_sample: float  # the best round
    median_ns_per_sample: float
    peak_gmac_per_s: float  # what the core's multiply-add units can do, measured in the same run

def measure_cost(path: str, block_frames: int = 64, isa: str = "auto", rounds: int = 61) -> Cost:
    """Play the bare net warm for about rounds * 7 ms, the peak measured before each round; at
    least 3 rounds. Raises LoadError; any thread."""

def isas() -> list[str]:
    """Instruction sets that this machine can run, best last, "scalar" first."""
