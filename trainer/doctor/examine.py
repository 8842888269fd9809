"""The doctor: what is wrong with a pair of recordings, before hours are spent on it.

What is safe to repair is repaired in what `examine` hands on, never in the files: channels, rate,
constant offset, drift, lag, polarity, length.  The time line of the input stays as it is, so
splits given in frames keep their meaning.
"""

import dataclasses
from pathlib import Path

import numpy as np

from trainer.data import Recordings
from trainer.doctor import levels, memory, timing
from trainer.doctor.files import load, same_rate, without_drift
from trainer.doctor.finding import NOTES, STOPS, WARNS, Finding, Signal, rms, window_rms

SHORT_S = 20.0  # of playing
OFFSET_SHARE = 0.01  # of the RMS, -40 dB
NOISE_DB = -50.0
HUM_DB = -70.0  # a line is heard where noise of the same level is not
LAG_BY_BLIPS = 0.25  # frames; a smaller one is the interpolation of a converter
# Without blips a lag is known to a few frames (-1..+4 on the captures it was measured with), and
# after a change of rate its beginning rings.  Less than this costs a causal net nothing.
LAG_BY_CORRELATION = 8
SAFE_FRAMES = 4  # what a fix leaves of a lag without blips, lest the answer come before the sound
DRIFT_PPM = 2.0
DRIFT_FRAMES = 1.0  # over the whole recording; less is not worth a resampling
LOST_FRAMES = 4.0  # a jump of the lag from one window to the next
TAIL_S = 0.05
UNSTEADY_ESR = 0.01
LATE_SHARE = 3e-4
# Files of one take explain each other at least this much better than when one is moved by a third.
RELATED = 4.0


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What was found and measured, and the recordings without what could be repaired."""

    findings: tuple[Finding, ...]
    measures: dict[str, object]  # plain values, for --json and reports
    recordings: Recordings | None  # None where a finding stops training

    @property
    def stops(self) -> tuple[Finding, ...]:
        """The findings that make training pointless."""
        return tuple(f for f in self.findings if f.severity == STOPS)


def examine(
    input_path: Path,
    target_path: Path,
    delay_frames: int = 0,
    field_frames: int | None = None,
    train: tuple[int, int] | None = None,
) -> Diagnosis:
    """Look at everything, repair what is safe.

    delay_frames: a lag that is known and taken off first; the lag found is what remains
    field_frames: the recipe's receptive field, compared with the memory of the gear
    train: [first, end) of the frames on which memory is measured; None: all
    raises: DataError where a file is missing, no audio, or empty
    """
    dry, rate, findings = load(input_path)
    wet, wet_rate, more = load(target_path)
    findings += more
    if any(f.severity == STOPS for f in findings):
        return Diagnosis(tuple(findings), {}, None)
    wet, more = same_rate(wet, wet_rate, rate, target_path)
    findings += more
    wet = timing.shifted(wet, delay_frames, max(0, len(wet) - delay_frames))
    if min(len(dry), len(wet)) < rate:
        text = "less than 1 s of both recordings, expected minutes: record more"
        findings.append(Finding("short", STOPS, min(len(dry), len(wet)) / rate, "s", text))
        return Diagnosis(tuple(findings), {}, None)
    patient = _Patient(dry, wet, rate, (input_path, target_path), findings)
    if not patient.check_order():
        return Diagnosis(tuple(patient.findings), patient.measures, None)
    patient.check_clipping()
    patient.check_timing()
    patient.check_levels()
    if not patient.check_memory(field_frames, train):
        return Diagnosis(tuple(patient.findings), patient.measures, None)
    ready = Recordings.of(patient.dry, patient.wet, rate)
    return Diagnosis(tuple(patient.findings), patient.measures, ready)


class _Patient:
    """The pair on its way through the checks; each takes off what it repairs."""

    def __init__(
        self,
        dry: Signal,
        wet: Signal,
        rate: int,
        paths: tuple[Path, Path],
        findings: list[Finding],
    ) -> None:
        self.dry, self.wet, self.rate = dry, wet, rate
        self.input_path, self.target_path = paths
        self.findings, self.measures = findings, dict[str, object]()
        self.resampled = any(f.code == "rate" for f in findings)

    def find(
        self, code: str, severity: str, size: float, unit: str, text: str, fixed: bool = False
    ) -> None:
        """Note a finding."""
        self.findings.append(Finding(code, severity, float(size), unit, text, fixed))

    def check_order(self) -> bool:
        """False if input and target are swapped: nothing else can be judged then."""
        frames = min(len(self.dry), len(self.wet))
        dry, wet = self.dry[:frames], self.wet[:frames]
        blips = [len(timing.find_blips(s, self.rate)) for s in (dry, wet)]
        slope, kurtosis = levels.skewness_of_levels(dry - dry.mean(), wet - wet.mean())
        self.measures |= {"level_slope": slope, "kurtosis_ratio": kurtosis}
        if not (blips[1] > blips[0] or (slope > 1.2 and kurtosis > 1.5)):
            return True
        text = (
            f"{self.target_path} is the dry one of the two, {self.input_path} came out of the "
            "gear: swap input and target"
        )
        self.find("swapped", STOPS, slope, "dB/dB", text)
        return False

    def check_clipping(self) -> None:
        """Flat tops in either recording."""
        for signal, path in ((self.dry, self.input_path), (self.wet, self.target_path)):
            runs, first = levels.flat_tops(signal)
            if runs:
                text = (
                    f"{path}: clipped in {runs} places from frame {first} on; the model will "
                    "learn the clipping: record again with a lower level"
                )
                self.find("clipping", WARNS, runs, "places", text)

    def check_timing(self) -> None:
        """Drift, lost frames, lag, polarity, length; in this order, each on what is repaired."""
        steady = self._check_drift()
        dry, wet = (signal[:steady] for signal in self._centred())
        coarse = timing.coarse_lag(dry, wet, self.rate)
        lag = timing.measure_lag(dry, wet, self.rate, coarse)
        self.measures["lag"] = dataclasses.asdict(lag)
        found = self._check_lag(lag)
        self._check_length(found)
        if lag.polarity < 0:
            text = (
                f"{self.target_path}: upside down against the input: turned over; a cable or the "
                "gear itself inverts, which is only heard when both are mixed"
            )
            self.find("polarity", WARNS, -1, "sign", text, fixed=True)
            self.wet = -self.wet
        frames = min(len(self.dry), len(self.wet))
        self.dry, self.wet = self.dry[:frames], self.wet[:frames]

    def _centred(self) -> tuple[Signal, Signal]:
        return self.dry - self.dry.mean(), self.wet - self.wet.mean()

    def _drift(self) -> tuple[float, float, int]:
        """(ppm, jump in frames, window of the jump)."""
        dry, wet = self._centred()
        coarse = timing.coarse_lag(dry, wet, self.rate)
        aligned = timing.shifted(wet, coarse, len(dry))
        windows = timing.window_coherences(dry, aligned)
        slope, jump, at = timing.measure_drift(windows)
        return slope / timing.WINDOW_FRAMES * 1e6, jump, at

    def _check_drift(self) -> int:
        """Take the drift off; returns how many frames from the first have one lag."""
        ppm, jump, at = self._drift()
        self.measures |= {"drift_ppm": ppm, "largest_jump_frames": jump}
        if abs(jump) > LOST_FRAMES:
            second = at * timing.WINDOW_FRAMES / self.rate
            what = "lost" if jump < 0 else "inserted"
            text = (
                f"{self.target_path}: {abs(jump):.0f} frames {what} around {second:.0f} s, where "
                "the recorder stumbled: record again, with a larger buffer"
            )
            self.find("jump", WARNS, jump, "frames", text)
            # Two lags at once would cancel each other and look like one polarity or the other.
            return (at - 1) * timing.WINDOW_FRAMES if at > 3 else len(self.dry)
        strayed = ppm * 1e-6 * len(self.dry)
        if abs(ppm) < DRIFT_PPM or abs(strayed) < DRIFT_FRAMES:
            return len(self.dry)
        # A drift smears what it is measured by: once more, on what the first look leaves.
        original = self.wet
        self.wet = without_drift(original, ppm)
        ppm += self._drift()[0]
        self.wet, self.resampled = without_drift(original, ppm), True
        self.measures["drift_ppm"] = ppm
        text = (
            f"{self.target_path}: its clock drifts by {ppm:+.1f} ppm against the input "
            f"({ppm * 1e-6 * len(self.dry):+.1f} frames in all): resampled; use one clock for both"
        )
        self.find("drift", WARNS, ppm, "ppm", text, fixed=True)
        return len(self.dry)

    def _check_lag(self, lag: timing.Lag) -> float:
        blips = None if self.resampled else lag.by_blips
        late = float(lag.by_correlation) if blips is None else blips
        agree = lag.by_blips is None or (
            abs(lag.by_blips - lag.by_correlation) <= LAG_BY_CORRELATION
        )
        self.measures["lag_agrees"] = agree
        if abs(late) < (LAG_BY_CORRELATION if blips is None else LAG_BY_BLIPS):
            return 0.0
        removed = late - SAFE_FRAMES if blips is None else late
        told = "by correlation" if blips is None else f"by {lag.blips} blips"
        other = "" if agree else f"; correlation says {lag.by_correlation}: check this pair"
        direction = "late" if late > 0 else "early"
        left = f" but for {SAFE_FRAMES}" if blips is None else ""
        text = f"{self.target_path}: {abs(late):g} frames {direction} {told}: removed{left}{other}"
        self.find("lag", WARNS, late, "frames", text, fixed=True)
        self.wet = timing.shifted(self.wet, removed, len(self.wet) - int(np.ceil(removed)))
        return late

    def _check_length(self, lag: float) -> None:
        longer = (len(self.wet) - len(self.dry)) / self.rate
        if lag < 0:
            longer += lag / self.rate  # shifting made it longer
        elif longer < 0:
            longer = min(0.0, longer + lag / self.rate)
        if longer > TAIL_S:
            text = (
                f"{self.target_path}: goes on for {longer:.2f} s after the input has ended: "
                "the tail is cut"
            )
            self.find("tail", NOTES, longer, "s", text, fixed=True)
        elif longer < -TAIL_S:
            text = (
                f"{self.target_path}: ends {-longer:.2f} s before the input: the input is cut; "
                "record to the end next time"
            )
            self.find("cut", WARNS, longer, "s", text, fixed=True)

    def check_levels(self) -> None:
        """Length of playing, lost passages, offset, noise and hum; wants an aligned pair."""
        played = self._seconds_played()
        self.measures["played_s"] = played
        if played < SHORT_S:
            text = (
                f"{self.input_path}: {played:.1f} s of playing: a model of so little knows only "
                "these notes; three minutes of varied playing are plenty"
            )
            self.find("short", WARNS, played, "s", text)
        count, frames, first = levels.dropouts(self.dry, self.wet, self.rate)
        if count:
            text = (
                f"{self.target_path}: stands still in {count} places ({frames} frames), first at "
                f"frame {first}, while the input plays: record again"
            )
            self.find("dropout", WARNS, count, "places", text)
        self._check_offsets()

    def _seconds_played(self) -> float:
        window = self.rate // 20
        loud = window_rms(self.dry, window) > 0.01 * rms(self.dry)
        return float(loud.sum() * window / self.rate)

    def _check_offsets(self) -> None:
        mean = float(self.dry.mean())
        if abs(mean) > 2 * OFFSET_SHARE * rms(self.dry):
            text = f"{self.input_path}: a constant offset of {mean:+.4f}: subtracted"
            self.find("dc", WARNS, mean, "full scale", text, fixed=True)
            self.dry = self.dry - mean
        floor = levels.measure_floor(self.dry, self.wet, self.rate)
        self.measures["floor"] = None if floor is None else dataclasses.asdict(floor)
        if floor is None:
            self._check_offset_without_pause()
            return
        loud = rms(self.wet - self.wet.mean())
        if abs(floor.offset) > OFFSET_SHARE * loud:
            text = (
                f"{self.target_path}: a constant offset of {floor.offset:+.4f}, also in pauses: "
                "subtracted"
            )
            self.find("dc", WARNS, floor.offset, "full scale", text, fixed=True)
            self.wet = self.wet - floor.offset
        if floor.hum_db > HUM_DB:
            text = (
                f"{self.target_path}: hum at {floor.mains_hz:.0f} Hz, {floor.hum_db:.0f} dB "
                "against playing: find the ground loop and record again, or it is learnt"
            )
            self.find("hum", WARNS, floor.hum_db, "dB", text)
        if floor.noise_db > NOISE_DB:
            text = (
                f"{self.target_path}: noise at {floor.noise_db:.0f} dB against playing, which no "
                "model can follow: raise the level into the gear, lower the gain after it"
            )
            self.find("noise", WARNS, floor.noise_db, "dB", text)

    def _check_offset_without_pause(self) -> None:
        # Without a pause the offset of an asymmetric distortion cannot be told from the
        # recorder's; a third of the RMS is more than any distortion measured here made.
        mean = float(self.wet.mean())
        if abs(mean) > rms(self.wet - mean) / 3:
            text = f"{self.target_path}: a constant offset of {mean:+.4f}: subtracted"
            self.find("dc", WARNS, mean, "full scale", text, fixed=True)
            self.wet = self.wet - mean

    def check_memory(self, field_frames: int | None, train: tuple[int, int] | None) -> bool:
        """Relation, memory, gate, echoes, repeats; False if the files do not belong together."""
        first, end = train if train and train[1] <= len(self.dry) else (0, len(self.dry))
        dry, wet = (s[first:end] - s[first:end].mean() for s in (self.dry, self.wet))
        if not wet.any() or not dry.any():
            dry, wet = self._centred()
        found, weights = memory.measure_memory(dry, wet)
        self.measures["memory"] = dataclasses.asdict(found)
        self.measures["field_frames"] = field_frames
        explained = 1 - found.esr_by_taps[memory.RELATION_TAPS]
        chance = memory.explained_by_chance(dry, wet)
        self.measures["explained_by_chance"] = chance
        if explained < RELATED * chance:
            left = 1 - explained
            text = (
                f"{self.target_path}: has nothing to do with {self.input_path} (the best filter "
                f"leaves an ESR of {left:.2f}): take the recording made from this input"
            )
            kept = [f for f in self.findings if f.code in ("stereo", "rate", "clipping")]
            self.findings = kept
            self.find("unrelated", STOPS, left, "ESR", text)
            return False
        if field_frames is not None and found.frames > field_frames:
            text = (
                f"this gear needs {found.frames} frames of memory, the recipe has "
                f"{field_frames}: take longer model.dilations or the recipe realtime"
            )
            self.find("field", WARNS, found.frames, "frames", text)
        self._check_gate(dry, wet, weights)
        self._check_echo(dry, wet, weights)
        self._check_repeat()
        return True

    def _check_gate(self, dry: Signal, wet: Signal, weights: Signal) -> None:
        offset = float(np.median(wet))
        level = levels.gate_level(memory.convolve(dry, weights), wet, offset)
        self.measures["gate_db"] = level
        if level is not None:
            text = (
                f"{self.target_path}: falls silent where the input plays {-level:.0f} dB below "
                "its loud parts: switch the noise gate off and record again"
            )
            self.find("gate", WARNS, level, "dB", text)

    def _check_echo(self, dry: Signal, wet: Signal, weights: Signal) -> None:
        share, lag = memory.late_share(dry, wet, weights, self.rate)
        self.measures |= {"late_share": share, "late_s": lag / self.rate}
        if share > LATE_SHARE:
            text = (
                f"{self.target_path}: an echo or reverb {lag / self.rate:.2f} s after the sound "
                f"({10 * np.log10(share):.0f} dB): switch time effects off and record again"
            )
            self.find("time_effect", WARNS, lag / self.rate, "s", text)

    def _check_repeat(self) -> None:
        repeat = memory.find_repeat(self.dry, self.wet, self.rate)
        self.measures["repeat"] = None if repeat is None else dataclasses.asdict(repeat)
        if repeat is not None and repeat.self_esr > UNSTEADY_ESR:
            text = (
                f"{self.target_path}: answers the same passage differently (frames "
                f"{repeat.first} and {repeat.second}, self-ESR {repeat.self_esr:.3f}): nothing "
                "below half of this can be reached; look for noise, modulation or a turned knob"
            )
            self.find("unsteady", WARNS, repeat.self_esr, "ESR", text)
