#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <charconv>

#include "bench.hpp"
#include "jack.hpp"
#include "offline.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using amp::Engine;
using amp::JackHost;
using Samples = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Release = nb::call_guard<nb::gil_scoped_release>;

/// A param as Python sees it: where it is addressed, and what it accepts.
struct Param {
  std::string path, unit, taper, text;
  float minimum, maximum, default_value;
};

Param describe(const std::string& path, const amp::ParamInfo& info) {
  constexpr std::array kTapers{"linear", "log", "toggle"};
  return {path,
          info.unit,
          kTapers[static_cast<size_t>(info.taper)],
          info.text,
          info.minimum,
          info.maximum,
          info.default_value};
}

/// A model that was read, for the rigs that play it.
struct Loaded {
  std::shared_ptr<const amp::nn::Model> model;
};

struct Built {
  std::vector<Param> params;
  std::vector<std::string> blocks;
  std::vector<float> values;
  std::vector<amp::nn::ModelInfo> models;
  int latency_frames, memory_frames;
  size_t memory_bytes;
  float cost_ns;
};

/// What a path of the whole rack is: a global, an action; anything else is a param of a rig.
void resolve(amp::BindingSpec& spec) {
  using amp::MidiAction;
  constexpr std::array<std::pair<const char*, MidiAction>, 10> kActions{{
      {"rig/next", MidiAction::kRigNext},
      {"rig/prev", MidiAction::kRigPrev},
      {"rig/step", MidiAction::kRigStep},
      {"snapshot/select", MidiAction::kSnapshot},
      {"snapshot/next", MidiAction::kSnapshotNext},
      {"snapshot/prev", MidiAction::kSnapshotPrev},
      {"set/next", MidiAction::kSetNext},
      {"set/prev", MidiAction::kSetPrev},
      {"tap", MidiAction::kTap},
      {"panic", MidiAction::kPanic},
  }};
  constexpr std::string_view kProgram = "rig/program/";
  amp::Binding& binding = spec.binding;
  for (size_t g = 0; g < amp::kGlobals.size(); ++g) {
    const amp::ParamInfo& info = amp::kGlobals[g];
    if (spec.path != info.name) continue;
    binding.target = amp::Binding::Target::kGlobal;
    binding.index = static_cast<int16_t>(g);
    binding.is_switch = info.taper == amp::Taper::kToggle;
    binding.low = spec.low.value_or(info.minimum);
    binding.high = spec.high.value_or(info.maximum);
  }
  for (const auto& [name, action] : kActions)
    if (spec.path == name) {
      binding.target = amp::Binding::Target::kAction;
      binding.action = action;
    }
  if (!spec.path.starts_with(kProgram)) return;
  binding.target = amp::Binding::Target::kAction;
  binding.action = MidiAction::kRigProgram;
  int program = 0;
  std::from_chars(spec.path.data() + kProgram.size(), spec.path.data() + spec.path.size(), program);
  binding.index = static_cast<int16_t>(std::clamp(program, 0, 127));
}

size_t place_of(const std::string& name, std::initializer_list<const char*> names,
                const char* what) {
  size_t place = 0;
  for (const char* each : names) {
    if (name == each) return place;
    ++place;
  }
  throw nb::value_error((std::string(what) + " is unknown: " + name).c_str());
}

amp::BindingSpec binding_spec(const std::string& path, int control, int channel,
                              const std::string& mode, const std::string& curve,
                              std::optional<float> low, std::optional<float> high,
                              const std::vector<int>& leds, bool own) {
  if (control < 0 || control > 127 || channel < 0 || channel > 16)
    throw nb::value_error("control must be 0 to 127, channel 1 to 16, or 0 for any");
  if (leds.size() > amp::kMostLeds) throw nb::value_error("leds: at most 10");
  amp::BindingSpec spec{.path = path, .binding = {}, .low = low, .high = high, .from_map = !own};
  amp::Binding& binding = spec.binding;
  binding.channel = channel == 0 ? amp::kOmni : static_cast<uint8_t>(channel - 1);
  binding.control = static_cast<uint8_t>(control);
  binding.mode = static_cast<amp::MidiMode>(
      place_of(mode, {"absolute", "toggle", "momentary", "trigger", "relative", "14bit"}, "mode"));
  binding.curve =
      static_cast<amp::MidiCurve>(place_of(curve, {"linear", "slow", "fast", "smooth"}, "curve"));
  binding.replaces = own;
  for (size_t i = 0; i < leds.size(); ++i)
    binding.leds[i] = static_cast<uint8_t>(std::clamp(leds[i], 0, 127));
  binding.led_count = static_cast<uint8_t>(leds.size());
  resolve(spec);
  return spec;
}

