"""Finds rigs, sets, models and cabs by name, in their folders and nowhere else.

A name is 1 to 64 of A-Z a-z 0-9 . _ - and never a path; what it finds is resolved and must still
lie in the folder, so neither a name nor a symbolic link leads out.  All functions block on the
disk: call them off the event loop.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ampd.errors import LibraryError, RigError
from ampd.rig import Rig, is_name, read_rig
from ampd.sets import RigSet, assign_banks, read_set

MODEL_ENDINGS = (".nam", ".json", ".aidax")
CAB_ENDINGS = (".wav", ".flac", ".aif", ".aiff")
RIG_ENDING = ".yaml"

Stamp = tuple[tuple[str, int, int, int], ...]  # (path, inode, bytes, changed in ns) of each file


@dataclass(frozen=True)
class Library:
    """What lies on disk. Nothing is kept in memory: the disk is the truth."""

    rigs_path: Path
    models_path: Path
    cabs_path: Path | None = None  # None: the folder cabs among the models

    @property
    def sets_path(self) -> Path:
        """The folder of sets."""
        return self.rigs_path / "sets"

    @property
    def cabs_folder(self) -> Path:
        """The folder of impulse responses."""
        return self.cabs_path or self.models_path / "cabs"

    def find_model(self, name: str) -> Path:
        """The model's file: NAME/NAME.json, else NAME/NAME.nam, else NAME.nam|json|aidax.

        Raises LibraryError; a missing one names its neighbours.
        """
        _check_name("model", name)
        candidates = [self.models_path / name / f"{name}{ending}" for ending in (".json", ".nam")]
        candidates += [self.models_path / f"{name}{ending}" for ending in MODEL_ENDINGS]
        return _first("model", name, candidates, self.models_path, self.model_names)

    def find_cab(self, name: str) -> Path:
        """The impulse response NAME.wav|flac|aif|aiff, the first that is there.

        Raises LibraryError; a missing one names its neighbours.
        """
        _check_name("cab", name)
        candidates = [self.cabs_folder / f"{name}{ending}" for ending in CAB_ENDINGS]
        return _first("cab", name, candidates, self.cabs_folder, self.cab_names)

    def find_set(self, name: str) -> Path:
        """The file of the set `name`. Raises LibraryError; a missing one names its neighbours."""
        _check_name("set", name)
        candidates = [self.sets_path / f"{name}{RIG_ENDING}"]
        return _first("set", name, candidates, self.sets_path, self.set_names)

    def load_sets(self) -> tuple[list[RigSet], list[str]]:
        """Every set that can be read, in the order of their bank numbers, which all have now, and
        a sentence for each trouble."""
        sets, complaints = [], []
        for name in self.set_names():
            try:
                sets.append(read_set(self.find_set(name)))
            except (LibraryError, RigError) as error:
                complaints.append(str(error))
        numbered, more = assign_banks(sets)
        return numbered, [*complaints, *more]

    def find_rig(self, name: str) -> Path:
        """The file of the rig `name`. Raises LibraryError; a missing one names its neighbours."""
        _check_name("rig", name)
        candidates = [self.rigs_path / f"{name}{RIG_ENDING}"]
        return _first("rig", name, candidates, self.rigs_path, self.rig_names)

    def load_rig(self, name: str) -> Rig:
        """The rig `name`, read and checked for its form. Raises LibraryError, RigError."""
        return read_rig(self.find_rig(name))

    def load_rigs(self) -> tuple[list[Rig], dict[str, str]]:
        """Every rig that can be read, in name order, and name -> sentence for the others."""
        rigs, errors = [], {}
        for name in self.rig_names():
            try:
                rigs.append(self.load_rig(name))
            except (LibraryError, RigError) as error:
                errors[name] = str(error)
        return rigs, errors

    def rig_names(self) -> list[str]:
        """The names of all rig files, sorted; [] where there is no folder."""
        return _file_names(self.rigs_path, (RIG_ENDING,))

    def set_names(self) -> list[str]:
        """The names of all set files, sorted; [] where there is no folder."""
        return _file_names(self.sets_path, (RIG_ENDING,))

    def cab_names(self) -> list[str]:
        """The names of all impulse responses, sorted; [] where there is no folder."""
        return _file_names(self.cabs_folder, CAB_ENDINGS)

    def model_names(self) -> list[str]:
        """The names of all models, sorted; [] where there is no folder."""
        names = set()
        for path in _listing(self.models_path):
            if path.is_dir():
                if any((path / f"{path.name}{end}").is_file() for end in (".json", ".nam")):
                    names.add(path.name)
            elif path.suffix in MODEL_ENDINGS:
                names.add(path.stem)
        return sorted(name for name in names if is_name(name))


def stamp(paths: Sequence[Path]) -> Stamp:
    """What changes when one of the files changes; a file that is gone counts as changed."""
    seen = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            seen.append((str(path), 0, 0, 0))
        else:
            seen.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(seen)


def nearest(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about a word that is not among `known`: its likeliest neighbours."""
    if not known:
        return "there is none"
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5) or list(known[:8])
    more = ", ..." if len(near) < len(known) and len(near) == len(known[:8]) else ""
    return f"there is {', '.join(near)}{more}"


def _check_name(what: str, name: str) -> None:
    if not is_name(name):
        raise LibraryError(
            f"{name[:80]!r} is not a {what} name, expected 1 to 64 of A-Z a-z 0-9 . _ - "
            f"and never a path."
        )


def _first(
    what: str, name: str, candidates: list[Path], root: Path, names: Callable[[], list[str]]
) -> Path:
    for path in candidates:
        if not path.is_file():
            continue
        if not path.resolve().is_relative_to(root.resolve()):
            raise LibraryError(f"{path}: leads out of {root}; put a copy of the file there.")
        return path
    raise LibraryError(f"{root}: no {what} {name}; {nearest(name, names())}.")


def _file_names(folder: Path, endings: tuple[str, ...]) -> list[str]:
    return sorted(
        {
            path.stem
            for path in _listing(folder)
            if path.suffix in endings and is_name(path.stem) and path.is_file()
        }
    )


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
