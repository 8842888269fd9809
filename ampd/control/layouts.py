"""Ready surfaces from the table: a session for Open Stage Control, a layout for TouchOSC.

Both are made for the rig that plays, with one widget for every number and switch, and subscribe by
themselves, again and again, so that they are whole again after either side was away.  prefix: what
stands behind /ampd/ in every address, the pairing token and a slash; "" for none.

Sources: openstagecontrol.ammd.net/docs (session files, widgets), hexler.net/touchosc/manual (nodes,
messages, script); a .tosc file is zlib over XML.
"""

import json
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from ampd.control.params import BY_PATH, NORM, ROOT, Param, from_knob
from ampd.state import Knob

COLUMNS = 6
CELL_WIDTH, CELL_HEIGHT, GAP = 190, 76, 8
LABEL_HEIGHT = 24
RENEW_S = 10
RECEIVE_PORT = 9011
STAGE = ("rig/prev", "rig/next", "snapshot/prev", "snapshot/next", "tap", "panic")
LAMP, STEEL = "#ffb02e", "#3a4046"
NAMESPACE = uuid.UUID("6d9fb6a1-5f1f-4a5e-9a3c-0d1c8b1f7e55")  # ids stay the same from run to run


@dataclass(frozen=True)
class Widget:
    """One thing on a surface; a frame in px. address "" has a label alone."""

    kind: str  # "fader" | "toggle" | "button" | "text"
    address: str
    label: str
    x: int
    y: int
    width: int = CELL_WIDTH
    height: int = CELL_HEIGHT
    param: Param | None = None


def widgets(params: Sequence[Param], prefix: str = "") -> list[Widget]:
    """Name and buttons in the first rows, then every number and switch, in the table's order."""
    root = ROOT + prefix
    placed = [Widget("text", root + "rig", "rig", 0, 0, _x(COLUMNS) - GAP)]
    there = {param.path for param in params}
    buttons = [BY_PATH[path] for path in STAGE]
    cells = [("button", p) for p in buttons if p.answers == "rig" or p.answers in there]
    cells += [("toggle" if p.taper == "toggle" else "fader", p) for p in params if p.is_number]
    for number, (kind, param) in enumerate(cells):
        row, column = divmod(number, COLUMNS)
        x, y = _x(column), (row + 1) * (CELL_HEIGHT + GAP)
        label = param.path.replace("/", " ").replace("_", " ")
        address = root + param.path + (NORM if kind == "toggle" else "")
        placed.append(Widget(kind, address, label, x, y, param=param))
    return placed


def _x(column: int) -> int:
    return column * (CELL_WIDTH + GAP)


def params_of(state: dict[str, Any]) -> list[Param]:
    """The numbers and switches of a State that came as JSON."""
    return [from_knob(path, Knob(**knob)) for path, knob in state["params"].items()]


# --- Open Stage Control -------------------------------------------------------------------------


def open_stage_control(params: Sequence[Param], prefix: str = "") -> str:
    """A session file. Numbers at their own addresses, in their own units; switches as 0 or 1."""
    shown = [widget for each in widgets(params, prefix) for widget in _stage_widgets(each)]
    call = f"{ROOT}{prefix}subscribe"
    subscribe = (
        f"var hear = function() {{ send('{call}', {{type: 's', value: '{ROOT}*'}}); "
        f"send('{call}', {{type: 's', value: '{ROOT}*{NORM}'}}); }}; "
        f"hear(); setInterval('hear', hear, {RENEW_S * 1000});"
    )
    root = {
        "type": "root",
        "id": "root",
        "layout": "default",
        "scroll": True,
        "onCreate": subscribe,
        "widgets": shown,
        "tabs": [],
    }
    document = {
        "createdWith": "Open Stage Control",
        "version": "1.26.0",
        "type": "session",
        "content": root,
    }
    return json.dumps(document, indent=1) + "\n"


def _stage_widgets(widget: Widget) -> Iterator[dict[str, Any]]:
    frame = {"left": widget.x, "top": widget.y, "width": widget.width, "height": widget.height}
    name = widget.label.replace(" ", "_")
    own = {"id": name, "address": widget.address, "typeTags": "f", **frame}
    match widget.kind:
        case "text":
            yield own | {"type": "text", "typeTags": "s", "css": "font-size: 40rem;"}
        case "button":
            yield own | {"type": "button", "mode": "tap", "label": widget.label, "on": 1, "off": 0}
        case "toggle":
            yield own | {
                "type": "button",
                "mode": "toggle",
                "label": widget.label,
                "on": 1,
                "off": 0,
                "colorFill": LAMP,
            }
        case _:
            assert widget.param is not None
            label = {**frame, "height": LABEL_HEIGHT, "type": "text", "id": f"{name}_label"}
            yield label | {"value": widget.label, "default": widget.label, "bypass": True}
            yield own | {
                "type": "fader",
                "horizontal": True,
                "top": widget.y + LABEL_HEIGHT,
                "height": widget.height - LABEL_HEIGHT,
                "range": {"min": widget.param.minimum, "max": widget.param.maximum},
                "default": widget.param.default,
                "doubleTap": True,
                "logScale": widget.param.taper == "log",
                "decimals": 2,
                "colorFill": LAMP,
            }


# --- TouchOSC -----------------------------------------------------------------------------------


