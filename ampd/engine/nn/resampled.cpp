#include "resampled.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>

#include "../dsp/polyphase.hpp"

namespace amp::nn {
namespace {

/// In and out err by so much each at the worst frequency; both together stay below -80 dB.
constexpr double kAttenuationDb = 92;
constexpr double kPassHz = 18000;
constexpr double kPassShare = 18000.0 / 22050.0;  ///< of half the lower rate, where that is less

constexpr int64_t kMostTaps = int64_t{1} << 20;  ///< of one bank: 4 MB

int64_t floor_div(int64_t a, int64_t b) noexcept AMP_RT {
  return a / b - (a % b < 0 ? 1 : 0);
}

/// When frames of the two rates meet. With host_period : model_period their ratio in lowest terms,
/// host frame n lies at n, model frame m at m * host_period / model_period host frames. Both
/// kernels reach half the latency to either side. So the model's frame m needs input up to
///     edge(m) = m * host_period / model_period + latency / 2,
/// and the output at n - latency needs model frames up to m where edge(m) <= n: those that can be
/// known when host frame n has come. Nothing has to wait, whatever the block length.
struct Schedule {
  Schedule(int model_rate_hz, int host_rate_hz) {
    const int common = std::gcd(model_rate_hz, host_rate_hz);
    host_period = host_rate_hz / common;
    model_period = model_rate_hz / common;
    const double stop_hz = 0.5 * std::min(model_rate_hz, host_rate_hz);
    const double pass_hz = std::min(kPassHz, kPassShare * stop_hz);
    cutoff_hz = 0.5 * (pass_hz + stop_hz);
    latency = static_cast<int>(
        std::ceil(dsp::Kernel::width_of(kAttenuationDb, (stop_hz - pass_hz) / host_rate_hz)));
    half = int64_t{latency} * model_period;
    in_taps = latency + 1;
    out_taps = static_cast<int>(half / host_period) + 1;
  }

  /// The newest model frame that is known at host frame n.
  [[nodiscard]] int64_t newest(int64_t n) const {
    return floor_div(2 * n * model_period - half, 2 * host_period);
  }

  /// How far the newest host frame lies after model frame m, in host frames.
  [[nodiscard]] double host_lead(int64_t m) const {
    const int64_t unit = 2 * model_period;
    const int64_t edge = 2 * m * host_period + half;
    const int64_t beyond = -floor_div(-edge, unit) * unit - edge;
    return static_cast<double>(half + beyond) / static_cast<double>(unit);
  }

  /// How far the newest model frame lies after what host frame n puts out, in model frames.
  [[nodiscard]] double model_lead(int64_t n) const {
    const int64_t unit = 2 * host_period;
    const int64_t before = 2 * n * model_period - half - newest(n) * unit;
    return static_cast<double>(half - before) / static_cast<double>(unit);
  }

  [[nodiscard]] int to_host(int model_frames) const {
    return static_cast<int>(-floor_div(-int64_t{model_frames} * host_period, model_period));
  }

  int64_t host_period = 1;
  int64_t model_period = 1;
  int64_t half = 0;  ///< half the latency, in 1 / (2 * model_period) host frames
  double cutoff_hz = 0;
  int latency = 0;
  int in_taps = 0;
  int out_taps = 0;
};

dsp::PolyphaseBank in_bank(const Schedule& schedule, int host_rate_hz) {
  std::vector<double> leads(static_cast<size_t>(schedule.model_period));
  for (size_t m = 0; m < leads.size(); ++m) leads[m] = schedule.host_lead(static_cast<int64_t>(m));
  return {leads,
          schedule.in_taps,
          {.half_width = 0.5 * schedule.latency,
           .cutoff = schedule.cutoff_hz / host_rate_hz,
           .beta = dsp::Kernel::beta_of(kAttenuationDb)}};
}

dsp::PolyphaseBank out_bank(const Schedule& schedule, int model_rate_hz) {
  std::vector<double> leads(static_cast<size_t>(schedule.host_period));
  for (size_t n = 0; n < leads.size(); ++n) leads[n] = schedule.model_lead(static_cast<int64_t>(n));
  return {leads,
          schedule.out_taps,
          {.half_width =
               0.5 * static_cast<double>(schedule.half) / static_cast<double>(schedule.host_period),
           .cutoff = schedule.cutoff_hz / model_rate_hz,
           .beta = dsp::Kernel::beta_of(kAttenuationDb)}};
}

/// A table of the resampler, one in a process for all nets of the same two rates: to design it
/// takes longer than to build a small net.
using Bank = std::shared_ptr<const dsp::PolyphaseBank>;

/// is_in: of the two tables. rate_hz: the one of its taps.
Bank shared_bank(const Schedule& schedule, bool is_in, int rate_hz) {
  using Key = std::array<int64_t, 4>;
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<const dsp::PolyphaseBank>> known;
  const std::lock_guard lock(mutex);
  std::weak_ptr<const dsp::PolyphaseBank>& place =
      known[{schedule.host_period, schedule.model_period, is_in ? 1 : 0, rate_hz}];
  Bank bank = place.lock();
  if (bank == nullptr) {
    bank = std::make_shared<const dsp::PolyphaseBank>(is_in ? in_bank(schedule, rate_hz)
                                                            : out_bank(schedule, rate_hz));
    place = bank;
  }
  return bank;
}

class ResampledNet final : public Net {
 public:
  ResampledNet(std::unique_ptr<Net> net, int model_rate_hz, int host_rate_hz,
               const Schedule& schedule)
      : net_(std::move(net)),
        in_bank_(shared_bank(schedule, true, host_rate_hz)),
        out_bank_(shared_bank(schedule, false, model_rate_hz)),
        first_model_row_(static_cast<int>(
            schedule.newest(-1) + 1 -
            floor_div(schedule.newest(-1) + 1, schedule.model_period) * schedule.model_period)),
        model_rows_(static_cast<int>(schedule.model_period)),
        arrivals_(static_cast<size_t>(schedule.host_period)) {
    for (size_t n = 0; n < arrivals_.size(); ++n) {
      const auto frame = static_cast<int64_t>(n);
      arrivals_[n] = static_cast<int>(schedule.newest(frame) - schedule.newest(frame - 1));
    }
    const auto most =
        static_cast<size_t>(kMaxFrames * schedule.model_period / schedule.host_period + 1);
    heard_.resize(static_cast<size_t>(in_bank_->reach_frames()) + kMaxFrames);
    asked_.resize(most);
    said_.resize(static_cast<size_t>(out_bank_->reach_frames()) + most);
    ResampledNet::reset();
  }

