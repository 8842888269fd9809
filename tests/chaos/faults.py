"""Every fault that the modules of this folder make."""

import importlib
import re
from pathlib import Path

from tests.chaos.fault import Fault


def _place(fault: Fault) -> tuple[str, int, str]:
    """F2 stands before F10."""
    parts = re.fullmatch(r"([A-Z]+)(\d*)(.*)", fault.number)
    assert parts is not None, f"{fault.number} is no number of a fault"
    return parts[1], int(parts[2] or 0), parts[3]


def all_faults() -> list[Fault]:
    """In the order of their numbers."""
    found: list[Fault] = []
    for path in Path(__file__).parent.glob("make_*.py"):
        module = importlib.import_module(f"tests.chaos.{path.stem}")
        found.extend(module.FAULTS)
    return sorted(found, key=_place)
