"""ampd rig show | new | validate: rig files for people, without a daemon.

Each verb imports the engine when it runs, so that help comes at once.
"""

import argparse
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampd.config import load_config
from ampd.errors import AmpdError, CommandError, LibraryError, RigError
from ampd.help import RIG, RIG_NEW, RIG_SHOW, RIG_VALIDATE
from ampd.library import RIG_ENDING, Library
from ampd.rig import Rig, is_name, parse_rig, read_bytes, read_rig, to_yaml
from ampd.rig_starter import starter
from ampd.sets import assign_programs, read_set, set_programs

if TYPE_CHECKING:
    from ampd.rack import Engine

FILE_ENDINGS = (RIG_ENDING, ".yml")
DEFAULT_RATE_HZ = 48000
PERIOD_FRAMES = 64
COST_ROUNDS, ROUND_SECONDS = 7, 0.05  # the least of a third of a second: good to a few percent
SETTLE_ROUNDS = 4096
PROGRAM_LINE = re.compile(r"^program\s*:.*\n?", re.MULTILINE)


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add `rig` and its three parts to the command line; `verb` adds one; ampd.cli.KINDS."""
    rig = verbs.add_parser(
        "rig",
        help="show a rig, write a new one, or say whether rigs play",
        description="Rig files: show one, write a new one, or say whether they play.",
        epilog=RIG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = rig.add_subparsers(title="verbs", metavar="VERB", required=True)
    show = verb(parts, "show", show_rig, "show a rig as it is built, and what it costs", RIG_SHOW)
    show.add_argument("name", metavar="NAME|FILE", help="a rig of the library, or its file")
    new = verb(parts, "new", new_rig, "write a new rig file to begin with", RIG_NEW)
    new.add_argument("name", metavar="NAME", help="1 to 64 of A-Z a-z 0-9 . _ -")
    new.add_argument("--model", metavar="MODEL", help="what its amp plays, a name in the library")
    like = new.add_mutually_exclusive_group()
    like.add_argument("--from", dest="like", metavar="RIG", help="a copy of this rig")
    like.add_argument("--full", action="store_true", help="a whole board in place of amp and cab")
    validate = verb(
        parts, "validate", validate_rigs, "say of each rig whether it plays", RIG_VALIDATE
    )
    validate.add_argument(
        "rigs", metavar="NAME|FILE", nargs="*", help="rigs or sets; none: all of the library"
    )
    for parser in (show, validate):
        parser.add_argument(
            "--rate",
            type=kinds["rate"],
            default=DEFAULT_RATE_HZ,
            metavar="HZ",
            help="of the host, 48000",
        )


# --- show ---------------------------------------------------------------------------------------


def show_rig(options: argparse.Namespace) -> int:
    """ampd rig show NAME"""
    from ampd.bank import plan_rig  # noqa: PLC0415
    from ampd.rack import Engine, build  # noqa: PLC0415
    from ampd.rig_view import Shown, show_rig_table  # noqa: PLC0415

    library = _library(options)
    rig = read_rig(_rig_file(library, options.name))
    programs, _ = assign_programs(library.load_rigs()[0])
    engine = Engine(options.rate, False)
    try:
        built = build(engine, 0, plan_rig(library, rig))
    except RigError as error:
        raise RigError(_with_line(str(error), rig)) from error
    program = programs.get(rig.name, rig.program)
    cost_percent = _cost_percent(engine, options.rate)
    show_rig_table(Shown(built, program, options.rate, cost_percent, PERIOD_FRAMES))
    return 0


def _cost_percent(engine: "Engine", rate_hz: int) -> float:
    """CPU time of the rig in slot 0 over the time that it plays, the least of a few rounds."""
    import numpy as np  # noqa: PLC0415

    from ampd.probe import guitar_signal  # noqa: PLC0415

    engine.select(0)
    silence = np.zeros(PERIOD_FRAMES, np.float32)
    for _ in range(SETTLE_ROUNDS):
        engine.process(silence, PERIOD_FRAMES)
        engine.service()
        if any(fact.kind == "switched" for fact in engine.facts()):
            break
    sound = guitar_signal(rate_hz)[: round(ROUND_SECONDS * rate_hz)]
    least_s = math.inf
    for _ in range(COST_ROUNDS):
        began_s = time.thread_time()
        engine.process(sound, PERIOD_FRAMES)
        least_s = min(least_s, time.thread_time() - began_s)
    return 100 * least_s / (len(sound) / rate_hz)


# --- new ----------------------------------------------------------------------------------------


def new_rig(options: argparse.Namespace) -> int:
    """ampd rig new NAME"""
    library, name = _library(options), options.name
    if not is_name(name):
        raise CommandError(f"{name[:80]!r} is no rig name, expected 1 to 64 of A-Z a-z 0-9 . _ -.")
    path = library.rigs_path / f"{name}{RIG_ENDING}"
    text, note = _new_text(library, options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise LibraryError(
            f"{path}: is there already and stays as it is; take another name, or edit it."
        ) from None
    except OSError as error:
        raise LibraryError(f"{path}: cannot be written ({error.strerror}).") from error
    print(f"{path}: {note}")
    print(
        f"next: edit it, then 'ampd rig validate {name}' says whether it plays and "
        f"'ampd load {name}' plays it"
    )
    return 0


def _new_text(library: Library, options: argparse.Namespace) -> tuple[str, str]:
    """The text of the new file, and what is said about it."""
    if options.like is not None:
        if options.model is not None:
            raise CommandError("--from copies the rig with its models, expected no --model.")
        text = _copy(library.find_rig(options.like))
        return text, f"a copy of {options.like}, without its program number"
    if options.model is not None:
        library.find_model(options.model)
        return starter(options.name, options.model, options.full), f"plays {options.model}"
    names = library.model_names()
    if not names:
        raise LibraryError(
            f"{library.models_path}: there is no model to play; put one there, some-amp.nam."
        )
    note = f"plays {names[0]}, the first of the models; --model takes another"
    return starter(options.name, names[0], options.full), note


def _copy(source: Path) -> str:
    """The text of a rig with its comments, without its program: a copy would ask for the same."""
    rig = read_rig(source)
    text = PROGRAM_LINE.sub("", read_bytes(source).decode("utf-8"))
    with suppress(RigError):
        if parse_rig(text.encode(), rig.name).program is None:
            return text
    return to_yaml(replace(rig, program=None))


# --- validate -----------------------------------------------------------------------------------


def validate_rigs(options: argparse.Namespace) -> int:
    """ampd rig validate NAME|FILE..."""
    library = _library(options)
    good = True
    for text in _verdicts(library, options.rigs or _all_files(library), options.rate):
        good &= not text.startswith("bad")
        print(text)
    if not options.rigs:
        for text in (*assign_programs(library.load_rigs()[0])[1], *library.load_sets()[1]):
            print(f"note {text}")
    return 0 if good else 1


def _all_files(library: Library) -> list[str]:
    files = [library.rigs_path / f"{name}{RIG_ENDING}" for name in library.rig_names()]
    files += [library.sets_path / f"{name}{RIG_ENDING}" for name in library.set_names()]
    if not files:
        raise LibraryError(f"{library.rigs_path}: there is no rig (NAME.yaml).")
    return [str(file) for file in files]


def _verdicts(library: Library, words: Sequence[str], rate_hz: int) -> Iterator[str]:
    """A line for each rig or set as it comes, and one for each warning."""
    for word in words:
        try:
            path = _rig_file(library, word)
            if path.resolve().parent == library.sets_path.resolve():
                yield _set_verdict(library, path)
            else:
                yield from _rig_verdict(library, path, rate_hz)
        except AmpdError as error:
            yield f"bad  {error}"


def _rig_verdict(library: Library, path: Path, rate_hz: int) -> Iterator[str]:
    from ampd.passport import RigPassport, check  # noqa: PLC0415

    rig = read_rig(path)
    try:
        # A rig is examined in one way, whoever asks: `ampd check` builds it so too.
        found = check(path, library, rate_hz, with_cost=False)
    except RigError as error:
        yield f"bad  {_with_line(str(error), rig)}"
        return
    assert isinstance(found, RigPassport)
    parts = [", ".join(found.blocks) or "no blocks"]
    if rig.snapshots:
        parts.append(f"snapshots {', '.join(snapshot.name for snapshot in rig.snapshots)}")
    parts.append(f"{found.memory_bytes / 1000:,.0f} kB")
    if found.latency_frames:
        parts.append(f"{found.latency_ms:.3g} ms late")
    yield f"ok   {path}: {'; '.join(parts)}"
    for text in found.warnings:
        yield f"note {text}"


def _set_verdict(library: Library, path: Path) -> str:
    rig_set = read_set(path)
    programs, complaints = set_programs(rig_set, library.rig_names())
    if complaints:
        return f"bad  {complaints[0]}"
    return f"ok   {path}: a set of {', '.join(programs)}"


def _with_line(text: str, rig: Rig) -> str:
    """What the engine says of a block, with the line of the file where the block stands."""
    for block in rig.blocks:
        form = rf"{re.escape(str(rig.path))}: ((?:chain\.)?{block.name}[./].*)"
        if block.line and (match := re.fullmatch(form, text)):
            return f"{rig.path}:{block.line}: {match.group(1)}"
    return text


def _rig_file(library: Library, word: str) -> Path:
    """The file that `word` names: a path, a rig of the library, else a set of it."""
    path = Path(word)
    if path.suffix in FILE_ENDINGS:
        return path
    if "/" in word:
        raise CommandError(f"{word}: is no rig, expected NAME or a file NAME{RIG_ENDING}.")
    if word not in library.rig_names() and word in library.set_names():
        return library.find_set(word)
    return library.find_rig(word)


def _library(options: argparse.Namespace) -> Library:
    paths = load_config(options.config).paths
    return Library(paths.rigs, paths.models, paths.cabs)
