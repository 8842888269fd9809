/* Loaded before libc: a disk that fails on the daemon's new state file alone. $AMPD_DISK_FAULT names
 * a file with the fault in force: 0 none, an errno, or -1 for a write that says it has written. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int state_file = -1;

static int fault(void) {
  char text[16] = "";
  const char* path = getenv("AMPD_DISK_FAULT");
  const int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0) : -1;
  if (file < 0) return 0;
  (void)syscall(SYS_read, file, text, sizeof text - 1);
  (void)syscall(SYS_close, file);
  return atoi(text);
}

int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = va_arg(more, int);
  va_end(more);
  const int is_state = strstr(path, ".state.new") != NULL;
  if (is_state && fault() == EROFS) {
    errno = EROFS;
    return -1;
  }
  const int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (is_state) state_file = file;
  return file;
}

ssize_t write(int file, const void* data, size_t size) {
  if (file >= 0 && file == state_file) {
    const int now = fault();
    if (now < 0) return (ssize_t)size;
    if (now > 0) {
      errno = now;
      return -1;
    }
  }
  return syscall(SYS_write, file, data, size);
}

int close(int file) {
  if (file >= 0 && file == state_file) state_file = -1;
  return (int)syscall(SYS_close, file);
}
