"""What the daemon's log may say, by code: what it means, and what to do. `ampd explain` shows it.

Every warning and error of the log carries one of these codes, and none stands here in vain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "AMPD-"


@dataclass(frozen=True)
class Code:
    """One kind of trouble."""

    meaning: str
    remedy: str


CODES: Mapping[str, Code] = {
    "BANK-FULL": Code(
        "The rigs of the set need more memory than they may have. Those that found no room are "
        "built when they are asked for, which a player hears as a wait, not as a gap.",
        "Raise [bank] memory_mb in ampd.toml, or put fewer rigs into the set.",
    ),
    "CACHE-WRITE": Code(
        "What is measured of models and rigs cannot be kept. The sound is the same; each start "
        "measures anew.",
        "Make room, or let [paths] cache in ampd.toml name a folder that can be written.",
    ),
    "CLIENT-SLOW": Code(
        "A client of the page or of OSC over TCP does not read what it is sent. It was let go; the "
        "sound and the others do not notice.",
        "Load the page anew. If it comes back, look at the network between the two.",
    ),
    "CROWD": Code(
        "A machine of the network has opened more connections than one gets, or all of them are "
        "taken. The new one was closed; this machine's own always find room.",
        "Close pages and controllers that are not used; look at the machine that the text names.",
    ),
    "FILES-FULL": Code(
        "The process has no descriptors left, so no new connection is taken. The sound, OSC over "
        "UDP and the connections that are there go on; new ones are served again by themselves.",
        "Look who holds connections to the port: `ss -tn sport = :9010`.",
    ),
    "HTTP-DROPPED": Code(
        "A request that is no HTTP was dropped.",
        "Look at the sender that the text names. Hostile or broken, it harms nothing.",
    ),
    "HUSHED": Code(
        "Something in the network causes more lines than the log takes. They were counted, not "
        "written.",
        "The lines before it name the sender.",
    ),
    "INDEX-ANEW": Code(
        "The index of the library cannot be read, and is made anew. Searches find less meanwhile.",
        "Nothing, unless it comes back: then the disk of [paths] cache is failing.",
    ),
    "INDEX-PART": Code(
        "The library was not looked through to its end, so searches do not find all of it. Rigs "
        "play, whether their models are found by a search or not.",
        "The text names the reason: a folder that cannot be read, or a cache without room.",
    ),
    "INTERNAL": Code(
        "A fault of ampd itself. Where the sound can go on, it does.",
        "Report it with the lines of the log around it. `systemctl restart ampd` begins anew.",
    ),
    "JACK-HANGS": Code(
        "A call of the JACK library does not come back: the server is stopped or hangs.",
        "Restart the JACK server. ampd goes on by itself once it answers.",
    ),
    "JACK-LATENCY": Code(
        "JACK did not take the rig's latency. Recorders may place what they record wrongly.",
        "Nothing on stage. For a recording, restart the JACK server.",
    ),
    "JACK-LINK": Code(
        "Two ports cannot be connected.",
        "`ampd ports` shows which there are; [jack] in ampd.toml says which are wanted.",
    ),
    "JACK-LOST": Code(
        "The JACK server is gone, changed its rate or has not run a cycle for 3 s. ampd keeps rig "
        "and values, and plays on as soon as there is one.",
        "Start the server: `systemctl start jackd`, or look why it ended: `journalctl -u jackd`.",
    ),
    "JACK-STUCK": Code(
        "A call of the JACK library never came back, though the server answers other programs: it "
        "may be waiting for a lock of a server that is gone. Only a new process has sound, so "
        "under systemd the daemon ends itself, and the next one plays what this one played.",
        "Nothing under systemd; elsewhere start ampd again.",
    ),
    "MIDI-MAP": Code(
        "The player's own MIDI map cannot be read. The one before it holds.",
        "The text names file, line and what is expected there; it is read again when it is saved.",
    ),
    "OSC-DROPPED": Code(
        "A packet that is no OSC, or too much of it at once, was dropped.",
        "Look at the sender that the text names. Hostile or broken, it harms nothing.",
    ),
    "PAIR-KEEP": Code(
        "The pairing token cannot be kept. Who is paired now is a guest after the next start.",
        "Make room on the disk, or let [paths] state in ampd.toml name a folder that can be "
        "written.",
    ),
    "PAIR-REFUSED": Code(
        "A machine of the network showed a pairing token or a signature that is not good: an old "
        "one, or a guess.",
        "`ampd page` shows the token that is good. Unknown senders harm nothing; `ampd pair --new` "
        "makes another token.",
    ),
    "RIG-DRY": Code(
        "No rig can be built, so the dry guitar plays.",
        "`ampd rig validate` says what is wrong with the rig. [rig] start names the one to begin "
        "with.",
    ),
    "RIG-NOT-FINITE": Code(
        "A model gave a sample that is no number. The rig was muted in the same block and plays "
        "dry until it is selected again.",
        "`ampd check` the model; train or fetch it anew.",
    ),
    "RIG-TOO-SLOW": Code(
        "Three blocks within a second were late by the rig's own work. The part of it that takes "
        "most was left out at once, as if bypassed; the rest plays on in time. An amp whose model "
        "comes in several sizes is heard again a moment later, in the smallest.",
        "`ampd status` shows the load of each block. Take a smaller model, a longer period of "
        "JACK, or look whether the processor slows itself down by heat.",
    ),
    "RIG-TROUBLE": Code(
        "A rig cannot be built or taken over. What played plays on.",
        "The text names file, line and what is expected there; it is read again when it is saved.",
    ),
    "SET-TROUBLE": Code(
        "A file of the library's rigs or sets is not as it should be, or two want the same place.",
        "The text names the file and what is expected; `ampd rig validate` looks at all of them.",
    ),
    "START": Code(
        "The daemon cannot start as asked.",
        "The text says why: a rig that is asked for and cannot be built, a taken port, a setting.",
    ),
    "STATE-PART": Code(
        "Something that was turned or chosen is not there any more: a knob, a file, a set. The "
        "rest is as it was left.",
        "Nothing; or bring back what the text names, and choose it again.",
    ),
    "STATE-READ": Code(
        "The state that was kept cannot be used. The one before it plays, or the configured rig.",
        "Look whether the rig sounds as wanted. If it comes back, the disk is failing.",
    ),
    "STATE-UNVETTED": Code(
        "What played last needs a file that was never examined on this machine. What is known to "
        "be good plays meanwhile.",
        "Nothing: the examination takes about a second, and the rig follows by itself.",
    ),
    "STATE-WRITE": Code(
        "What plays cannot be kept for the next start. The sound goes on, the state before stays, "
        "and it is tried again at the next change and every 30 s.",
        "Make room on the disk, or let [paths] state in ampd.toml name a folder that can be "
        "written.",
    ),
    "WATCH": Code(
        "Edited files are not noticed: the system's limit is reached, or a folder is not there.",
        "`sysctl fs.inotify.max_user_watches=524288`; or `systemctl restart ampd` after an edit.",
    ),
    "ZEROCONF": Code(
        "Phones and controllers do not find the box by its name. Its address works.",
        "`ampd page` shows the address; look whether the network is up.",
    ),
}


def code(name: str) -> dict[str, str]:
    """What a call of the log takes as `extra`. The name is one of CODES."""
    return {"code": PREFIX + name}


def find(text: str) -> str:
    """The name of a code as people write it, with or without the prefix; "" for none."""
    name = text.strip().upper().removeprefix(PREFIX)
    return name if name in CODES else ""
