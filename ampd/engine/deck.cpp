#include "deck.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace amp {
namespace {

/// Long enough that two different sounds join without a click. Of two that are each other's inverse
/// nothing is left in the middle: the shorter, the less of a dip. With fade_share a sine that turns
/// over loses 2.1 dB over 10 ms, where 20 ms of a cosine lose 7.4 dB.
constexpr float kFadeSeconds = 0.010F;

/// Each half of a duck: with the time to catch up between them it stays under 10 ms.
constexpr float kDuckSeconds = 0.003F;

// What a chain has yet to hear when it comes it hears while it is faded in.
static_assert(kFadeSeconds >= Chain::kOverlapSeconds && 2 * kDuckSeconds >= Chain::kOverlapSeconds);

/// A chain that is being brought up to date may cost this many frames a callback beyond the
/// callback's own, twice over: enough to catch up, too little to be late.
constexpr int kCatchUpFrames = 256;

/// While it catches up, everything together may take this share of the core.
constexpr float kCatchUpShare = 0.9F;

/// Steep in the middle, where both are heard; three derivatives are 0 at either end.
double fade_share(double t) {
  return t * t * t * t * (35 + t * (-84 + t * (70 - 20 * t)));
}

double duck_share(double t) {
  return 0.5 - 0.5 * std::cos(std::numbers::pi * t);
}

std::vector<float> rising(double (*share)(double), float seconds, int sample_rate_hz) {
  std::vector<float> shares(static_cast<size_t>(seconds * static_cast<float>(sample_rate_hz)));
  for (size_t i = 0; i < shares.size(); ++i)
    shares[i] = static_cast<float>(
        share(static_cast<double>(i + 1) / static_cast<double>(shares.size() + 1)));
  return shares;
}

}  // namespace

Deck::Deck(Lines& lines, int sample_rate_hz, float budget)
    : lines_(lines),
      frame_ns_(1e9F / static_cast<float>(sample_rate_hz)),
      budget_(budget),
      fade_in_(rising(fade_share, kFadeSeconds, sample_rate_hz)),
      duck_in_(rising(duck_share, kDuckSeconds, sample_rate_hz)) {}

Chain* Deck::wanted() const noexcept AMP_RT {
  if (pending_) return nullptr;
  return switch_ == Switch::kNone ? current_.chain : next_.chain;
}

void Deck::begin(int callback_frames) noexcept AMP_RT {
  callback_frames_ = callback_frames;
  catch_up_budget_ = std::max(kCatchUpFrames, 2 * callback_frames);
  if (pending_ && !requested_ && switch_ == Switch::kNone) request();
  Delivery delivery;
  while (lines_.deliveries.pop(delivery)) receive(delivery);
  if (next_.chain == nullptr || next_.chain->cost_ns() <= 0) return;
  const float own = current_.chain != nullptr ? current_.chain->cost_ns() : 0;
  const float free_ns = static_cast<float>(callback_frames) * (kCatchUpShare * frame_ns_ - own);
  const auto affordable = static_cast<int64_t>(free_ns / next_.chain->cost_ns());
  catch_up_budget_ = std::clamp<int64_t>(affordable, callback_frames + kMaxFrames / 2,
                                         std::max<int64_t>(catch_up_budget_, callback_frames + 32));
}

void Deck::select(int slot, bool fresh, uint32_t id) noexcept AMP_RT {
  if (pending_ || switch_ != Switch::kNone)
    lines_.report({.kind = Fact::Kind::kSuperseded, .slot = wanted_slot_, .id = wanted_id_});
  const bool again = pending_ && !fresh && slot == wanted_slot_;
  wanted_slot_ = slot;
  wanted_id_ = id;
  lines_.report({.kind = Fact::Kind::kSelected, .slot = slot, .id = id});
  if (again) return;
  const auto is_it = [=](const Playing& playing) noexcept AMP_RT {
    return !fresh && playing.chain != nullptr && playing.slot == slot;
  };
  if (switch_ == Switch::kCatchingUp && !is_it(next_)) {
    retire(next_);
    switch_ = Switch::kNone;
  }
  const bool rests = switch_ == Switch::kNone;
  const Playing newest = rests ? current_ : next_;
  if (is_it(newest) && !newest.chain->faulted()) return keep(*newest.chain);
  pending_ = true;
  anew_ = fresh;
  if (!rests) return;
  // A faulted chain is dry already: it comes back from dry, warmed.
  if (is_it(current_)) retire(current_);
  request();
}

/// What is wanted plays or comes already: only its own values come back.
void Deck::keep(Chain& chain) noexcept AMP_RT {
  pending_ = false;
  arrived_ = true;
  chain.recall(inaudible());
  if (switch_ != Switch::kNone) return;
  requested_ = false;
  lines_.report({.kind = Fact::Kind::kSwitched, .slot = wanted_slot_, .id = wanted_id_});
}

