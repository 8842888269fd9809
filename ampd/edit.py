"""A rig changed while it plays: another file for a block, and the rig as it is heard, kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ampd.errors import CommandError, LibraryError
from ampd.rig import Rig, RigBlock, is_name, to_yaml

DIGITS = 6  # values have gone through float32
MOVERS = ("snapshot", "morph")  # params that move others


def with_file(rig: Rig, path: str, name: str) -> Rig:
    """The rig whose block reads another file: path "amp/model" or "cab/impulse". Raises
    CommandError; whether there is such a file is the library's to say."""
    if path not in rig.files:
        raise CommandError(
            f"{path}: rig {rig.name} has no such address; there is "
            f"{', '.join(rig.files) or 'no block that reads a file'}."
        )
    if not name and path.endswith("/model"):
        raise CommandError(f"{path}: found '', expected the name of a model.")
    block_name, _, key = path.partition("/")
    blocks = [
        replace(block, **{key: name}) if block.name == block_name else block  # type: ignore[arg-type]
        for block in rig.blocks
    ]
    return replace(rig, blocks=tuple(blocks))


def as_heard(
    rig: Rig, values: Mapping[str, float], defaults: Mapping[str, float], name: str
) -> Rig:
    """The rig `name` that sounds as `rig` does with these values; program and file are left out.

    Values that are the block's own defaults and stand not in `rig` are left out.
    """
    blocks = tuple(_block(block, values, defaults) for block in rig.blocks)
    own = {
        path: _rounded(value)
        for path, value in values.items()
        if _is_own(path, blocks) and (path in rig.values or not _same(value, defaults[path]))
    }
    return replace(rig, name=name, program=None, values=own, blocks=blocks, path=None)


def write_new(folder: Path, rig: Rig) -> Path:
    """Write the rig's file; one that is there is never replaced. Raises LibraryError. Blocks."""
    if not is_name(rig.name):
        raise LibraryError(
            f"{rig.name[:80]!r} is not a rig name, expected 1 to 64 of A-Z a-z 0-9 . _ - "
            f"and never a path."
        )
    path = folder / f"{rig.name}.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(to_yaml(rig))
    except FileExistsError:
        raise LibraryError(f"{path}: is there already; choose another name.") from None
    except OSError as error:
        raise LibraryError(f"{path}: cannot be written ({error.strerror}).") from error
    return path


def _block(block: RigBlock, values: Mapping[str, float], defaults: Mapping[str, float]) -> RigBlock:
    here = f"{block.name}/"
    kept = {
        path.removeprefix(here): _rounded(value)
        for path, value in values.items()
        if path.startswith(here)
        and (path.removeprefix(here) in block.values or not _same(value, defaults[path]))
    }
    return replace(block, values=kept)


def _is_own(path: str, blocks: tuple[RigBlock, ...]) -> bool:
    return path not in MOVERS and path.partition("/")[0] not in [block.name for block in blocks]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _same(value: float, default: float) -> bool:
    return _rounded(value) == _rounded(default)
