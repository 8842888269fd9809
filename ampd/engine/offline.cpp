#include "offline.hpp"

#include <algorithm>
#include <array>

#include "nn/resampled.hpp"

namespace amp {

void play_offline(Engine& engine, const float* in, float* left, float* right, int64_t frames,
                  int block_frames, const std::vector<MidiEvent>& midi,
                  std::vector<MidiEvent>* midi_out) {
  std::vector<MidiEvent> events;
  size_t next = 0;
  for (int64_t at = 0; at < frames; at += block_frames) {
    const int length = static_cast<int>(std::min<int64_t>(block_frames, frames - at));
    events.clear();
    for (; next < midi.size() && midi[next].frame < at + length; ++next) {
      events.push_back(midi[next]);
      events.back().frame = static_cast<int>(std::max<int64_t>(0, midi[next].frame - at));
    }
    Callback callback{
        .in = in + at, .left = left + at, .right = right + at, .frames = length, .midi = events};
    engine.process(callback);
    for (int i = 0; midi_out != nullptr && i < callback.midi_out_count; ++i) {
      midi_out->push_back(callback.midi_out[static_cast<size_t>(i)]);
      midi_out->back().frame += static_cast<int>(at);
    }
  }
}

void play_model(const std::string& path, dsp::Isa isa, const float* in, float* out, int64_t frames,
                int block_frames, int sample_rate_hz) {
  const FtzGuard ftz;
  const std::shared_ptr<const nn::Model> model = nn::load_model(path);
  const int rate_hz = sample_rate_hz > 0 ? sample_rate_hz : model->info.playing_rate_hz();
  const nn::HostedNet hosted = nn::host_net(*model, isa, rate_hz);
  const int64_t latency = hosted.latency_frames;
  std::array<float, kMaxFrames> block{};
  for (int64_t at = 0; at < frames + latency; at += block_frames) {
    const int64_t end = std::min(at + block_frames, frames + latency);
    for (int64_t sub = at; sub < end; sub += kMaxFrames) {
      const int64_t length = std::min<int64_t>(kMaxFrames, end - sub);
      for (int64_t i = 0; i < length; ++i)
        block[static_cast<size_t>(i)] = sub + i < frames ? in[sub + i] : 0;
      hosted.net->process(block.data(), block.data(), static_cast<int>(length));
      const int64_t early = std::clamp<int64_t>(latency - sub, 0, length);
      std::copy(block.begin() + early, block.begin() + length, out + (sub + early - latency));
    }
  }
}

}  // namespace amp
