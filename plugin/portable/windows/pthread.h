#pragma once

// The names that the engine's thread would use: the plugin has none of its own, so nothing is done.

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <sched.h>
#include <time.h>
#include <windows.h>

using pthread_t = void*;
using clockid_t = int;

#define CLOCK_MONOTONIC 1
#define CLOCK_THREAD_CPUTIME_ID 3

template <typename Thread>
int pthread_setschedparam(Thread, int, const sched_param*) {
  return -1;
}

inline int pthread_getcpuclockid(pthread_t, clockid_t*) {
  return -1;
}

inline int clock_gettime(clockid_t clock, timespec* now) {
  constexpr long long kPerSecond = 1000000000;
  long long ns = 0;
  if (clock == CLOCK_THREAD_CPUTIME_ID) {
    FILETIME begun;
    FILETIME ended;
    FILETIME kernel;
    FILETIME user;
    GetThreadTimes(GetCurrentThread(), &begun, &ended, &kernel, &user);
    const auto ticks = [](const FILETIME& time) {
      return (static_cast<long long>(time.dwHighDateTime) << 32) | time.dwLowDateTime;
    };
    ns = 100 * (ticks(kernel) + ticks(user));
  } else {
    LARGE_INTEGER frequency;
    LARGE_INTEGER count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    ns = count.QuadPart / frequency.QuadPart * kPerSecond +
         count.QuadPart % frequency.QuadPart * kPerSecond / frequency.QuadPart;
  }
  now->tv_sec = ns / kPerSecond;
  now->tv_nsec = static_cast<long>(ns % kPerSecond);
  return 0;
}
