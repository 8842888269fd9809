#pragma once

#include <vector>

namespace amp::dsp {

/// The answer to one click: 1 or 2 channels of one length.
using Response = std::vector<std::vector<float>>;

/// The longest response that is played, in seconds, and the part of it that fades where more was
/// cut off.
inline constexpr double kResponseSeconds = 0.200;
inline constexpr double kFadeSeconds = 0.010;

/// A response as it stands in a file, made ready for the engine's rate:
///   - silence (exact zeros in every channel) before the sound is cut to 0.25 ms where it lasts
///     longer than 1 ms: it would be felt as latency. Otherwise the file's timing is kept.
///   - it is resampled so that the frequency response is kept
///   - it ends after kResponseSeconds, or where the file's last sample that is not zero ends
///   - one factor for all channels lets pink noise from 80 Hz to 5 kHz pass at 0 dB
/// Raises std::invalid_argument with the end of a sentence: empty, more than two channels, not of
/// one length, not finite, a rate outside 8000..768000 Hz, silence, hardly any sound between 80 Hz
/// and 5 kHz. Thread: control.
Response prepare_response(const Response& file, int file_rate_hz, int rate_hz);

/// The same sound at another rate, by a windowed sinc: -80 dB off, or less, up to 0.9 of half the
/// lower rate; nothing is heard of what lies beyond half of it. Scaled as a response: the sum of
/// its samples stays. What rings before the first frame is lost, so that nothing is late: a file
/// that starts within a frame at full strength keeps less of its highest tenth. Thread: control.
std::vector<float> resample(const std::vector<float>& response, int from_hz, int to_hz);

/// By how much the power of pink noise from 80 Hz to 5 kHz changes, mean of the channels.
double pink_power(const Response& response, int rate_hz);

}  // namespace amp::dsp
