#include "jack.hpp"

#include <dlfcn.h>
#include <jack/jack.h>
#include <jack/midiport.h>
#include <jack/thread.h>
#include <pthread.h>
#include <unistd.h>

#include <utility>

namespace amp {
namespace {

#define AMP_JACK_FUNCTIONS(X)       \
  X(set_error_function)             \
  X(set_info_function)              \
  X(client_open)                    \
  X(client_close)                   \
  X(get_client_name)                \
  X(activate)                       \
  X(deactivate)                     \
  X(set_process_callback)           \
  X(set_buffer_size_callback)       \
  X(set_xrun_callback)              \
  X(set_latency_callback)           \
  X(set_port_registration_callback) \
  X(set_port_connect_callback)      \
  X(on_shutdown)                    \
  X(on_info_shutdown)               \
  X(get_sample_rate)                \
  X(get_buffer_size)                \
  X(is_realtime)                    \
  X(client_real_time_priority)      \
  X(port_register)                  \
  X(port_get_buffer)                \
  X(recompute_total_latencies)      \
  X(port_get_latency_range)         \
  X(port_set_latency_range)         \
  X(port_by_name)                   \
  X(port_flags)                     \
  X(port_type)                      \
  X(port_get_all_connections)       \
  X(get_ports)                      \
  X(connect)                        \
  X(disconnect)                     \
  X(free)                           \
  X(midi_get_event_count)           \
  X(midi_event_get)                 \
  X(midi_clear_buffer)              \
  X(midi_event_reserve)

/// The functions of libjack, looked up by name: the engine starts on machines without it.
struct Library {
#define AMP_MEMBER(name) decltype(&::jack_##name) name = nullptr;  // NOLINT(*-macro-parentheses)
  AMP_JACK_FUNCTIONS(AMP_MEMBER)
#undef AMP_MEMBER
};

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr)
    throw JackError(std::string("libjack.so.0 has no ") + name +
                    "; expected JACK 1.9 or PipeWire's libjack, install the package jackd2.");
}

Library load_library() {
  void* const handle = ::dlopen("libjack.so.0", RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr)
    throw JackError("libjack.so.0 is not installed; install the package jackd2, or pipewire-jack.");
  Library library;
#define AMP_FIND(name) find(handle, "jack_" #name, library.name);
  AMP_JACK_FUNCTIONS(AMP_FIND)
#undef AMP_FIND
  // While no server is up, libjack would print five lines at every try; the errors raised here say
  // what matters.
  library.set_error_function([](const char*) {});
  library.set_info_function([](const char*) {});
  return library;
}

const Library& jack() {
  static const Library library = load_library();
  return library;
}

jack_client_t* as_client(void* client) {
  return static_cast<jack_client_t*>(client);
}
jack_port_t* as_port(void* port) {
  return static_cast<jack_port_t*>(port);
}

std::string why_not_open(unsigned status) {
  if ((status & (JackServerFailed | JackFailure)) != 0 && (status & JackVersionError) == 0)
    return "no JACK server answers; start jackd or PipeWire.";
  if ((status & JackVersionError) != 0) return "the JACK server is of another version.";
  return "the JACK server refused the client (status " + std::to_string(status) + ").";
}

/// Names that libjack gave out, and their memory back.
std::vector<std::string> take_names(const char** names) {
  std::vector<std::string> taken;
  for (const char** name = names; name != nullptr && *name != nullptr; ++name)
    taken.emplace_back(*name);
  if (names != nullptr) jack().free(names);
  return taken;
}

/// More than a cable at ten times its speed brings in a period of 8192 frames.
constexpr size_t kMostEvents = 4096;

/// Milliseconds; the longest period, of 8192 frames at 44.1 kHz, is shorter.
constexpr int kReleaseWaits = 250;

}  // namespace

struct JackHost::Callbacks {
  static JackHost& host(void* self) { return *static_cast<JackHost*>(self); }

  static int process(jack_nframes_t frames, void* self) { return host(self).run(frames); }

  static int buffer_size(jack_nframes_t frames, void* self) {
    host(self).period_frames_ = static_cast<int>(frames);
    return 0;
  }

  static int xrun(void* self) {
    ++host(self).xruns_;
    return 0;
  }

  static void port_registration(jack_port_id_t, int is_new, void* self) {
    if (is_new == 0) ++host(self).vanished_;
    ++host(self).graph_changes_;
  }

  static void port_connect(jack_port_id_t, jack_port_id_t, int, void* self) {
    ++host(self).graph_changes_;
  }

  static void shutdown(void* self) { host(self).lost_ = true; }

  static void info_shutdown(jack_status_t, const char*, void* self) { host(self).lost_ = true; }

