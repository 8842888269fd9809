#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

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

struct Built {
  std::vector<Param> params;
  std::vector<float> values;
  std::vector<amp::nn::ModelInfo> models;
  int latency_frames, memory_frames;
  size_t memory_bytes;
};

Built install(Engine& engine, int slot, const std::map<std::string, float>& values,
              const std::vector<amp::BlockSpec>& blocks) {
  if (slot < 0 || slot >= amp::kSlotCount) throw nb::index_error("slot out of range");
  std::unique_ptr<amp::Chain> chain = engine.build({values, blocks});
  Built built{{},
              chain->initial_values(),
              chain->models(),
              chain->latency_frames(),
              chain->memory_frames(),
              chain->memory_bytes()};
  for (const amp::ChainParam& param : chain->params())
    built.params.push_back(describe(param.path, param.info));
  engine.park(slot, std::move(chain));
  return built;
}

const char* kind_name(amp::Fact::Kind kind) {
  constexpr std::array kNames{"selected", "audible", "switched", "superseded",
                              "changed",  "refused", "fault",    "late"};
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

void check_rate(int sample_rate_hz) {
  if (sample_rate_hz < 8000 || sample_rate_hz > 768000)
    throw nb::value_error("sample_rate_hz must be 8000 to 768000");
}

nb::ndarray<nb::numpy, float> process(Engine& engine, const Samples& signal, int block_frames,
                                      const std::vector<std::pair<int, nb::bytes>>& midi) {
  if (block_frames < 1) throw nb::value_error("block_frames must be at least 1");
  const std::vector<amp::MidiEvent> events = read_midi(midi);
  const size_t frames = signal.shape(0);
  std::vector<float> out(2 * frames);
  {
    const nb::gil_scoped_release release;
    amp::play_offline(engine, signal.data(), out.data(), out.data() + frames,
                      static_cast<int64_t>(frames), block_frames, events);
  }
  return own(std::move(out), {2, frames});
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

void bind_values(nb::module_& m) {
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
      .def_ro("has_quality", &ModelInfo::has_quality)
      .def_ro("warnings", &ModelInfo::warnings);
  using amp::BlockSpec;
  nb::class_<BlockSpec>(m, "BlockSpec")
      .def(
          "__init__",
          [](BlockSpec* self, std::string kind, std::string name,
             std::map<std::string, float> values, std::string model,
             const std::vector<std::pair<float, std::string>>& family) {
            new (self) BlockSpec{
                std::move(kind), std::move(name), std::move(values), std::move(model), {}};
            for (const auto& [at, path] : family) self->family.push_back({at, path});
          },
          "kind"_a, "name"_a, "values"_a, "model"_a = "",
          "family"_a = std::vector<std::pair<float, std::string>>{});
  nb::class_<Built>(m, "ChainInfo")
      .def_ro("params", &Built::params)
      .def_ro("values", &Built::values)
      .def_ro("models", &Built::models)
      .def_ro("latency_frames", &Built::latency_frames)
      .def_ro("memory_frames", &Built::memory_frames)
      .def_ro("memory_bytes", &Built::memory_bytes);
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
  using amp::Load;
  nb::class_<Load>(m, "Load")
      .def_ro("blocks", &Load::blocks)
      .def_ro("p50", &Load::p50)
      .def_ro("p99", &Load::p99)
      .def_ro("maximum", &Load::maximum)
      .def_ro("late_engine", &Load::late_engine)
      .def_ro("late_machine", &Load::late_machine);
}

void bind_engine(nb::module_& m) {
  nb::class_<Engine>(m, "Engine")
      .def(
          "__init__",
          [](Engine* self, int rate, bool threaded, bool safety, const std::string& isa) {
            check_rate(rate);
            new (self) Engine(
                rate,
                {.threaded = threaded, .with_safety = safety, .isa = amp::dsp::isa_from_name(isa)});
          },
          "sample_rate_hz"_a, "threaded"_a = true, "safety"_a = true, "isa"_a = "auto")
      .def_prop_ro("sample_rate_hz", &Engine::sample_rate_hz)
      .def_prop_ro("isa", [](const Engine& e) { return std::string(isa_name(e.isa())); })
      .def_prop_ro("frame", &Engine::frame)
      .def("install", &install, "slot"_a, "values"_a, "blocks"_a, Release())
      .def("remove", &Engine::clear, "slot"_a, Release())
      .def("select", &Engine::select, "slot"_a, "fresh"_a = false, Release())
      .def("set_param", &Engine::set_param, "slot"_a, "index"_a, "value"_a, Release())
      .def(
          "set_global",
          [](Engine& e, int index, float value) {
            if (index < 0 || index >= amp::kGlobalCount) throw nb::index_error("no such global");
            return e.set_global(static_cast<amp::Global>(index), value);
          },
          "index"_a, "value"_a)
      .def("set_programs", &Engine::set_programs, "slots"_a, Release())
      .def("facts", &Engine::facts, Release())
      .def("facts_fd", &Engine::facts_fd)
      .def("load", &Engine::load, Release())
      .def("process", &process, "signal"_a, "block_frames"_a = 64,
           "midi"_a = std::vector<std::pair<int, nb::bytes>>{})
      .def("service", &Engine::service, Release());
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
  nb::exception<amp::nn::LoadError>(m, "LoadError");
  nb::exception<amp::JackError>(m, "JackError");
  bind_values(m);
  bind_engine(m);
  bind_jack(m);
  m.attr("SLOT_COUNT") = amp::kSlotCount;
  std::vector<Param> globals;
  globals.reserve(amp::kGlobals.size());
  for (const amp::ParamInfo& info : amp::kGlobals) globals.push_back(describe(info.name, info));
  m.attr("GLOBALS") = nb::cast(globals);
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
