#include "engine.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace amp {

EventFd::EventFd(bool open) : fd_(open ? ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1) {}

EventFd::~EventFd() {
  if (fd_ >= 0) ::close(fd_);
}

Engine::Engine(int sample_rate_hz, const EngineOptions& options)
    : sample_rate_hz_(sample_rate_hz),
      options_(options),
      facts_fd_(options.threaded),
      counted_(1 + kMostBlocksTold),
      pitch_finder_(sample_rate_hz),
      audio_(lines_, sample_rate_hz, options),
      warm_(lines_, options.threaded, facts_fd_.get()) {}

Engine::~Engine() {
  for (Chain* const chain : audio_.held()) delete chain;
}

std::unique_ptr<Chain> Engine::build(const RigSpec& rig) const {
  const FtzGuard ftz;
  auto chain = std::make_unique<Chain>(rig, sample_rate_hz_, options_.isa, options_.with_safety,
                                       options_.clock);
  chain->measure_cost();
  return chain;
}

void Engine::park(int slot, std::unique_ptr<Chain> chain) {
  warm_.park(slot, std::move(chain));
}

void Engine::clear(int slot) {
  warm_.clear(slot);
}

uint32_t Engine::send(Command command) noexcept AMP_RT {
  command.id = ++last_id_ == 0 ? ++last_id_ : last_id_;
  return lines_.commands.push(command) ? command.id : 0;
}

uint32_t Engine::select(int slot, bool fresh, int instead_of) noexcept AMP_RT {
  return send({.kind = Command::Kind::kSelect, .fresh = fresh, .slot = slot, .index = instead_of});
}

uint32_t Engine::set_param(int slot, int index, float value) noexcept AMP_RT {
  return send({.kind = Command::Kind::kParam, .slot = slot, .index = index, .value = value});
}

uint32_t Engine::set_global(Global global, float value) noexcept AMP_RT {
  return send({.kind = Command::Kind::kGlobal, .index = global, .value = value});
}

void Engine::set_programs(const std::vector<int>& slots, int bank) {
  lines_.bank.store(bank, std::memory_order_relaxed);
  for (size_t p = 0; p < lines_.programs.size(); ++p)
    lines_.programs[p].store(static_cast<int16_t>(p < slots.size() ? slots[p] : -1),
                             std::memory_order_relaxed);
}

bool Engine::set_bindings(const std::vector<Binding>& bindings) {
  bool sent = send({.kind = Command::Kind::kClearBindings}) != 0;
  for (const Binding& binding : bindings)
    sent = sent && send({.kind = Command::Kind::kBind, .binding = binding}) != 0;
  return sent;
}

dsp::Pitch Engine::pitch(float reference_hz) {
  std::vector<float> heard(static_cast<size_t>(pitch_finder_.window_frames()));
  const int64_t from = frame() - pitch_finder_.window_frames();
  if (from < 0) return {};
  lines_.history.read(from, heard.data(), pitch_finder_.window_frames());
  return pitch_finder_.find(heard.data(), reference_hz);
}

std::vector<Fact> Engine::facts() {
  std::vector<Fact> facts;
  const bool lost = lines_.facts_lost.exchange(false, std::memory_order_relaxed);
  Fact fact;
  while (lines_.facts.pop(fact)) facts.push_back(fact);
  while (warm_.pop_fact(fact)) facts.push_back(fact);
  if (lost && send({.kind = Command::Kind::kAsk}) == 0)
    lines_.facts_lost.store(true, std::memory_order_relaxed);
  return facts;
}

Shares Engine::read(ShareCounts& counts, Counted& before) {
  Counted since{};
  Shares shares;
  for (int step = 0; step < ShareCounts::kSteps; ++step) {
    const auto i = static_cast<size_t>(step);
    const uint32_t total = counts.count(step);
    since[i] = total - before[i];
    before[i] = total;
    shares.callbacks += since[i];
  }
  shares.maximum = counts.take_highest();
  const auto quantile = [&](double part) {
    const auto rank = static_cast<uint32_t>(part * shares.callbacks);
    uint32_t seen = 0;
    for (int step = 0; step < ShareCounts::kSteps; ++step)
      if ((seen += since[static_cast<size_t>(step)]) > rank)
        return std::min(ShareCounts::share(step), shares.maximum);
    return 0.0F;
  };
  shares.p50 = quantile(0.50);
  shares.p99 = quantile(0.99);
  return shares;
}

Load Engine::load() {
  Load load;
  Gauges& gauges = lines_.gauges;
  load.whole = read(gauges.load, counted_[0]);
  load.slot = gauges.slot.load(std::memory_order_relaxed);
  for (size_t b = 0; b < gauges.block.size(); ++b) {
    const Shares shares = read(gauges.block[b], counted_[b + 1]);
    if (load.slot == counted_slot_ && shares.callbacks > 0) load.blocks.push_back(shares);
  }
  counted_slot_ = load.slot;  // what was counted before belongs to two chains
  load.late_engine = warm_.late_by_engine();
  load.late_machine = warm_.late_by_machine();
  return load;
}

Levels Engine::levels() {
  const int64_t now = frame();
  const auto frames = static_cast<double>(std::max<int64_t>(1, now - std::exchange(metered_, now)));
  std::array<Level, Gauges::kSignalCount> levels;
  for (size_t s = 0; s < levels.size(); ++s) {
    Meter& meter = lines_.gauges.meters[s];
    const double energy = meter.energy();
    const double since = energy - std::exchange(energy_before_[s], energy);
    levels[s] = {meter.take_peak(), static_cast<float>(std::sqrt(std::max(0.0, since) / frames))};
  }
  return {levels[Gauges::kIn], levels[Gauges::kLeft], levels[Gauges::kRight]};
}

}  // namespace amp