void Deck::request() noexcept AMP_RT {
  anew_ = false;
  requested_ = lines_.requests.push({.slot = wanted_slot_, .serial = ++serial_});
}

void Deck::receive(const Delivery& delivery) noexcept AMP_RT {
  if (!requested_ || delivery.serial != serial_) {
    Playing unwanted{delivery.chain, delivery.slot};
    retire(unwanted);
    return;
  }
  requested_ = false;
  if (delivery.chain == nullptr) return refuse(delivery.slot);
  if (switch_ == Switch::kNone && over_budget(*delivery.chain)) {
    switch_ = Switch::kDuckOut;
    fade_at_ = 0;
    if (send_back(delivery)) return;
  }
  next_ = {delivery.chain, delivery.slot};
  next_position_ = delivery.position;
  next_.chain->set_tempo(tempo_bpm_, true);
  if (switch_ == Switch::kNone) switch_ = Switch::kCatchingUp;
  if (anew_ || wanted_slot_ != next_.slot) return;
  pending_ = false;
  arrived_ = true;
}

/// While the old chain fades out the warm thread brings the new one on, where it can do so in time.
bool Deck::send_back(const Delivery& delivery) noexcept AMP_RT {
  if (callback_frames_ > static_cast<int>(duck_in_.size())) return false;
  requested_ = lines_.requests.push({.slot = delivery.slot,
                                     .serial = ++serial_,
                                     .chain = delivery.chain,
                                     .position = delivery.position});
  return requested_;
}

/// The slot is empty: what is heard is wanted again.
void Deck::refuse(int slot) noexcept AMP_RT {
  lines_.report({.kind = Fact::Kind::kRefused, .slot = slot, .id = wanted_id_});
  pending_ = false;
  refused_ = true;
  wanted_slot_ = current_.slot;
}

bool Deck::over_budget(const Chain& coming) const noexcept AMP_RT {
  return current_.chain != nullptr &&
         current_.chain->cost_ns() + coming.cost_ns() > budget_ * frame_ns_;
}

/// Let the new chain hear what was played since the warm thread let go of it, a bounded number of
/// frames a callback; what it would not remember it need not hear.
void Deck::catch_up() noexcept AMP_RT {
  const int64_t now = frame();
  const int64_t needed = next_.chain->warm_frames();
  // What takes longer than it lasts never catches up live: it comes as it is, and then lighter.
  const bool hopeless =
      next_.chain->cost_ns() > frame_ns_ && lines_.live.load(std::memory_order_relaxed);
  if (now - next_position_ > needed || hopeless)
    next_position_ = next_.chain->grid_before(hopeless ? now : now - needed, next_position_);
  std::array<float, kMaxFrames> heard;
  while (next_position_ < now && catch_up_budget_ > 0) {
    const int frames = static_cast<int>(std::min<int64_t>(kMaxFrames, now - next_position_));
    lines_.history.read(next_position_, heard.data(), frames);
    next_.chain->warm(heard.data(), frames);
    next_position_ += frames;
    catch_up_budget_ -= frames;
  }
  if (next_position_ == now) enter();
}

void Deck::enter() noexcept AMP_RT {
  const bool ducks = switch_ == Switch::kDuckWait;
  switch_ = ducks ? Switch::kDuckIn : Switch::kFading;
  fade_at_ = 0;
  next_fault_told_ = false;
  entered_ = true;
  Chain** const end = std::remove(tails_.data(), tails_.data() + tail_count_, next_.chain);
  tail_count_ = static_cast<int>(end - tails_.data());
  next_.chain->enter();
  lines_.report({.kind = Fact::Kind::kAudible,
                 .slot = next_.slot,
                 .value = ducks ? 1.0F : 0.0F,
                 .id = wanted_id_});
}

void Deck::finish() noexcept AMP_RT {
  leave(current_);
  current_ = std::exchange(next_, {});
  current_fault_told_ = next_fault_told_;
  switch_ = Switch::kNone;
  if (!pending_) {
    lines_.report({.kind = Fact::Kind::kSwitched, .slot = current_.slot, .id = wanted_id_});
    return;
  }
  if (current_.slot == wanted_slot_ && current_.chain->faulted()) retire(current_);
  request();
}

void Deck::leave(Playing& playing) noexcept AMP_RT {
  if (playing.chain != nullptr && playing.chain->leave()) {
    if (tail_count_ >= kMostTails) tails_[static_cast<size_t>(tail_count_ - kMostTails)]->hush();
    if (tail_count_ == kTailRoom) {
      tails_[0]->finish_ringing();
      std::move(tails_.begin() + 1, tails_.end(), tails_.begin());
      --tail_count_;
    }
    tails_[static_cast<size_t>(tail_count_++)] = playing.chain;
  }
  retire(playing);
}

void Deck::retire(Playing& playing) noexcept AMP_RT {
  if (playing.chain != nullptr) lines_.retired.push({.chain = playing.chain, .slot = playing.slot});
  playing = {};
}

