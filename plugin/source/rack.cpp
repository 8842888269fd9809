#include "rack.hpp"

#include <algorithm>
#include <cmath>

#include "offline.hpp"

namespace amp::plugin {
namespace {

constexpr int kSlots = 128;  ///< in turn, so that what is meant for one chain never meets another
constexpr int kSettleRounds = 4096;

/// The share of a core that two rigs may take in a crossfade, all sides together.
constexpr float kBudget = 0.7F;

/// As loud as the ceiling lets a sound be, less what rounding takes.
constexpr float kAtCeiling = kCeiling * 0.99999F;

/// A host that has not asked for a block for so long has stopped.
constexpr int64_t kStoppedNs = 250'000'000;

void raise(std::atomic<float>& peak, float level) noexcept AMP_RT {
  if (level > peak.load(std::memory_order_relaxed)) peak.store(level, std::memory_order_relaxed);
}

float peak_of(const float* signal, int frames) noexcept AMP_RT {
  float peak = 0;
  for (int i = 0; i < frames; ++i) peak = std::max(peak, std::abs(signal[i]));
  return peak;
}

}  // namespace

Rack::Rack(int sample_rate_hz, int sides, std::function<void()> ask)
    : rate_hz_(sample_rate_hz),
      engines_(static_cast<size_t>(sides)),
      ask_(std::move(ask)),
      bypass_(ramp_frames(sample_rate_hz), 0),
      newer_delay_(ramp_frames(sample_rate_hz), 1) {
  for (Side& side : engines_) {
    side.engine = std::make_unique<Engine>(
        sample_rate_hz, EngineOptions{.threaded = false,
                                      .with_safety = true,
                                      .isa = dsp::best_isa(),
                                      .budget = kBudget / static_cast<float>(sides)});
    side.engine->set_feedback(false);
    side.past.resize(kLongestDelay);
  }
}

Built Rack::build(const Setting& setting, const Values& values, const Trims& trims) const {
  Built built;
  const RigSpec rig = to_rig(setting, values, trims.by_level[static_cast<size_t>(values[kLevel])]);
  for (size_t s = 0; s < engines_.size(); ++s) {
    built.chains[s] = engines_[s].engine->build(rig);
    built.cost_ns += built.chains[s]->cost_ns();
  }
  built.map = map_params(setting, *built.chains[0]);
  built.trims = trims;
  built.values = values;
  built.latency_frames = built.chains[0]->latency_frames();
  return built;
}

bool Rack::is_heard() const {
  return has_sounded_.load(std::memory_order_relaxed) &&
         monotonic_ns() - last_block_ns_.load(std::memory_order_relaxed) < kStoppedNs;
}

int Rack::park(Built& built) {
  const int slot = next_slot_;
  next_slot_ = (next_slot_ + 1) % kSlots;
  for (size_t s = 0; s < engines_.size(); ++s) {
    engines_[s].engine->park(slot, std::move(built.chains[s]));
    engines_[s].engine->clear((slot + kSlots - 1) % kSlots);
  }
  return slot;
}

void Rack::begin(Built built) {
  begun_with_ = built.values;
  const int slot = park(built);
  std::array<float, kMaxFrames> silence{};
  std::array<float, kMaxFrames> left{};
  std::array<float, kMaxFrames> right{};
  for (Side& side : engines_) {
    side.engine->select(slot, false);
    bool settled = false;
    for (int round = 0; round < kSettleRounds && !settled; ++round) {
      play_offline(*side.engine, silence.data(), left.data(), right.data(), kMaxFrames, kMaxFrames,
                   {});
      side.engine->service();
      Fact fact;
      while (side.engine->pop_fact(fact)) settled |= fact.kind == Fact::Kind::kSwitched;
    }
    side.heard = slot;
  }
  take({.slot = slot,
        .map = built.map,
        .trims = built.trims,
        .values = built.values,
        .latency_frames = built.latency_frames});
  bypass_.jump(built.values[kBypass]);
  newer_delay_.jump(1);
  offered_ = slot;
  heard_ = slot;
}

void Rack::offer(Built built) {
  const int slot = park(built);
  offered_.store(slot, std::memory_order_release);
  offers_.leave({.slot = slot,
                 .map = built.map,
                 .trims = built.trims,
                 .values = built.values,
                 .latency_frames = built.latency_frames});
}

void Rack::close() {
  const std::lock_guard lock(service_mutex_);
  ask_ = nullptr;
}

bool Rack::service() {
  const std::unique_lock lock(service_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return true;
  for (Side& side : engines_) side.engine->service();
  if (asks_.exchange(false) && ask_) ask_();
  return !settled();
}

void Rack::take(const Offer& offer) noexcept AMP_RT {
  const bool first = playing_.slot < 0;
  playing_ = offer;
  has_asked_ = false;
  faulted_.store(false, std::memory_order_relaxed);
  old_delay_ = first ? offer.latency_frames : delay_;
  delay_ = std::min(offer.latency_frames, kLongestDelay - kChunkFrames);
  if (old_delay_ != delay_) {
    newer_delay_.jump(0);
    newer_delay_.to(1);
  }
  for (int p = 0; p < kParamCount; ++p) sent_[static_cast<size_t>(p)] = wanted(p, offer.values);
}

/// A param as the chain that is wanted takes it.
float Rack::wanted(int param, const Values& values) const noexcept AMP_RT {
  const Trim& trim = playing_.trims.by_level[static_cast<size_t>(values[kLevel])];
  return to_chain(static_cast<Param>(param), values, trim, playing_.map);
}

void Rack::turn(const Values& values) noexcept AMP_RT {
  bypass_.to(values[kBypass] > 0.5F ? 1.0F : 0.0F);
  if (static_cast<int>(values[kLevel]) == kNormalized && !playing_.trims.measured && !has_asked_) {
    has_asked_ = true;
    asks_.store(true, std::memory_order_release);
  }
  for (int p = 0; p < kParamCount; ++p) {
    const auto i = static_cast<size_t>(p);
    if (playing_.map.index[i] < 0) continue;
    const float value = wanted(p, values);
    if (value == sent_[i]) continue;
    bool sent = true;
    for (Side& side : engines_)
      sent = side.engine->set_param(playing_.slot, playing_.map.index[i], value) != 0 && sent;
    if (sent) sent_[i] = value;
  }
}

void Rack::process(const float* const* in, int ins, float* const* out, int outs, int frames,
                   const Params& params, bool on_time) noexcept {
  if (frames <= 0) return;
  std::unique_lock<std::mutex> lock(service_mutex_, std::defer_lock);
  if (!on_time) lock.lock();
  last_block_ns_.store(monotonic_ns(), std::memory_order_relaxed);
  const int changes = changes_.load(std::memory_order_acquire);
  const Values values = params.values();
  Offer offer;
  if (offers_.take(offer)) {
    take(offer);
    for (Side& side : engines_) side.engine->select(offer.slot, true);
  }
  if (trims_.take(late_trims_)) has_late_trims_ = true;
  if (has_late_trims_ && late_trims_.slot == playing_.slot) {
    playing_.trims = late_trims_.trims;
    has_late_trims_ = false;
  }
  // No change came between: the values belong to what was offered last, and no earlier.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (changes % 2 == 0 && changes == changes_.load(std::memory_order_relaxed)) turn(values);
  const FtzGuard ftz;
  for (int at = 0; at < frames; at += kChunkFrames) {
    const int length = std::min(kChunkFrames, frames - at);
    std::array<const float*, 2> from{in[0] + at, in[ins - 1] + at};
    std::array<float*, 2> to{out[0] + at, out[outs - 1] + at};
    run(from, ins, length);
    give(to, outs, length);
    note_facts();
    if (!on_time)
      for (Side& side : engines_) side.engine->service();
  }
}

void Rack::run(const std::array<const float*, 2>& in, int ins, int frames) noexcept AMP_RT {
  for (size_t s = 0; s < engines_.size(); ++s) {
    Side& side = engines_[s];
    if (ins == 2 && engines_.size() == 1)
      for (int i = 0; i < frames; ++i)
        side.in[static_cast<size_t>(i)] = 0.5F * (in[0][i] + in[1][i]);
    else
      std::copy_n(in[s], frames, side.in.data());
    const float peak = peak_of(side.in.data(), frames);
    raise(meters_.in[s], peak);
    if (peak > 0) has_sounded_.store(true, std::memory_order_relaxed);
    if (peak >= 1) meters_.in_clipped.store(true, std::memory_order_relaxed);
    Callback callback{.in = side.in.data(),
                      .left = side.left.data(),
                      .right = side.right.data(),
                      .frames = frames,
                      .midi = {}};
    side.engine->process(callback);
    for (int i = 0; i < frames; ++i)
      side.past[(past_at_ + static_cast<size_t>(i)) % kLongestDelay] =
          side.in[static_cast<size_t>(i)];
  }
}

/// The guitar as it was when what is heard now went in.
float Rack::dry(const Side& side, int frame, float newer) const noexcept AMP_RT {
  const auto past = [&](int delay) noexcept AMP_RT {
    return side
        .past[(past_at_ + static_cast<size_t>(frame + kLongestDelay - delay)) % kLongestDelay];
  };
  if (newer == 1) return past(delay_);
  return newer * past(delay_) + (1 - newer) * past(old_delay_);
}

void Rack::give(const std::array<float*, 2>& out, int outs, int frames) noexcept AMP_RT {
  const bool stereo = engines_.size() == 2;
  Side& first = engines_.front();
  Side& last = engines_.back();
  for (size_t i = 0; i < static_cast<size_t>(frames); ++i) {
    float left = first.left[i];
    float right = stereo ? last.right[i] : first.right[i];
    if (outs == 1) left = right = 0.5F * (left + right);
    const float share = bypass_.next();
    const float newer = newer_delay_.next();
    if (share > 0) {
      const float dry_left = dry(first, static_cast<int>(i), newer);
      const float dry_right = stereo ? dry(last, static_cast<int>(i), newer) : dry_left;
      left = share == 1 ? dry_left : left + share * (dry_left - left);
      right = share == 1 ? dry_right : right + share * (dry_right - right);
    }
    out[0][i] = left;
    if (outs == 2) out[1][i] = right;
  }
  past_at_ = (past_at_ + static_cast<size_t>(frames)) % kLongestDelay;
  for (int c = 0; c < outs; ++c) {
    const float peak = peak_of(out[static_cast<size_t>(c)], frames);
    raise(meters_.out[static_cast<size_t>(c)], peak);
    if (peak >= kAtCeiling) meters_.out_clipped.store(true, std::memory_order_relaxed);
  }
}

void Rack::note_facts() noexcept AMP_RT {
  for (Side& side : engines_) {
    Fact fact;
    while (side.engine->pop_fact(fact)) {
      if (fact.kind == Fact::Kind::kFault && fact.slot == playing_.slot)
        faulted_.store(true, std::memory_order_relaxed);
      if (fact.kind == Fact::Kind::kSwitched) side.heard = fact.slot;
    }
  }
  const int heard = engines_.front().heard;
  if (heard != engines_.back().heard || heard == heard_.load(std::memory_order_relaxed)) return;
  heard_.store(heard, std::memory_order_release);
  switches_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace amp::plugin
