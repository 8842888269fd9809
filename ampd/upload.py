"""A model or an impulse response that somebody brings: examined first, then put into the library.

Nothing that is there is replaced, and nothing is left behind of what is refused.  All functions
block on the disk: call them off the event loop.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ampd.cabinet import parse_impulse
from ampd.errors import AudioFileError, LibraryError
from ampd.library import CAB_ENDINGS, MODEL_ENDINGS, Library
from ampd.rack import LoadError, load_model
from ampd.rig import is_name

MAX_BYTES = 32 * 1024 * 1024

Examine = Callable[[str, bytes, bool], None]  # name, bytes, whether it is a model


def store(library: Library, file_name: str, data: bytes, examine: Examine | None = None) -> str:
    """Put the bytes of a file into the library and return its name there: a model by its ending,
    .nam, .json or .aidax, or a cab, .wav, .flac, .aif or .aiff. Raises LibraryError.

    examine: raises LibraryError for what may not play; None: what can be loaded is good.
    """
    name = Path(file_name)
    stem, ending = name.stem, name.suffix.lower()
    if not is_name(stem) or name.name != file_name:
        raise LibraryError(
            f"{file_name[:80]!r} is no name for a file of the library, expected 1 to 64 of "
            f"A-Z a-z 0-9 . _ - and an ending."
        )
    if ending not in (*MODEL_ENDINGS, *CAB_ENDINGS):
        known = ", ".join((*MODEL_ENDINGS, *CAB_ENDINGS))
        raise LibraryError(f"{file_name}: ends in {ending!r}, expected one of {known}.")
    is_model = ending in MODEL_ENDINGS
    taken = library.model_names() if is_model else library.cab_names()
    if stem in taken:
        raise LibraryError(f"{file_name}: {stem} is there already; give it another name.")
    (examine or _load)(file_name, data, is_model)
    _put(library.models_path if is_model else library.cabs_folder, stem + ending, data)
    return stem


def _put(folder: Path, file_name: str, data: bytes) -> None:
    """Write it aside and give it its place in one step."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".upload-") as aside:
            path = Path(aside) / file_name
            path.write_bytes(data)
            os.link(path, folder / file_name)
    except FileExistsError:
        raise LibraryError(f"{file_name}: is there already; give it another name.") from None
    except OSError as error:
        raise LibraryError(f"{file_name}: cannot be written ({error.strerror}).") from error


def _load(file_name: str, data: bytes, is_model: bool) -> None:
    try:
        if is_model:
            load_model(data, file_name)
        else:
            parse_impulse(Path(file_name), data)
    except (LoadError, AudioFileError) as error:
        raise LibraryError(str(error)) from error
