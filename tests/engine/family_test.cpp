#include "blocks/family.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "families.hpp"

using namespace amp;
using namespace amp::test;

namespace {

constexpr int kHostHz = 48000;
constexpr int kRamp = 480;
const std::vector<int> kDilations{1, 2, 4, 8, 16, 32, 64, 128};
constexpr int kField = 1 + 2 * 255;

/// The captures of a made-up amp: nets alike in shape, different in sound.
struct Captures {
  explicit Captures(std::vector<float> positions, int model_hz = 48000,
                    const std::vector<int>& dilations = kDilations)
      : places(std::move(positions)) {
    for (size_t m = 0; m < places.size(); ++m) {
      nlohmann::json document = native_model(3, 3, dilations, 70 + static_cast<unsigned>(m));
      document["sample_rate"] = model_hz;
      models.push_back(load(document));
    }
  }

  [[nodiscard]] Family family() const {
    std::vector<Family::Member> members;
    for (size_t m = 0; m < places.size(); ++m)
      members.push_back({.at = places[m],
                         .hosted = nn::host_net(*models[m], dsp::best_isa(), kHostHz),
                         .starts_anew = models[m]->info.memory_frames > 0});
    return {std::move(members), kRamp};
  }

  /// What each net gives that has always been playing.
  [[nodiscard]] std::vector<std::vector<float>> always(const std::vector<float>& input) const {
    std::vector<std::vector<float>> outputs;
    for (const auto& model : models) {
      const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), kHostHz);
      hosted.net->reset();
      outputs.push_back(run(*hosted.net, input, 64));
    }
    return outputs;
  }

  std::vector<float> places;
  std::vector<std::shared_ptr<const nn::Model>> models;
};

/// Where a knob was asked to go, and when.
struct Turn {
  size_t frame;
  float to;
};

struct Heard {
  std::vector<float> sound;
  std::vector<float> position;  ///< at the end of each call, so each frame's with a block of 1
  int most_playing = 0;
};

Heard play(Family& family, const std::vector<float>& input, int block,
           const std::vector<Turn>& turns) {
  Heard heard{.sound = input, .position{}};
  size_t turn = 0;
  for (size_t at = 0; at < input.size();) {
    for (; turn < turns.size() && turns[turn].frame == at; ++turn)
      family.turn(turns[turn].to, false);
    size_t end = std::min(at + static_cast<size_t>(block), input.size());
    if (turn < turns.size()) end = std::min(end, turns[turn].frame);
    family.process(&heard.sound[at], static_cast<int>(end - at));
    heard.position.push_back(family.position());
    heard.most_playing = std::max(heard.most_playing, family.playing());
    at = end;
  }
  return heard;
}

/// The straight line between the two nets beside each frame's position, worked out in double.
std::vector<float> mixed(const std::vector<float>& places,
                         const std::vector<std::vector<float>>& outputs,
                         const std::vector<float>& position) {
  std::vector<float> sound(position.size());
  for (size_t i = 0; i < sound.size(); ++i) {
    size_t low = 0;
    while (low + 2 < places.size() && position[i] > places[low + 1]) ++low;
    const double share =
        (double{position[i]} - places[low]) / (double{places[low + 1]} - places[low]);
    sound[i] = static_cast<float>((1 - share) * outputs[low][i] + share * outputs[low + 1][i]);
  }
  return sound;
}

std::vector<Turn> random_turns(const std::vector<float>& places, size_t frames, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> to(places.front(), places.back());
  std::uniform_int_distribution<size_t> after(1, 2500);
  std::uniform_int_distribution<size_t> any(0, places.size() - 1);
  std::vector<Turn> turns;
  for (size_t at = after(random); at < frames; at += after(random))
    turns.push_back({at, turns.size() % 3 == 0 ? places[any(random)] : to(random)});
  return turns;
}

BlockSpec amp_of(std::vector<FamilyMember> members, std::map<std::string, float> values = {}) {
  return {.kind = "amp",
          .name = "amp",
          .values = std::move(values),
          .model = "",
          .family = std::move(members)};
}

RigSpec rig(const BlockSpec& block) {
  RigSpec whole;
  whole.blocks.push_back(block);
  return whole;
}

std::string refusal(const BlockSpec& block) {
  try {
    const Chain chain(rig(block), 48000, dsp::best_isa());
  } catch (const nn::LoadError& error) {
    return error.what();
  }
  return "accepted";
}

float largest_step(const std::vector<float>& signal, size_t from) {
  float largest = 0;
  for (size_t i = from; i < signal.size(); ++i)
    largest = std::max(largest, std::abs(signal[i] - signal[i - 1]));
  return largest;
}

}  // namespace

