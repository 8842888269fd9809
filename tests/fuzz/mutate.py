"""Inputs that are nearly right: seeds, and changes of them that know each reader's words.

A generator with a grammar; where atheris is installed it works beside libFuzzer's own changes.
"""

import functools
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from ampd.command import NUMBERS, SWITCHES
from ampd.control.packet import BUNDLE, encode
from ampd.kept import Kept
from ampd.kept import encode as encode_state

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).with_name("corpus")
LONGEST = 64 * 1024

# Every reader of text has its trouble with some of them.
HARD_WORDS = [
    *("0", "-1", "1e999", "-1e-999", "nan", ".nan", "inf", ".inf", "1_0", "0o17", "0b1", "1:2:3"),
    *("true", "null", "~", "~nosuch", "{}", "[]", "''", '""', "\\u0000", "\\ud800", "\x00", "\x85"),
    *("\u2028", "é", "\U0001f3b8", "../", "/dev/zero", "<<", "&a", "*a", "!!python/none", "---"),
    *("2001-99-99", "2001-01-01T00:00:00+99:99", "9" * 400, "0x" + "f" * 5000, "9" * 5000),
    *("1" + ":59" * 1000, "[" * 200, "{a: " * 40, "a.b." * 300, "- " * 300, "%", "\t", "\r\n"),
]
WORDS: Mapping[str, Sequence[str]] = {
    "rig": [
        *("program", "input", "output", "chain", "mix", "snapshots", "morph", "midi", "on_load"),
        *("gain_db", "level", "normalized", "amp", "amp2", "cab", "gate", "delay", "reverb", "eq"),
        *("model", "models", "impulse", "beside", "bypass", "name", "control", "path", "mode"),
        *("channel", "curve", "low", "high", "leds", "value", "velocity", "note", "bank", "rigs"),
        *("rig/next", "rig/program/3", "foot/1", "toggle", "14bit", "relative", "bindings", ": "),
    ],
    "toml": [
        *("[jack]", "[osc]", "[control]", "[midi]", "[paths]", "[rig]", "[bank]", "[output]"),
        *("client_name", "server_name", "outputs", "midi_in", "host", "port", "lan", "profile"),
        *("channel", "map", "feedback", "rigs", "models", "cabs", "cache", "state", "start"),
        *("memory_mb", "level", "input_dbu", "127.0.0.1", '"::1%lo"', '"~nosuch/x"', " = "),
        *('"""', "[[jack]]"),
    ],
    "state": [
        *("rig", "values", "files", "model", "set", "globals", "boot", "ampd-state 1 ", "1E400"),
        *SWITCHES, *NUMBERS, '":', "{", "}", "[", "]", ",", "-0.0", "NaN", "Infinity",
    ],
    "osc": ["/ampd/", "#bundle\0", ",f\0\0", ",sTFihd\0", "rig/next", "/norm", "subscribe", "*{a}"],
}  # fmt: skip
ADDRESSES = [
    *(
        "mix",
        "snapshot",
        "amp/gain_db",
        "amp/bypass",
        "amp/model",
        "cab/impulse",
        "rig",
        "rig/next",
    ),
    *("set", "tap", "panic", "learn", "models", "irs", "rigs", "status", "subscribe", "ping", ""),
    *("unsubscribe", *SWITCHES, *NUMBERS, "nosuch", "a" * 300, "amp/gain_db/norm", "[a-z]*"),
]

MARK = re.compile(rb"([:=])[^,}\]\n]*")

Change = Callable[[bytes, Random, str], bytes]


@functools.cache
def seeds_of(kind: str) -> list[bytes]:
    """What is shipped or written by the project itself, and all that was kept."""
    own = [path.read_bytes() for path in sorted((KEPT / kind).glob("*"))]
    if kind == "rig":
        own += [path.read_bytes() for path in sorted((ROOT / "rigs").rglob("*.yaml"))]
    elif kind == "toml":
        own.append((ROOT / "ampd.toml").read_bytes())
    elif kind == "state":
        levels = {"master_db": -3.0, "bypass": True}
        full = Kept(
            "lead", {"amp/gain_db": 3.5}, {"amp/model": "champ"}, "/m", "gig", levels, boot="b"
        )
        own += [encode_state(full), encode_state(full).partition(b"\n")[2]]
    else:
        own += [encode("/ampd/mix", [0.5]), encode("/ampd/rig", ["lead"])]
        own.append(bundle([encode("/ampd/tap"), bundle([encode("/ampd/mute", [True])])]))
    return own


