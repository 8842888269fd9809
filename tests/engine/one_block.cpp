// Plays a model warm, then one block of 64 frames between two marks that a trace of the executed
// instructions can find. tests/bench/arm_estimate.py reads that trace.

#include <array>
#include <cstdio>

#include "dsp/isa.hpp"
#include "fixtures.hpp"
#include "rt.hpp"

extern "C" {
[[gnu::noinline]] void traced_block_begins() {
  asm volatile("" ::: "memory");
}
[[gnu::noinline]] void traced_block_ends() {
  asm volatile("" ::: "memory");
}
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: one_block MODEL\n", stderr), 2;
  const amp::FtzGuard ftz;
  const auto model = amp::nn::load_model(argv[1]);
  const auto net = model->make_net(amp::dsp::best_isa());
  const std::vector<float> input = amp::test::noise(amp::kMaxFrames, 1);
  std::array<float, amp::kMaxFrames> output{};
  for (int warm = 0; warm < 3; ++warm) net->process(input.data(), output.data(), amp::kMaxFrames);
  traced_block_begins();
  net->process(input.data(), output.data(), amp::kMaxFrames);
  traced_block_ends();
  const std::string_view isa = amp::dsp::isa_name(amp::dsp::best_isa());
  std::printf("%.*s %g\n", static_cast<int>(isa.size()), isa.data(),
              static_cast<double>(output.back()));
}
