#pragma once

// Included in front of every source of the engine where the system is not Linux.

#include <fcntl.h>

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif
#ifndef O_NONBLOCK
#define O_NONBLOCK 0
#endif
#if defined(_WIN32) && defined(O_BINARY)
#undef O_CLOEXEC
#define O_CLOEXEC O_BINARY  // a model is read byte by byte as it stands
#endif

#if defined(__APPLE__)
#include <errno.h>
#include <pthread.h>
#include <time.h>

/// macOS has no clock of another thread; the plugin asks for none.
inline int pthread_getcpuclockid(pthread_t, clockid_t*) {
  return ENOSYS;
}
#endif
