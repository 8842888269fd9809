#pragma once

#include <BaseTsd.h>
#include <io.h>

using ssize_t = SSIZE_T;

#ifndef S_ISREG
#define S_ISREG(mode) (((mode) & 0170000) == 0100000)
#endif
