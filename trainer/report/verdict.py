"""One sentence that a guitarist understands, and what would help."""

import dataclasses
from collections.abc import Sequence

from trainer.closeness import Closeness, decibels

# The steps of Neural Amp Modeler's trainer, so that a figure means the same in both.
GRADES = (
    (0.01, "great", "This model plays like your gear"),
    (0.035, "good", "This model is close to your gear"),
    (0.1, "fair", "This model has the character of your gear, but not all of its detail"),
    (0.3, "poor", "This model is only a relative of your gear"),
    (float("inf"), "wrong", "This is not your gear: something went wrong"),
)
UNLIKE = 3.0  # TEST this many times VALID: the takes ask for different things


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a person reads first."""

    grade: str  # great, good, fair, poor, wrong
    sentence: str
    advice: tuple[str, ...]  # what limits it and what would help


def judge(figures: Sequence[Closeness], self_esr: float | None, codes: set[str]) -> Verdict:
    """The verdict on figures[0]; the second, where there is one, is VALID's.

    self_esr: of the gear's two answers to one passage, where known
    codes: of the doctor's findings
    """
    value = figures[0].esr
    grade, opening = next((g, o) for limit, g, o in GRADES if value < limit)
    quieter = -decibels(value)
    sentence = f"{opening}: what it gets wrong is {quieter:.0f} dB quieter than the sound itself."
    if grade == "wrong":
        sentence = f"{opening}. Most often the two recordings are not aligned, or not of one take."
    return Verdict(grade, sentence, tuple(_advice(figures, self_esr, codes)))


def _advice(figures: Sequence[Closeness], self_esr: float | None, codes: set[str]) -> list[str]:
    value, lines = figures[0].esr, []
    if self_esr is not None:
        # Two answers differ by the gear's noise twice, a model by it once.
        floor = self_esr / 2
        text = (
            "Your gear answers the same passage twice with a difference of "
            f"{decibels(self_esr):.0f} dB, so no model can be closer than {decibels(floor):.0f} dB"
        )
        near = value < 2 * floor
        lines.append(f"{text}: this one is there." if near else f"{text}.")
    if len(figures) > 1 and value > UNLIKE * figures[1].esr:
        lines.append(
            f"The TEST take is {decibels(value / figures[1].esr):.0f} dB worse than VALID: it asks "
            "for playing that the training part does not hold; record more of that kind."
        )
    if "field" in codes:
        lines.append(
            "The gear remembers longer than this net listens: a recipe with longer dilations "
            "would come closer."
        )
    if "clipping" in codes:
        lines.append("The recording is clipped, and the model has learnt that.")
    if value >= GRADES[1][0] and not {"field", "clipping"} & codes:
        lines.append("Give it more --minutes, or a recipe with more channels.")
    return lines
