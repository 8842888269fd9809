#include "dsp/convolver.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "dsp/kernels.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

using Sound = std::vector<std::vector<float>>;

constexpr int kLengths[] = {1, 2, 63, 64, 65, 128, 129, 1000, 9600};

/// Noise that dies away, as a cabinet does.
Sound response_of(int channels, int length, unsigned seed) {
  Sound response;
  for (int c = 0; c < channels; ++c) {
    response.push_back(noise(static_cast<size_t>(length), seed + static_cast<unsigned>(c)));
    for (size_t i = 0; i < response.back().size(); ++i)
      response.back()[i] *= std::exp(-static_cast<float>(i) / 500);
  }
  return response;
}

Sound noise_of(int width, size_t frames, unsigned seed) {
  Sound sound;
  for (int c = 0; c < width; ++c)
    sound.push_back(noise(frames, seed + 100 + static_cast<unsigned>(c)));
  return sound;
}

Sound part(const Sound& sound, size_t from) {
  Sound rest;
  for (const std::vector<float>& channel : sound)
    rest.emplace_back(channel.begin() + static_cast<ptrdiff_t>(from), channel.end());
  return rest;
}

/// Play on from where `convolver` stands, in calls of `block` frames.
Sound play(dsp::Convolver& convolver, const Sound& input, int block) {
  const int frames = static_cast<int>(input.front().size());
  Sound output = {input.front(), input.back()};
  int width = 0;
  for (int at = 0; at < frames; at += block)
    width = convolver.process({output[0].data() + at, output[1].data() + at},
                              static_cast<int>(input.size()), std::min(block, frames - at));
  output.resize(static_cast<size_t>(width));
  return output;
}

std::vector<double> direct(const std::vector<float>& response, const std::vector<float>& input) {
  std::vector<double> output(input.size());
  for (size_t n = 0; n < input.size(); ++n)
    for (size_t j = 0; j < response.size() && j <= n; ++j)
      output[n] += static_cast<double>(response[j]) * static_cast<double>(input[n - j]);
  return output;
}

template <class Check>
void for_every_width(Check check) {
  for (const int channels : {1, 2})
    for (const int width : {1, 2}) {
      CAPTURE(channels);
      CAPTURE(width);
      check(channels, width);
    }
}

double peak_of(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  return most;
}

/// Off by so much of the peak of the truth.
double error_of(const std::vector<float>& found, const std::vector<double>& truth) {
  double worst = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - truth[i]));
  return worst / peak_of(truth);
}

template <class Number>
std::vector<Number> flat(const dsp::Bins<Number>* bins, int stride) {
  std::vector<Number> values;
  for (int g = 0; g < dsp::kGroups; ++g) {
    values.insert(values.end(), bins[g * stride].re, bins[g * stride].re + dsp::kGroupBins);
    values.insert(values.end(), bins[g * stride].im, bins[g * stride].im + dsp::kGroupBins);
  }
  return values;
}

template <class Number>
std::vector<dsp::Bins<Number>> bins_of(const std::vector<float>& values) {
  std::vector<dsp::Bins<Number>> bins(values.size() / (2 * dsp::kGroupBins));
  for (size_t i = 0; i < values.size(); ++i) {
    dsp::Bins<Number>& group = bins[i / (2 * dsp::kGroupBins)];
    const size_t bin = i % (2 * dsp::kGroupBins);
    (bin < dsp::kGroupBins ? group.re[bin] : group.im[bin - dsp::kGroupBins]) = Number(values[i]);
  }
  return bins;
}

constexpr int kParts = 9;
constexpr size_t kValuesOfParts = size_t{kParts} * 2 * dsp::kBins;

/// Both outs of a product over kParts parts, one behind the other.
template <class Number>
std::vector<Number> product_of(const dsp::SpectrumKernels<Number>& kernels, int ins, int responses,
                               int newest) {
  const auto window_0 = bins_of<Number>(noise(kValuesOfParts, 1));
  const auto window_1 = bins_of<Number>(noise(kValuesOfParts, 2));
  const auto response_0 = bins_of<Number>(noise(kValuesOfParts, 3));
  const auto response_1 = bins_of<Number>(noise(kValuesOfParts, 4));
  dsp::Bins<Number> out[2][dsp::kGroups] = {};
  kernels.product({.ins = ins,
                   .responses = responses,
                   .parts = kParts,
                   .newest = newest,
                   .window = {window_0.data(), window_1.data()},
                   .response = {response_0.data(), response_1.data()},
                   .out = {out[0], out[1]}});
  std::vector<Number> values = flat(out[0], 1);
  const std::vector<Number> second = flat(out[1], 1);
  values.insert(values.end(), second.begin(), second.end());
  return values;
}

}  // namespace

// Oracle: the sum itself, in float64. The first frames show a latency, the last a part left out.
TEST_CASE("a convolution is within 2e-6 of peak of the direct one, for every length and path") {
  for (const dsp::Isa isa : dsp::available_isas())
    for (const int length : kLengths)
      for_every_width([&](int channels, int width) {
        CAPTURE(dsp::isa_name(isa));
        CAPTURE(length);
        const Sound response = response_of(channels, length, 1);
        const Sound input = noise_of(width, static_cast<size_t>(length) + 300, 2);
        dsp::Convolver convolver(response, isa);
        const Sound output = play(convolver, input, 64);
        REQUIRE(static_cast<int>(output.size()) == std::max(channels, width));
        for (size_t o = 0; o < output.size(); ++o)
          CHECK(error_of(output[o], direct(response[std::min(o, response.size() - 1)],
                                           input[std::min(o, input.size() - 1)])) <= 2e-6);
      });
}

