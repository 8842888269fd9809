#include "engine.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

namespace amp {

EventFd::EventFd(bool open) : fd_(open ? ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1) {}

EventFd::~EventFd() {
  if (fd_ >= 0) ::close(fd_);
}

Engine::Engine(int sample_rate_hz, const EngineOptions& options)
    : sample_rate_hz_(sample_rate_hz),
      options_(options),
      facts_fd_(options.threaded),
      load_before_(LoadCounts::kSteps),
      pitch_finder_(sample_rate_hz),
      audio_(lines_, sample_rate_hz, options.with_safety, options.budget),
      warm_(lines_, options.threaded, facts_fd_.get()) {}

Engine::~Engine() {
  for (Chain* const chain : audio_.held()) delete chain;
}

std::unique_ptr<Chain> Engine::build(const RigSpec& rig) const {
  const FtzGuard ftz;
  auto chain = std::make_unique<Chain>(rig, sample_rate_hz_, options_.isa, options_.with_safety);
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

uint32_t Engine::select(int slot, bool fresh) noexcept AMP_RT {
  return send({.kind = Command::Kind::kSelect, .fresh = fresh, .slot = slot});
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

Load Engine::load() {
  std::vector<uint32_t> counts(load_before_.size());
  Load load;
  for (size_t i = 0; i < counts.size(); ++i) {
    const uint32_t total = lines_.load.steps[i].load(std::memory_order_relaxed);
    counts[i] = total - load_before_[i];
    load_before_[i] = total;
    load.blocks += counts[i];
  }
  const auto quantile = [&](double share) {
    const auto rank = static_cast<uint32_t>(share * load.blocks);
    uint32_t seen = 0;
    for (size_t i = 0; i < counts.size(); ++i)
      if ((seen += counts[i]) > rank) return static_cast<float>(i + 1) / 400;
    return 0.0F;
  };
  load.p50 = quantile(0.50);
  load.p99 = quantile(0.99);
  load.maximum =
      static_cast<float>(lines_.load.highest_permille.exchange(0, std::memory_order_relaxed)) /
      1000;
  load.late_engine = warm_.late_by_engine();
  load.late_machine = warm_.late_by_machine();
  return load;
}

}  // namespace amp