Built install(Engine& engine, int slot, const amp::RigSpec& rig) {
  if (slot < 0 || slot >= amp::kSlotCount) throw nb::index_error("slot out of range");
  std::unique_ptr<amp::Chain> chain = engine.build(rig);
  Built built{{},
              chain->block_names(),
              chain->initial_values(),
              chain->models(),
              chain->latency_frames(),
              chain->memory_frames(),
              chain->memory_bytes(),
              chain->cost_ns()};
  for (const amp::ChainParam& param : chain->params())
    built.params.push_back(describe(param.path, param.info));
  engine.park(slot, std::move(chain));
  return built;
}

const char* kind_name(amp::Fact::Kind kind) {
  constexpr std::array kNames{"selected", "audible",    "switched", "superseded", "changed",
                              "refused",  "fault",      "late",     "now",        "program",
                              "action",   "controller", "rest"};
  return kNames[static_cast<size_t>(kind)];
}

nb::ndarray<nb::numpy, float> own(std::vector<float>&& samples,
                                  std::initializer_list<size_t> shape) {
  auto* const kept = new std::vector<float>(std::move(samples));
  const nb::capsule owner(kept,
                          [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  return {kept->data(), shape, owner};
}

std::vector<amp::MidiEvent> read_midi(const std::vector<std::pair<int, nb::bytes>>& messages) {
  std::vector<amp::MidiEvent> events;
  for (const auto& [frame, bytes] : messages) {
    if (bytes.size() < 1 || bytes.size() > 3)
      throw nb::value_error("midi: a message has 1 to 3 bytes");
    amp::MidiEvent event{.frame = frame, .size = static_cast<int>(bytes.size())};
    for (size_t i = 0; i < bytes.size(); ++i)
      event.data[i] = static_cast<uint8_t>(bytes.c_str()[i]);
    events.push_back(event);
  }
  return events;
}

constexpr int kMostSilence = 65536;

void check_rate(int sample_rate_hz) {
  if (sample_rate_hz < 8000 || sample_rate_hz > 768000)
    throw nb::value_error("sample_rate_hz must be 8000 to 768000");
}

nb::ndarray<nb::numpy, float> process(Engine& engine, const Samples& signal, int block_frames,
                                      const std::vector<std::pair<int, nb::bytes>>& midi,
                                      std::optional<nb::list> midi_out) {
  if (block_frames < 1) throw nb::value_error("block_frames must be at least 1");
  const std::vector<amp::MidiEvent> events = read_midi(midi);
  const size_t frames = signal.shape(0);
  std::vector<float> out(2 * frames);
  std::vector<amp::MidiEvent> sent;
  {
    const nb::gil_scoped_release release;
    amp::play_offline(engine, signal.data(), out.data(), out.data() + frames,
                      static_cast<int64_t>(frames), block_frames, events, &sent);
  }
  for (size_t i = 0; midi_out && i < sent.size(); ++i)
    midi_out->append(nb::make_tuple(
        sent[i].frame, nb::bytes(sent[i].data.data(), static_cast<size_t>(sent[i].size))));
  return own(std::move(out), {2, frames});
}

std::shared_ptr<amp::Impulse> impulse(
    std::string name, int sample_rate_hz,
    const nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& channels) {
  auto made = std::make_shared<amp::Impulse>();
  made->name = std::move(name);
  made->sample_rate_hz = sample_rate_hz;
  for (size_t c = 0; c < channels.shape(0); ++c) {
    const float* const from = channels.data() + c * channels.shape(1);
    made->channels.emplace_back(from, from + channels.shape(1));
  }
  return made;
}

nb::ndarray<nb::numpy, float> render_model(const std::string& path, const Samples& signal,
                                           int block_frames, const std::string& isa,
                                           int sample_rate_hz) {
  if (block_frames < 1) throw nb::value_error("block_frames must be at least 1");
  if (sample_rate_hz != 0) check_rate(sample_rate_hz);
  const amp::dsp::Isa chosen = amp::dsp::isa_from_name(isa);
  const size_t frames = signal.shape(0);
  std::vector<float> out(frames);
  {
    const nb::gil_scoped_release release;
    amp::play_model(path, chosen, signal.data(), out.data(), static_cast<int64_t>(frames),
                    block_frames, sample_rate_hz);
  }
  return own(std::move(out), {frames});
}

void bind_models(nb::module_& m) {
  nb::class_<Param>(m, "ParamInfo")
      .def_ro("path", &Param::path)
      .def_ro("unit", &Param::unit)
      .def_ro("minimum", &Param::minimum)
      .def_ro("maximum", &Param::maximum)
      .def_ro("default", &Param::default_value)
      .def_ro("taper", &Param::taper)
      .def_ro("text", &Param::text);
  using amp::nn::ModelInfo;
  nb::class_<ModelInfo>(m, "ModelInfo")
      .def_ro("path", &ModelInfo::path)
      .def_ro("family", &ModelInfo::family)
      .def_ro("architecture", &ModelInfo::architecture)
      .def_ro("name", &ModelInfo::name)
      .def_ro("sample_rate_hz", &ModelInfo::sample_rate_hz)
      .def_prop_ro("playing_rate_hz", &ModelInfo::playing_rate_hz)
      .def_ro("causal", &ModelInfo::causal)
      .def_ro("receptive_field_frames", &ModelInfo::receptive_field_frames)
      .def_ro("memory_frames", &ModelInfo::memory_frames)
      .def_ro("latency_frames", &ModelInfo::latency_frames)
      .def_ro("knobs", &ModelInfo::knobs)
      .def_ro("weight_count", &ModelInfo::weight_count)
      .def_ro("mac_per_sample", &ModelInfo::mac_per_sample)
      .def_ro("loudness_db", &ModelInfo::loudness_db)
      .def_ro("input_level_dbu", &ModelInfo::input_level_dbu)
      .def_ro("output_level_dbu", &ModelInfo::output_level_dbu)
      .def_ro("has_quality", &ModelInfo::has_quality)
      .def_ro("warnings", &ModelInfo::warnings);
}

void bind_rigs(nb::module_& m) {
  using amp::BlockSpec;
  nb::class_<Loaded>(m, "Model").def_prop_ro("info", [](const Loaded& loaded) {
    return loaded.model->info;
  });
  nb::class_<BlockSpec>(m, "BlockSpec")
      .def(
          "__init__",
          [](BlockSpec* self, std::string kind, std::string name,
             std::map<std::string, float> values, std::string model,
             const std::vector<std::pair<float, std::string>>& family,
             std::shared_ptr<amp::Impulse> cab, std::string beside,
             const std::map<std::string, Loaded>& loaded) {
            new (self) BlockSpec{.kind = std::move(kind),
                                 .name = std::move(name),
                                 .values = std::move(values),
                                 .model = std::move(model),
                                 .impulse = std::move(cab),
                                 .beside = std::move(beside)};
            const auto find = [&](const std::string& path) {
              const auto found = loaded.find(path);
              return found == loaded.end() ? nullptr : found->second.model;
            };
            self->loaded = find(self->model);
            for (const auto& [at, path] : family) self->family.push_back({at, path, find(path)});
          },
          "kind"_a, "name"_a, "values"_a, "model"_a = "",
          "family"_a = std::vector<std::pair<float, std::string>>{}, "impulse"_a = nb::none(),
          "beside"_a = "", "loaded"_a = std::map<std::string, Loaded>{});
  nb::class_<amp::Impulse>(m, "Impulse")
      .def(nb::new_(&impulse), "name"_a, "sample_rate_hz"_a, "channels"_a);
  nb::class_<amp::BindingSpec>(m, "BindingSpec")
      .def(nb::new_(&binding_spec), "path"_a, "control"_a, "channel"_a = 0, "mode"_a = "absolute",
           "curve"_a = "linear", "low"_a = nb::none(), "high"_a = nb::none(),
           "leds"_a = std::vector<int>{}, "own"_a = false);
  nb::class_<amp::RigSpec>(m, "RigSpec")
      .def(
          "__init__",
          [](amp::RigSpec* self, std::map<std::string, float> values, std::vector<BlockSpec> blocks,
             std::vector<std::map<std::string, float>> snapshots, std::pair<int, int> morph,
             float input_trim_db, float output_trim_db, std::vector<amp::BindingSpec> bindings,
             const std::vector<nb::bytes>& on_load) {
            new (self) amp::RigSpec{.values = std::move(values),
                                    .blocks = std::move(blocks),
                                    .snapshots = std::move(snapshots),
                                    .morph = {morph.first, morph.second},
                                    .input_trim_db = input_trim_db,
                                    .output_trim_db = output_trim_db,
                                    .bindings = std::move(bindings)};
            std::vector<std::pair<int, nb::bytes>> messages;
            messages.reserve(on_load.size());
            for (const nb::bytes& message : on_load) messages.emplace_back(0, message);
            self->on_load = read_midi(messages);
          },
          "values"_a = std::map<std::string, float>{}, "blocks"_a = std::vector<BlockSpec>{},
          "snapshots"_a = std::vector<std::map<std::string, float>>{},
          "morph"_a = std::pair<int, int>{0, 0}, "input_trim_db"_a = 0.0F,
          "output_trim_db"_a = 0.0F, "bindings"_a = std::vector<amp::BindingSpec>{},
          "on_load"_a = std::vector<nb::bytes>{});
}

void bind_reports(nb::module_& m) {
  nb::class_<Built>(m, "ChainInfo")
      .def_ro("params", &Built::params)
      .def_ro("blocks", &Built::blocks)
      .def_ro("values", &Built::values)
      .def_ro("models", &Built::models)
      .def_ro("latency_frames", &Built::latency_frames)
      .def_ro("memory_frames", &Built::memory_frames)
      .def_ro("memory_bytes", &Built::memory_bytes)
      .def_ro("cost_ns", &Built::cost_ns);
  nb::class_<amp::dsp::Pitch>(m, "Pitch")
      .def_ro("hz", &amp::dsp::Pitch::hz)
      .def_ro("cents", &amp::dsp::Pitch::cents)
      .def_ro("note", &amp::dsp::Pitch::note)
      .def_ro("clarity", &amp::dsp::Pitch::clarity);
  using amp::Cost;
  nb::class_<Cost>(m, "Cost")
      .def_ro("model", &Cost::model)
      .def_ro("least_ns_per_sample", &Cost::least_ns_per_sample)
      .def_ro("median_ns_per_sample", &Cost::median_ns_per_sample)
      .def_ro("peak_gmac_per_s", &Cost::peak_gmac_per_s);
  using amp::Fact;
  nb::class_<Fact>(m, "Fact")
      .def_prop_ro("kind", [](const Fact& fact) { return kind_name(fact.kind); })
      .def_ro("slot", &Fact::slot)
      .def_ro("index", &Fact::index)
      .def_ro("value", &Fact::value)
      .def_ro("frame", &Fact::frame)
      .def_ro("id", &Fact::id);
  using amp::Shares;
  nb::class_<Shares>(m, "Shares")
      .def_ro("callbacks", &Shares::callbacks)
      .def_ro("p50", &Shares::p50)
      .def_ro("p99", &Shares::p99)
      .def_ro("maximum", &Shares::maximum);
  using amp::Load;
  nb::class_<Load>(m, "Load")
      .def_ro("whole", &Load::whole)
      .def_ro("slot", &Load::slot)
      .def_ro("blocks", &Load::blocks)
      .def_ro("late_engine", &Load::late_engine)
      .def_ro("late_machine", &Load::late_machine);
  using amp::Level;
  nb::class_<Level>(m, "Level").def_ro("peak", &Level::peak).def_ro("rms", &Level::rms);
  using amp::Levels;
  nb::class_<Levels>(m, "Levels")
      .def_ro("input", &Levels::in)
      .def_ro("left", &Levels::left)
      .def_ro("right", &Levels::right);
}

/// A rig alone, without an engine around it.
void bind_trial(nb::module_& m) {
  using amp::Chain;
  using amp::Trial;
  nb::class_<Chain>(m, "Trial")
      .def(
          "__init__",
          [](Chain* self, const amp::RigSpec& rig, int rate) {
            check_rate(rate);
            new (self) Chain(rig, rate, amp::dsp::best_isa());
          },
          "rig"_a, "sample_rate_hz"_a, Release())
      .def(
          "play",
          [](Chain& chain, const Samples& signal, int block_frames) {
            if (block_frames < 1 || block_frames > amp::kMaxFrames)
              throw nb::value_error("block_frames must be 1 to 64");
            Trial trial;
            {
              const nb::gil_scoped_release release;
              trial = amp::try_chain(chain, {signal.data(), signal.shape(0)}, block_frames);
            }
            const size_t blocks = trial.block_ns.size();
            return std::pair(own(std::move(trial.block_ns), {blocks}), trial.peak);
          },
          "signal"_a, "block_frames"_a);
}

void bind_engine(nb::module_& m) {
  nb::class_<Engine>(m, "Engine")
      .def(
          "__init__",
          [](Engine* self, int rate, bool threaded, bool safety, const std::string& isa,
             float budget) {
            check_rate(rate);
            new (self) Engine(rate, {.threaded = threaded,
                                     .with_safety = safety,
                                     .isa = amp::dsp::isa_from_name(isa),
                                     .budget = budget});
          },
          "sample_rate_hz"_a, "threaded"_a = true, "safety"_a = true, "isa"_a = "auto",
          "budget"_a = 0.7F)
      .def_prop_ro("sample_rate_hz", &Engine::sample_rate_hz)
      .def_prop_ro("isa", [](const Engine& e) { return std::string(isa_name(e.isa())); })
      .def_prop_ro("frame", &Engine::frame)
      .def("install", &install, "slot"_a, "rig"_a, Release())
      .def("remove", &Engine::clear, "slot"_a, Release())
      .def("select", &Engine::select, "slot"_a, "fresh"_a = false, "instead_of"_a = -1, Release())
      .def("set_param", &Engine::set_param, "slot"_a, "index"_a, "value"_a, Release())
      .def(
          "set_global",
          [](Engine& e, int index, float value) {
            if (index < 0 || index >= amp::kGlobalCount) throw nb::index_error("no such global");
            return e.set_global(static_cast<amp::Global>(index), value);
          },
          "index"_a, "value"_a)
      .def("tap", &Engine::tap)
      .def("panic", &Engine::panic)
      .def("set_programs", &Engine::set_programs, "slots"_a, "bank"_a = 0, Release())
      .def(
          "set_bindings",
          [](Engine& e, const std::vector<amp::BindingSpec>& specs) {
            std::vector<amp::Binding> bindings;
            for (const amp::BindingSpec& spec : specs)
              if (spec.binding.target != amp::Binding::Target::kParam)
                bindings.push_back(spec.binding);
            return e.set_bindings(bindings);
          },
          "bindings"_a)
      .def("refresh_controllers", &Engine::refresh_controllers)
      .def("set_feedback", &Engine::set_feedback, "on"_a)
      .def("learn", &Engine::learn, "on"_a)
      .def("pitch", &Engine::pitch, "reference_hz"_a = 440.0F, Release())
      .def("facts", &Engine::facts, Release())
      .def("facts_fd", &Engine::facts_fd)
      .def("load", &Engine::load, Release())
      .def("levels", &Engine::levels)
      .def("process", &process, "signal"_a, "block_frames"_a = 64,
           "midi"_a = std::vector<std::pair<int, nb::bytes>>{}, "midi_out"_a = nb::none())
      .def("service", &Engine::service, Release())
      .def(
          "play_silence",
          [](Engine& e, int frames) {
            if (frames < 1 || frames > kMostSilence) throw nb::value_error("1 to 65536 frames");
            const std::vector<float> silence(static_cast<size_t>(frames));
            std::vector<float> out(2 * silence.size());
            amp::play_offline(e, silence.data(), out.data(), out.data() + frames, frames,
                              amp::kMaxFrames, {}, nullptr);
          },
          "frames"_a, Release());
}

void bind_jack(nb::module_& m) {
  using amp::JackPort;
  nb::class_<JackPort>(m, "PortInfo")
      .def_ro("name", &JackPort::name)
      .def_ro("is_input", &JackPort::is_input)
      .def_ro("is_output", &JackPort::is_output)
      .def_ro("is_physical", &JackPort::is_physical)
      .def_ro("is_midi", &JackPort::is_midi)
      .def_ro("connections", &JackPort::connections);
  nb::class_<JackHost>(m, "JackHost")
      .def(nb::init<>())
      .def("open", &JackHost::open, "client_name"_a, "server_name"_a = "", Release())
      .def("activate", &JackHost::activate, "engine"_a, Release(), nb::keep_alive<1, 2>())
      .def("close", &JackHost::close, Release())
      .def("release", &JackHost::release, Release())
      .def_prop_ro("is_active", &JackHost::is_active)
      .def_prop_ro("graph_changes", &JackHost::graph_changes)
      .def_prop_ro("vanished", &JackHost::vanished)
      .def_prop_ro("client_name", &JackHost::client_name)
      .def_prop_ro("is_open", &JackHost::is_open)
      .def_prop_ro("lost", &JackHost::lost)
      .def_prop_ro("sample_rate_hz", &JackHost::sample_rate_hz)
      .def_prop_ro("period_frames", &JackHost::period_frames)
      .def_prop_ro("is_realtime", &JackHost::is_realtime)
      .def_prop_ro("cycles", &JackHost::cycles)
      .def_prop_ro("xruns", &JackHost::xruns)
      .def("ports", &JackHost::ports, Release())
      .def("connect", &JackHost::connect, "source"_a, "destination"_a, Release())
      .def("set_latency", &JackHost::set_latency, "frames"_a, Release())
      .def("disconnect", &JackHost::disconnect, "source"_a, "destination"_a, Release());
}

}  // namespace

NB_MODULE(_engine, m) {
  nb::set_leak_warnings(false);  // what lives as long as the process is no leak
  nb::exception<amp::nn::LoadError>(m, "LoadError");
  nb::exception<amp::JackError>(m, "JackError");
  bind_models(m);
  bind_rigs(m);
  bind_reports(m);
  bind_trial(m);
  bind_engine(m);
  bind_jack(m);
  m.attr("SLOT_COUNT") = amp::kSlotCount;
  std::vector<Param> globals;
  globals.reserve(amp::kGlobals.size());
  for (const amp::ParamInfo& info : amp::kGlobals) globals.push_back(describe(info.name, info));
  m.attr("GLOBALS") = nb::cast(globals);
  m.def(
      "load_model",
      [](const nb::bytes& data, const std::string& name) {
        const nb::gil_scoped_release release;
        return Loaded{amp::nn::load_model(std::string_view(data.c_str(), data.size()), name)};
      },
      "data"_a, "name"_a);
  m.def(
      "inspect_model", [](const std::string& path) { return amp::nn::load_model(path)->info; },
      "path"_a, Release());
  m.def("render_model", &render_model, "path"_a, "signal"_a, "block_frames"_a = 64,
        "isa"_a = "auto", "sample_rate_hz"_a = 0);
  m.def(
      "measure_cost",
      [](const std::string& path, int block_frames, const std::string& isa, int rounds) {
        if (block_frames < 1) throw nb::value_error("block_frames must be at least 1");
        return amp::measure_cost(path, amp::dsp::isa_from_name(isa), block_frames, rounds);
      },
      "path"_a, "block_frames"_a = 64, "isa"_a = "auto", "rounds"_a = 61, Release());
  m.def("isas", [] {
    std::vector<std::string> names;
    for (const amp::dsp::Isa isa : amp::dsp::available_isas()) names.emplace_back(isa_name(isa));
    return names;
  });
}