  static void latency(jack_latency_callback_mode_t mode, void* self) {
    const JackHost& h = host(self);
    const auto frames = static_cast<jack_nframes_t>(h.latency_frames_.load());
    const bool capture = mode == JackCaptureLatency;
    jack_latency_range_t range{};
    jack().port_get_latency_range(as_port(h.ports_[capture ? kIn : kLeft]), mode, &range);
    range.min += frames;
    range.max += frames;
    if (!capture) {
      jack().port_set_latency_range(as_port(h.ports_[kIn]), mode, &range);
      return;
    }
    for (const Port port : {kLeft, kRight})
      jack().port_set_latency_range(as_port(h.ports_[port]), mode, &range);
  }
};

JackHost::JackHost() : midi_in_(kMostEvents) {}

JackHost::~JackHost() {
  close();
}

void JackHost::open(const std::string& client_name, const std::string& server_name) {
  if (client_ != nullptr) throw JackError("the JACK client is open already; close it first.");
  jack_status_t status{};
  const int options = JackNoStartServer | (server_name.empty() ? 0 : JackServerName);
  client_ =
      server_name.empty()
          ? jack().client_open(client_name.c_str(), static_cast<jack_options_t>(options), &status)
          : jack().client_open(client_name.c_str(), static_cast<jack_options_t>(options), &status,
                               server_name.c_str());
  if (client_ == nullptr) throw JackError(why_not_open(status));
  lost_ = false;
  cycles_ = 0;
  xruns_ = 0;
  latency_frames_ = 0;
  jack_client_t* const client = as_client(client_);
  period_frames_ = static_cast<int>(jack().get_buffer_size(client));
  jack().set_process_callback(client, Callbacks::process, this);
  jack().set_buffer_size_callback(client, Callbacks::buffer_size, this);
  jack().set_xrun_callback(client, Callbacks::xrun, this);
  jack().set_latency_callback(client, Callbacks::latency, this);
  jack().set_port_registration_callback(client, Callbacks::port_registration, this);
  jack().set_port_connect_callback(client, Callbacks::port_connect, this);
  // jack2 calls only the second where it is set, PipeWire only the first.
  jack().on_shutdown(client, Callbacks::shutdown, this);
  jack().on_info_shutdown(client, Callbacks::info_shutdown, this);
  register_ports();
}

void JackHost::register_ports() {
  struct Row {
    const char* name;
    const char* type;
    unsigned long flags;
  };
  constexpr std::array<Row, kPortCount> kRows{{
      {"in_1", JACK_DEFAULT_AUDIO_TYPE, JackPortIsInput},
      {"out_1", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput},
      {"out_2", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput},
      {"midi_in", JACK_DEFAULT_MIDI_TYPE, JackPortIsInput},
      {"midi_out", JACK_DEFAULT_MIDI_TYPE, JackPortIsOutput},
  }};
  for (size_t i = 0; i < kRows.size(); ++i) {
    const Row& row = kRows[i];
    ports_[i] = jack().port_register(as_client(client_), row.name, row.type, row.flags, 0);
    if (ports_[i] == nullptr) {
      close();
      throw JackError(std::string("the JACK server refused the port ") + row.name + ".");
    }
  }
}

void JackHost::activate(Engine& engine) {
  if (client_ == nullptr) throw JackError("the JACK client is not open; open it first.");
  if (engine.sample_rate_hz() != sample_rate_hz())
    throw JackError("the engine was built for " + std::to_string(engine.sample_rate_hz()) +
                    " Hz, the JACK server runs at " + std::to_string(sample_rate_hz()) + " Hz.");
  engine_ = &engine;
  attached_ = &engine;
  engine.attach(jack().client_real_time_priority(as_client(client_)));
  if (jack().activate(as_client(client_)) != 0) {
    engine_ = nullptr;
    detach();
    throw JackError("the JACK server did not activate the client.");
  }
}

void JackHost::close() {
  if (client_ != nullptr) jack().client_close(as_client(client_));
  detach();
  client_ = nullptr;
  engine_ = nullptr;
  ports_ = {};
}

void JackHost::detach() {
  if (Engine* const engine = attached_.exchange(nullptr)) engine->detach();
}

bool JackHost::release() {
  engine_ = nullptr;
  for (int wait = 0; is_inside_; ++wait) {
    if (wait == kReleaseWaits) return false;
    ::usleep(1000);
  }
  detach();
  return true;
}

std::string JackHost::client_name() const {
  return client_ == nullptr ? "" : jack().get_client_name(as_client(client_));
}

std::string JackHost::lost() const {
  return lost_ ? "the JACK server went away" : "";
}

int JackHost::sample_rate_hz() const {
  return client_ == nullptr ? 0 : static_cast<int>(jack().get_sample_rate(as_client(client_)));
}

