// The daemon as this page knows it: what it said, and nothing else.
//
// Every value here was accepted by the daemon and came over the socket; set() only asks. A socket
// that is lost is opened again, and the whole state comes anew.

import { decode, encode, int } from "./osc.js";

const ROOT = "/ampd/";
const LISTS = ["rigs", "sets", "snapshots"];
const LEASE_S = 30;
const PING_MS = 2000;
const SILENCE_MS = 5000;
const ANSWER_MS = 2000;
const RETRY_MS = 400;

/** What the daemon holds: values by path (their first argument), lists by path, params by path. */
export class Rack extends EventTarget {
  values = new Map();
  lists = new Map();
  params = new Map();
  files = new Set(); // paths of what blocks read
  blocks = []; // [name, [path...]] in the order of the signal
  connected = false;
  isGuest = false; // and may do what a guest may, until this browser is paired

  #socket = null;
  #heard = 0;
  #pinger = 0;
  #asked = new Map();
  #flushing = false;
  #answers = new Map();
  #asking = Promise.resolve();

  connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.isGuest = false;
    socket.onopen = () => this.#begin(socket);
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = () => this.#lose(socket);
  }

  /** Ask for a value; the newest one of a path counts. */
  set(path, value) {
    this.#asked.set(path, value);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      for (const [asked, wanted] of this.#asked) this.send(asked, [wanted]);
      this.#asked.clear();
    });
  }

  press(path) {
    this.send(path, []);
  }

  send(path, values) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(encode(ROOT + path, values));
    }
  }

  /** Show the token of the box, for which the browser gets a cookie; what is wrong with it, or "". */
  async pair(token) {
    const answer = await fetch("/pair", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    return (await answer.json()).error ?? "";
  }

  /** Send, and wait for what comes back at the same path; nothing after a while. One at a time. */
  ask(path, values) {
    const once = () =>
      new Promise((answer) => {
        this.#answers.set(path, answer);
        setTimeout(answer, ANSWER_MS, []);
        this.send(path, values);
      });
    this.#asking = this.#asking.then(once);
    return this.#asking;
  }

  async #begin(socket) {
    this.#heard = performance.now();
    this.values.clear();
    this.lists.clear();
    this.send("subscribe", ["/ampd/*", int(LEASE_S), "now"]);
    await this.#readTree();
    if (socket !== this.#socket) return;
    this.connected = true;
    clearInterval(this.#pinger);
    this.#pinger = setInterval(() => this.#ping(socket), PING_MS);
    this.#tell("connection");
  }

  #ping(socket) {
    if (performance.now() - this.#heard > SILENCE_MS) socket.close();
    else this.send("ping", []);
  }

  #lose(socket) {
    if (socket !== this.#socket) return;
    clearInterval(this.#pinger);
    this.#socket = null;
    if (this.connected) {
      this.connected = false;
      this.#tell("connection");
    }
    setTimeout(() => this.connect(), RETRY_MS);
  }

  #take(data) {
    this.#heard = performance.now();
    if (typeof data === "string") {
      const { COMMAND } = JSON.parse(data);
      if (COMMAND === "PATH_CHANGED") this.#readTree();
      if (COMMAND === "RIGHTS") this.isGuest = true;
      return;
    }
    const { address, values } = decode(data);
    const path = address.slice(ROOT.length);
    if (this.#answers.has(path)) {
      this.#answers.get(path)(values);
      this.#answers.delete(path);
    } else if (path === "error") {
      this.#tell("refused", { address: values[0], text: values[1] });
    } else if (path.startsWith("event/") || path === "tuner/pitch" || path.startsWith("meter/")) {
      this.#tell(path, values);
    } else if (LISTS.includes(path)) {
      this.lists.set(path, values);
      this.#tell("value", path);
    } else if (values.length === 1) {
      this.values.set(path, values[0]);
      this.#tell("value", path);
    }
  }

  /** Which addresses there are, with range and unit: OSCQuery. */
  async #readTree() {
    try {
      const answer = await fetch("/ampd");
      const root = await answer.json();
      this.params.clear();
      this.blocks = [];
      this.files.clear();
      for (const [name, node] of Object.entries(root.CONTENTS)) this.#readNode(name, node);
      this.#tell("tree");
    } catch {
      // The socket is lost too, and comes back with the tree.
    }
  }

  #readNode(name, node) {
    const paths = [];
    for (const [child, inner] of [[null, node], ...Object.entries(node.CONTENTS ?? {})]) {
      const path = child === null ? name : `${name}/${child}`;
      if (child === "norm" || inner.TYPE === undefined) continue;
      const range = inner.RANGE?.[0];
      if (inner.ACCESS === 3 && inner.TAPER) {
        this.params.set(path, {
          path,
          low: range.MIN ?? 0,
          high: range.MAX ?? 1,
          unit: inner.UNIT?.[0] ?? "",
          fallback: Number(inner.DEFAULT_VALUE?.[0] ?? 0),
          taper: inner.TAPER,
          truth: inner.TYPE === "T",
          text: inner.DESCRIPTION,
        });
        if (child !== null) paths.push(path);
      }
      if (inner.TYPE === "s" && inner.ACCESS === 3 && child !== null) this.files.add(path);
      if (inner.VALUE === undefined) continue;
      // What the socket told is newer.
      const [held, value] = LISTS.includes(path) ? [this.lists, inner.VALUE] : [this.values, inner.VALUE[0]];
      if (!held.has(path)) held.set(path, value);
    }
    if (paths.length) this.blocks.push([name, paths]);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Where a value stands on its fader, 0 to 1. */
export function toNorm(param, value) {
  const { low, high, taper } = param;
  const inside = Math.min(Math.max(value, low), high);
  if (taper === "log") return Math.log(inside / low) / Math.log(high / low);
  return (inside - low) / (high - low);
}

/** The value where a fader stands. */
export function fromNorm(param, position) {
  const { low, high, taper } = param;
  const inside = Math.min(Math.max(position, 0), 1);
  if (taper === "log") return low * Math.pow(high / low, inside);
  return low + (high - low) * inside;
}

/** A value as people read it: "6.0 dB", "1.2 kHz". */
export function shown(param, value) {
  if (value === undefined) return "";
  if (param.unit === "Hz" && value >= 1000) return `${(value / 1000).toFixed(value >= 10000 ? 1 : 2)} kHz`;
  const span = param.high - param.low;
  const digits = span <= 2 ? 2 : value < 100 && span <= 200 ? 1 : Math.abs(value) < 10 ? 1 : 0;
  return `${value.toFixed(digits)}${param.unit ? ` ${param.unit}` : ""}`;
}
