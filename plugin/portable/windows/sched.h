#pragma once

#define SCHED_FIFO 1

struct sched_param {
  int sched_priority;
};
