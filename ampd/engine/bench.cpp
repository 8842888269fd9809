#include "bench.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <limits>
#include <random>
#include <vector>

namespace amp {
namespace {

/// Short, so that some rounds pass without an interrupt or a neighbour on the core.
constexpr double kRoundNs = 5e6;
constexpr double kPeakNs = 2e6;
constexpr long kPeakTrialRounds = 10'000;
constexpr size_t kSignalFrames = 4096;

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Noise that swells and dies like plucked strings, so that tanh sees loud and quiet.
std::vector<float> make_signal() {
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same signal every time
  std::uniform_real_distribution<float> value(-1, 1);
  std::vector<float> signal(kSignalFrames);
  float level = 0;
  for (size_t i = 0; i < signal.size(); ++i) {
    level = i % 1024 == 0 ? 0.7F : level * 0.997F;
    signal[i] = level * value(random);
  }
  return signal;
}

/// ns for one pass over the signal.
double play(nn::Net& net, const std::vector<float>& signal, int block_frames) {
  std::array<float, kMaxFrames> out{};
  const double begin = cpu_ns();
  for (size_t at = 0; at < signal.size();) {
    const size_t end = std::min(at + static_cast<size_t>(block_frames), signal.size());
    for (; at < end; at += kMaxFrames)
      net.process(&signal[at], out.data(),
                  static_cast<int>(std::min<size_t>(kMaxFrames, end - at)));
    at = end;
  }
  return cpu_ns() - begin;
}

double peak_gmac_per_s(const dsp::Kernels& kernels, long rounds) {
  // Kept from the optimiser: a factor that it does not know, a result that it cannot drop.
  const volatile float factor = 0.999F;
  volatile float sink = 0;
  const double begin = cpu_ns();
  sink = kernels.burn(rounds, factor, factor);
  const double spent = cpu_ns() - begin;
  static_cast<void>(sink);
  return static_cast<double>(rounds) * kernels.burn_macs / spent;
}

}  // namespace

Trial try_chain(Chain& chain, std::span<const float> signal, int block_frames) {
  const FtzGuard ftz;
  Trial trial;
  std::array<std::array<float, kMaxFrames>, 3> out{};
  const auto frames = static_cast<size_t>(block_frames);
  for (size_t at = 0; at + frames <= signal.size(); at += frames) {
    const double begin = cpu_ns();
    chain.process(&signal[at], {out[0].data(), out[1].data(), out[2].data()}, block_frames);
    trial.block_ns.push_back(static_cast<float>(cpu_ns() - begin));
    for (size_t side = 0; side < 2; ++side)
      for (size_t i = 0; i < frames; ++i) trial.peak = std::max(trial.peak, std::abs(out[side][i]));
  }
  if (chain.faulted()) trial.peak = std::numeric_limits<float>::infinity();
  return trial;
}

Cost measure_cost(const std::string& path, dsp::Isa isa, int block_frames, int rounds) {
  const FtzGuard ftz;
  const std::shared_ptr<const nn::Model> model = nn::load_model(path);
  const std::unique_ptr<nn::Net> net = model->make_net(isa);
  const std::vector<float> signal = make_signal();
  play(*net, signal, block_frames);
  const double once = std::max(play(*net, signal, block_frames), 1.0);
  const int passes = std::max(1, static_cast<int>(kRoundNs / once));
  const dsp::Kernels& kernels = dsp::kernels(isa);
  const double first_peak = peak_gmac_per_s(kernels, kPeakTrialRounds);
  const auto peak_rounds = static_cast<long>(kPeakNs * first_peak / kernels.burn_macs);
  Cost cost{.model = model->info};
  std::vector<double> ns(static_cast<size_t>(std::max(rounds, 3)));
  for (double& each : ns) {
    cost.peak_gmac_per_s = std::max(cost.peak_gmac_per_s, peak_gmac_per_s(kernels, peak_rounds));
    double spent = 0;
    for (int pass = 0; pass < passes; ++pass) spent += play(*net, signal, block_frames);
    each = spent / (static_cast<double>(passes) * static_cast<double>(signal.size()));
  }
  std::sort(ns.begin(), ns.end());
  cost.least_ns_per_sample = ns.front();
  cost.median_ns_per_sample = ns[ns.size() / 2];
  return cost;
}

}  // namespace amp
