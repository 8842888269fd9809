#include <algorithm>
#include <charconv>
#include <ctime>
#include <numeric>
#include <set>

#include "blocks/pair.hpp"
#include "chain.hpp"
#include "lines.hpp"

namespace amp {
namespace {

constexpr float kHushSeconds = 0.020F;

/// A chain's cost is the least of so many runs of so many blocks: a few milliseconds.
constexpr int kCostRounds = 4;
constexpr int kCostBlocks = 12;

constexpr ParamInfo kInput{
    "gain_db", "dB", -40, 40, 0, Taper::kLinear, "level of the guitar into the rig"};
constexpr ParamInfo kWhole{"mix", "", 0, 1, 1, Taper::kLinear, "0 the dry guitar, 1 the rig"};
constexpr ParamInfo kOutput{"gain_db", "dB", -60, 24, 0, Taper::kLinear, "level of the rig"};

std::string plain(float value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::map<std::string, float> below(const std::map<std::string, float>& values,
                                   const std::string& place) {
  std::map<std::string, float> found;
  for (const auto& [path, value] : values)
    if (path.starts_with(place + "/")) found[path.substr(place.size() + 1)] = value;
  return found;
}

void check_places(const std::map<std::string, float>& values) {
  for (const auto& [path, value] : values)
    if (path != "mix" && !path.starts_with("input/") && !path.starts_with("output/"))
      throw nn::LoadError(path + " is not a param of a rig; expected input, mix or output.");
}

std::string range_of(const ParamInfo& info) {
  return plain(info.minimum) + " to " + plain(info.maximum) +
         (*info.unit ? std::string(" ") + info.unit : "");
}

int64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

Chain::Chain(const RigSpec& rig, int sample_rate_hz, dsp::Isa isa, bool block_dc, Clock clock)
    : clock_(clock),
      on_load_(rig.on_load),
      input_trim_(from_db(rig.input_trim_db)),
      output_trim_(from_db(rig.output_trim_db)),
      input_gain_(ramp_frames(sample_rate_hz), 1),
      mix_(ramp_frames(sample_rate_hz), 1),
      output_left_(ramp_frames(sample_rate_hz), 1),
      output_right_(ramp_frames(sample_rate_hz), 1),
      to_dry_(ramp_frames(sample_rate_hz), 1),
      tail_gain_(std::max(1, static_cast<int>(kHushSeconds * static_cast<float>(sample_rate_hz))),
                 1),
      dc_share_(ramp_frames(sample_rate_hz), 1),
      dc_{DcBlocker(sample_rate_hz), DcBlocker(sample_rate_hz)} {
  if (on_load_.size() > kMostOnLoad)
    throw nn::LoadError("on_load has " + std::to_string(on_load_.size()) +
                        " messages, expected at most " + std::to_string(kMostOnLoad) + ".");
  add_own_params(rig);
  add_blocks(rig, sample_rate_hz, isa);
  add_scenes(rig);
  add_bindings(rig);
  changed_.resize(params_.size());
  delay_.resize(static_cast<size_t>(latency_frames_));
  block_dc_ = block_dc && !models_.empty();
  reset();
  measure_memory(sample_rate_hz);
  learn_rest();
}

void Chain::add_own_params(const RigSpec& rig) {
  check_places(rig.values);
  const auto own = [](Own param) {
    return Target{.kind = Target::Kind::kChain, .in_tail = param != kInputGain, .param = param};
  };
  const auto mix = rig.values.find("mix");
  add_params("input/", {{kInput, own(kInputGain)}}, below(rig.values, "input"));
  add_params("", {{kWhole, own(kMix)}},
             mix == rig.values.end() ? std::map<std::string, float>{}
                                     : std::map<std::string, float>{*mix});
  add_params("output/", {{kOutput, own(kOutputGain)}}, below(rig.values, "output"));
}

void Chain::add_blocks(const RigSpec& rig, int sample_rate_hz, dsp::Isa isa) {
  BuildContext context{.sample_rate_hz = sample_rate_hz, .isa = isa, .models = {}};
  std::set<std::string> names;
  const auto make = [&](const BlockSpec& spec) {
    if (!names.insert(spec.name).second)
      throw nn::LoadError("chain has two blocks named \"" + spec.name +
                          "\"; number the second one, as in \"amp2\".");
    return make_block(spec, context);
  };
  const auto knobs_of = [](Block& block) {
    std::vector<Knob> knobs;
    for (const ParamInfo& info : block.params())
      knobs.push_back({info,
                       {.kind = Target::Kind::kBlock,
                        .block = &block,
                        .param = static_cast<int>(knobs.size())}});
    return knobs;
  };
  size_t behind_last_amp = 0;
  for (size_t b = 0; b < rig.blocks.size(); ++b) {
    const BlockSpec& spec = rig.blocks[b];
    if (!spec.beside.empty())
      throw nn::LoadError("chain." + spec.name + ".beside is \"" + spec.beside +
                          "\", expected the name of the block just before it, alone there.");
    const size_t models = context.models.size();
    std::unique_ptr<Block> block = make(spec);
    std::vector<Knob> knobs = knobs_of(*block);
    std::vector<Knob> beside;
    const bool paired = b + 1 < rig.blocks.size() && rig.blocks[b + 1].beside == spec.name;
    if (paired) {
      std::unique_ptr<Block> second = make(rig.blocks[b + 1]);
      if (block->rings() || second->rings())
        throw nn::LoadError(
            "chain." + rig.blocks[b + 1].name +
            ".beside: a block that rings cannot stand beside another; use its mix.");
      beside = knobs_of(*second);
      block = std::make_unique<Pair>(std::move(block), std::move(second), sample_rate_hz);
      for (const Knob& knob : knobs_of(*block)) beside.push_back(knob);
    }
    add_stage(std::move(block), sample_rate_hz);
    for (std::vector<Knob>* const side : {&knobs, &beside})
      for (Knob& knob : *side) knob.target.stage = stages_.back().get();
    for (const ParamInfo& info : stages_.back()->own_params())
      knobs.push_back({info,
                       {.kind = Target::Kind::kStage,
                        .stage = stages_.back().get(),
                        .param = static_cast<int>(&info - stages_.back()->own_params().data())}});
    add_params(spec.name + "/", knobs, spec.values);
    block_names_.push_back(spec.name);
    spent_ns_.push_back(0);
    if (paired) {
      ++b;
      block_names_.back() += "+" + rig.blocks[b].name;
      add_params(rig.blocks[b].name + "/", beside, rig.blocks[b].values);
    }
    if (context.models.size() > models) {
      behind_last_amp = stages_.size();
      amps_.push_back(stages_.back().get());
    }
  }
  models_ = std::move(context.models);
  divide(behind_last_amp);
}

void Chain::add_stage(std::unique_ptr<Block> block, int sample_rate_hz) {
  const int width = stages_.empty() ? 1 : stages_.back()->width();
  stages_.push_back(std::make_unique<Stage>(std::move(block), sample_rate_hz, width));
  latency_frames_ += stages_.back()->block().latency_frames();
}

/// Find where the tail begins, and tell the params of its blocks.
void Chain::divide(size_t behind_last_amp) {
  tail_at_ = stages_.size();
  for (size_t s = stages_.size(); s > behind_last_amp; --s)
    if (stages_[s - 1]->block().rings()) tail_at_ = s - 1;
  for (Target& target : targets_)
    if (target.stage != nullptr)
      target.in_tail = std::any_of(
          stages_.begin() + static_cast<ptrdiff_t>(tail_at_), stages_.end(),
          [&](const std::unique_ptr<Stage>& stage) { return stage.get() == target.stage; });
  head_width_ = tail_at_ == 0 ? 1 : stages_[tail_at_ - 1]->width();
}

/// With the rig's own values, since a filter remembers as long as it is tuned low.
void Chain::measure_memory(int sample_rate_hz) {
  std::vector<int> needed(tail_at_);
  int latency = 0;
  for (size_t s = tail_at_; s > 0; --s) {
    const Block& block = stages_[s - 1]->block();
    memory_frames_ += block.memory_frames() - (block.memory_frames() > 0 ? 1 : 0);
    latency += block.latency_frames();
    grid_frames_ = std::lcm(grid_frames_, block.grid_frames());
    needed[s - 1] = memory_frames_ + latency;
  }
  if (block_dc_) {
    // Half of what they remember behind them, they give about what they should.
    const int dc_frames =
        static_cast<int>(DcBlocker::kSeconds * static_cast<float>(sample_rate_hz));
    for (int& frames : needed) frames = std::max(frames, dc_frames + frames / 2);
    const int longest = needed.empty() ? dc_frames : needed.front();
    memory_frames_ = std::max(memory_frames_, longest - latency_frames_);
    dc_start_ = memory_frames_ + latency_frames_ - dc_frames;
  }
  const int all = memory_frames_ + latency_frames_;
  const auto overlap = static_cast<int>(kOverlapSeconds * static_cast<float>(sample_rate_hz));
  warm_frames_ = std::min<int64_t>(all - std::min(overlap, all / 8), History::kFrames / 2);
  starts_.resize(tail_at_);
  for (size_t s = 0; s < tail_at_; ++s) {
    const int64_t early = all - needed[s];
    starts_[s] = std::max<int64_t>(0, early / grid_frames_ * grid_frames_);
  }
}

/// A model's offset is known before it plays, so that it does not thump when it comes in.
void Chain::learn_rest() {
  const bool block_dc = block_dc_;
  block_dc_ = false;
  if (!any_amp_open())
    for (Stage* const amp : amps_) amp->set_own(Stage::kBypass, 0, true);
  const std::array<float, kMaxFrames> silence{};
  std::array<std::array<float, kMaxFrames>, 2> out{};
  run_head(silence.data(), out[0].data(), out[1].data(), kMaxFrames);
  if (!faulted_) rest_ = {out[0].back(), out[1].back()};
  block_dc_ = block_dc;
  reset();
}

void Chain::measure_cost() {
  const FtzGuard ftz;
  std::array<float, kMaxFrames> tone;
  for (size_t i = 0; i < tone.size(); ++i) tone[i] = i % 16 < 8 ? 0.1F : -0.1F;
  std::array<std::array<float, kMaxFrames>, 3> out;
  int64_t least_ns = std::numeric_limits<int64_t>::max();
  for (int round = 0; round < kCostRounds; ++round) {
    const int64_t begin_ns = thread_cpu_ns();
    for (int b = 0; b < kCostBlocks; ++b)
      process(tone.data(), {out[0].data(), out[1].data(), out[2].data()}, kMaxFrames);
    least_ns = std::min(least_ns, thread_cpu_ns() - begin_ns);
  }
  cost_ns_ = static_cast<float>(least_ns) / (kCostBlocks * kMaxFrames);
  reset();
}

void Chain::add_params(const std::string& place, const std::vector<Knob>& knobs,
                       const std::map<std::string, float>& values) {
  if (scenes_.empty()) scenes_.emplace_back();
  std::string known;
  for (const Knob& knob : knobs) {
    const ParamInfo& info = knob.info;
    known += (known.empty() ? "" : ", ") + std::string(info.name);
    const auto given = values.find(info.name);
    const float value = given == values.end() ? info.default_value : given->second;
    if (!(value >= info.minimum && value <= info.maximum))
      throw nn::LoadError(place + info.name + " is " + plain(value) + ", expected " +
                          range_of(info) + ".");
    params_.push_back({place + info.name, info});
    targets_.push_back(knob.target);
    scenes_[0].push_back(value);
  }
  for (const auto& [name, value] : values)
    if (std::none_of(knobs.begin(), knobs.end(),
                     [&](const Knob& knob) { return name == knob.info.name; }))
      throw nn::LoadError(place + name + " is not a param; expected one of " + known + ".");
}

void Chain::add_scenes(const RigSpec& rig) {
  const size_t count = rig.snapshots.size();
  if (count > kMostSnapshots)
    throw nn::LoadError("snapshots: found " + std::to_string(count) + ", expected at most " +
                        std::to_string(kMostSnapshots) + ".");
  if (count > 0) {
    snapshot_param_ = param_count();
    add_params("",
               {{{"snapshot", "", 0, static_cast<float>(count), 0, Taper::kLinear,
                  "0 the rig as it is, or one of its snapshots"},
                 {.kind = Target::Kind::kSnapshot, .in_tail = false}},
                {{"morph", "", 0, 1, 0, Taper::kLinear, "between two snapshots"},
                 {.kind = Target::Kind::kMorph, .in_tail = false}}},
               {});
    for (size_t end = 0; end < morph_.size(); ++end) {
      if (rig.morph[end] < 0 || rig.morph[end] > static_cast<int>(count))
        throw nn::LoadError("morph names snapshot " + std::to_string(rig.morph[end]) +
                            ", expected 0 to " + std::to_string(count) + ".");
      morph_[end] = static_cast<size_t>(rig.morph[end]);
    }
  }
  for (size_t n = 0; n < count; ++n) {
    std::vector<float> scene = scenes_[0];
    for (const auto& [path, value] : rig.snapshots[n]) {
      const std::string place = "snapshots " + std::to_string(n + 1) + ": " + path;
      const int index = find(path);
      if (index < 0 || (snapshot_param_ >= 0 && index >= snapshot_param_))
        throw nn::LoadError(place + " is not a param of this rig.");
      const ParamInfo& info = params_[static_cast<size_t>(index)].info;
      if (!(value >= info.minimum && value <= info.maximum))
        throw nn::LoadError(place + " is " + plain(value) + ", expected " + range_of(info) + ".");
      scene[static_cast<size_t>(index)] = value;
    }
    scenes_.push_back(std::move(scene));
  }
  values_ = scenes_[0];
}

void Chain::add_bindings(const RigSpec& rig) {
  for (const BindingSpec& spec : rig.bindings) {
    Binding binding = spec.binding;
    if (binding.target == Binding::Target::kParam) {
      const int index = find(spec.path);
      if (index < 0 && spec.from_map) continue;
      if (index < 0) throw nn::LoadError("midi: " + spec.path + " is not a param of this rig.");
      const ParamInfo& info = params_[static_cast<size_t>(index)].info;
      binding.index = static_cast<int16_t>(index);
      binding.is_switch = info.taper == Taper::kToggle;
      binding.low = spec.low.value_or(info.minimum);
      binding.high = spec.high.value_or(info.maximum);
    } else if (spec.from_map) {
      continue;  // the rack's own
    }
    bindings_.push_back(binding);
  }
  if (bindings_.size() > kMostBindings)
    throw nn::LoadError("midi: the rig has " + std::to_string(bindings_.size()) +
                        " bindings with those of the map, expected at most " +
                        std::to_string(kMostBindings) + ".");
  binding_states_.resize(bindings_.size());
}

int Chain::find(const std::string& path) const {
  if (path.starts_with("foot/")) {
    int number = 0;
    std::from_chars(path.data() + 5, path.data() + path.size(), number);
    if (number < 1 || number > static_cast<int>(stages_.size())) return -1;
    for (size_t i = 0; i < targets_.size(); ++i)
      if (targets_[i].kind == Target::Kind::kStage && targets_[i].param == Stage::kBypass &&
          targets_[i].stage == stages_[static_cast<size_t>(number - 1)].get())
        return static_cast<int>(i);
  }
  for (size_t i = 0; i < params_.size(); ++i)
    if (params_[i].path == path) return static_cast<int>(i);
  return -1;
}

size_t Chain::memory_bytes() const {
  size_t bytes = sizeof(Chain) + delay_.size() * sizeof(float);
  for (const auto& stage : stages_) bytes += stage->memory_bytes();
  return bytes;
}

}  // namespace amp
