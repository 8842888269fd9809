#include "mailbox.hpp"

#include <doctest/doctest.h>

#include <thread>

using amp::Mailbox;

TEST_CASE("a full mailbox refuses and keeps what it has") {
  Mailbox<int, 4> box;
  for (int i = 0; i < 4; ++i) CHECK(box.push(i));
  CHECK_FALSE(box.push(9));
  int got = -1;
  for (int i = 0; i < 4; ++i) {
    REQUIRE(box.pop(got));
    CHECK(got == i);
  }
  CHECK_FALSE(box.pop(got));
  CHECK(box.empty());
}

TEST_CASE("two threads pass a million numbers in order and lose none") {
  Mailbox<int, 64> box;
  constexpr int kCount = 1'000'000;
  std::thread producer([&] {
    for (int i = 0; i < kCount; ++i)
      while (!box.push(i)) std::this_thread::yield();
  });
  bool in_order = true;
  for (int expected = 0; expected < kCount;) {
    int got = 0;
    if (box.pop(got))
      in_order &= got == expected++;
    else
      std::this_thread::yield();
  }
  producer.join();
  CHECK(in_order);
}
