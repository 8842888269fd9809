#include <algorithm>
#include <cmath>

#include "nam.hpp"

namespace amp::nn {
namespace {

void require_mono(const Json& config) {
  for (const char* key : {"in_channels", "out_channels"})
    if (config.has(key)) config.at(key).integer(1, 1);
}

/// mean, variance, weight and bias of each channel and one epsilon, folded into the convolution.
void fold_batch_norm(const NamFile& file, WeightReader& reader, ConvSpec& conv) {
  const long outs = conv.outs;
  const std::vector<float> mean = reader.take(outs);
  const std::vector<float> variance = reader.take(outs);
  const std::vector<float> weight = reader.take(outs);
  const std::vector<float> bias = reader.take(outs);
  const double epsilon = static_cast<double>(reader.take(1).front());
  const size_t row = conv.weight.size() / static_cast<size_t>(outs);
  conv.has_bias = true;
  for (size_t o = 0; o < static_cast<size_t>(outs); ++o) {
    const double spread = static_cast<double>(variance[o]) + epsilon;
    if (!(spread > 0))
      file.root.fail("the batch norm's variance of channel " + std::to_string(o) + " is " +
                     std::to_string(spread) + ", expected a number above 0.");
    const double scale = static_cast<double>(weight[o]) / std::sqrt(spread);
    for (size_t i = o * row; i < (o + 1) * row; ++i)
      conv.weight[i] = static_cast<float>(scale * static_cast<double>(conv.weight[i]));
    conv.bias.push_back(
        static_cast<float>(static_cast<double>(bias[o]) - scale * static_cast<double>(mean[o])));
  }
}

std::vector<const ConvSpec*> convs_of(const ConvStackSpec& stack) {
  std::vector<const ConvSpec*> convs;
  convs.reserve(stack.size());
  for (const ConvStep& step : stack) convs.push_back(&step.conv);
  return convs;
}

}  // namespace

std::shared_ptr<const Model> load_nam_convnet(NamFile& file) {
  const Json config = file.config();
  require_mono(config);
  const int channels = static_cast<int>(config.at("channels").integer(1, kMostNamSize));
  const std::vector<int> dilations = config.at("dilations").integers(1, 1'000'000, kMostNamSize);
  const bool batch_norm = config.at("batchnorm").boolean();
  const int groups = integer_or(config, "groups", 1, 1, kMostNamSize);
  const Activation activation = read_activation(config.at("activation"), channels);
  ConvStackSpec stack;
  for (const int dilation : dilations) {
    ConvStep& step = stack.emplace_back();
    if (stack.size() > 1) step.before = activation;
    step.conv.ins = stack.size() > 1 ? channels : 1;
    step.conv.outs = channels;
    step.conv.kernel = 2;
    step.conv.dilation = dilation;
    step.conv.groups = groups;
    step.conv.has_bias = !batch_norm;
    if (step.conv.ins % groups != 0 || channels % groups != 0)
      config.at("groups").refuse("a divisor of 1 and " + std::to_string(channels));
  }
  ConvStep& head = stack.emplace_back();
  head.before = activation;
  head.conv.ins = channels;
  const long norms = batch_norm ? static_cast<long>(dilations.size()) * (4L * channels + 1) : 0;
  charge(file, convs_of(stack), norms);
  WeightReader reader(read_weights(file));
  for (ConvStep& step : stack) {
    reader.fill(step.conv);
    if (!step.conv.has_bias) fold_batch_norm(file, reader, step.conv);
  }
  return std::make_shared<ConvStackModel>(file.info, std::move(stack));
}

std::shared_ptr<const Model> load_nam_linear(NamFile& file) {
  const Json config = file.config();
  require_mono(config);
  ConvStackSpec stack(1);
  ConvSpec& conv = stack.front().conv;
  conv.kernel = static_cast<int>(config.at("receptive_field").integer(1, kMostFieldFrames));
  conv.has_bias = boolean_or(config, "bias", false);
  charge(file, {&conv}, 0);
  WeightReader reader(read_weights(file));
  reader.fill(conv);
  // An impulse response, as Core plays it: the newest sample meets the first weight.
  std::reverse(conv.weight.begin(), conv.weight.end());
  return std::make_shared<ConvStackModel>(file.info, std::move(stack));
}

}  // namespace amp::nn
