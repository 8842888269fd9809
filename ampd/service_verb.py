"""ampd install-service, uninstall-service: systemd starts ampd, watches it, starts it again."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ampd.config import Config, PathsConfig, load_config
from ampd.errors import ServiceError
from ampd.help import INSTALL_SERVICE, UNINSTALL_SERVICE
from ampd.units import MARK, Files, Installation, for_system, for_user

KEPT = (Path("/var/lib/ampd"), Path("/var/cache/ampd"))
ACCOUNT = "ampd"


def add_verbs(verbs: Any, verb: Callable[..., Any], _: Mapping[str, Callable[[str], int]]) -> None:
    """Add the verbs to the command line; `verb` adds one."""
    text = "let systemd start ampd, watch it and start it again"
    install = verb(verbs, "install-service", install_service, text, INSTALL_SERVICE)
    install.add_argument(
        "--as",
        dest="account",
        default=ACCOUNT,
        metavar="NAME",
        help="account of the machine's service, JACK's own; default ampd, which is made",
    )
    text = "take back all that install-service did"
    uninstall = verb(verbs, "uninstall-service", uninstall_service, text, UNINSTALL_SERVICE)
    uninstall.add_argument(
        "--purge", action="store_true", help="and what was kept: state, cache and the account ampd"
    )
    for parser in (install, uninstall):
        parser.add_argument("--user", action="store_true", help="a service of this user alone")
        parser.add_argument("--dry-run", action="store_true", help="print it; change nothing")


def install_service(options: argparse.Namespace) -> int:
    """ampd install-service"""
    config = load_config(options.config)
    files = _files(options.user, installation(config, options.account))
    if options.dry_run:
        for path, text in files.texts.items():
            print(f"# {path}\n{text}")
        _show(files.after)
        return 0
    _demand(options.user)
    install(files)
    words = "systemctl --user" if options.user else "systemctl"
    print(f"ampd plays from the next start on; now: {words} start ampd")
    return 0


def uninstall_service(options: argparse.Namespace) -> int:
    """ampd uninstall-service"""
    files = _files(options.user, Installation())
    purges = _purges() if options.purge and not options.user else ()
    if options.dry_run:
        _show(files.before_removal)
        _show([("rm", str(path)) for path in files.texts])
        _show((*files.after_removal, *purges))
        return 0
    _demand(options.user)
    uninstall(files, purges)
    return 0


def install(files: Files) -> None:
    """Write what is not so already, and tell systemd. Raises ServiceError, before anything is
    changed where a file of another hand is in the way."""
    for path in files.texts:
        if path.exists() and not _is_ours(path):
            raise ServiceError(f"{path}: is not ampd's; move it away first.")
    for path, text in files.texts.items():
        try:
            if path.exists() and path.read_text("utf-8") == text:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text, "utf-8")
            new.chmod(0o644)
            new.replace(path)
            print(f"wrote {path}")
        except OSError as error:
            raise ServiceError(f"{path}: cannot be written ({error.strerror}).") from error
    for call in files.after:
        _call(call)


def uninstall(files: Files, purges: Sequence[Sequence[str]] = ()) -> None:
    """Stop the service and take away the files, those alone that install() wrote. What systemd
    refuses is told, and the rest is done all the same. Raises ServiceError."""
    ours = [path for path in files.texts if path.exists() and _is_ours(path)]
    if any(path.suffix == ".service" for path in ours):
        for call in files.before_removal:
            _try(call)
    for path in ours:
        try:
            path.unlink()
        except OSError as error:
            raise ServiceError(f"{path}: cannot be removed ({error.strerror}).") from error
        print(f"removed {path}")
    for words in (*files.after_removal, *purges):
        _try(words)
    left = [str(path) for path in KEPT if path.exists()]
    if left and not purges:
        print(f"kept {' and '.join(left)}; --purge removes what was kept")


def installation(config: Config, account: str) -> Installation:
    """This ampd on this machine, with these settings."""
    paths = config.paths
    source = config.source.absolute() if config.source else None
    library = () if source is None else (paths.rigs, paths.models, paths.cabs)
    made = [*library, *_set_by_hand(config)]
    reads = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[1]]
    reads += [source.parent] if source else []
    return Installation(
        command=_command(),
        config=source,
        account=account,
        lan=config.control.lan,
        networks=config.control.networks,
        reads=tuple(dict.fromkeys(path.absolute() for path in reads)),
        writes=tuple(dict.fromkeys(path.absolute() for path in made)),
    )


def _set_by_hand(config: Config) -> list[Path]:
    """The folders of state and cache, where ampd.toml names others than systemd's."""
    default = PathsConfig()
    pairs = ((config.paths.state, default.state), (config.paths.cache, default.cache))
    return [path for path, usual in pairs if path != usual]


def _command() -> tuple[str, ...]:
    script = Path(sys.executable).with_name("ampd")
    if script.is_file() and os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-m", "ampd.cli")


def _files(user: bool, here: Installation) -> Files:
    if not user:
        return for_system(here)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return for_user(here, Path(home))


def _purges() -> tuple[tuple[str, ...], ...]:
    return (("rm", "-rf", *map(str, KEPT)), ("userdel", ACCOUNT))


def _demand(user: bool) -> None:
    """Raises ServiceError where it cannot be done here."""
    if shutil.which("systemctl") is None:
        raise ServiceError("There is no systemctl: this machine is not run by systemd.")
    if not user and os.geteuid() != 0:
        raise ServiceError(
            "The machine's service is root's to write: sudo it, or take --user for a service of "
            "your own."
        )


def _is_ours(path: Path) -> bool:
    try:
        return MARK in path.read_text("utf-8", "replace")
    except OSError as error:
        raise ServiceError(f"{path}: cannot be read ({error.strerror}).") from error


def _call(words: Sequence[str]) -> None:
    try:
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ServiceError(f"{words[0]}: {error.strerror}.") from error
    if ended.returncode != 0:
        reason = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ServiceError(f"{' '.join(words)}: {reason[-1]}")


def _try(words: Sequence[str]) -> None:
    try:
        _call(words)
    except ServiceError as error:
        print(f"ampd: {error}", file=sys.stderr)


def _show(calls: Sequence[Sequence[str]]) -> None:
    for words in calls:
        print("$ " + " ".join(words))
