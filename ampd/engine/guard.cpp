#include "guard.hpp"

#include <algorithm>

namespace amp {
namespace {

/// A block that takes less of the period than this is not what makes it late.
constexpr int64_t kLeastShare = 16;

/// A block that goes fades out meanwhile, and one that comes fades in.
constexpr float kSettleSeconds = 0.020F;

}  // namespace

void Guard::forget() noexcept AMP_RT {
  heavy_ = late_count_ = spared_count_ = 0;
  settled_at_ = 0;
  tried_at_ = -1;
  given_up_ = false;
}

void Guard::pardon() noexcept AMP_RT {
  hold_until_ = 0;
  given_up_ = false;
}

bool Guard::rests(size_t block) const noexcept AMP_RT {
  return std::any_of(spared_.begin(), spared_.begin() + spared_count_, [&](const Spared& each) {
    return each.rests && each.block == static_cast<int>(block);
  });
}

/// The block that took most, the least of the last callbacks each: what disturbed one of them is
/// no block's own.
int Guard::dearest(int64_t least_ns) const noexcept AMP_RT {
  int found = -1;
  for (size_t block = 0; block < kMostBlocks; ++block) {
    int64_t ns = spent_ns_[0][block];
    for (const auto& callback : spent_ns_) ns = std::min(ns, callback[block]);
    if (ns < least_ns || rests(block)) continue;
    least_ns = ns;
    found = static_cast<int>(block);
  }
  return found;
}

Guard::Advice Guard::rest(int64_t period_ns, int64_t frame) noexcept AMP_RT {
  const int block = dearest(period_ns / kLeastShare);
  if (block < 0) return {};
  if (tried_at_ >= 0 && frame - tried_at_ < seconds(kHoldSeconds)) given_up_ = true;
  Spared spared{.block = block};
  auto* const end = spared_.begin() + spared_count_;
  auto* const at =
      std::find_if(spared_.begin(), end, [&](const Spared& each) { return each.block == block; });
  if (at != end) {  // its smaller size is too much as well
    spared.smaller = at->smaller;
    std::move(at + 1, end, at);
    --spared_count_;
  }
  spared_[spared_count_++] = spared;
  late_count_ = 0;
  settled_at_ = frame + seconds(kSettleSeconds);
  hold_until_ = frame + seconds(kHoldSeconds);
  return {block, Plays::kNothing};
}

/// One that has faded out and has a smaller size, which was not heard before.
Guard::Advice Guard::shrink(int64_t frame) noexcept AMP_RT {
  auto* const end = spared_.begin() + spared_count_;
  auto* const at = std::find_if(spared_.begin(), end, [](const Spared& each) {
    return each.rests && each.smaller == Smaller::kNext;
  });
  if (at == end || frame < settled_at_) return {};
  *at = {.block = at->block, .rests = false, .smaller = Smaller::kTried};
  return {at->block, Plays::kSmaller};
}

/// The last that went, by one step.
Guard::Advice Guard::give_back(int64_t frame) noexcept AMP_RT {
  if (spared_count_ == 0 || given_up_ || frame < hold_until_) return {};
  tried_at_ = frame;
  hold_until_ = frame + seconds(kHoldSeconds);
  Spared& last = spared_[spared_count_ - 1];
  if (last.rests && last.smaller == Smaller::kTried) {
    last.rests = false;
    return {last.block, Plays::kSmaller};
  }
  --spared_count_;
  return {last.block, Plays::kWhole};
}

Guard::Advice Guard::note_callback(int64_t spent_ns, int64_t period_ns,
                                   int64_t frame) noexcept AMP_RT {
  heavy_ = 2 * spent_ns >= period_ns ? heavy_ + 1 : 0;
  Advice advice;
  if (spent_ns > period_ns && frame >= settled_at_) {
    std::move_backward(late_.begin(), late_.end() - 1, late_.end());
    late_[0] = frame;
    late_count_ = std::min(late_count_ + 1, kLook);
    const bool often = late_count_ == kLook && frame - late_.back() <= sample_rate_hz_;
    if (often && heavy_ >= kLook) advice = rest(period_ns, frame);
  } else {
    advice = shrink(frame);
    if (advice.block < 0) advice = give_back(frame);
  }
  at_ = (at_ + 1) % kLook;
  spent_ns_[at_].fill(0);
  return advice;
}

}  // namespace amp
