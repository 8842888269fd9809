#pragma once

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine.hpp"

namespace amp {

/// libjack is missing, or it refused; the text says what and the way out.
class JackError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct JackPort {
  std::string name;
  bool is_input = false;
  bool is_output = false;
  bool is_physical = false;
  bool is_midi = false;
  std::vector<std::string> connections;
};

/// Host: JACK ports -> Engine. libjack is loaded when a client is first opened, so that everything
/// else works without it. Thread: supervisor, unless noted; any call can block for ever when the
/// server hangs, so its caller keeps the deadline.
class JackHost {
 public:
  JackHost();
  ~JackHost();
  JackHost(const JackHost&) = delete;
  JackHost& operator=(const JackHost&) = delete;

  /// Open the client and register in_1, out_1, out_2, midi_in, midi_out. Never starts a server.
  /// server_name "" is libjack's own choice. Raises JackError.
  void open(const std::string& client_name, const std::string& server_name);
  /// Start the audio thread on `engine`, which must live until close. Raises JackError, also where
  /// the rates differ.
  void activate(Engine& engine);
  void close();
  /// Take the engine out of libjack's hands, whatever state that is in: from then on its thread
  /// plays silence, and the engine may be driven by somebody else. False: its thread stands still
  /// inside the engine, which is not free. Thread: any but the audio thread.
  bool release();

  [[nodiscard]] bool is_active() const { return engine_ != nullptr; }
  [[nodiscard]] bool is_open() const { return client_ != nullptr; }
  [[nodiscard]] std::string client_name() const;
  /// Why the server went away, "" while it is there. Thread: any.
  [[nodiscard]] std::string lost() const;
  [[nodiscard]] int sample_rate_hz() const;
  [[nodiscard]] int period_frames() const { return period_frames_; }  ///< Thread: any.
  [[nodiscard]] bool is_realtime() const;
  [[nodiscard]] uint64_t cycles() const { return cycles_; }  ///< Thread: any.
  [[nodiscard]] uint32_t xruns() const { return xruns_; }    ///< Thread: any.

  /// Grows with everything that happens to ports and links. Thread: any.
  [[nodiscard]] uint32_t graph_changes() const { return graph_changes_; }
  /// How many ports went away so far. Thread: any.
  [[nodiscard]] uint32_t vanished() const { return vanished_; }

  [[nodiscard]] std::vector<JackPort> ports() const;
  void connect(const std::string& source, const std::string& destination);
  void disconnect(const std::string& source, const std::string& destination);
  /// The outputs lag the input by so many frames, 0 after open: the server is told, who tells all
  /// clients. Raises JackError.
  void set_latency(int frames);

 private:
  struct Callbacks;  ///< what libjack calls
  enum Port { kIn, kLeft, kRight, kMidiIn, kMidiOut, kPortCount };

  void register_ports();
  void detach();
  int run(uint32_t frames) noexcept AMP_RT;
  size_t read_midi(uint32_t frames) noexcept AMP_RT;
  void write_midi(uint32_t frames) noexcept AMP_RT;

  void* client_ = nullptr;
  std::array<void*, kPortCount> ports_{};
  MidiParser parser_;
  std::vector<MidiEvent> midi_in_;          ///< of one callback; never grows
  Callback callback_;                       ///< too large for a stack that the server chooses
  std::atomic<Engine*> engine_{nullptr};    ///< nullptr: silence
  std::atomic<Engine*> attached_{nullptr};  ///< which has to be told that its thread is gone
  std::atomic<bool> is_inside_{false};      ///< the audio thread may use the engine now
  std::atomic<uint32_t> graph_changes_{0};
  std::atomic<uint32_t> vanished_{0};
  std::atomic<int> period_frames_{0};
  std::atomic<uint64_t> cycles_{0};
  std::atomic<uint32_t> xruns_{0};
  std::atomic<bool> lost_{false};
  std::atomic<int> latency_frames_{0};
};

}  // namespace amp
