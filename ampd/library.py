"""Finds rigs, sets, models and cabs by name, in their folders and nowhere else.

A name is 1 to 64 of A-Z a-z 0-9 . _ - and never a path; what it finds is resolved and must still
lie in the folder, so neither a name nor a symbolic link leads out.  All functions block on the
disk: call them off the event loop.
"""

import difflib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ampd.errors import LibraryError, RigError
from ampd.rig import Rig, is_name, read_rig
from ampd.sets import RigSet, assign_banks, read_set

MODEL_ENDINGS = (".nam", ".json", ".aidax")
CAB_ENDINGS = (".wav", ".flac", ".aif", ".aiff")
RIG_ENDING = ".yaml"

NEIGHBOURS_AMONG = 500  # names that are looked at closely for a neighbour

Stamp = tuple[tuple[str, int, int, int], ...]  # (path, inode, bytes, changed in ns) of each file


@dataclass(frozen=True)
class Found:
    """A file as it was found."""

    name: str
    path: str
    size_bytes: int
    changed_ns: int
    reason: str  # why no rig can name it, "" = one can


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
        return sorted({found.name for found in self.models() if not found.reason})

    # --- everything that lies there -------------------------------------------------------------

    def models(self) -> Iterator[Found]:
        """Every model file that a rig could name, or almost: reason says why not. No order."""
        for entry in _entries(str(self.models_path)):
            if _holds(entry.is_dir):
                yield from self._models_in(entry)
            elif _split(entry.name)[1] in MODEL_ENDINGS:
                yield from _found("model", entry, self.models_path)

    def cabs(self) -> Iterator[Found]:
        """Every impulse response, likewise."""
        return _files("cab", self.cabs_folder, CAB_ENDINGS)

    def rigs(self) -> Iterator[Found]:
        """Every rig file, likewise."""
        return _files("rig", self.rigs_path, (RIG_ENDING,))

    def _models_in(self, folder: os.DirEntry[str]) -> Iterator[Found]:
        """A folder NAME is the model NAME, where its file has that name."""
        files = {entry.name: entry for entry in _entries(folder.path)}
        linked = folder.is_symlink()
        for ending in (".json", ".nam"):
            entry = files.get(folder.name + ending)
            if entry is not None and _holds(entry.is_file):
                yield from _found("model", entry, self.models_path, linked=linked)
                return
        astray = f"lies where no rig can name it; put it into {self.models_path} itself"
        for name, entry in files.items():
            if _split(name)[1] in (".nam", ".aidax"):
                yield from _found("model", entry, self.models_path, astray)


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
    if len(known) > NEIGHBOURS_AMONG:  # the rest would take a second
        close = sorted(known, key=lambda name: _agreement(word, name))
        near = difflib.get_close_matches(word, close[-NEIGHBOURS_AMONG:], n=3, cutoff=0.5)
    else:
        near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    near = near or list(known[:8])
    more = ", ..." if len(near) < len(known) and len(near) == len(known[:8]) else ""
    return f"there is {', '.join(near)}{more}"


def _agreement(one: str, other: str) -> int:
    """How many letters both begin with."""
    shorter = min(len(one), len(other))
    return next((n for n in range(shorter) if one[n] != other[n]), shorter)


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
        if not _inside(path, root):
            raise LibraryError(f"{path}: leads out of {root}; put a copy of the file there.")
        return path
    raise LibraryError(f"{root}: no {what} {name}; {nearest(name, names())}.")


def _file_names(folder: Path, endings: tuple[str, ...]) -> list[str]:
    return sorted({found.name for found in _files("", folder, endings) if is_name(found.name)})


def _files(what: str, folder: Path, endings: tuple[str, ...]) -> Iterator[Found]:
    for entry in _entries(str(folder)):
        if _split(entry.name)[1] in endings:
            yield from _found(what, entry, folder)


def _found(
    what: str, entry: os.DirEntry[str], root: Path, reason: str = "", linked: bool = False
) -> Iterator[Found]:
    """The file, if it is one; linked: its folder is a link. Strings, not paths: of 10,000 files
    the paths alone would take a second."""
    try:
        status = entry.stat()
    except OSError:  # it went away, or links to nothing
        return
    if not stat.S_ISREG(status.st_mode):
        return
    name = _split(entry.name)[0]
    if not reason and not is_name(name):
        reason = f"its name is no {what} name, expected 1 to 64 of A-Z a-z 0-9 . _ -"
    if not reason and (linked or entry.is_symlink()) and not _inside(Path(entry.path), root):
        reason = f"leads out of {root}; put a copy of the file there"
    yield Found(name, entry.path, status.st_size, status.st_mtime_ns, reason)


def _split(name: str) -> tuple[str, str]:
    """Name and ending, as a Path has them."""
    at = name.rfind(".")
    return (name[:at], name[at:]) if 0 < at < len(name) - 1 else (name, "")


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return False


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What lies in the folder, as far as it can be read."""
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except OSError:
        return []


def _holds(test: Callable[[], bool]) -> bool:
    """Whether it is so of an entry that may be gone."""
    try:
        return test()
    except OSError:
        return False
