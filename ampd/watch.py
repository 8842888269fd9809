"""What `ampd watch` knows of the daemon, and what its keys do."""

import json
import time
from typing import Any

from ampd.client import ROOT, Client, Message
from ampd.errors import UnreachableError
from ampd.screen import Screen
from ampd.watch_view import Meter, Scene, counted, draw, glyphs

POLL_S = 0.25  # the whole state, where nothing changed
SOON_S = 0.03  # and after a change
FRAME_S = 0.08  # the picture: 12 a second
LEASE_S = 10
SILENCE_S = 2.0
RETRY_S = 0.5
NOTE_S = 4.0
PAGE = 8
SILENT = "no answer; waiting for it to come back"


class Watch:
    """What is known of the daemon, and what keys do. One thread."""

    def __init__(self, client: Client, place: str) -> None:
        self.scene = Scene(now_s=time.monotonic())
        self.ended = False
        self._client = client
        self._place = place
        self._heard_s = time.monotonic()
        self._poll_s = 0.0  # when the state is asked for next
        self._lease_s = 0.0
        self._note_s = 0.0

    def run(self, screen: Screen) -> None:
        """Until a key ends it."""
        how, drawn_s = glyphs(), 0.0
        while not self.ended:
            now_s = time.monotonic()
            self.tick(now_s)
            if now_s >= drawn_s:
                drawn_s = now_s + FRAME_S
                screen.show(draw(self.scene, *screen.size, how))
            limit_s = min(self._poll_s, drawn_s) - time.monotonic()
            for key in screen.wait(self._client.socket.fileno(), limit_s):
                self.press(key)
            self.listen()

    # --- the daemon -----------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Ask for what is due."""
        self.scene.now_s = now_s
        if now_s > self._note_s:
            self.scene.note = ""
        if now_s - self._heard_s > SILENCE_S:
            self._lose()
        if now_s >= self._poll_s:
            self._poll_s = now_s + (RETRY_S if self.scene.lost else POLL_S)
            self._send("status")
        if now_s >= self._lease_s:
            self._lease_s = now_s + (RETRY_S if self.scene.lost else LEASE_S / 2)
            self._send("subscribe", ROOT, LEASE_S)

    def _send(self, path: str, *arguments: str | int | float | bool) -> None:
        try:
            self._client.send(path, *arguments)
        except UnreachableError:
            self._lose()

    def _lose(self) -> None:
        self.scene.lost = f"ampd at {self._place}: {SILENT}"

    def listen(self) -> None:
        """Take over all that has come."""
        while True:
            try:
                message = self._client.receive(0.0)
            except UnreachableError:
                self._lose()
                return
            if message is None:
                return
            self.hear(message)

    def hear(self, message: Message) -> None:
        """Take over one message of the daemon's."""
        path, values = message
        self._heard_s = time.monotonic()
        if self.scene.lost:
            self.scene.lost = ""
            self._lease_s = 0.0
        match path, values:
            case "status", [text]:
                self._take_state(json.loads(str(text)))
            case "tuner/pitch", [note, float(cents), float(hz)]:
                self.scene.pitch = (str(note), cents, hz)
            case (("meter/in" | "meter/out"), [float(peak_db), *more]):
                rms_db = more[0] if more and isinstance(more[0], float) else peak_db
                self.scene.meters[path[6:]].take(peak_db, rms_db, self._heard_s)
            case "error", [_, text]:
                self._say(str(text))
            case "event/fault", [_, text]:
                self.scene.trouble = str(text)
            case (("subscribe" | "pong"), _):
                pass
            case _:
                self._poll_s = min(self._poll_s, self._heard_s + SOON_S)

    def _take_state(self, state: dict[str, Any]) -> None:
        scene = self.scene
        before = scene.state.get("wanted_rig")
        scene.state = state
        scene.worst_load = max(scene.worst_load, state["load"]["maximum"])
        if any(count < scene.zero.get(name, 0) for name, count in counted(state).items()):
            scene.zero = {}  # another daemon, or another server
        if state["wanted_rig"] != before or not scene.chosen:
            scene.chosen = state["wanted_rig"]

    # --- keys -----------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """What a key does."""
        match key:
            case "q" | "escape":
                self.ended = True
            case "up" | "down" | "page up" | "page down" | "k" | "j":
                self._move({"up": -1, "k": -1, "page up": -PAGE, "page down": PAGE}.get(key, 1))
            case "enter":
                self._do("rig", self.scene.chosen, note=f"{self.scene.chosen} ...")
            case "right" | "n":
                self._do("rig/next")
            case "left" | "p":
                self._do("rig/prev")
            case "s" | "S":
                self._do("snapshot/next" if key == "s" else "snapshot/prev")
            case "b" | "m" | "t":
                path = {"b": "bypass", "m": "mute", "t": "tuner"}[key]
                on = bool(self.scene.state.get("globals", {}).get(path))
                self._do(path, not on, note=f"{path} {'off' if on else 'on'}")
            case "!":
                self._do("panic", note="panic: dry, b brings the rig back")
            case "z":
                self._zero()

    def _do(self, path: str, *arguments: str | bool, note: str = "") -> None:
        if not self.scene.state or self.scene.lost:
            return
        self.scene.trouble = ""
        self._say(note)
        self._send(path, *arguments)
        self._poll_s = min(self._poll_s, time.monotonic() + SOON_S)

    def _move(self, step: int) -> None:
        names = [rig["name"] for rig in self.scene.state.get("rigs", ())]
        if names:
            at = names.index(self.scene.chosen) if self.scene.chosen in names else 0
            self.scene.chosen = names[max(0, min(len(names) - 1, at + step))]

    def _zero(self) -> None:
        if self.scene.state:
            self.scene.zero = counted(self.scene.state)
            self.scene.worst_load = 0.0
            self.scene.dismissed = self.scene.state["last_error"]
            self.scene.trouble = ""
            self.scene.meters = {"in": Meter(), "out": Meter()}
            self._say("counters and peaks start anew")

    def _say(self, text: str) -> None:
        self.scene.note = text
        self._note_s = time.monotonic() + NOTE_S
