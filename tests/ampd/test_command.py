import math
from typing import Any

import pytest

from ampd.command import (
    Command,
    Learn,
    Panic,
    Ping,
    Query,
    SelectRig,
    SelectSet,
    SetGlobal,
    SetParam,
    StepRig,
    StepSet,
    StepSnapshot,
    Subscribe,
    Tap,
    Unsubscribe,
    parse,
)
from ampd.errors import CommandError


@pytest.mark.parametrize(
    ("path", "arguments", "command"),
    [
        ("rig", ["drive"], SelectRig("drive")),
        ("rig", [], Query("rig")),
        ("rig/next", [], StepRig(1)),
        ("rig/prev", [1.0], StepRig(-1)),
        ("rig/next", [0.0], Query("rig")),
        ("amp/gain_db", [3], SetParam("amp/gain_db", 3.0)),
        ("amp2/gain_db", [], Query("amp2/gain_db")),
        ("mix", [0.5], SetParam("mix", 0.5)),
        ("bypass", [True], SetGlobal("bypass", True)),
        ("bypass", [0], SetGlobal("bypass", False)),
        ("mute", [1.0], SetGlobal("mute", True)),
        ("mute", [], Query("mute")),
        ("status", [], Query("status")),
        ("snapshot", [2], SetParam("snapshot", 2.0)),
        ("snapshot/next", [], StepSnapshot(1)),
        ("snapshot/prev", [0], Query("snapshot")),
        ("morph", [0.5], SetParam("morph", 0.5)),
        ("set", ["gig"], SelectSet("gig")),
        ("set", [""], SelectSet("")),
        ("set", [], Query("set")),
        ("set/prev", [1.0], StepSet(-1)),
        ("set/next", [0.0], Query("set")),
        ("tap", [], Tap()),
        ("tap", [0], Query("tempo_bpm")),
        ("panic", [True], Panic()),
        ("panic", [False], Query("bypass")),
        ("learn", [], Learn()),
        ("tuner", [1], SetGlobal("tuner", True)),
        ("master_db", [-6], SetGlobal("master_db", -6.0)),
        ("tempo_bpm", [], Query("tempo_bpm")),
        ("delay/bypass", [True], SetParam("delay/bypass", 1.0)),
        ("sets", [], Query("sets")),
        ("snapshots", [], Query("snapshots")),
        ("ping", [], Ping()),
        ("ping", [9011], Ping(9011)),
        ("subscribe", [], Subscribe()),
        ("subscribe", [9011, "/ampd/amp/*", 60], Subscribe(9011, "/ampd/amp/*", 60)),
        ("subscribe", ["/ampd/mix"], Subscribe(None, "/ampd/mix", 30)),
        ("subscribe", ["*", 5, "now"], Subscribe(None, "*", 5, "now")),
        ("unsubscribe", [9011], Unsubscribe(9011)),
    ],
)
def test_message_becomes_its_command(path: str, arguments: list[Any], command: Command) -> None:
    assert parse(path, arguments) == command


@pytest.mark.parametrize(
    ("path", "arguments", "sentence"),
    [
        ("mix", [math.nan], "mix: found nan, expected a finite number."),
        ("mix", [math.inf], "mix: found inf, expected a finite number."),
        ("mix", ["1"], "mix: found '1', expected a finite number."),
        ("mix", [True], "mix: found True, expected a finite number."),
        ("mix", [1.0, 2.0], "mix: found 2 arguments, expected at most 1."),
        ("bypass", ["on"], "bypass: found 'on', expected true, false, 0 or 1."),
        ("bypass", [math.nan], "bypass: found nan, expected true, false, 0 or 1."),
        ("rig", [3], "rig: found 3, expected the name of a rig."),
        ("rig", ["../clean"], "rig: found '../clean', expected the name of a rig."),
        ("set", ["a/b"], "set: found 'a/b', expected the name of a set, or \"\" for all rigs."),
        ("set", [3], "set: found 3, expected the name of a set"),
        ("master_db", [True], "master_db: found True, expected a finite number."),
        ("learn", [1], "learn: found 1 arguments, expected at most 0."),
        ("delay/bypass", ["on"], "delay/bypass: found 'on', expected true, false, 0 or 1."),
        ("status", [1], "status: found 1 arguments, expected at most 0."),
        ("ping", [70000], "ping: found 70000, expected 1 to 65535 as UDP port."),
        ("subscribe", [9011, "a b"], "subscribe: found 'a b', expected the start of an address"),
        ("subscribe", ["*", 5, "soon"], "subscribe: found 'soon', expected hold or now."),
        ("subscribe", ["[a"], "subscribe: found '[a', expected the start of an address"),
        ("subscribe", [9011, "x", 0], "subscribe: found 0, expected 1 to 3600 seconds."),
        ("**********!", [1], "'**********!' is not an address of ampd."),
        ("*", [1], "'*' is not an address of ampd."),
        ("", [], "'' is not an address of ampd."),
        ("amp/gain_db/x", [1], "'amp/gain_db/x' is not an address of ampd."),
        ("amp/../../x", [1], "'amp/../../x' is not an address of ampd."),
    ],
)
def test_bad_message_is_answered_with_found_and_expected(
    path: str, arguments: list[Any], sentence: str
) -> None:
    with pytest.raises(CommandError) as caught:
        parse(path, arguments)
    assert str(caught.value).startswith(sentence)
