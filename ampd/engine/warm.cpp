#include "warm.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

namespace amp {
namespace {

/// The audio thread may not wake anybody (a system call), so it is asked: just behind each of its
/// callbacks, again and again behind one that is late, and seldom where none comes.
constexpr std::chrono::nanoseconds kBehind{50'000};
constexpr std::chrono::nanoseconds kLatePoll{100'000};
constexpr std::chrono::nanoseconds kLivePoll{2'000'000};
constexpr std::chrono::nanoseconds kIdlePoll{5'000'000};

/// Rounds in which a warmed chain chases input that arrives meanwhile; the audio thread does the
/// rest.
constexpr int kChases = 8;
constexpr size_t kSamples = 64;

int64_t read_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

Warm::Warm(Lines& lines, bool threaded, int event_fd) : lines_(lines), event_fd_(event_fd) {
  if (threaded) thread_ = std::thread([this] { work(); });
}

Warm::~Warm() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  stop_signal_.notify_all();
  if (thread_.joinable()) thread_.join();
  Delivery delivery;
  while (lines_.deliveries.pop(delivery)) delete delivery.chain;
  Request request;
  while (lines_.requests.pop(request)) delete request.chain;
  Retired retired;
  while (lines_.retired.pop(retired)) delete retired.chain;
}

void Warm::park(int slot, std::unique_ptr<Chain> chain) {
  const std::lock_guard lock(slots_mutex_);
  Slot& place = slots_[static_cast<size_t>(slot)];
  std::swap(place.parked, chain);
  place.newest = place.parked.get();
  discard(std::move(chain));
}

void Warm::clear(int slot) {
  const std::lock_guard lock(slots_mutex_);
  Slot& place = slots_[static_cast<size_t>(slot)];
  discard(std::move(place.parked));
  place.newest = nullptr;
}

void Warm::discard(std::unique_ptr<Chain> chain) {
  if (chain != nullptr && chain->ringing()) discarded_.push_back(std::move(chain));
}

void Warm::work() {
  const FtzGuard ftz;
  std::unique_lock lock(stop_mutex_);
  while (!stopping_) {
    lock.unlock();
    round();
    lock.lock();
    stop_signal_.wait_for(lock, pause(), [this] { return stopping_; });
  }
}

std::chrono::nanoseconds Warm::pause() const {
  if (!busy_) return kIdlePoll;
  const std::chrono::nanoseconds left{lines_.next_end_ns.load(std::memory_order_relaxed) -
                                      read_ns(CLOCK_MONOTONIC)};
  if (left < -kLivePoll) return kLivePoll;
  return std::clamp(left + kBehind, kLatePoll, kLivePoll);
}

void Warm::round() {
  Request request;
  Request newest;
  while (lines_.requests.pop(request)) {
    if (newest.chain != nullptr) take_back({.chain = newest.chain, .slot = newest.slot});
    newest = request;
  }
  // A chain that is wanted again was given back before it was asked for.
  Retired retired;
  while (lines_.retired.pop(retired)) take_back(retired);
  if (newest.slot >= 0) deliver(newest);
  {
    const std::lock_guard lock(slots_mutex_);
    std::erase_if(discarded_, [](const auto& chain) { return !chain->ringing(); });
  }
  judge_late_blocks();
  if (event_fd_ >= 0 && !(lines_.facts.empty() && facts_.empty())) {
    const uint64_t one = 1;
    // A full counter means that the control thread has been woken already.
    [[maybe_unused]] const ssize_t written = ::write(event_fd_, &one, sizeof one);
  }
}

void Warm::take_back(const Retired& retired) {
  std::unique_ptr<Chain> chain(retired.chain);
  const std::lock_guard lock(slots_mutex_);
  Slot& slot = slots_[static_cast<size_t>(retired.slot)];
  // One that was built anew meanwhile must not come back as it was.
  if (slot.newest == chain.get()) slot.parked = std::move(chain);
  discard(std::move(chain));
}

void Warm::deliver(const Request& request) {
  std::unique_ptr<Chain> chain(request.chain);
  if (chain == nullptr) {
    const std::lock_guard lock(slots_mutex_);
    chain = std::move(slots_[static_cast<size_t>(request.slot)].parked);
  }
  const int64_t position = chain ? bring_up(*chain, request.chain ? request.position : -1) : 0;
  Chain* const handed = chain.release();
  if (!lines_.deliveries.push({handed, request.slot, request.serial, position}))
    take_back({.chain = handed, .slot = request.slot});
}

int64_t Warm::bring_up(Chain& chain, int64_t position) const {
  const FtzGuard ftz;
  std::array<float, kMaxFrames> heard;
  int64_t written = lines_.history.written();
  const int64_t needed = chain.warm_frames();
  if (position < 0) {
    position = chain.grid_before(std::max<int64_t>(0, written - needed), 0);
    chain.rewind(position == 0 ? Chain::kAll : written - position);
  }
  for (int chase = 0; chase < kChases && position < written; ++chase) {
    // A host in freewheel can be faster than the chain: what it does not remember it need not hear.
    position = std::max(position, chain.grid_before(written - needed, position));
    while (position < written) {
      const int frames = static_cast<int>(std::min<int64_t>(kMaxFrames, written - position));
      lines_.history.read(position, heard.data(), frames);
      chain.warm(heard.data(), frames);
      position += frames;
    }
    written = lines_.history.written();
  }
  return position;
}

void Warm::attach(int priority) {
  const std::lock_guard lock(audio_mutex_);
  has_audio_ = true;
  samples_.clear();
  late_.clear();
  busy_ = true;
  if (!thread_.joinable() || priority <= 0) return;
  sched_param own{};
  own.sched_priority = std::max(1, priority - 1);
  pthread_setschedparam(thread_.native_handle(), SCHED_FIFO, &own);
}

void Warm::detach() {
  const std::lock_guard lock(audio_mutex_);
  has_audio_ = false;
  busy_ = false;
}

/// A block is the engine's fault if its thread ran for longer than the period between a look at
/// its CPU clock before the block and one after it; else the machine kept the thread from running.
void Warm::judge_late_blocks() {
  const std::lock_guard lock(audio_mutex_);
  LateBlock block;
  while (lines_.late.pop(block)) late_.push_back(block);
  if (!has_audio_) {
    late_.clear();
    return;
  }
  if (const clockid_t clock = lines_.audio_clock; clock != audio_clock_) {
    audio_clock_ = clock;
    samples_.clear();
  }
  const int64_t wall = read_ns(CLOCK_MONOTONIC);
  samples_.push_back({wall, read_ns(audio_clock_)});
  if (samples_.size() > kSamples) samples_.pop_front();
  while (!late_.empty() && late_.front().end_ns <= wall) {
    const LateBlock& late = late_.front();
    int64_t before_cpu = samples_.front().cpu_ns;
    for (const Sample& sample : samples_)
      if (sample.wall_ns <= late.begin_ns) before_cpu = sample.cpu_ns;
    const bool by_engine = samples_.back().cpu_ns - before_cpu > late.period_ns;
    ++(by_engine ? late_by_engine_ : late_by_machine_);
    facts_.push({.kind = Fact::Kind::kLate, .value = by_engine ? 1.0F : 0.0F, .frame = late.frame});
    late_.pop_front();
  }
}

}  // namespace amp
