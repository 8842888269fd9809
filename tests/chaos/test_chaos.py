"""The short form of `make chaos`: every fault, a few times."""

import pytest

from tests.chaos.fault import Fault, NotHereError
from tests.chaos.faults import all_faults


@pytest.mark.parametrize("fault", all_faults(), ids=lambda fault: fault.number)
def test_fault_is_survived(fault: Fault) -> None:
    try:
        result = fault.measure(False)
    except NotHereError as missing:
        pytest.skip(f"{fault.number}: {missing}")
    assert result.passed, f"{fault.what}: {fault.asked} asked, {result.reached}"
