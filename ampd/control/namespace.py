"""The tree of addresses as OSCQuery has it: the table of params as nested JSON, values included.

Source: OSCQuery proposal, github.com/Vidvox/OSCQueryProposal.
"""

from typing import Any, TypeAlias

from ampd.control.hub import Hub
from ampd.control.params import Answer, Param, norm_of, read, rows
from ampd.session import Session

ACCESS = {"r": 1, "w": 2, "rw": 3, "event": 1, "call": 2}

Node: TypeAlias = dict[str, Any]


def tree(session: Session, hub: Hub) -> Node:
    """The whole namespace as OSCQuery has it, values included."""
    root: Node = {"FULL_PATH": "/", "ACCESS": 0, "DESCRIPTION": "ampd", "CONTENTS": {}}
    state = session.state
    for param in rows(state):
        _place(root, param, read(param, state, hub.machine), _choices(param, session))
        if param.is_number:
            norm = norm_of(param)
            _place(root, norm, read(norm, state, hub.machine), ())
    return root


def _choices(param: Param, session: Session) -> tuple[str, ...]:
    return param.choices(session.state) if param.choices is not None else ()


def _place(root: Node, param: Param, value: Answer | None, choices: tuple[str, ...]) -> None:
    node, path = root, ""
    for name in param.address.strip("/").split("/"):
        path += f"/{name}"
        contents = node.setdefault("CONTENTS", {})
        node = contents.setdefault(name, {"FULL_PATH": path, "ACCESS": 0})
    node |= {"ACCESS": ACCESS[param.access], "DESCRIPTION": param.text}
    node["TYPE"] = _types(param, value)
    if param.access in ("rw", "r") and value is not None and param.path != "status":
        node["VALUE"] = list(value)
    if param.is_number:
        node |= _number_attributes(param)
    elif choices:
        node["RANGE"] = [{"VALS": list(choices)}]
    if param.unit:
        node["UNIT"] = [param.unit]


def _types(param: Param, value: Answer | None) -> str:
    if param.types == "s...":
        return "s" * (len(value) if value is not None else 1)
    return param.types or "N"


def _number_attributes(param: Param) -> Node:
    is_truth = param.types == "T"
    range_: Node = {"MIN": param.minimum, "MAX": param.maximum}
    if param.taper == "toggle":
        range_ = {"VALS": [False, True] if is_truth else [0, 1]}
    default = bool(param.default) if is_truth else param.default
    return {
        "RANGE": [range_],
        "CLIPMODE": ["both"],
        "TAPER": param.taper,
        "DEFAULT_VALUE": [default],
    }


def find_node(root: Node, path: str) -> Node | None:
    """The node at `path`, None where there is none."""
    node = root
    for name in path.strip("/").split("/"):
        if name:
            node = node.get("CONTENTS", {}).get(name)
            if node is None:
                return None
    return node
