"""The table of params as the README has it: Markdown made from the rows."""

from collections.abc import Iterable, Sequence

from ampd.control.params import FIXED, NORM, ROOT, Param, from_file, from_knob, with_units
from ampd.state import State

BEGIN = "<!-- made from params.py: tests/ampd/test_osc_params.py holds it -->\n"
END = "<!-- end -->\n"
TYPE_WORDS = {"": "none", "T": "`T` or `F`"}
OWN = ("input", "output")


def reference(state: State) -> str:
    """Every address: the fixed ones, the rack's globals, and the knobs of the rig of `state`."""
    knobs = [from_knob(path, knob) for path, knob in state.params.items()]
    rack = [param for param in knobs if param.path in state.globals]
    rig = [param for param in knobs if param.path not in state.globals]
    own = [param for param in rig if "/" not in param.path or param.path.split("/")[0] in OWN]
    blocks = [param for param in rig if param not in own]
    blocks += [from_file(path) for path in state.files]
    tables = (
        ("Values to set", _values([p for p in FIXED if p.access == "rw"], rack, own)),
        ("Buttons: no argument, or 1; 0, let go, does nothing", _buttons()),
        ("Values to read", _seen()),
        ("Requests", _calls()),
        ("Told to subscribers", _events()),
        ("Of each block, by the name that it has in its rig", _values(blocks)),
    )
    return "\n".join(f"**{title}**\n\n{table}" for title, table in tables)


def replace_reference(readme: str, state: State) -> str:
    """The README's text with the tables of now."""
    head, rest = readme.split(BEGIN)
    return head + BEGIN + reference(state) + END + rest.split(END)[1]


def _values(*groups: Iterable[Param]) -> str:
    rows = [
        (f"`{ROOT}{p.path}`", _types(p), with_units(p), _default(p), p.text + _norm(p))
        for group in groups
        for p in group
    ]
    return _table(("address", "type", "range", "default", "what"), rows)


def _buttons() -> str:
    rows = [(f"`{ROOT}{p.path}`", f"`{ROOT}{p.answers}`", p.text) for p in FIXED if p.access == "w"]
    return _table(("address", "answers at", "what"), rows)


def _seen() -> str:
    rows = [(f"`{ROOT}{p.path}`", _types(p), p.unit, p.text) for p in FIXED if p.access == "r"]
    return _table(("address", "type", "unit", "what"), rows)


def _calls() -> str:
    rows = [
        (f"`{ROOT}{p.path}`", f"`{p.arguments}`" if p.arguments else "none", _types(p), p.text)
        for p in FIXED
        if p.access == "call"
    ]
    return _table(("address", "arguments", "answer", "what"), rows)


def _events() -> str:
    rows = [(f"`{ROOT}{p.path}`", _types(p), p.text) for p in FIXED if p.access == "event"]
    return _table(("address", "arguments", "what"), rows)


def _types(param: Param) -> str:
    return TYPE_WORDS.get(param.types, f"`{param.types}`")


def _default(param: Param) -> str:
    if param.default is None:
        return ""
    if param.taper == "toggle":
        return "on" if param.default else "off"
    return f"{param.default:g}"


def _norm(param: Param) -> str:
    return f"; `{NORM}` runs logarithmically" if param.taper == "log" else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', ' ') for cell in line)} |\n" for line in lines)
