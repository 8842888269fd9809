"""The short form of `make chaos`: every fault, a few times, and no time is asserted."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import keep, kept_rows
from tests.chaos.fault import Fault, NotHereError
from tests.chaos.faults import all_faults


@pytest.mark.parametrize("fault", all_faults(), ids=lambda fault: fault.number)
def test_fault_is_survived(fault: Fault) -> None:
    try:
        result = fault.measure(False)
    except NotHereError as missing:
        pytest.skip(f"{fault.number}: {missing}")
    assert result.survived, f"{fault.what}: {fault.asked} asked, {result.reached}"


def test_kept_table_keeps_the_rows_of_another_day(tmp_path: Path) -> None:
    place = tmp_path / "RELIABILITY.md"
    keep(
        place, [("F2", "killed", "all", "3 | 4", "monday"), ("R1", "switched", "0", "0", "monday")]
    )
    keep(place, [("F1", "cut", "1 s", "0.2 s", "today"), ("R1", "switched", "0", "1", "today")])
    assert list(kept_rows(place)) == ["F1", "F2", "R1"]
    assert kept_rows(place)["F2"] == ("F2", "killed", "all", "3 \\| 4", "monday")
    assert kept_rows(place)["R1"][-1] == "today"
