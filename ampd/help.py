"""What the verbs teach behind their options; 80 columns, as a terminal has them."""

EXAMPLES = """\
first sound:
  ampd run                             play the rig that ampd.toml starts with
  ampd run --model my-amp.nam          play one model file, no library needed
  ampd ports                           where the guitar can come from and go to
  ampd run --input 'Scarlett:capture_2' --output system:playback_1 --output system:playback_2

while it runs, from any terminal:
  ampd rigs                            what can be loaded
  ampd load drive                      switch; nobody hears a gap
  ampd set amp/gain_db 6               turn a knob of the rig that plays
  ampd set bypass on
  ampd status                          rig, JACK, load, last switch

without a daemon:
  ampd render di.wav out.wav --rig drive
  ampd check some-amp.nam              what it is, how loud, what it costs here
  ampd check rigs/*.yaml models/*/*.json
  ampd bench models/*/*.json           the cost, measured for longer

exit codes: 0 done, 1 a bad file, name or value, 2 a bad command line, 3 no daemon answers,
4 JACK is missing or does not answer, 5 the OSC port is taken
"""

CHECK = """\
One file is told in full, many in a line each; one that does not play is told
in a sentence, and makes the exit code 1.

  field     what the sound of now depends on, looking back; it delays nothing
  latency   what the model adds to the rig's delay, at the host's rate
  loudness  measured: RMS of the model's answer to three seconds of guitar
            (ampd's own, peak 0.3), in dB of full scale; and what the file's
            metadata claims, for another guitar
  cost      thread CPU time of the bare model, the least of a tenth of a
            second; 100 % of a period is one core

examples:
  ampd check some-amp.nam
  ampd check --no-cost ~/captures/*.nam | grep ^bad
  ampd check --json --rate 44100 ~/captures/*.nam

--json: each object has file, ok, kind (model, rig, settings, or null where ok
is false); a bad file has error; a model and a rig have memory_bytes,
host_rate_hz, latency_frames, latency_ms, warnings; a rig has blocks; a model
  family architecture name weights mac_per_sample knobs has_quality
  receptive_field_frames receptive_field_ms
  memory_frames memory_ms (a recurrent net settles in that; 0: see the field)
  sample_rate_hz sample_rate_stated (false: the rate is its family's)
  loudness_file_db (null: not claimed) loudness_measured_dbfs
  cost (null, or isa period_frames ns_per_sample percent_of_period
  times_real_time)
"""

BENCH = """\
Thread CPU time of the bare model, warm, 61 rounds of 5 ms.

  ns, median  a sample: the least round is the code, the median is the code on
              this machine as busy as it was
  x real      times as fast as real time
  period      share of every period, which is a share of one core
  peak        GMAC/s that this core's multiply-add units can do, measured
              between the same rounds; 'of peak' is what the model reaches

examples:
  ampd bench models/*/*.nam
  ampd bench --isa avx2 --block 16 some-amp.nam

--json: a list of objects with file family architecture block (frames) isa
ns_per_sample (the least) median_ns_per_sample times_real_time
percent_of_period mac_per_sample gmac_per_s peak_gmac_per_s fraction_of_peak
"""
