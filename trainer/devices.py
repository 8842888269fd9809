"""Where tensors can live on this machine."""

import torch

from trainer.errors import TrainingError


def find_device(name: str, setting: str) -> torch.device:
    """The device of that name: cpu, cuda, cuda:1, mps; auto is cuda where there is one, else cpu.

    setting: what the caller calls it, for the error
    raises: TrainingError where this machine has none
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            f"{setting}: found {name!r}, expected a device that this machine has "
            f"({str(error).splitlines()[0]}); use --device cpu"
        ) from error
    return torch.device(name)