def bundle(messages: Sequence[bytes], stamp: int = 1) -> bytes:
    return (
        BUNDLE
        + struct.pack(">Q", stamp)
        + b"".join(struct.pack(">i", len(each)) + each for each in messages)
    )


def mutate(data: bytes, chance: Random, kind: str) -> bytes:
    """`data` after one to four changes, or something of the reader's own grammar."""
    if kind == "osc" and chance.random() < 0.3:
        data = _packet(chance, 0)
    changes = CHANGES_OF_PACKETS if kind == "osc" else CHANGES
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(changes)(data, chance, kind)
    return data[:LONGEST]


# --- changes ------------------------------------------------------------------------------------


def _flip(data: bytes, chance: Random, _: str) -> bytes:
    if not data:
        return b"\0"
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: Random, _: str) -> bytes:
    begin, end = _part(data, chance)
    return data[:begin] + data[end:]


def _end(data: bytes, chance: Random, _: str) -> bytes:
    return data[: chance.randint(0, len(data))]


def _repeat(data: bytes, chance: Random, _: str) -> bytes:
    """A part of it stands there again, now and then a thousand times."""
    begin, end = _part(data, chance)
    times = chance.choice(TIMES)
    return data[:begin] + (data[begin:end] * times)[:LONGEST] + data[end:]


def _word(data: bytes, chance: Random, kind: str) -> bytes:
    """A word of the reader's language stands anywhere."""
    words = WORDS[kind] if chance.random() < 0.6 else HARD_WORDS
    word = chance.choice(words).encode("utf-8", "surrogatepass")
    begin, end = _part(data, chance)
    return data[:begin] + word + data[end if chance.random() < 0.5 else begin :]


def _value(data: bytes, chance: Random, _: str) -> bytes:
    """What stands behind a colon or an equals sign gives way to something hard."""
    found = MARK.search(data, chance.randint(0, len(data)))
    if found is None:
        return data
    return data[: found.end(1)] + b" " + chance.choice(HARD_WORDS).encode() + data[found.end() :]


def _lines(data: bytes, chance: Random, kind: str) -> bytes:
    """Lines of another seed come in."""
    lines = data.splitlines(keepends=True)
    other = chance.choice(seeds_of(kind)).splitlines(keepends=True)
    begin, end = _part(other, chance)
    place = chance.randint(0, len(lines))
    return b"".join([*lines[:place], *other[begin:end], *lines[place:]])


def _size(data: bytes, chance: Random, _: str) -> bytes:
    """An int32 that lies, as sizes of bundles and streams do."""
    place = chance.randint(0, len(data) // 4) * 4
    number = chance.choice((0, -1, -4, 3, 4, len(data), 2**31 - 1, -(2**31)))
    return data[:place] + struct.pack(">i", number) + data[place + 4 * chance.randint(0, 1) :]


CHANGES: Sequence[Change] = (_flip, _cut, _end, _repeat, _word, _word, _value, _lines)
CHANGES_OF_PACKETS: Sequence[Change] = (_flip, _cut, _end, _repeat, _word, _size)
TIMES = (*(2, 3, 8) * 10, 100, 1000)
COUNTS = (*(0, 1, 1, 2, 3) * 10, 300)
TEXTS = (*("", "lead", "../x", "é", "/ampd/*", "hold") * 10, "x" * 5000)


def _part(data: Sequence[object], chance: Random) -> tuple[int, int]:
    begin = chance.randint(0, len(data))
    return begin, min(len(data), begin + int(chance.expovariate(1 / 8)))


# --- OSC by its grammar -------------------------------------------------------------------------


def _packet(chance: Random, level: int) -> bytes:
    if level < 6 and chance.random() < 0.3:
        return bundle(
            [_packet(chance, level + 1) for _ in range(chance.randint(0, 4))],
            chance.getrandbits(64),
        )
    address = chance.choice(("/ampd/", "/", "/ampd")) + chance.choice(ADDRESSES)
    return encode(address, [_argument(chance) for _ in range(chance.choice(COUNTS))])


def _argument(chance: Random) -> float | bool | str | int:
    match chance.randrange(6):
        case 0:
            return chance.uniform(-100, 100)
        case 1:
            return chance.choice((float("nan"), float("inf"), -0.0, 3e38))
        case 2:
            return chance.getrandbits(chance.choice((3, 16, 31)))
        case 3:
            return -(2**31) - chance.getrandbits(20)
        case 4:
            return chance.random() < 0.5
    return chance.choice(TEXTS)
