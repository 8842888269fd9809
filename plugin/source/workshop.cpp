#include "workshop.hpp"

#include <chrono>

namespace amp::plugin {
namespace {

/// An audio thread wakes nobody, so it is asked this often while a change is on its way, and so
/// often otherwise: what it gave back is freed then.
constexpr std::chrono::milliseconds kHurry{1};
constexpr std::chrono::milliseconds kRest{50};

/// A host that does not play leaves a change on its way; nobody waits for it that long.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

Workshop::Workshop() : builder_([this] { build(); }), warmer_([this] { warm(); }) {}

Workshop::~Workshop() {
  {
    const std::scoped_lock lock(jobs_mutex_, racks_mutex_);
    stopping_ = true;
  }
  jobs_signal_.notify_all();
  racks_signal_.notify_all();
  builder_.join();
  warmer_.join();
}

void Workshop::post(std::function<void()> job) {
  {
    const std::lock_guard lock(jobs_mutex_);
    jobs_.push_back(std::move(job));
  }
  jobs_signal_.notify_one();
}

void Workshop::serve(const std::shared_ptr<Rack>& rack) {
  const std::lock_guard lock(racks_mutex_);
  std::erase_if(racks_, [](const auto& each) { return each.expired(); });
  racks_.push_back(rack);
}

void Workshop::hurry() {
  {
    const std::lock_guard lock(racks_mutex_);
    hurry_ = true;
  }
  racks_signal_.notify_one();
}

void Workshop::build() {
  std::unique_lock lock(jobs_mutex_);
  while (true) {
    jobs_signal_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

void Workshop::warm() {
  const FtzGuard ftz;
  auto hurried = std::chrono::steady_clock::now() - kPatience;
  std::vector<std::shared_ptr<Rack>> racks;
  std::unique_lock lock(racks_mutex_);
  while (!stopping_) {
    if (std::exchange(hurry_, false)) hurried = std::chrono::steady_clock::now();
    for (const auto& each : racks_)
      if (auto rack = each.lock()) racks.push_back(std::move(rack));
    lock.unlock();
    bool under_way = false;
    for (const auto& rack : racks) under_way |= rack->service();
    racks.clear();
    lock.lock();
    const bool hurries = under_way && std::chrono::steady_clock::now() - hurried < kPatience;
    racks_signal_.wait_for(lock, hurries ? kHurry : kRest, [this] { return stopping_ || hurry_; });
  }
}

}  // namespace amp::plugin
