"""Plans -> chains of the engine.  The only importer of the compiled module.

What the audio thread plays is built here, on whatever thread may block for it: files are read,
names of the map become bindings, and the engine's own sentences become RigErrors.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ampd._engine import (
    GLOBALS,
    SLOT_COUNT,
    BindingSpec,
    BlockSpec,
    Engine,
    Impulse,
    JackError,
    JackHost,
    Level,
    LoadError,
    ModelInfo,
    ParamInfo,
    Pitch,
    PortInfo,
    RigSpec,
    inspect_model,
    isas,
    measure_cost,
    render_model,
)
from ampd.bank import Built, Plan
from ampd.cabinet import read_impulse
from ampd.errors import AudioFileError, RigError
from ampd.midi import Binding
from ampd.state import Knob

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
    "ModelInfo",
    "ParamInfo",
    "Pitch",
    "PortInfo",
    "RigSpec",
    "Setup",
    "build",
    "inspect_model",
    "isas",
    "knob",
    "measure_cost",
    "render_model",
    "to_specs",
]


@dataclass(frozen=True)
class Setup:
    """What a rig is built with besides what its file says."""

    bindings: tuple[Binding, ...] = ()  # of the player's map, those of the rig in their place
    input_trim_db: float = 0.0
    output_trim_db: float = 0.0
    warnings: tuple[str, ...] = ()


def build(engine: Engine, slot: int, plan: Plan, setup: Setup | None = None) -> Built:
    """Build the plan's chain and park it in `slot`; raises RigError, and nothing has changed then.

    Control thread of the engine; blocks while it builds.
    """
    setup = setup or Setup()
    rig = plan.rig
    own = set(rig.midi)
    try:
        spec = RigSpec(
            values=dict(rig.values),
            blocks=_blocks(plan),
            snapshots=[dict(snapshot.values) for snapshot in rig.snapshots],
            morph=rig.morph,
            input_trim_db=setup.input_trim_db,
            output_trim_db=setup.output_trim_db,
            bindings=[to_spec(each, each in own) for each in setup.bindings or rig.midi],
            on_load=list(rig.on_load),
        )
        info = engine.install(slot, spec)
    except (LoadError, AudioFileError) as error:
        raise RigError(f"{rig.path or rig.name}: {error}") from error
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
    )


def _blocks(plan: Plan) -> list[BlockSpec]:
    models = {name: str(path) for name, path in plan.models.items()}
    impulses = {}
    for name, path in plan.impulses.items():
        read = read_impulse(path)
        impulses[name] = Impulse(read.name, read.sample_rate_hz, read.channels)
    return [
        BlockSpec(
            block.kind,
            block.name,
            dict(block.values),
            models.get(block.model, ""),
            [(at, models[model]) for at, model in block.family.items()],
            impulses.get(block.impulse),
            block.beside,
        )
        for block in plan.rig.blocks
    ]


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
    return [to_spec(binding, False) for binding in bindings]


def to_spec(binding: Binding, own: bool) -> BindingSpec:
    """One binding; own: of the rig itself, which must have its param."""
    return BindingSpec(
        binding.path,
        binding.control,
        binding.channel or 0,
        binding.mode,
        binding.curve,
        binding.low,
        binding.high,
        list(binding.leds),
        own,
    )