  /// What the net says to silence stands behind the first frame too.
  void reset() noexcept AMP_RT override {
    std::fill(heard_.begin(), heard_.end(), 0.0F);
    std::fill(said_.begin(), said_.end(), 0.0F);
    net_->reset();
    play(said_.data(), said_.data(), out_bank_->reach_frames());
    host_row_ = 0;
    model_row_ = first_model_row_;
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    float* const now = heard_.data() + in_bank_->reach_frames();
    std::copy_n(in, frames, now);
    int count = 0;
    for (int i = 0; i < frames; ++i)
      for (int left = arrivals(i); left > 0; --left) {
        asked_[static_cast<size_t>(count++)] = in_bank_->at(model_row_, now + i + 1);
        model_row_ = model_row_ + 1 == model_rows_ ? 0 : model_row_ + 1;
      }
    std::copy_n(heard_.data() + frames, in_bank_->reach_frames(), heard_.data());
    float* end = said_.data() + out_bank_->reach_frames();
    play(asked_.data(), end, count);
    for (int i = 0; i < frames; ++i) {
      end += arrivals(i);
      out[i] = out_bank_->at(row(i), end);
    }
    std::copy_n(said_.data() + count, out_bank_->reach_frames(), said_.data());
    host_row_ = row(frames);
  }

  void set_quality(float quality, bool at_once) noexcept AMP_RT override {
    net_->set_quality(quality, at_once);
  }
  void set_knob(int knob, float value) noexcept AMP_RT override { net_->set_knob(knob, value); }

  [[nodiscard]] size_t memory_bytes() const noexcept override {
    return net_->memory_bytes() + in_bank_->memory_bytes() + out_bank_->memory_bytes() +
           arrivals_.size() * sizeof(int) +
           (heard_.size() + asked_.size() + said_.size()) * sizeof(float);
  }

 private:
  void play(const float* in, float* out, int frames) noexcept AMP_RT {
    for (int at = 0; at < frames; at += kMaxFrames)
      net_->process(in + at, out + at, std::min(kMaxFrames, frames - at));
  }

  /// Of the host's frame `ahead` frames from now.
  [[nodiscard]] int row(int ahead) const noexcept AMP_RT {
    return (host_row_ + ahead) % static_cast<int>(arrivals_.size());
  }
  [[nodiscard]] int arrivals(int ahead) const noexcept AMP_RT {
    return arrivals_[static_cast<size_t>(row(ahead))];
  }

  std::unique_ptr<Net> net_;
  Bank in_bank_;   ///< a row for each model frame of a period
  Bank out_bank_;  ///< a row for each host frame of a period
  int first_model_row_;
  int model_rows_;
  std::vector<int> arrivals_;  ///< model frames that become known with each host frame of a period
  std::vector<float> heard_;   ///< input: what the kernel looks back on, then this block
  std::vector<float> asked_;   ///< input at the model's rate, this block
  std::vector<float> said_;    ///< the net's output: what the kernel looks back on, then this block
  int host_row_ = 0;
  int model_row_ = 0;
};

void check_rates(const ModelInfo& info, const Schedule& schedule, int host_rate_hz) {
  const int64_t most =
      std::max(schedule.model_period * dsp::PolyphaseBank::reach_frames(schedule.in_taps),
               schedule.host_period * dsp::PolyphaseBank::reach_frames(schedule.out_taps));
  if (most <= kMostTaps) return;
  const std::string rate = std::to_string(info.playing_rate_hz());
  throw LoadError(info.path + ": the model is made for " + rate + " Hz, the host runs at " +
                  std::to_string(host_rate_hz) + " Hz; their ratio " +
                  std::to_string(schedule.host_period) + ":" +
                  std::to_string(schedule.model_period) +
                  " needs a larger table than the resampler holds; run the host at " + rate +
                  " Hz or export the model for the host's rate.");
}

}  // namespace

HostedNet host_net(const Model& model, dsp::Isa isa, int host_rate_hz) {
  const ModelInfo& info = model.info;
  const int rate = info.playing_rate_hz();
  const int memory = info.memory_frames > 0 ? info.memory_frames : info.receptive_field_frames;
  if (rate == host_rate_hz)
    return {.net = model.make_net(isa),
            .latency_frames = info.latency_frames,
            .memory_frames = memory,
            .grid_frames = 1};
  const Schedule schedule(rate, host_rate_hz);
  check_rates(info, schedule, host_rate_hz);
  return {.net = std::make_unique<ResampledNet>(model.make_net(isa), rate, host_rate_hz, schedule),
          .latency_frames = schedule.latency + schedule.to_host(info.latency_frames),
          .memory_frames = schedule.to_host(memory - 1) + 2 * schedule.latency + 1,
          .grid_frames = static_cast<int>(schedule.host_period)};
}

}  // namespace amp::nn
