#pragma once

// Proof that an audio thread allocates nothing, locks nothing and calls nothing of the system:
// malloc and its family, mutexes, condition variables and sleeps are replaced in the program that
// includes this, in one file, and on x86 the kernel itself traps every system call of the thread
// (Syscall User Dispatch). The checks are armed inside a host's callback alone. First each check
// must catch a planted fault.

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
}

namespace {

thread_local bool armed = false;
thread_local volatile char selector = 0;  // 0 allows system calls, 1 traps them
std::atomic<int> heap_calls{0};
std::atomic<int> lock_calls{0};
std::atomic<int> system_calls{0};

void count_heap() {
  if (armed) ++heap_calls;
}
void count_lock() {
  if (armed) ++lock_calls;
}

void on_sigsys(int, siginfo_t*, void*) {
  selector = 0;  // the handler's own return is a system call
  ++system_calls;
}

bool trap_system_calls() {
#if defined(__x86_64__) && defined(PR_SET_SYSCALL_USER_DISPATCH)
  struct sigaction action{};
  action.sa_sigaction = on_sigsys;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSYS, &action, nullptr);
  return ::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) == 0;
#else
  return false;
#endif
}

struct Armed {
  Armed() {
    armed = true;
    selector = 1;
  }
  ~Armed() {
    selector = 0;
    armed = false;
  }
};

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
void* malloc(size_t size) {
  return count_heap(), __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  return count_heap(), __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  return count_heap(), __libc_realloc(old, size);
}
void* aligned_alloc(size_t align, size_t size) {
  return count_heap(), __libc_memalign(align, size);
}
void* memalign(size_t align, size_t size) {
  return count_heap(), __libc_memalign(align, size);
}
int posix_memalign(void** out, size_t align, size_t size) noexcept {
  count_heap();
  *out = __libc_memalign(align, size);
  return *out == nullptr ? 12 : 0;
}
void free(void* memory) {
  count_heap(), __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
  return count_lock(), real(mutex);
}
int pthread_cond_signal(pthread_cond_t* condition) {
  static const auto real = next<int (*)(pthread_cond_t*)>("pthread_cond_signal");
  return count_lock(), real(condition);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  static const auto real = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  return count_lock(), real(lock);
}
}

namespace {

int failures = 0;

void expect(bool holds, const char* claim) {
  std::printf("%s: %s\n", holds ? "ok" : "FAILED", claim);
  failures += holds ? 0 : 1;
}

void forget() {
  heap_calls = lock_calls = system_calls = 0;
}

void prove_that_checks_work(bool traps) {
  static std::mutex mutex;
  mutex.lock();  // resolves the real function before anything is counted
  mutex.unlock();
  forget();
  {
    const Armed checks;
    void* volatile leak = std::malloc(16);
    std::free(leak);
  }
  expect(heap_calls == 2, "a planted malloc and free are caught");
  forget();
  {
    const Armed checks;
    const std::lock_guard lock(mutex);
  }
  expect(lock_calls == 1, "a planted lock is caught");
  forget();
  if (traps) {
    const Armed checks;
    ::syscall(SYS_getppid);
  }
  if (traps)
    expect(system_calls == 1, "a planted system call is caught");
  else
    std::printf("skipped: the kernel offers no Syscall User Dispatch, system calls go unseen\n");
  forget();
}

}  // namespace