// A cold net would differ by its whole answer, not by the rounding of two products (1e-6).
TEST_CASE("however its knob turns, a family is the weighted sum of nets that always play") {
  // With a field of 511 frames the knob waits for the net, with one of 7 the net for the knob.
  for (const auto& [model_hz, dilations] :
       {std::pair{48000, kDilations}, {44100, kDilations}, {48000, {1, 2}}, {44100, {1, 2}}}) {
    CAPTURE(model_hz);
    CAPTURE(dilations.size());
    const Captures captures({0, 2, 5, 7, 10}, model_hz, dilations);
    const std::vector<float> input = noise(120000, 4);
    const std::vector<std::vector<float>> outputs = captures.always(input);
    Family family = captures.family();
    family.turn(3.5F, true);
    family.reset();
    const Heard heard = play(family, input, 1, random_turns(captures.places, input.size(), 5));
    const std::vector<float> expected = mixed(captures.places, outputs, heard.position);
    CHECK(largest_difference(heard.sound, expected) <= 1e-6F * peak(expected));
    CHECK(heard.most_playing == 3);
  }
}

TEST_CASE("the block length does not change the sound of a turning knob") {
  for (const std::vector<int>& dilations : {kDilations, {1, 2}}) {
    const Captures captures({0, 2, 5, 7, 10}, 44100, dilations);
    const std::vector<float> input = noise(40000, 6);
    const std::vector<Turn> turns = random_turns(captures.places, input.size(), 7);
    std::vector<std::vector<float>> sounds;
    for (const int block : {1, 7, 64}) {
      Family family = captures.family();
      family.reset();
      sounds.push_back(play(family, input, block, turns).sound);
    }
    CHECK(sounds[0] == sounds[1]);
    CHECK(sounds[0] == sounds[2]);
  }
}

TEST_CASE("a full turn waits at each capture until the next net is warm, and no longer") {
  const Captures captures({0, 5, 10});
  Family family = captures.family();
  family.reset();
  const std::vector<float> input = noise(4 * kField + 4 * kRamp, 8);
  const Heard heard = play(family, input, 1, {{0, 10}});
  CHECK(heard.position[kRamp - 1] == 5);
  CHECK(heard.position[kField - 1] == 5);
  CHECK(heard.position[kField] > 5);
  CHECK(heard.position[kField + kRamp] == 10);
  CHECK(family.playing() == 2);
}

TEST_CASE("on a capture a family is that net bit for bit") {
  const Captures captures({0, 5, 10});
  const std::vector<float> input = noise(4000, 9);
  const std::vector<std::vector<float>> outputs = captures.always(input);
  for (size_t m = 0; m < captures.places.size(); ++m) {
    Family family = captures.family();
    family.turn(captures.places[m], true);
    family.reset();
    CHECK(play(family, input, 64, {}).sound == outputs[m]);
    CHECK(family.playing() == 2);
  }
}

TEST_CASE("a turn back before the net beyond is warm lets it sleep again") {
  const Captures captures({0, 5, 10});
  Family family = captures.family();
  family.reset();
  const std::vector<float> input = noise(3 * kField, 10);
  const Heard heard = play(family, input, 1, {{0, 10}, {kField - 10, 1}, {2 * kField, 1}});
  CHECK(heard.most_playing == 3);
  CHECK(*std::max_element(heard.position.begin(), heard.position.end()) == 5);
  CHECK(heard.position.back() == 1);
  CHECK(family.playing() == 2);
}

TEST_CASE("a jump into a segment whose nets sleep walks there instead of playing them cold") {
  const Captures captures({0, 2, 5, 10});
  Family family = captures.family();
  family.reset();
  const std::vector<float> input = noise(6000, 11);
  family.turn(1.5F, true);
  CHECK(family.position() == 1.5F);
  family.turn(7, true);
  const Heard heard = play(family, input, 1, {});
  const std::vector<float> expected =
      mixed(captures.places, captures.always(input), heard.position);
  CHECK(heard.position.front() < 2);
  CHECK(heard.position.back() == 7);
  CHECK(largest_difference(heard.sound, expected) <= 1e-6F * peak(expected));
}