bool JackHost::is_realtime() const {
  return client_ != nullptr && jack().is_realtime(as_client(client_)) != 0;
}

std::vector<JackPort> JackHost::ports() const {
  std::vector<JackPort> found;
  if (client_ == nullptr) return found;
  jack_client_t* const client = as_client(client_);
  for (const std::string& name : take_names(jack().get_ports(client, nullptr, nullptr, 0))) {
    jack_port_t* const port = jack().port_by_name(client, name.c_str());
    if (port == nullptr) continue;
    const auto flags = static_cast<unsigned>(jack().port_flags(port));
    const std::string type = jack().port_type(port);
    found.push_back({.name = name,
                     .is_input = (flags & JackPortIsInput) != 0,
                     .is_output = (flags & JackPortIsOutput) != 0,
                     .is_physical = (flags & JackPortIsPhysical) != 0,
                     .is_midi = type == JACK_DEFAULT_MIDI_TYPE,
                     .connections = take_names(jack().port_get_all_connections(client, port))});
  }
  return found;
}

void JackHost::connect(const std::string& source, const std::string& destination) {
  const int result = client_ == nullptr
                         ? -1
                         : jack().connect(as_client(client_), source.c_str(), destination.c_str());
  if (result != 0 && result != EEXIST)
    throw JackError("cannot connect " + source + " to " + destination +
                    "; look at `ampd ports` for what there is.");
}

void JackHost::disconnect(const std::string& source, const std::string& destination) {
  if (client_ == nullptr ||
      jack().disconnect(as_client(client_), source.c_str(), destination.c_str()) != 0)
    throw JackError("cannot disconnect " + source + " from " + destination + ".");
}

void JackHost::set_latency(int frames) {
  latency_frames_ = frames;
  if (client_ == nullptr || jack().recompute_total_latencies(as_client(client_)) != 0)
    throw JackError("the JACK server did not take the latency of " + std::to_string(frames) +
                    " frames.");
}

/// Whole channel messages out of whatever stands in the port: some clients write bytes as they come
/// from a cable. Where there are too many the last ones count.
size_t JackHost::read_midi(uint32_t frames) noexcept AMP_RT {
  const Library& library = jack();
  void* const port = library.port_get_buffer(as_port(ports_[kMidiIn]), frames);
  const uint32_t waiting = library.midi_get_event_count(port);
  size_t count = 0;
  for (uint32_t i = 0; i < waiting; ++i) {
    jack_midi_event_t event{};
    if (library.midi_event_get(&event, port, i) != 0) continue;
    for (size_t b = 0; b < event.size; ++b) {
      MidiEvent message;
      if (!parser_.take(event.buffer[b], message)) continue;
      message.frame = static_cast<int>(std::min(event.time, frames - 1));
      midi_in_[std::min(count, kMostEvents - 1)] = message;
      count = std::min(count + 1, kMostEvents);
    }
  }
  return count;
}

void JackHost::write_midi(uint32_t frames) noexcept AMP_RT {
  const Library& library = jack();
  void* const port = library.port_get_buffer(as_port(ports_[kMidiOut]), frames);
  library.midi_clear_buffer(port);
  for (int i = 0; i < callback_.midi_out_count; ++i) {
    const MidiEvent& message = callback_.midi_out[static_cast<size_t>(i)];
    const auto size = static_cast<size_t>(message.size);
    jack_midi_data_t* const data =
        library.midi_event_reserve(port, static_cast<jack_nframes_t>(message.frame), size);
    if (data != nullptr) std::copy_n(message.data.begin(), size, data);
  }
}

int JackHost::run(uint32_t frames) noexcept AMP_RT {
  cycles_.fetch_add(1, std::memory_order_relaxed);
  const Library& library = jack();
  const size_t count = read_midi(frames);
  const auto buffer = [&](Port port) {
    return static_cast<float*>(library.port_get_buffer(as_port(ports_[port]), frames));
  };
  is_inside_ = true;  // before the look at engine_: release() does it the other way round
  Engine* const engine = engine_;
  if (engine == nullptr) {
    is_inside_ = false;
    std::fill_n(buffer(kLeft), frames, 0.0F);
    std::fill_n(buffer(kRight), frames, 0.0F);
    library.midi_clear_buffer(library.port_get_buffer(as_port(ports_[kMidiOut]), frames));
    return 0;
  }
  callback_.in = buffer(kIn);
  callback_.left = buffer(kLeft);
  callback_.right = buffer(kRight);
  callback_.frames = static_cast<int>(frames);
  callback_.midi = {midi_in_.data(), count};
  engine->process(callback_);
  is_inside_ = false;
  write_midi(frames);
  return 0;
}

}  // namespace amp
