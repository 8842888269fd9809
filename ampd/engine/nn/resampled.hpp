#pragma once

#include "model.hpp"

namespace amp::nn {

/// A net as a host plays it, everything in the host's frames.
struct HostedNet {
  std::unique_ptr<Net> net;
  int latency_frames = 0;
  int memory_frames = 1;  ///< of past input on which its output depends
  int grid_frames = 1;    ///< to sound as if it had always played, count from a multiple of this
};

/// The net of `model`, resampled in and out where the host's rate is not the model's: flat to
/// 18 kHz, or to 0.82 of the lower rate's half, and 92 dB down from that half on. The latency is a
/// whole number of host frames and exact: 1.46 ms at most where neither rate is below 44.1 kHz. The
/// output does not depend on how the input is cut into blocks.
/// Raises LoadError where the ratio of the rates needs too large a table. Thread: control; it
/// allocates.
HostedNet host_net(const Model& model, dsp::Isa isa, int host_rate_hz);

}  // namespace amp::nn