// What a turn adds to the steady sound's own steps is the way between two captures, in 480 steps.
TEST_CASE("a sweep over all captures makes no step beyond the steady sounds' and the ramp's") {
  const Captures captures({0, 5, 10});
  std::vector<float> input(48000);
  for (size_t i = 0; i < input.size(); ++i)
    input[i] = 0.25F * std::sin(static_cast<float>(i) * 0.1305F);
  const std::vector<std::vector<float>> outputs = captures.always(input);
  float allowed = 0;
  for (size_t m = 0; m < outputs.size(); ++m) {
    allowed = std::max(allowed, largest_step(outputs[m], kField));
    if (m > 0) allowed += largest_difference(outputs[m], outputs[m - 1]) / kRamp;
  }
  Family family = captures.family();
  family.reset();
  const std::vector<Turn> sweep{{4800, 10}, {14400, 0}, {24000, 7}, {24300, 2}, {24600, 10}};
  CHECK(largest_step(play(family, input, 64, sweep).sound, kField) <= allowed);
}

// 1e-4: what the rest of a recurrent net's memory is worth after its settling time.
TEST_CASE("recurrent nets of a family settle before they are heard") {
  std::vector<std::shared_ptr<const nn::Model>> models;
  for (unsigned seed = 1; seed <= 3; ++seed)
    models.push_back(load(state_dict_model(Cell(false, 1, 8, seed))));
  Captures captures({});
  captures.places = {0, 5, 10};
  captures.models = models;
  const std::vector<float> input = noise(160000, 12);
  Family family = captures.family();
  family.reset();
  const Heard heard = play(family, input, 1, {{100, 10}, {60000, 0}, {110000, 10}});
  CHECK(heard.position.back() == 10);
  const std::vector<float> expected =
      mixed(captures.places, captures.always(input), heard.position);
  CHECK(largest_difference(heard.sound, expected) <= 1e-4F * peak(expected));
}

TEST_CASE("an amp of several models has the param knob, in the positions' own units") {
  const TempDir dir;
  const std::string a = dir.write("a.json", native_model(2, 3, {1, 2, 4}, 1).dump());
  const std::string b = dir.write("b.json", native_model(2, 3, {1, 2, 4}, 2).dump());
  const std::vector<float> input = noise(3000, 13);
  Chain chain(rig(amp_of({{2, a}, {6, b}}, {{"knob", 5}})), 48000, dsp::best_isa(), false);
  REQUIRE(chain.find("amp/knob") >= 0);
  const ChainParam& knob = chain.params()[static_cast<size_t>(chain.find("amp/knob"))];
  CHECK(knob.info.minimum == 2);
  CHECK(knob.info.maximum == 6);
  CHECK(chain.models().size() == 2);
  const auto sound = [&](Chain& each) {
    std::vector<float> left(input.size());
    std::array<float, kMaxFrames> right{};
    std::array<float, kMaxFrames> dry{};
    for (size_t at = 0; at < input.size(); at += 50)
      each.process(&input[at], {&left[at], right.data(), dry.data()}, 50);
    return left;
  };
  BlockSpec alone = amp_of({});
  alone.model = a;
  Chain chain_a(rig(alone), 48000, dsp::best_isa(), false);
  alone.model = b;
  Chain chain_b(rig(alone), 48000, dsp::best_isa(), false);
  const std::vector<float> sound_a = sound(chain_a);
  const std::vector<float> sound_b = sound(chain_b);
  std::vector<float> expected(input.size());
  for (size_t i = 0; i < input.size(); ++i) expected[i] = 0.25F * sound_a[i] + 0.75F * sound_b[i];
  CHECK(largest_difference(sound(chain), expected) <= 1e-6F * peak(expected));
  CHECK(chain.memory_bytes() >
        chain_a.memory_bytes() + chain_b.memory_bytes() - sizeof(Chain) - sizeof(Stage) - 1);
}

// The value comes while the rig's own pair is being warmed, and asks for nets that are not.
TEST_CASE("a knob turned while its rig is on the way arrives there, warm") {
  const TempDir dir;
  const auto file = [&](unsigned seed) {
    return dir.write(std::to_string(seed), native_model(3, 3, kDilations, seed).dump());
  };
  const auto alone = [&](unsigned seed) {
    BlockSpec block = amp_of({});
    block.model = file(seed);
    return block;
  };
  const std::vector<float> input = noise(24000, 14);
  const auto heard = [&](const BlockSpec& block, bool turn) {
    Rack rack;
    rack.engine.park(0, rack.engine.build(rig(block)));
    rack.play({input.begin(), input.begin() + 6400});
    rack.engine.select(0, false);
    if (turn) rack.engine.set_param(0, 5, 7);
    return rack.play({input.begin() + 6400, input.end()});
  };
  const std::vector<float> low = heard(alone(2), false);
  const std::vector<float> high = heard(alone(3), false);
  std::vector<float> sound = heard(amp_of({{0, file(1)}, {5, file(2)}, {10, file(3)}}), true);
  for (size_t i = 0; i < sound.size(); ++i) sound[i] -= 0.6F * low[i] + 0.4F * high[i];
  const std::vector<float> settled(sound.end() - 12000, sound.end());
  CHECK(peak(settled) <= 1e-6F * peak(low));
}

