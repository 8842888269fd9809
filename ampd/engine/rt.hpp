#pragma once

#include <pthread.h>

#include <cstdint>
#include <ctime>

#if defined(__SSE__)
#include <immintrin.h>
#endif

/// Marks a function of the audio thread: no allocation, no lock, no system call, no exception.
/// Clang 20 and newer check it at compile time (-Wfunction-effects) and at run time
/// (-fsanitize=realtime); elsewhere it is a word for readers. It stands after `noexcept`, and
/// overrides repeat it.
#if defined(__clang__) && defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::nonblocking)
#define AMP_RT [[clang::nonblocking]]
#endif
#endif
#ifndef AMP_RT
#define AMP_RT
#endif

/// Around a foreign call that is known not to block, though its header does not say so.
#if defined(__clang__) && defined(__has_warning)
#if __has_warning("-Wfunction-effects")
#define AMP_RT_TRUST_BEGIN \
  _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wfunction-effects\"")
#define AMP_RT_TRUST_END _Pragma("clang diagnostic pop")
#endif
#endif
#ifndef AMP_RT_TRUST_BEGIN
#define AMP_RT_TRUST_BEGIN
#define AMP_RT_TRUST_END
#endif

/// Thread roles. Every public function of the engine names one of them.
///   control     the one thread at a time that builds, selects and sets (Python's session)
///   warm        the engine's own thread: brings built chains up to date, reports, frees
///   audio       the host's callback; the only caller of functions marked AMP_RT
///   supervisor  the one thread that calls libjack
///   any         atomics only
namespace amp {

/// The most frames that a block, a chain or a net is given at once. Longer host periods are cut.
inline constexpr int kMaxFrames = 64;

/// Nanoseconds of CLOCK_MONOTONIC. Thread: any.
inline int64_t monotonic_ns() noexcept AMP_RT {
  timespec now{};
  AMP_RT_TRUST_BEGIN  // the vDSO answers in user space
      clock_gettime(CLOCK_MONOTONIC, &now);
  AMP_RT_TRUST_END
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

/// The clock of the CPU time that the calling thread takes, for other threads to read. Thread: any.
inline clockid_t own_cpu_clock() noexcept AMP_RT {
  clockid_t clock{};
  AMP_RT_TRUST_BEGIN  // computed of the thread's number
      pthread_getcpuclockid(pthread_self(), &clock);
  AMP_RT_TRUST_END
  return clock;
}

/// What tells the time; tests have their own.
using Clock = int64_t (*)() noexcept AMP_RT;

/// Sets flush-to-zero and denormals-are-zero for its lifetime, then restores what was there.
/// Denormals cost 3.6-5 times the time of a net. Thread: any.
class FtzGuard {
 public:
  FtzGuard() noexcept AMP_RT : saved_(read()) { write(saved_ | kFlags); }
  ~FtzGuard() noexcept { write(saved_); }
  FtzGuard(const FtzGuard&) = delete;
  FtzGuard& operator=(const FtzGuard&) = delete;

  /// True if the calling thread flushes denormals now.
  static bool active() noexcept AMP_RT { return (read() & kFlags) == kFlags; }

 private:
#if defined(__SSE__)
  using Word = uint32_t;
  static constexpr Word kFlags = 0x8040;  // FTZ | DAZ
  static Word read() noexcept AMP_RT { return _mm_getcsr(); }
  static void write(Word word) noexcept AMP_RT { _mm_setcsr(word); }
#elif defined(__aarch64__)
  using Word = uint64_t;
  static constexpr Word kFlags = 1ULL << 24;  // FZ: operands and results
  static Word read() noexcept AMP_RT {
    Word word = 0;
    asm volatile("mrs %0, fpcr" : "=r"(word)::"memory");
    return word;
  }
  static void write(Word word) noexcept AMP_RT {
    asm volatile("msr fpcr, %0" ::"r"(word) : "memory");
  }
#else
  using Word = uint32_t;
  static constexpr Word kFlags = 0;
  static Word read() noexcept AMP_RT { return 0; }
  static void write(Word) noexcept AMP_RT {}
#endif
  Word saved_;
};

}  // namespace amp
