#pragma once

#include <array>
#include <utility>
#include <vector>

#include "chain.hpp"
#include "lines.hpp"

namespace amp {

/// The chains that play: the current one, the one that comes, and the tails of those that went.
///
/// A change of rigs is a crossfade of 10 ms in which both play. Where the two cost more of a period
/// than the budget it is a duck: the old one fades out, the new one catches up meanwhile, and fades
/// in; at most 10 ms from the first frame that is quieter to the last. A duck that has begun is
/// finished like a fade, whatever is selected meanwhile. Thread: audio.
class Deck {
 public:
  /// budget: the share of a core that the chains may take together.
  Deck(Lines& lines, int sample_rate_hz, float budget);

  /// Take what the warm thread has sent, before the frames of a callback.
  void begin(int callback_frames) noexcept AMP_RT;

  /// Switch to a slot; the last selection wins: one that is not audible yet gives way, one that is
  /// finishes its fade first.
  void select(int slot, bool fresh, uint32_t id) noexcept AMP_RT;

  /// Play `frames` frames, 1..kMaxFrames, of sound input `in`, which is not in the history yet.
  void run(const float* in, const ChainOutput& out, int frames) noexcept AMP_RT;

  /// The rest of a run, once its input is in the history.
  void end() noexcept AMP_RT;

  /// The slot that was selected last.
  [[nodiscard]] int wanted_slot() const noexcept AMP_RT { return wanted_slot_; }
  /// The chain that is heard, of two in a fade the one that goes; null where none is.
  [[nodiscard]] Chain* heard() const noexcept AMP_RT { return current_.chain; }
  [[nodiscard]] int heard_slot() const noexcept AMP_RT { return current_.slot; }
  /// One chain plays, and no other one comes or is brought up to date.
  [[nodiscard]] bool at_rest() const noexcept AMP_RT { return switch_ == Switch::kNone; }
  /// The wanted chain is being warmed: what is meant for it must wait.
  [[nodiscard]] bool pending() const noexcept AMP_RT { return pending_; }
  /// The wanted chain, null while it is pending.
  [[nodiscard]] Chain* wanted() const noexcept AMP_RT;
  /// Whether it is not audible yet, so that its values may jump.
  [[nodiscard]] bool inaudible() const noexcept AMP_RT {
    return switch_ == Switch::kCatchingUp || switch_ == Switch::kDuckOut ||
           switch_ == Switch::kDuckWait;
  }
  /// Once for every chain that has arrived: its values may be set now.
  bool take_arrival() noexcept AMP_RT { return std::exchange(arrived_, false); }
  /// Once for every chain that begins to be heard.
  bool take_entrance() noexcept AMP_RT { return std::exchange(entered_, false); }
  /// Once for every selection that found its slot empty: another one is wanted now.
  bool take_refusal() noexcept AMP_RT { return std::exchange(refused_, false); }

  void set_tempo(float bpm) noexcept AMP_RT;
  /// Cut all tails short, without a click.
  void hush() noexcept AMP_RT;

  /// The chains it holds, for their owner to free when no host runs. Thread: control.
  [[nodiscard]] std::array<Chain*, 2> held() const { return {current_.chain, next_.chain}; }

 private:
  struct Playing {
    Chain* chain = nullptr;
    int slot = -1;
  };
  /// What becomes of next_.
  enum class Switch : uint8_t { kNone, kCatchingUp, kFading, kDuckOut, kDuckWait, kDuckIn };
  /// The tails that may ring at once, and room for those that are being hushed.
  static constexpr int kMostTails = 4;
  static constexpr int kTailRoom = 12;

  static bool is_late(const Playing& playing) noexcept AMP_RT {
    return playing.chain != nullptr && playing.chain->latency_frames() > 0;
  }
  void receive(const Delivery& delivery) noexcept AMP_RT;
  void keep(Chain& chain) noexcept AMP_RT;
  void request() noexcept AMP_RT;
  [[nodiscard]] bool send_back(const Delivery& delivery) noexcept AMP_RT;
  void refuse(int slot) noexcept AMP_RT;
  [[nodiscard]] bool over_budget(const Chain& coming) const noexcept AMP_RT;
  void catch_up() noexcept AMP_RT;
  void enter() noexcept AMP_RT;
  void finish() noexcept AMP_RT;
  void leave(Playing& playing) noexcept AMP_RT;
  void retire(Playing& playing) noexcept AMP_RT;
  void prepare_shares(int frames) noexcept AMP_RT;
  void play_current(const float* in, const ChainOutput& out, int frames,
                    const float* share) noexcept AMP_RT;
  void add_next(const float* in, const ChainOutput& out, int frames) noexcept AMP_RT;
  void add_tails(float* left, float* right, int frames) noexcept AMP_RT;
  void note_fault(const Playing& playing, bool& reported) noexcept AMP_RT;
  [[nodiscard]] int64_t frame() const noexcept AMP_RT { return lines_.history.written(); }

  Lines& lines_;
  float frame_ns_;
  float budget_;
  float tempo_bpm_ = 120;
  Playing current_;
  Playing next_;
  Switch switch_ = Switch::kNone;
  int wanted_slot_ = -1;
  uint32_t wanted_id_ = 0;
  bool pending_ = false;    ///< the wanted chain is not here yet
  bool anew_ = false;       ///< nor is what is on its way, of the same slot
  bool requested_ = false;  ///< the warm thread was asked for a chain and has not answered
  bool arrived_ = false;
  bool entered_ = false;
  bool refused_ = false;
  uint32_t serial_ = 0;
  int64_t next_position_ = 0;  ///< what next_ has heard
  int callback_frames_ = 0;
  int64_t catch_up_budget_ = 0;
  int fade_at_ = 0;
  std::vector<float> fade_in_;  ///< share of the new chain, per frame of the crossfade
  std::vector<float> duck_in_;  ///< and of a duck's second half
  std::array<Chain*, kTailRoom> tails_{};
  int tail_count_ = 0;
  bool current_fault_told_ = false;
  bool next_fault_told_ = false;
  alignas(64) std::array<float, kMaxFrames> old_share_{};
  alignas(64) std::array<float, kMaxFrames> new_share_{};
  alignas(64) std::array<std::array<float, kMaxFrames>, 3> next_out_{};
};

}  // namespace amp