void Deck::prepare_shares(int frames) noexcept AMP_RT {
  const std::vector<float>& curve = switch_ == Switch::kFading ? fade_in_ : duck_in_;
  const auto length = static_cast<int>(curve.size());
  for (int i = 0; i < frames; ++i) {
    const bool over = fade_at_ == length;
    const int at = switch_ == Switch::kDuckOut ? length - 1 - fade_at_ : fade_at_;
    float share = over ? 1.0F : curve[static_cast<size_t>(at)];
    if (switch_ == Switch::kDuckOut) share = over ? 1.0F : 1 - share;
    fade_at_ += over ? 0 : 1;
    new_share_[static_cast<size_t>(i)] = share;
    old_share_[static_cast<size_t>(i)] = switch_ == Switch::kDuckIn ? 0.0F : 1 - share;
  }
}

void Deck::run(const float* in, const ChainOutput& out, int frames) noexcept AMP_RT {
  const bool waits = switch_ == Switch::kDuckWait && next_.chain != nullptr;
  if (switch_ == Switch::kCatchingUp || waits) catch_up();
  const bool steady = switch_ == Switch::kNone || switch_ == Switch::kCatchingUp;
  const bool silent = switch_ == Switch::kDuckWait || switch_ == Switch::kDuckIn;
  if (!steady && switch_ != Switch::kDuckWait) prepare_shares(frames);
  const float* const share = steady ? nullptr : old_share_.data();
  if (silent)
    for (float* to : {out.left, out.right, out.dry}) std::fill_n(to, frames, 0.0F);
  else
    play_current(in, out, frames, share);
  if (switch_ == Switch::kFading || switch_ == Switch::kDuckIn) add_next(in, out, frames);
  // Where no rig is late the guitar itself needs no fade, and so no duck.
  if (!is_late(current_) && !is_late(next_)) std::copy_n(in, frames, out.dry);
  add_tails(out.left, out.right, frames);
}

void Deck::play_current(const float* in, const ChainOutput& out, int frames,
                        const float* share) noexcept AMP_RT {
  if (current_.chain != nullptr) {
    current_.chain->process(in, out, frames, share);
    return note_fault(current_, current_fault_told_);
  }
  for (int i = 0; i < frames; ++i) out.dry[i] = share == nullptr ? in[i] : in[i] * share[i];
  for (float* to : {out.left, out.right}) std::copy_n(out.dry, frames, to);
}

void Deck::add_next(const float* in, const ChainOutput& out, int frames) noexcept AMP_RT {
  const ChainOutput coming{next_out_[0].data(), next_out_[1].data(), next_out_[2].data()};
  next_.chain->process(in, coming, frames, new_share_.data());
  note_fault(next_, next_fault_told_);
  for (int i = 0; i < frames; ++i) {
    out.left[i] += coming.left[i];
    out.right[i] += coming.right[i];
    out.dry[i] += coming.dry[i];
  }
}

void Deck::end() noexcept AMP_RT {
  const bool faded = fade_at_ == static_cast<int>(fade_in_.size());
  const bool ducked = fade_at_ == static_cast<int>(duck_in_.size());
  if ((switch_ == Switch::kFading && faded) || (switch_ == Switch::kDuckIn && ducked)) {
    finish();
  } else if (switch_ == Switch::kDuckOut && ducked) {
    leave(current_);
    switch_ = Switch::kDuckWait;
  }
}

void Deck::add_tails(float* left, float* right, int frames) noexcept AMP_RT {
  int kept = 0;
  for (int t = 0; t < tail_count_; ++t) {
    Chain* const chain = tails_[static_cast<size_t>(t)];
    chain->ring(next_out_[0].data(), next_out_[1].data(), frames);
    for (int i = 0; i < frames; ++i) {
      left[i] += next_out_[0][static_cast<size_t>(i)];
      right[i] += next_out_[1][static_cast<size_t>(i)];
    }
    if (chain->is_quiet())
      chain->finish_ringing();
    else
      tails_[static_cast<size_t>(kept++)] = chain;
  }
  tail_count_ = kept;
}

void Deck::set_tempo(float bpm) noexcept AMP_RT {
  tempo_bpm_ = bpm;
  for (const Playing* playing : {&current_, &next_})
    if (playing->chain != nullptr) playing->chain->set_tempo(bpm, false);
}

void Deck::hush() noexcept AMP_RT {
  for (int t = 0; t < tail_count_; ++t) tails_[static_cast<size_t>(t)]->hush();
}

void Deck::note_fault(const Playing& playing, bool& told) noexcept AMP_RT {
  if (!playing.chain->faulted() || told) return;
  told = true;
  lines_.report(
      {.kind = Fact::Kind::kFault, .slot = playing.slot, .index = playing.chain->broken_block()});
}

}  // namespace amp
