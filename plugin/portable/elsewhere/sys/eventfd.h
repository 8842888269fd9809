#pragma once

// Only a threaded engine opens one, and the plugin's is not: -1 is "none" (EngineOptions).

#define EFD_CLOEXEC 0
#define EFD_NONBLOCK 0

inline int eventfd(unsigned, int) {
  return -1;
}
