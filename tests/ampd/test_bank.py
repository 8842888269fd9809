"""Which rig lies in which slot: programs, sets, and the files of a plan."""

from dataclasses import replace
from pathlib import Path

import pytest

from ampd.bank import Bank, Built, Plan, plan_named, plan_rig
from ampd.errors import RigError
from ampd.library import Library
from ampd.rig import Rig, parse_rig
from ampd.sets import RigSet

SLOT_COUNT = 132
RIGS = [Rig("a", 0), Rig("b", 1), Rig("c", 2)]
GIG = RigSet("gig", 1, (("c", 0), ("a", 5), ("gone", 6)))


def put(bank: Bank, name: str, slot: int) -> None:
    bank.put(slot, Built(Plan(Rig(name), {}, ()), {}, {}, {}, 1000, 0, 0.0, (), ()))


def cab_rig(library: Library, name: str) -> Rig:
    path = library.rigs_path / "cab.yaml"
    path.write_text(f"chain:\n  - amp: {{model: tiny}}\n  - cab: {{impulse: {name}}}\n  - cab2\n")
    return library.load_rig("cab")


def test_plan_finds_impulses_and_is_outdated_when_one_changes(library: Library) -> None:
    file = library.models_path / "cabs" / "green.wav"
    file.parent.mkdir()
    file.write_bytes(b"one")
    plan = plan_rig(library, cab_rig(library, "green"))
    assert plan.impulses == {"green": file}
    assert plan.models == {"tiny": library.find_model("tiny")}
    assert not plan.outdated()
    file.write_bytes(b"another")
    assert plan.outdated()


class Hasty(Library):
    """Somebody writes a rig's file right after it was read."""

    def load_rig(self, name: str) -> Rig:
        rig = super().load_rig(name)
        path = self.find_rig(name)
        path.write_text(path.read_text() + "# louder\n")
        return rig


def test_rig_written_while_it_is_read_is_outdated(library: Library) -> None:
    cab_rig(library, "green")
    (library.models_path / "cabs").mkdir()
    (library.models_path / "cabs" / "green.wav").write_bytes(b"one")
    assert not plan_named(library, "cab").outdated()
    hasty = Hasty(library.rigs_path, library.models_path, library.cabs_path)
    assert plan_named(hasty, "cab").outdated()


def test_missing_impulse_is_named_with_file_line_and_block(library: Library) -> None:
    with pytest.raises(RigError) as caught:
        plan_rig(library, cab_rig(library, "red"))
    assert str(caught.value) == (
        f"{library.rigs_path}/cab.yaml:3: cab/impulse: {library.models_path}/cabs: no cab red; "
        f"there is none."
    )


def test_missing_model_of_a_rig_without_a_file_is_named_with_its_block(library: Library) -> None:
    rig = parse_rig(b"chain: [amp: {model: tinny}]", "mine")
    with pytest.raises(RigError, match=r"^mine: amp/model: .*no model tinny; there is tiny\.$"):
        plan_rig(library, rig)


def test_without_a_set_all_rigs_have_their_own_programs() -> None:
    bank = Bank(SLOT_COUNT)
    assert bank.adopt(RIGS, {"bad": "broken"}) == []
    assert bank.programs == {"a": 0, "b": 1, "c": 2}
    assert bank.program_slots()[:4] == [0, 1, 2, -1]
    assert [entry.name for entry in bank.entries()] == ["a", "b", "c", "bad"]


def test_set_alone_is_under_the_foot() -> None:
    bank = Bank(SLOT_COUNT)
    complaints = bank.adopt(RIGS, {"bad": "broken"}, GIG)
    assert complaints == [
        "gig: there is no rig gone; program 6 of the set selects nothing until there is one."
    ]
    assert bank.program_slots()[:7] == [0, -1, -1, -1, -1, 5, -1]
    assert [(entry.name, entry.program) for entry in bank.entries()] == [("c", 0), ("a", 5)]


def test_unreadable_rig_of_a_set_keeps_its_sentence() -> None:
    bank = Bank(SLOT_COUNT)
    assert bank.adopt(RIGS, {"gone": "gone.yaml: broken.", "bad": "broken"}, GIG) == []
    assert bank.errors == {"gone": "gone.yaml: broken."}


def test_rig_from_outside_a_set_takes_none_of_its_switches() -> None:
    bank = Bank(SLOT_COUNT)
    bank.adopt(RIGS, {}, GIG)
    assert bank.claim(RIGS[1], set()) == 128
    assert bank.claim(replace(RIGS[1], name="d", program=None), {129}) == 130
    assert bank.programs == {"c": 0, "a": 5}


def test_rig_of_a_set_that_comes_late_gets_its_program() -> None:
    bank = Bank(SLOT_COUNT)
    bank.adopt(RIGS, {}, GIG)
    assert bank.claim(Rig("gone", 3), set()) == 6
    assert bank.program_slots()[6] == 6


def test_what_the_old_programs_left_is_misplaced_and_not_taken_for_built() -> None:
    bank = Bank(SLOT_COUNT)
    bank.adopt(RIGS, {})
    for name, slot in (("a", 0), ("b", 1), ("c", 2)):
        put(bank, name, slot)
    put(bank, "dry", 128)
    assert bank.misplaced() == []
    assert bank.unbuilt() == []
    bank.adopt(RIGS, {}, RigSet("gig", 1, (("c", 0), ("b", 1))))
    assert bank.misplaced() == [0, 2]
    assert bank.unbuilt() == ["c"]
    assert [(entry.name, entry.built) for entry in bank.entries()] == [("c", False), ("b", True)]


def test_plan_without_a_file_is_never_outdated() -> None:
    assert not Plan(Rig("dry"), {}, ()).outdated()
    assert Plan(Rig("x"), {}, ((str(Path("/nowhere")), 1, 1, 1),)).outdated()