TEST_CASE("models of a family that have a knob of one name turn it together") {
  const TempDir dir;
  const std::string a = dir.write("a.json", state_dict_model(Cell(false, 2, 4, 1)).dump());
  const std::string b = dir.write("b.json", state_dict_model(Cell(false, 2, 4, 2)).dump());
  const std::string c = dir.write("c.json", state_dict_model(Cell(false, 1, 4, 3)).dump());
  Chain chain(rig(amp_of({{0, a}, {1, b}, {2, c}})), 48000, dsp::best_isa());
  std::vector<std::string> paths;
  for (const ChainParam& param : chain.params()) paths.push_back(param.path);
  const std::string own = nn::load_model(a)->info.knobs.at(0);
  CHECK(std::vector<std::string>(paths.begin() + 5, paths.end()) ==
        std::vector<std::string>{"amp/knob", "amp/" + own, "amp/bypass", "amp/mix"});
}

TEST_CASE("quality reaches the nets of a family that sleep") {
  const TempDir dir;
  const auto sizes = [&](const std::string& name, double small, double large) {
    const auto linear = [](double gain) {
      nlohmann::json one = straight_wire(kHostHz);
      one["weights"] = {gain};
      return one;
    };
    return dir.write(name, two_sizes(linear(small), linear(large)).dump());
  };
  const std::vector<FamilyMember> members{
      {0, sizes("a.nam", 0.1, 1)}, {1, sizes("b.nam", 0.2, 2)}, {2, sizes("c.nam", 0.3, 3)}};
  Chain chain(rig(amp_of(members)), kHostHz, dsp::best_isa(), false);
  CHECK(chain.params()[6].path == "amp/quality");
  const std::vector<float> input(64, 1.0F);
  const auto level = [&] {
    std::array<std::array<float, kMaxFrames>, 3> out{};
    chain.process(input.data(), {out[0].data(), out[1].data(), out[2].data()}, kMaxFrames);
    return out[0].back();
  };
  CHECK(level() == doctest::Approx(1));
  chain.set(6, 0, false);  // quality, while the last net sleeps
  for (int i = 0; i < 40; ++i) level();
  CHECK(level() == doctest::Approx(0.1));
  chain.set(5, 2, false);
  for (int i = 0; i < 40; ++i) CHECK(level() <= 0.3F + 1e-6F);
  CHECK(level() == doctest::Approx(0.3));
}

TEST_CASE("a family that cannot play in step is refused in words") {
  const TempDir dir;
  const auto file = [&](const std::string& name, int rate_hz) {
    nlohmann::json document = native_model(2, 3, {1, 2}, 1);
    document["sample_rate"] = rate_hz;
    return dir.write(name, document.dump());
  };
  const std::string a = file("a.json", 48000);
  const std::string other = file("b.json", 44100);
  CHECK(refusal(amp_of({{0, a}, {1, a}})) == "accepted");
  CHECK(refusal(amp_of({{0, a}})) == "chain.amp.models has 1 model, expected 2 to 8.");
  CHECK(refusal(amp_of(std::vector<FamilyMember>(9, {0, a})))
            .starts_with("chain.amp.models has 9 models, expected 2 to 8."));
  CHECK(refusal(amp_of({{0, a}, {2.5F, a}, {2.5F, a}})) ==
        "chain.amp.models: position 2.5 comes behind 2.5, expected finite positions in rising "
        "order.");
  CHECK(refusal(amp_of({{0, a}, {NAN, a}})).starts_with("chain.amp.models: position nan"));
  const std::string rates = refusal(amp_of({{0, a}, {1, other}}));
  CHECK(rates.starts_with("chain.amp.models: " + other +
                          " is made for 44100 Hz and 0 frames late, " + a +
                          " for 48000 Hz and 0 frames late; the models of a family need one "));
  CHECK(refusal(amp_of({{0, a}, {5, a}}, {{"knob", 6}})) == "amp/knob is 6, expected 0 to 5.");
  BlockSpec both = amp_of({{0, a}, {1, a}});
  both.model = a;
  CHECK(refusal(both) == "chain.amp has both model and models; expected one of them.");
}
