"""Settings as frozen dataclasses: what a field says of itself, and plain values -> checked ones."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping

from trainer.errors import RecipeError

T = typing.TypeVar("T")


def setting(default: T, text: str, low: float = -math.inf, high: float = math.inf) -> T:
    """A dataclass field: its default, its line in --help, and the range of its numbers."""
    notes = {"text": text, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=notes)


def build(kind: type, values: object, where: str) -> typing.Any:
    """The dataclass `kind` of plain values; `where` names them in errors.

    raises: RecipeError for an unknown key, a wrong type or a number out of its field's range
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise RecipeError(f"{where}: found {values!r:.60}, expected keys with values")
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise RecipeError(f"{where}.{key}: no such key{nearest(str(key), [*hints])}")
    built = kind(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in values.items()})
    for field in dataclasses.fields(built):
        _check_range(getattr(built, field.name), field, where)
    return built


def _convert(hint: object, value: object, where: str) -> object:
    """value as the type that a field asks for; ints pass for floats, lists for tuples."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    wanted = next(option for option in options if option is not type(None))
    if typing.get_origin(wanted) is tuple:
        return _convert_list(typing.get_args(wanted), value, where)
    if wanted is float and type(value) in (int, float) and math.isfinite(float(str(value))):
        return float(str(value))
    if wanted is not float and type(value) is wanted:
        return value
    kinds = {float: "a number", int: "a whole number", bool: "true or false"}
    expected = kinds.get(typing.cast(type, wanted), "text (in quotes where it looks like a number)")
    raise RecipeError(f"{where}: found {value!r}, expected {expected}")


def _convert_list(items: tuple[object, ...], value: object, where: str) -> tuple[int, ...]:
    count = None if Ellipsis in items else len(items)
    numbers = value if isinstance(value, list) else [None]
    if all(type(v) is int for v in numbers) and count in (None, len(numbers)):
        return tuple(numbers)
    expected = "[first, end] in frames" if count else "a list of whole numbers"
    raise RecipeError(f"{where}: found {value!r}, expected {expected}")


def _check_range(value: object, field: "dataclasses.Field[typing.Any]", where: str) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, int | float) and not low <= number <= high:
            expected = f"{low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
            raise RecipeError(f"{where}.{field.name}: found {value!r}, expected {expected}")


def nearest(word: str, known: list[str]) -> str:
    """The end of an error about an unknown word: what was meant, or what there is."""
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; expected one of {', '.join(known)}"