def touch_osc(params: Sequence[Param], prefix: str = "") -> bytes:
    """A .tosc file. Faders and switches at their /norm addresses, 0 to 1."""
    placed = widgets(params, prefix)
    width = _x(COLUMNS) - GAP
    height = max(widget.y + widget.height for widget in placed)
    document = ElementTree.Element("lexml", version="3")
    root = _node(document, "GROUP", "ampd", (0, 0, width, height))
    _property(root, "s", "script", _script(prefix))
    children = ElementTree.SubElement(root, "children")
    for widget in placed:
        _touch_widgets(children, widget)
    head = b'<?xml version="1.0" encoding="UTF-8"?>'
    return zlib.compress(head + ElementTree.tostring(document, encoding="utf-8"), 9)


def _script(prefix: str) -> str:
    """Lua that subscribes now and again, at the port at which TouchOSC receives."""
    calls = "\n    ".join(
        f"sendOSC({{'{ROOT}{prefix}subscribe', {{{{tag = 'i', value = {RECEIVE_PORT}}}, "
        f"{{tag = 's', value = '{pattern}'}}}}}})"
        for pattern in (f"{ROOT}*{NORM}", f"{ROOT}rig")
    )
    return (
        "local last = nil\n"
        "function update()\n"
        "  local now = getMillis()\n"
        f"  if last == nil or now - last > {RENEW_S * 1000} then\n"
        "    last = now\n"
        f"    {calls}\n"
        "  end\n"
        "end\n"
    )


def _touch_widgets(parent: ElementTree.Element, widget: Widget) -> None:
    x, y, w, h = widget.x, widget.y, widget.width, widget.height
    if widget.kind == "text":
        label = _label(parent, "rig", "", (x, y, w, h), 40)
        _message(label, widget.address, "text", "STRING", sends=False)
        return
    if widget.kind == "fader":
        _label(parent, f"{widget.label} label", widget.label, (x, y, w, LABEL_HEIGHT), 14)
        frame = (x, y + LABEL_HEIGHT, w, h - LABEL_HEIGHT)
        node = _node(parent, "FADER", widget.label, frame)
        _property(node, "i", "orientation", 1)  # to the right
        _values(node, ("x", "0"), ("touch", "false"))
        _message(node, widget.address + NORM, "x", "FLOAT")
        return
    node = _node(parent, "BUTTON", widget.label, (x, y, w, h))
    _property(node, "i", "buttonType", 0 if widget.kind == "button" else 1)  # momentary, toggle
    _values(node, ("x", "0"), ("touch", "false"))
    _message(node, widget.address, "x", "FLOAT", hears=widget.kind == "toggle")
    _label(parent, f"{widget.label} label", widget.label, (x, y, w, h), 14)


def _label(
    parent: ElementTree.Element, name: str, text: str, frame: tuple[int, int, int, int], size: int
) -> ElementTree.Element:
    node = _node(parent, "LABEL", name, frame)
    _property(node, "i", "textSize", size)
    _property(node, "b", "background", 0)
    _property(node, "b", "interactive", 0)
    _values(node, ("text", text), ("touch", "false"))
    return node


def _node(
    parent: ElementTree.Element, kind: str, name: str, frame: tuple[int, int, int, int]
) -> ElementTree.Element:
    identity = str(uuid.uuid5(NAMESPACE, f"{kind} {name}"))
    node = ElementTree.SubElement(parent, "node", ID=identity, type=kind)
    ElementTree.SubElement(node, "properties")
    _property(node, "s", "name", name)
    _property(node, "c", "color", LAMP if kind != "GROUP" else STEEL)
    _property(node, "r", "frame", frame)
    return node


def _property(node: ElementTree.Element, kind: str, key: str, value: object) -> None:
    properties = node.find("properties")
    assert properties is not None
    entry = ElementTree.SubElement(properties, "property", type=kind)
    ElementTree.SubElement(entry, "key").text = key
    inside = ElementTree.SubElement(entry, "value")
    if kind == "r":
        assert isinstance(value, tuple)
        _parts(inside, zip("xywh", value, strict=True))
    elif kind == "c":
        text = str(value).removeprefix("#")
        channels = [int(text[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        _parts(inside, zip("rgba", [*channels, 1], strict=True))
    else:
        inside.text = str(value)


def _parts(parent: ElementTree.Element, parts: Iterable[tuple[str, float]]) -> None:
    for name, value in parts:
        ElementTree.SubElement(parent, name).text = f"{value:g}"


def _values(node: ElementTree.Element, *values: tuple[str, str]) -> None:
    parent = ElementTree.SubElement(node, "values")
    for key, default in values:
        entry = ElementTree.SubElement(parent, "value")
        _texts(entry, key=key, locked="0", lockedDefaultCurrent="0", default=default)
        ElementTree.SubElement(entry, "defaultPull").text = "0"


def _message(
    node: ElementTree.Element,
    address: str,
    key: str,
    conversion: str,
    sends: bool = True,
    hears: bool = True,
) -> None:
    messages = ElementTree.SubElement(node, "messages")
    osc = ElementTree.SubElement(messages, "osc")
    sending, hearing = str(int(sends)), str(int(hears))
    _texts(osc, enabled="1", send=sending, receive=hearing, feedback="0", connections="1" * 10)
    trigger = ElementTree.SubElement(ElementTree.SubElement(osc, "triggers"), "trigger")
    _texts(trigger, var=key, condition="ANY")
    for name, kind, form, value in (
        ("path", "CONSTANT", "STRING", address),
        ("arguments", "VALUE", conversion, key),
    ):
        partial = ElementTree.SubElement(ElementTree.SubElement(osc, name), "partial")
        _texts(partial, type=kind, conversion=form, value=value, scaleMin="0", scaleMax="1")


def _texts(parent: ElementTree.Element, **texts: str) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text
