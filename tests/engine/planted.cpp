/// planted malloc | race: a fault that a sanitizer must end. Where this ends well the sanitizer of
/// this build sees nothing, and its clean runs prove nothing.
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "rt.hpp"

namespace {

void* volatile kept = nullptr;
int shared = 0;

/// As a mistake would stand there: the mark, and a call that must not be.
void allocate() noexcept AMP_RT {
  AMP_RT_TRUST_BEGIN  // or the compiler would see it before the sanitizer does
      kept = std::malloc(16);
  AMP_RT_TRUST_END
}

void race() {
  const auto count = [] {
    for (int i = 0; i < 100000; ++i) shared = shared + 1;
  };
  std::thread one(count);
  std::thread two(count);
  one.join();
  two.join();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "malloc") {
    allocate();
    std::free(kept);
  } else if (what == "race") {
    race();
  } else {
    std::fprintf(stderr, "usage: planted malloc|race\n");
    return 2;
  }
  std::printf("nothing saw the %s\n", argv[1]);
  return 0;
}
