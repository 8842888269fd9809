#include "offline.hpp"

#include <algorithm>

namespace amp {

void play_offline(Engine& engine, const float* in, float* left, float* right, int64_t frames,
                  int block_frames, const std::vector<MidiEvent>& midi) {
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
  }
}

void play_model(const std::string& path, dsp::Isa isa, const float* in, float* out, int64_t frames,
                int block_frames) {
  const FtzGuard ftz;
  const std::shared_ptr<const nn::Model> model = nn::load_model(path);
  const std::unique_ptr<nn::Net> net = model->make_net(isa);
  for (int64_t at = 0; at < frames; at += block_frames) {
    const int64_t end = std::min(at + block_frames, frames);
    for (int64_t sub = at; sub < end; sub += kMaxFrames)
      net->process(in + sub, out + sub, static_cast<int>(std::min<int64_t>(kMaxFrames, end - sub)));
  }
}

}  // namespace amp
