"""Plans -> chains of the engine.  The only importer of the compiled module.

What the audio thread plays is built here, on whatever thread may block for it: files are read,
names of the map become bindings, and the engine's own sentences become RigErrors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ampd._engine import (
    GLOBALS,
    SLOT_COUNT,
    BindingSpec,
    BlockSpec,
    ChainInfo,
    Engine,
    Impulse,
    JackError,
    JackHost,
    Level,
    LoadError,
    Model,
    ModelInfo,
    ParamInfo,
    Pitch,
    PortInfo,
    RigSpec,
    Trial,
    inspect_model,
    isas,
    load_model,
    measure_cost,
    render_model,
)
from ampd.bank import Built, Plan
from ampd.errors import AudioFileError, RigError
from ampd.headstart import Rows, to_spec
from ampd.midi import Binding
from ampd.state import Knob
from ampd.wav import Samples, read_wav

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ampd import cabinet
    from ampd.headstart import Headstart

__all__ = [  # the compiled names are handed on to those that may not import the module themselves
    "GLOBALS",
    "SLOT_COUNT",
    "BindingSpec",
    "BlockSpec",
    "Engine",
    "JackError",
    "JackHost",
    "Level",
    "LoadError",
    "Model",
    "ModelInfo",
    "ParamInfo",
    "Pitch",
    "PortInfo",
    "RigSpec",
    "Setup",
    "Trial",
    "build",
    "inspect_model",
    "isas",
    "knob",
    "load_model",
    "measure_cost",
    "model_info",
    "render_model",
    "to_impulse",
    "to_specs",
]


READ_SECONDS, MOST_SECONDS = 1, 10  # of an impulse response, as ampd.cabinet has them


@dataclass(frozen=True)
class Setup:
    """What a rig is built with besides what its file says."""

    bindings: tuple[Binding, ...] = ()  # of the player's map, those of the rig in their place
    input_trim_db: float = 0.0
    output_trim_db: float = 0.0
    warnings: tuple[str, ...] = ()


def build(
    engine: Engine,
    slot: int,
    plan: Plan,
    setup: Setup | None = None,
    ready: "Headstart | None" = None,
) -> Built:
    """Build the plan's chain and park it in `slot`; raises RigError, and nothing has changed then.

    ready: what this engine holds in its slot already; the same chain is not built again.
    Control thread of the engine; blocks while it builds.
    """
    setup = setup or Setup()
    rows = to_rows(plan, setup)
    if ready is not None and ready.info is not None and (ready.slot, ready.rows) == (slot, rows):
        info, rows = ready.info, ready.rows
    else:
        info = _installed(engine, slot, plan, rows)
    notes = [f"{model.path}: {text}" for model in info.models for text in model.warnings]
    return Built(
        plan=plan,
        values={param.path: info.values[n] for n, param in enumerate(info.params)},
        index={param.path: n for n, param in enumerate(info.params)},
        knobs={param.path: knob(param) for param in info.params},
        memory_bytes=info.memory_bytes,
        latency_frames=info.latency_frames,
        cost_ns=info.cost_ns,
        blocks=tuple(info.blocks),
        warnings=(*notes, *setup.warnings),
        rows=rows,
    )


def _installed(engine: Engine, slot: int, plan: Plan, rows: Rows) -> ChainInfo:
    rig = plan.rig
    loaded = {str(path): held for path, held in plan.held.items() if isinstance(held, Model)}
    try:
        return engine.install(slot, to_spec(rows, read_impulses(rows, plan.held), loaded))
    except (LoadError, AudioFileError) as error:
        raise RigError(f"{rig.path or rig.name}: {error}") from error
    except MemoryError as error:
        raise RigError(
            f"{rig.path or rig.name}: there is too little memory to build it."
        ) from error


def to_rows(plan: Plan, setup: Setup) -> Rows:
    """The chain as plain values, such as JSON gives back."""
    rig, own = plan.rig, set(plan.rig.midi)
    models = {name: str(path) for name, path in plan.models.items()}
    impulses = {name: str(path) for name, path in plan.impulses.items()}
    return {
        "values": dict(rig.values),
        "blocks": [
            [
                block.kind,
                block.name,
                dict(block.values),
                models.get(block.model, ""),
                [[at, models[model]] for at, model in block.family.items()],
                impulses.get(block.impulse, ""),
                block.beside,
            ]
            for block in rig.blocks
        ],
        "snapshots": [dict(snapshot.values) for snapshot in rig.snapshots],
        "morph": list(rig.morph),
        "trims": [setup.input_trim_db, setup.output_trim_db],
        "bindings": [_row(each, each in own) for each in setup.bindings or rig.midi],
        "on_load": [message.hex() for message in rig.on_load],
    }


def read_impulses(rows: Rows, held: Mapping[Path, object]) -> dict[str, Impulse]:
    """The impulse responses that a chain names, by path; held: those that were read already.
    Raises AudioFileError. Blocks."""
    paths = {path for *_, path, _ in rows["blocks"] if path}
    read = {
        path: cast("Samples | cabinet.Impulse", held.get(Path(path)) or _read_impulse(path))
        for path in paths
    }
    return {
        path: Impulse(path, each.sample_rate_hz, cast("NDArray[np.float32]", each.channels))
        for path, each in read.items()
    }


def _read_impulse(path: str) -> "Samples | cabinet.Impulse":
    plain = read_wav(Path(path), READ_SECONDS, MOST_SECONDS)
    if plain is not None:
        return plain
    from ampd.cabinet import read_impulse  # noqa: PLC0415 (numpy is a sixth of all memory)

    return read_impulse(Path(path))


def read_impulse_rows(rows: Rows) -> tuple[list[list[Any]], bytes]:
    """The same as [path, rate, channels, frames] and the samples behind one another, for a file.
    Raises AudioFileError. Blocks."""
    paths = sorted({impulse for *_, impulse, _ in rows["blocks"] if impulse})
    read = [_read_impulse(path) for path in paths]
    heads = [
        [path, each.sample_rate_hz, *(each.channels.shape or ())]
        for path, each in zip(paths, read, strict=True)
    ]
    return heads, b"".join(each.channels.tobytes() for each in read)


def to_impulse(read: "cabinet.Impulse") -> Impulse:
    """What was read of a sound file, as the engine takes it."""
    return Impulse(read.name, read.sample_rate_hz, read.channels)


def model_info(plan: Plan, path: str) -> ModelInfo:
    """What a model of the plan says of itself. Raises LoadError."""
    held = plan.held.get(Path(path))
    return held.info if isinstance(held, Model) else inspect_model(path)


def knob(param: ParamInfo) -> Knob:
    """A knob as the state shows it."""
    is_switch = param.taper == "toggle"
    return Knob(
        unit=param.unit,
        minimum=param.minimum,
        maximum=param.maximum,
        default=param.default,
        is_switch=is_switch,
        text=param.text,
        taper="linear" if is_switch else param.taper,
    )


def to_specs(bindings: Iterable[Binding]) -> list[BindingSpec]:
    """The bindings of the whole rack as the engine takes them; those of params are left to rigs."""
    return [BindingSpec(*_row(binding, False)) for binding in bindings]


def _row(binding: Binding, own: bool) -> list[Any]:
    """The arguments of a BindingSpec; own: of the rig itself, which must have its param."""
    return [
        binding.path,
        binding.control,
        binding.channel or 0,
        binding.mode,
        binding.curve,
        binding.low,
        binding.high,
        list(binding.leds),
        own,
    ]
