"""What a run leaves to look at while it goes: losses.csv and TensorBoard's event files."""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

HEADING = "step,loss\n"


class RunLog:
    """Curves of one run in one folder.

    step: the step that the run is at; what the files hold beyond it is dropped, as those steps
        come again.  At 0 a new run replaces the old one.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "losses.csv"
        kept = path.read_text().splitlines(keepends=True)[1 : step + 1] if step else []
        path.write_text(HEADING + "".join(kept))
        self._losses = path.open("a")
        if step == 0:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
        self._events = SummaryWriter(str(folder), purge_step=step + 1)

    def loss(self, step: int, value: float) -> None:
        """The loss of one step, in as many digits as give the number back exactly."""
        self._losses.write(f"{step},{value!r}\n")

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of a validation, for TensorBoard."""
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def flush(self) -> None:
        """Hand everything to the operating system: it survives the end of this process."""
        self._losses.flush()
        self._events.flush()

    def close(self) -> None:
        """Flush and let go of the files."""
        self._losses.close()
        self._events.close()
