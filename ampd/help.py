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
  ampd snapshot lead                   values and bypasses of the same rig
  ampd sets gig                        other rigs under the foot
  ampd tune                            a needle; the rig is silent meanwhile
  ampd set amp/gain_db 6               turn a knob of the rig that plays
  ampd set bypass on
  ampd learn delay/mix                 move a pedal, and it turns that knob
  ampd status                          rig, JACK, load, last switch
  ampd watch                           all of it, live; keys switch rigs

without a daemon:
  ampd rig new lead --full             write a rig; 'ampd rig --help' has the rest
  ampd rig validate                    does every rig play, and if not, why
  ampd render di.wav out.wav --rig drive
  ampd check some-amp.nam              what it is, how loud, what it costs here
  ampd check rigs/*.yaml models/*/*.json
  ampd bench models/*/*.json           the cost, measured for longer
  ampd models plexi crunch             find models; 'ampd irs' finds cabinets
  ampd doctor                          what keeps this machine from real time

exit codes: 0 done, 1 a bad file, name or value, 2 a bad command line, 3 no daemon answers,
4 JACK is missing or does not answer, 5 the OSC port is taken
"""

CHECK = """\
One file is told in full, many in a line each; one that does not play is told
in a sentence, and makes the exit code 1.

  field     what the sound of now depends on, looking back; it delays nothing
  latency   what the model adds to the rig's delay, at the host's rate
  loudness  measured, of the answer to three seconds of guitar (ampd's own,
            peak 0.3): LUFS, weighed as the ear weighs it (the K-weighting of
            ITU-R BS.1770, no gate, the mean of both sides); RMS, to compare
            with what the file's metadata claims, for another guitar
  silence   what the model gives for it: noise, and direct current
  polarity  and how much later a click is answered: by more than a few
            frames where a capture was not aligned
  cost      thread CPU time of the bare model, the least of a tenth of a
            second; 100 % of a period is one core

All but the cost is measured once and kept by the file's hash ([paths] cache).

--force  the daemon refuses a model that takes more than 60 % of a period on this
         machine; forced, by the hash of its bytes, it plays all the same

examples:
  ampd check some-amp.nam
  ampd check --no-cost ~/captures/*.nam | grep ^bad
  ampd check --json --rate 44100 ~/captures/*.nam

--json: each object has file, ok, kind (model, rig, settings, or null where ok
is false); a bad file has error; a model and a rig have memory_bytes,
host_rate_hz, latency_frames, latency_ms, loudness_lufs, warnings; a rig has
blocks; a model
  family architecture name weights mac_per_sample knobs has_quality
  receptive_field_frames receptive_field_ms
  memory_frames memory_ms (a recurrent net settles in that; 0: see the field)
  sample_rate_hz sample_rate_stated (false: the rate is its family's)
  loudness_file_db (null: not claimed) loudness_measured_dbfs (both RMS)
  dc_dbfs noise_dbfs (for silence; -200: none)
  polarity (1, -1 upside down, 0 cannot be told)
  click_latency_frames (measured, at the model's rate; null: no answer)
  input_level_dbu output_level_dbu (claimed by the file, or null) sha256
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

RIG = """\
A rig is one sound, a file NAME.yaml in the folder of rigs:

  program: 5
  chain:
    - amp: {model: champ, gain_db: 3}
    - cab: {}
    - reverb: {decay_s: 1.8, mix: 0.15}

rigs/README.md has every key and every value of every block.

examples:
  ampd rig new lead --full      write a whole board to begin with
  ampd rig validate lead        does it play, and if not, why
  ampd rig show lead            its blocks, values, snapshots and cost
  ampd load lead                play it, where the daemon runs
"""

RIG_SHOW = """\
The rig is built as it would be played: a block has all its values, those that
the file leaves out too. Each value stands behind its name, which is its address
behind the block's: amp/gain_db is what 'ampd set' and a foot controller turn.

  program   what selects it: its own number, or the one that is free for it
  latency   what the rig delays, at the host's rate
  cost      thread CPU time of the whole rig, the least of a third of a second

examples:
  ampd rig show lead
  ampd rig show --rate 44100 rigs/lead.yaml
"""

RIG_NEW = """\
Writes NAME.yaml into the folder of rigs and says what to do next. A file that
is there is never overwritten. Without --model the amp plays the first model of
the library; a copy by --from leaves the program number out.

examples:
  ampd rig new crunch --model champ        an amp and a loudspeaker
  ampd rig new lead --full                 gate to reverb, two snapshots
  ampd rig new lead2 --from lead
"""

RIG_VALIDATE = """\
Each rig is read, its models and impulses are found, and its chain is built as
it would be played. One line a rig: ok and what it holds, or bad and file, line,
what was found, what is expected. A set (sets/NAME.yaml in the folder of rigs)
is good where all its rigs are there. Exit code 1 where one is bad.

Without a name every rig and set of the library is examined; a line with 'note'
tells of two that ask for one number, and of what a model's file warns of.

examples:
  ampd rig validate lead
  ampd rig validate rigs/*.yaml rigs/sets/*.yaml
  ampd rig validate && ampd run
"""

LEARN = """\
Asks the running daemon for the next controller that moves, writes it into your
own map (midi.yaml; [midi] map in ampd.toml), and the daemon reads that at once.
What the controller did before it does no more. A rig's own 'midi:' stands over
your map, and your map over the profile of ampd.toml.

Not learned: controllers 0 and 32 (bank select), 33 to 63 (lower halves), and
what the profile keeps for tap, tuner, mute and panic; it goes on listening.

PATH is what OSC uses behind /ampd/, or an action:
  amp/gain_db, delay/bypass, mix     any knob or switch of the rig that plays
  bypass, mute, tuner, master_db, tempo_bpm, morph
  rig/next, rig/prev, rig/program/5, rig/step (0-63 back, 64-127 on)
  snapshot/next, snapshot/prev, snapshot/select (0-7, 8 next, 9 previous)
  set/next, set/prev, tap, panic
  foot/1 to foot/10                  bypass of that block of the chain

examples:
  ampd learn amp/gain_db --low -10 --high 20
  ampd learn delay/bypass --mode toggle    a foot switch
  ampd learn master_db --low -90 --high 0 --curve fast       a volume pedal
  ampd learn --list                        what every controller does
  ampd learn --forget delay/mix            or the controller: --forget 74
"""

SNAPSHOT = """\
A snapshot is a set of values and bypasses that the rig's file lays over its
own: no reload, no gap. 0 is the rig itself.

examples:
  ampd snapshot              which there are, and which is on
  ampd snapshot 2
  ampd snapshot lead
  ampd snapshot next
  ampd set morph 0.5         half-way between two of them
"""

SETS = """\
A set is a file, sets/NAME.yaml in the folder of rigs: the rigs that are under
the foot, and their program numbers. 'all' is every rig of the folder. What
plays plays on; the next program change is the set's.

examples:
  ampd sets                  which there are, and which is under the foot
  ampd sets gig
  ampd sets next
"""

TUNE = """\
The needle is # on a scale of a semitone, half of it to either side; the | in
its middle is in tune. Ctrl-C ends it, and the rig is heard again.

examples:
  ampd tune
  ampd tune --reference 442
  ampd tune --loud           the guitar is heard meanwhile
"""

PAGE = """\
The daemon serves a page: rigs to switch with a thumb, the tuner, every knob of
the rig that plays, and how the machine is. On this machine any browser opens
it. For a phone, put this into ampd.toml and start ampd again:

  [control]
  lan = true

Then 'ampd page' shows a code to be photographed, which pairs the phone, and
zeroconf tells the name. Who comes without the code is a guest: rigs,
snapshots, mute, tuner, and no knob.

examples:
  ampd page
"""

PAIR = """\
The token is what a phone, a controller or a program of the network shows to be
more than a guest. The daemon made it when it was first started with
'lan = true' under [control]. It is in the code of 'ampd page', in the surfaces
of 'ampd layouts --paired', and in any OSC address: /ampd/TOKEN/amp/gain_db.

examples:
  ampd pair
  ampd pair --new            another one; whoever was paired is a guest again
"""

SET = """\
Without a value the knob is shown with its range; without a path all of them
are. A value beyond the range is clamped, and what was accepted is printed.

examples:
  ampd set                       every knob of the rig that plays, and of the rack
  ampd set amp/gain_db
  ampd set amp/gain_db 6
  ampd set output/gain_db -3     a negative value needs no quoting
  ampd set eq/high_cut_hz 50%    half of the way of a fader, its taper included
  ampd set bypass on
"""

LAYOUTS = """\
Asks the running daemon which knobs the rig that plays has, and writes

  ampd.json   a session for Open Stage Control
  ampd.tosc   a layout for TouchOSC

with a widget for each. Files of those names that are there are replaced. Both
subscribe by themselves, so the faders stand where the knobs are.

  open-stage-control --load ampd.json --send 127.0.0.1:9010 --osc-port 9011

TouchOSC: a UDP connection to the daemon's address, send port 9010, receive port
9011; the daemon needs 'lan = true' under [control], and the layout --paired:
then every address has the pairing token, so keep the file to yourself.

examples:
  ampd layouts
  ampd layouts surfaces --paired
"""

MODELS = """\
Every word must be found, in any case, somewhere in the name, title, gear,
tone, maker, family or architecture. A word can be bound to a place:

  name:  gear:  tone:  family:   look there alone, such as tone:hi_gain
  cost<5k  cost>=800  cost<1M    how many weights the net has, which is near to
                                 its multiplications a sample: what it costs

One model alone is told in full, with its hash, and what 'ampd check' measured
of it. A file that no rig can use stands in the list with the reason.

The daemon answers where one runs; it looks through the folders by itself, at
idle priority. Without one the folders are looked through now: the first time
takes a while, afterwards only what is new is read ([paths] cache keeps it).

examples:
  ampd models                        everything, by name
  ampd models plexi crunch
  ampd models gear:fender tone:clean cost<5k
  ampd models --json family:nam | jq -r '.[].path'

--json: each object has name path size_bytes and, where the file says so, title
gear tone author family architecture weights rate_hz reason (not usable); one
model alone has sha256 and passport (null, or as 'ampd check' keeps it)
"""

IRS = """\
Every word must be found in the name, in any case; family:wav, flac or aiff. A
file that a cab cannot use stands in the list with the reason.

examples:
  ampd irs
  ampd irs 4x12 greenback
  ampd irs --json | jq -r '.[] | select(.reason) | .path'

--json: each object has name path size_bytes family rate_hz channels seconds,
or reason (not usable)
"""

WATCH = """\
One screen of 80 x 24 or more, over SSH too: what JACK does, the rig and its
snapshots, the rigs under the foot, levels with peak hold, the
load of the audio callback and of each block of the chain, dropouts by cause,
the last switch, and the tuner while it is on.

  up, down, enter  choose a rig, play it    left, right  the rig before, next
  s, S             snapshot: next, before   b, m, t      bypass, mute, tuner
  !                panic: the dry guitar    z            counters from zero
  q                leave; what plays plays on

  load   the time of the audio callback as a share of its period, over about a
         second: the middle, one in a hundred, the worst, and the worst since z
  late   blocks that were late by the engine's own work, and by the machine
         while the engine's thread did not run; xruns that the server counted
"""

DOCTOR = """\
One line a check: good, warn (it may cost dropouts), bad (it will) or unknown,
what was found, and below it the one line that mends it. Nothing is changed.
Exit code 1 where something is bad.

What is looked at: whether threads may be real-time and memory locked, the JACK
or PipeWire server and its period, the load and dropouts of a running daemon,
throttling, the processor's clock, sound cards and USB, the kernel, how much the
kernel lets real-time threads have, quotas, the library and its cache, and whom
[control] in ampd.toml lets in from the network.

examples:
  ampd doctor
  ampd doctor --json | jq -r '.[] | select(.verdict == "bad") | .fix'

--json: each object has name, verdict, found, fix ("" where there is nothing to
mend)
"""

EXPLAIN = """\
Every warning and error of the daemon's log carries a code. Without CODE all of
them are listed.

examples:
  ampd explain AMPD-JACK-LOST
  journalctl -u ampd AMPD_CODE=AMPD-STATE-WRITE
"""

INSTALL_SERVICE = """\
Writes the unit with the paths of this ampd and of the ampd.toml that is found
here, tells systemd and enables it. Done again, it brings the files up to date:
after an ampd.toml was moved, or [control] lan was switched, it has to be.

  as root  the machine's service: plays from the power switch on, without a
           login, hardened; JACK must run as the same account (--as NAME)
  --user   a service of this user: plays from the login on, with PipeWire

examples:
  ampd install-service --user
  sudo .venv/bin/ampd install-service --dry-run
  systemctl status ampd; journalctl -u ampd
"""

UNINSTALL_SERVICE = """\
Stops the service and removes the files that install-service wrote, and no
others. What was kept of the playing stays, unless --purge is given.
"""
