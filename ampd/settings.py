# ruff: noqa: PTH116, PTH123
"""ampd.toml -> values, checked section by section; config.py makes the Config of them.

A client asks for [osc] alone: it starts sooner, and a mistake elsewhere in the file stops no panic.
An error names the file, the key, the value found and what is allowed.  Needs neither pathlib nor
dataclasses, which take longer to load than all of this.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping

from ampd.errors import ConfigError
from ampd.places import HOST

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import Any, TypeAlias

MAX_BYTES = 256 * 1024
NAMED = 80  # characters of a name that an error repeats
SHOWN = 300  # and of a value

# Keys, and what makes the value of each out of what stands there, or raises ValueError.
Checks: TypeAlias = "Mapping[str, Callable[[Any], Any]]"


def integer(low: int, high: int) -> Callable[[Any], int]:
    """The check of a whole number."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _loopback(value: Any) -> str:
    if value == HOST:
        return HOST
    import ipaddress  # noqa: PLC0415 (the address of nearly everybody is known without)

    try:
        if isinstance(value, str) and ipaddress.ip_address(value).is_loopback:
            return value
    except ValueError:
        pass
    raise ValueError("a loopback address such as 127.0.0.1")


OSC: Checks = {"host": _loopback, "port": integer(0, 65535)}


def osc_of(path: str) -> dict[str, Any]:
    """What the file at `path` says in [osc]. Raises ConfigError. Blocks on the disk."""
    document = parse(read(path), path)
    return section(path, "osc", document.get("osc", {}), OSC)


def read(path: str | os.PathLike[str]) -> str:
    """The text of an ampd.toml. Raises ConfigError. Blocks on the disk."""
    try:
        if os.stat(path).st_size > MAX_BYTES:
            raise ConfigError(f"{path}: the file is larger than {MAX_BYTES // 1024} kB.")
        with open(path, "rb") as file:
            return file.read().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8 text.") from error


def parse(text: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Its sections, not checked yet. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # and a number that Python will not read
        raise ConfigError(f"{path}: not TOML: {error}.") from error


def section(path: str | os.PathLike[str], name: str, table: Any, checks: Checks) -> dict[str, Any]:
    """The checked values of one section. Raises ConfigError."""
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} is {_shown(table)}, expected a section [{name}].")
    return {key: _value(path, name, key, value, checks) for key, value in table.items()}


def _value(path: str | os.PathLike[str], name: str, key: str, value: Any, checks: Checks) -> Any:
    if key not in checks:
        raise ConfigError(
            f"{path}: [{name}] {key[:NAMED]} is not a key{near(key, checks)}; "
            f"expected one of {', '.join(checks)}."
        )
    try:
        return checks[key](value)
    except ValueError as error:
        raise ConfigError(
            f"{path}: [{name}] {key} is {_shown(value)}, expected {error}."
        ) from error


def _shown(value: Any) -> str:
    """A value in an error: short, also where it is a list of a thousand numbers."""
    try:
        text = repr(value)
    except ValueError:  # hexadecimal digits are read in any number, and not written
        return "a number too long to be shown"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def near(word: str, known: Mapping[str, object]) -> str:
    """The known word that was meant, as the end of a sentence; "" where none is near."""
    import difflib  # noqa: PLC0415 (a client starts sooner without)

    found = difflib.get_close_matches(word[:NAMED], known, n=1)
    return f" (did you mean {found[0]}?)" if found else ""