TEST_CASE("a convolution gives the same bits for every block length, and again after a reset") {
  for (const dsp::Isa isa : dsp::available_isas())
    for (const int length : {40, 64, 1000})
      for_every_width([&](int channels, int width) {
        CAPTURE(dsp::isa_name(isa));
        CAPTURE(length);
        dsp::Convolver convolver(response_of(channels, length, 3), isa);
        const Sound input = noise_of(width, 1500, 4);
        const Sound whole = play(convolver, input, 64);
        for (const int block : {1, 7, 33, 63}) {
          convolver.reset();
          CHECK(play(convolver, input, block) == whole);
        }
      });
}

TEST_CASE("a convolution depends on its memory alone where it starts on the grid") {
  for (const int length : {1, 64, 65, 1000})
    for_every_width([&](int channels, int width) {
      CAPTURE(length);
      dsp::Convolver convolver(response_of(channels, length, 5), dsp::best_isa());
      const Sound input = noise_of(width, 4000, 6);
      const Sound whole = play(convolver, input, 64);
      const size_t from = 20 * dsp::Convolver::grid_frames();
      const auto memory = static_cast<size_t>(convolver.memory_frames());
      CHECK(memory <= static_cast<size_t>(length) + 2 * 64 + 63);
      convolver.reset();
      const Sound late = play(convolver, part(input, from), 64);
      CHECK(part(late, memory - 1) == part(whole, from + memory - 1));
    });
}

// 1e-6 of peak: the kernels for other channels add in another order.
TEST_CASE("one channel that becomes two was the same on both sides") {
  for (const int channels : {1, 2})
    for (const size_t turn : {640, 700}) {
      CAPTURE(channels);
      CAPTURE(turn);
      dsp::Convolver convolver(response_of(channels, 400, 7), dsp::best_isa());
      Sound both = noise_of(2, 1500, 8);
      std::copy_n(both[0].begin(), turn, both[1].begin());
      const Sound truth = part(play(convolver, both, 20), turn);
      convolver.reset();
      play(convolver, {{both[0].begin(), both[0].begin() + static_cast<ptrdiff_t>(turn)}}, 20);
      const Sound found = play(convolver, part(both, turn), 20);
      for (size_t c = 0; c < 2; ++c)
        CHECK(error_of(found[c], {truth[c].begin(), truth[c].end()}) <= 1e-6);
    }
}

// Oracle: the double kernels, which are the formulas. Sums of at most 128 products: 1e-6 of peak is
// eight roundings of float32 at the peak.
TEST_CASE("the kernels of a convolution agree with the plain ones within 1e-6 on every path") {
  const dsp::TransformTable& table = dsp::transform_table();
  const auto& plain = dsp::scalar_spectrum_kernels();
  const std::vector<float> frames = noise(2 * dsp::kBins, 9);
  const std::vector<double> wide(frames.begin(), frames.end());
  for (const dsp::Isa isa : dsp::available_isas()) {
    CAPTURE(dsp::isa_name(isa));
    const auto& fast = dsp::spectrum_kernels(isa);

    dsp::Bins<double> truth[2 * dsp::kGroups];
    dsp::Bins<float> bins[2 * dsp::kGroups];
    plain.forward(table, wide.data(), truth, 2);
    fast.forward(table, frames.data(), bins, 2);
    CHECK(error_of(flat(bins, 2), flat(truth, 2)) <= 1e-6);

    std::vector<double> true_frames(dsp::kBins);
    std::vector<float> out(dsp::kBins + dsp::kSlackFrames);
    plain.inverse(table, bins_of<double>(frames).data(), true_frames.data());
    fast.inverse(table, bins_of<float>(frames).data(), out.data());
    CHECK(error_of(out, true_frames) <= 1e-6);

    for_every_width([&](int responses, int ins) {
      for (const int newest : {0, 4, kParts - 1})
        CHECK(error_of(product_of(fast, ins, responses, newest),
                       product_of(plain, ins, responses, newest)) <= 1e-6);
    });
  }
}

// Oracle: the input. A bin that two transforms exchange cancels out between them, so both stand
// against the formulas above too.
TEST_CASE("a spectrum there and back is the later half of its frames") {
  const auto& plain = dsp::scalar_spectrum_kernels();
  const std::vector<float> frames = noise(2 * dsp::kBins, 10);
  dsp::Bins<double> bins[dsp::kGroups];
  std::vector<double> back(dsp::kBins);
  plain.forward(dsp::transform_table(), std::vector<double>(frames.begin(), frames.end()).data(),
                bins, 1);
  plain.inverse(dsp::transform_table(), bins, back.data());
  for (size_t n = 0; n < dsp::kBins; ++n)
    CHECK(back[n] / dsp::kBins ==
          doctest::Approx(static_cast<double>(frames[dsp::kBins + n])).epsilon(1e-12));
}

TEST_CASE("a convolution tells the memory that its spectra hold") {
  dsp::Convolver convolver(response_of(2, 9600, 1), dsp::best_isa());
  const size_t spectra = 4 * 149 * sizeof(float) * 2 * dsp::kBins;
  CHECK(convolver.memory_bytes() >= spectra);
  CHECK(convolver.memory_bytes() <= spectra + 4096);
}
