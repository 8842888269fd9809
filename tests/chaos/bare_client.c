/* bare_client OUT IN: a JACK client that does nothing but noise, for comparison. Connects its output to
 * the port OUT and the port IN to its input, unless they are "". Says "ready", and at SIGTERM
 * {"event": "ended", "cycles", "xruns"}. */
#include <jack/jack.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static jack_port_t *in, *out;
static volatile long cycles, xruns;

static int process(jack_nframes_t frames, void* unused) {
  static unsigned random = 1;
  float* to = jack_port_get_buffer(out, frames);
  (void)jack_port_get_buffer(in, frames);
  (void)unused;
  for (jack_nframes_t i = 0; i < frames; ++i) {
    random = random * 1664525u + 1013904223u;
    to[i] = 0.1f * ((float)(random >> 8) / 16777216.0f - 0.5f);
  }
  ++cycles;
  return 0;
}

static int on_xrun(void* unused) {
  (void)unused;
  ++xruns;
  return 0;
}

int main(int argc, char** argv) {
  jack_client_t* client = argc == 3 ? jack_client_open("bare", JackNoStartServer, NULL) : NULL;
  sigset_t ends;
  int number;
  if (client == NULL) return 1;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  in = jack_port_register(client, "in", JACK_DEFAULT_AUDIO_TYPE, JackPortIsInput, 0);
  out = jack_port_register(client, "out", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput, 0);
  jack_set_process_callback(client, process, NULL);
  jack_set_xrun_callback(client, on_xrun, NULL);
  if (jack_activate(client) != 0) return 1;
  if (argv[1][0] && jack_connect(client, "bare:out", argv[1]) != 0) return 1;
  if (argv[2][0] && jack_connect(client, argv[2], "bare:in") != 0) return 1;
  /* What the graph's own change costs is nobody's. */
  cycles = xruns = 0;
  puts("{\"event\": \"ready\"}");
  fflush(stdout);
  sigwait(&ends, &number);
  printf("{\"event\": \"ended\", \"cycles\": %ld, \"xruns\": %ld}\n", cycles, xruns);
  fflush(stdout);
  jack_client_close(client);
  return 0;
}
