#include "chain.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace amp {
namespace {

constexpr std::array kInput{
    ParamInfo{"gain_db", "dB", -40, 40, 0, Taper::kLinear, "level of the guitar into the rig"},
};
constexpr std::array kWhole{
    ParamInfo{"mix", "", 0, 1, 1, Taper::kLinear, "0 the dry guitar, 1 the rig"},
};
constexpr std::array kOutput{
    ParamInfo{"gain_db", "dB", -60, 24, 0, Taper::kLinear, "level of the rig"},
};

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

}  // namespace

Chain::Chain(const RigSpec& rig, int sample_rate_hz, dsp::Isa isa, bool block_dc)
    : input_gain_(ramp_frames(sample_rate_hz), 1),
      mix_(ramp_frames(sample_rate_hz), 1),
      output_left_(ramp_frames(sample_rate_hz), 1),
      output_right_(ramp_frames(sample_rate_hz), 1),
      to_dry_(ramp_frames(sample_rate_hz), 1),
      dc_{DcBlocker(sample_rate_hz), DcBlocker(sample_rate_hz)} {
  check_places(rig.values);
  add_params("input/", kInput, below(rig.values, "input"));
  const auto mix = rig.values.find("mix");
  add_params("", kWhole,
             mix == rig.values.end() ? std::map<std::string, float>{}
                                     : std::map<std::string, float>{*mix});
  add_params("output/", kOutput, below(rig.values, "output"));
  targets_.resize(kOwnCount, {nullptr, 0});
  BuildContext context{.sample_rate_hz = sample_rate_hz, .isa = isa, .models = {}};
  std::set<std::string> names;
  for (const BlockSpec& spec : rig.blocks) {
    if (!names.insert(spec.name).second)
      throw nn::LoadError("chain has two blocks named \"" + spec.name +
                          "\"; number the second one, as in \"amp2\".");
    blocks_.push_back(make_block(spec, context));
    Block& block = *blocks_.back();
    add_params(spec.name + "/", block.params(), spec.values);
    for (size_t p = 0; p < block.params().size(); ++p)
      targets_.emplace_back(&block, static_cast<int>(p));
    memory_frames_ += block.memory_frames() - (block.memory_frames() > 0 ? 1 : 0);
    latency_frames_ += block.latency_frames();
    grid_frames_ = std::lcm(grid_frames_, block.grid_frames());
  }
  models_ = std::move(context.models);
  delay_.resize(static_cast<size_t>(latency_frames_));
  block_dc_ = block_dc && !models_.empty();
  learn_rest();
}

/// A model's offset is known before it plays, so that it does not thump when it comes in.
void Chain::learn_rest() {
  reset();
  std::array<std::array<float, kMaxFrames>, 2> out{};
  run_blocks({out[0].data(), out[1].data(), nullptr}, kMaxFrames);
  if (is_sound(out[0].data(), kMaxFrames) && is_sound(out[1].data(), kMaxFrames))
    rest_ = {out[0].back(), out[1].back()};
  reset();
}

void Chain::add_params(const std::string& place, std::span<const ParamInfo> infos,
                       const std::map<std::string, float>& values) {
  std::string known;
  for (const ParamInfo& info : infos) {
    known += (known.empty() ? "" : ", ") + std::string(info.name);
    const auto given = values.find(info.name);
    const float value = given == values.end() ? info.default_value : given->second;
    if (!(value >= info.minimum && value <= info.maximum))
      throw nn::LoadError(place + info.name + " is " + plain(value) + ", expected " +
                          plain(info.minimum) + " to " + plain(info.maximum) +
                          (*info.unit ? std::string(" ") + info.unit : "") + ".");
    params_.push_back({place + info.name, info});
    initial_.push_back(value);
  }
  for (const auto& [name, value] : values)
    if (std::none_of(infos.begin(), infos.end(), [&](const auto& i) { return name == i.name; }))
      throw nn::LoadError(place + name + " is not a param; expected one of " + known + ".");
}

