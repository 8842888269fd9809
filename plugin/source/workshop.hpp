#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "rack.hpp"

namespace amp::plugin {

/// The two threads of a process that hosts instances, however many: one reads files and builds, one
/// warms what was built. Shared: juce::SharedResourcePointer<Workshop>. Thread: any.
class Workshop {
 public:
  Workshop();
  ~Workshop();  ///< jobs that have not begun are dropped
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  /// Have the job done, behind those before it.
  void post(std::function<void()> job);

  /// Serve a rack for as long as it lives.
  void serve(const std::shared_ptr<Rack>& rack);
  /// A rack was offered something: look every millisecond until it is heard.
  void hurry();

 private:
  void build();
  void warm();

  std::mutex jobs_mutex_;
  std::condition_variable jobs_signal_;
  std::deque<std::function<void()>> jobs_;
  std::mutex racks_mutex_;
  std::condition_variable racks_signal_;
  std::vector<std::weak_ptr<Rack>> racks_;
  bool hurry_ = false;
  bool stopping_ = false;  ///< written under both mutexes
  std::thread builder_;
  std::thread warmer_;
};

}  // namespace amp::plugin
