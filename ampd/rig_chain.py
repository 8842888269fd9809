"""The chain of a rig file: its blocks, their values, and the files that they ask for.

Only the form is checked: which params a block has is the engine's to say.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ampd.errors import RigError
from ampd.rig_yaml import Document, as_list, choices, describe, number

MAX_BLOCKS = 32
FAMILY_SIZES = range(2, 9)
FILE_KEYS = {"model": "amp", "models": "amp", "impulse": "cab"}  # and the kind that reads them
BLOCK_NAME = re.compile(r"([a-z]{1,16})([1-9][0-9]?)?")
PARAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class RigBlock:
    """One block of a chain. name is the kind, with a number from the second one on."""

    kind: str
    name: str
    values: Mapping[str, float] = field(default_factory=dict)  # "gain_db": -3.0, "bypass": 1.0
    model: str = ""  # a name of the library, never a path
    family: Mapping[float, str] = field(default_factory=dict)  # the knob's position -> such a name
    impulse: str = ""  # a cab's, a name in the folder of cabs; "" = the built-in speaker
    beside: str = ""  # the block just before it: both hear what that one hears, and are blended
    line: int = field(default=0, compare=False)  # in its file, for errors; 0 = not known

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models that it plays, in order."""
        return (self.model,) if self.model else tuple(self.family.values())


def is_name(text: str) -> bool:
    """Whether `text` may name a file of the library: 1 to 64 of A-Z a-z 0-9 . _ -, no folder."""
    return FILE_NAME.fullmatch(text) is not None and text.strip(".") != ""


def parse_chain(document: Document, entry: Any) -> tuple[RigBlock, ...]:
    """The blocks of the list under `chain`. Raises RigError."""
    entries = as_list(document, "chain", entry, MAX_BLOCKS, "- amp: {model: ts9}")
    blocks = tuple(_block(document, index, each) for index, each in enumerate(entries))
    names = [block.name for block in blocks]
    for index, block in enumerate(blocks):
        where = f"{document.at('chain', index)}: chain entry {index + 1}"
        if block.name in names[:index]:
            raise RigError(
                f"{where}: block {block.name} stands twice; "
                f"number the second one, such as {block.kind}2."
            )
        if block.beside and block.beside not in names[max(0, index - 1) : index]:
            raise RigError(
                f"{where} ({block.name}): beside is {block.beside}, expected the block just in "
                f"front of it{choices(names[max(0, index - 1) : index])}."
            )
        if block.beside and blocks[index - 1].beside:
            raise RigError(
                f"{where} ({block.name}): beside is {block.beside}, which stands beside "
                f"{blocks[index - 1].beside} itself; only two can stand beside each other."
            )
    return blocks


def _block(document: Document, index: int, entry: Any) -> RigBlock:
    name, kind, body = _named(document, index, entry)
    inside = f"chain entry {index + 1} ({name})"
    if body is not None and not isinstance(body, dict):
        raise RigError(
            f"{document.at('chain', index)}: {inside} is {describe(body)}, "
            f"expected such as {{gain_db: 0}}."
        )
    values = dict(body or {})
    places = {key: f"{document.at('chain', index, name, str(key))}: {inside}" for key in values}
    for key in values:
        _check_param(kind, places[key], key)
    model, impulse = (_file(places, values, key) for key in ("model", "impulse"))
    family = _family(places["models"], values.pop("models")) if "models" in values else {}
    if model and family:
        raise RigError(f"{places['models']}: has both model and models, expected one of them.")
    beside = _beside(places, values)
    numbers = {key: number(f"{places[key]}: {key}", v, switch=True) for key, v in values.items()}
    line = document.lines.get(("chain", index), 0)
    return RigBlock(kind, name, numbers, model, family, impulse, beside, line)


def _named(document: Document, index: int, entry: Any) -> tuple[str, str, Any]:
    """Name, kind and values of an entry: {name: values}, or the name alone."""
    where = f"{document.at('chain', index)}: chain entry {index + 1}"
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, dict) or len(entry) != 1:
        found = f"{len(entry)} keys" if isinstance(entry, dict) else describe(entry)
        raise RigError(
            f"{where}: holds {found}, expected one block such as 'gain: {{gain_db: 3}}'."
        )
    ((name, body),) = entry.items()
    form = BLOCK_NAME.fullmatch(name) if isinstance(name, str) else None
    if form is None:
        raise RigError(f"{where}: {describe(name)} is no block name, expected such as amp or amp2.")
    return name, form.group(1), body


def _check_param(kind: str, place: str, key: Any) -> None:
    if not isinstance(key, str) or not PARAM_NAME.fullmatch(key):
        raise RigError(f"{place}: key {describe(key)} is no param name such as gain_db.")
    if FILE_KEYS.get(key, kind) != kind:
        raise RigError(f"{place}: has {key}, which only the block {FILE_KEYS[key]} takes.")


def _file(places: Mapping[str, str], values: dict[str, Any], key: str) -> str:
    """Take the name of a file of the library out of `values`."""
    if key not in values:
        return ""
    name = values.pop(key)
    _check_file(f"{places[key]}: {key}", name)
    return str(name)


def _check_file(where: str, name: Any) -> None:
    if not isinstance(name, str) or not is_name(name):
        raise RigError(
            f"{where} is {describe(name)}, expected a name in the library: "
            f"1 to 64 of A-Z a-z 0-9 . _ -, never a path."
        )


def _beside(places: Mapping[str, str], values: dict[str, Any]) -> str:
    if "beside" not in values:
        return ""
    name = values.pop("beside")
    if not isinstance(name, str) or not BLOCK_NAME.fullmatch(name):
        raise RigError(
            f"{places['beside']}: beside is {describe(name)}, expected the name of the block "
            f"just in front of it, such as amp."
        )
    return name


def _family(inside: str, entry: Any) -> dict[float, str]:
    """The captures of one amp, by the position of the knob at which each was taken."""
    if not isinstance(entry, dict) or len(entry) not in FAMILY_SIZES:
        found = f"{len(entry)} models" if isinstance(entry, dict) else describe(entry)
        raise RigError(
            f"{inside}: models is {found}, expected {FAMILY_SIZES[0]} to {FAMILY_SIZES[-1]} "
            f"positions of the knob and a model for each, such as {{0: champ_g00, 5: champ_g05}}."
        )
    family: dict[float, str] = {}
    before = -math.inf
    for key, model in entry.items():
        at = number(f"{inside}: models: position", key)
        if at <= before:
            raise RigError(
                f"{inside}: models: position {at:g} comes behind {before:g}, "
                f"expected rising positions."
            )
        _check_file(f"{inside}: models: {at:g}", model)
        family[at] = model
        before = at
    return family


def block_document(block: RigBlock) -> dict[str, Any]:
    """What stands behind the block's name in a rig file."""
    named = {"model": block.model, "models": dict(block.family), "impulse": block.impulse}
    named["beside"] = block.beside
    return {key: value for key, value in named.items() if value} | dict(block.values)