size_t Chain::memory_bytes() const {
  size_t bytes = sizeof(Chain) + delay_.size() * sizeof(float);
  for (const auto& block : blocks_) bytes += block->memory_bytes();
  return bytes;
}

float Chain::set(int index, float value, bool jump) noexcept AMP_RT {
  const auto i = static_cast<size_t>(index);
  const ParamInfo& info = params_[i].info;
  value = std::clamp(value, info.minimum, info.maximum);
  const auto move = [jump](dsp::Ramp& ramp, float to) { jump ? ramp.jump(to) : ramp.to(to); };
  switch (index) {
    case kInputGain:
      move(input_gain_, from_db(value));
      break;
    case kMix:
      move(mix_, value);
      break;
    case kOutputGain:
      move(output_left_, from_db(value));
      move(output_right_, from_db(value));
      break;
    default:
      targets_[i].first->set(targets_[i].second, value, jump);
  }
  return value;
}

void Chain::recall(bool jump) noexcept AMP_RT {
  for (int i = 0; i < param_count(); ++i) set(i, initial_[static_cast<size_t>(i)], jump);
}

void Chain::reset() noexcept AMP_RT {
  recall(true);  // first: what a model in several sizes resets is the size that is wanted
  for (const auto& block : blocks_) block->reset();
  std::fill(delay_.begin(), delay_.end(), 0.0F);
  for (size_t c = 0; c < dc_.size(); ++c) dc_[c].reset(rest_[c]);
  last_ = {};
  faulted_ = false;
}

void Chain::delay_dry(const float* in, float* dry, int frames) noexcept AMP_RT {
  if (delay_.empty()) {
    std::copy_n(in, frames, dry);
    return;
  }
  for (int i = 0; i < frames; ++i) {
    dry[i] = delay_[delay_at_];
    delay_[delay_at_] = in[i];
    delay_at_ = delay_at_ + 1 == delay_.size() ? 0 : delay_at_ + 1;
  }
}

void Chain::process(const float* in, const ChainOutput& out, int frames) noexcept AMP_RT {
  delay_dry(in, out.dry, frames);
  if (!faulted_) {
    std::copy_n(in, frames, out.left);
    input_gain_.scale(out.left, frames);
    run_blocks(out, frames);
    if (is_sound(out.left, frames) && is_sound(out.right, frames)) {
      if (block_dc_) {
        dc_[0].process(out.left, frames);
        dc_[1].process(out.right, frames);
      }
      blend(out.dry, out.left, out.right, frames);
      last_ = {out.left[frames - 1], out.right[frames - 1]};
      return;
    }
    faulted_ = true;
    to_dry_.jump(0);
    to_dry_.to(1);
  }
  play_dry(out.dry, out.left, out.right, frames);
}

void Chain::run_blocks(const ChainOutput& out, int frames) noexcept AMP_RT {
  Signal signal{.channel = {out.left, out.right}, .width = 1, .frames = frames};
  for (const auto& block : blocks_) block->process(signal);
  if (signal.width == 1) std::copy_n(out.left, frames, out.right);
}

void Chain::blend(const float* dry, float* left, float* right, int frames) noexcept AMP_RT {
  if (mix_.moving() || mix_.target() != 1)
    for (int i = 0; i < frames; ++i) {
      const float wet = mix_.next();
      left[i] = wet * left[i] + (1 - wet) * dry[i];
      right[i] = wet * right[i] + (1 - wet) * dry[i];
    }
  output_left_.scale(left, frames);
  output_right_.scale(right, frames);
}

/// From the last sound sample to the dry signal in one ramp, so that a fault does not click.
void Chain::play_dry(const float* dry, float* left, float* right, int frames) noexcept AMP_RT {
  for (int i = 0; i < frames; ++i) {
    const float share = to_dry_.next();
    left[i] = share * dry[i] + (1 - share) * last_[0];
    right[i] = share * dry[i] + (1 - share) * last_[1];
  }
}

}  // namespace amp
