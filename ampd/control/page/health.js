// The view for trouble: how the machine is, in figures.

import { el, framed, write } from "./dom.js";

const BUSY = 50;
const HOT = 75;

const figure = (value, digits = 1) => (value === undefined ? "\u2013" : Number(value).toFixed(digits));

const CARDS = [
  ["JACK", (v) => v("jack") ?? "\u2013", (v) => `${v("status/realtime") ? "real-time" : "not real-time"}`, (v) => v("jack") !== "running" || !v("status/realtime")],
  ["Load, p50", (v) => `${figure(v("status/load_p50"))} %`, () => "half of the blocks take less", (v) => v("status/load_p50") > BUSY],
  ["Load, p99", (v) => `${figure(v("status/load_p99"))} %`, (v) => `longest ${figure(v("status/load_max"))} %`, (v) => v("status/load_p99") > BUSY],
  ["Late, engine", (v) => figure(v("status/late_engine"), 0), () => "blocks that took too long", (v) => v("status/late_engine") > 0],
  ["Late, machine", (v) => figure(v("status/late_machine"), 0), () => "blocks that were not let run", (v) => v("status/late_machine") > 0],
  ["Xruns", (v) => figure(v("status/xruns"), 0), () => "as JACK counts them", (v) => v("status/xruns") > 0],
  ["Rate", (v) => (v("status/rate_hz") ? `${figure(v("status/rate_hz") / 1000)} kHz` : "\u2013"), (v) => period(v), () => false],
  ["Latency", (v) => `${v("status/latency_frames") ?? 0}`, () => "frames, of the rig", () => false],
  ["Last switch", (v) => `${figure(v("status/switch_ms"))} ms`, () => "until it was heard", (v) => v("status/switch_ms") > 20],
  ["Heat", (v) => (v("status/temperature_c") ? `${figure(v("status/temperature_c"))} \u00b0C` : "\u2013"), (v) => (v("status/temperature_c") ? (v("status/throttled") ? "slowed down" : "not throttled") : "no sensor"), (v) => v("status/temperature_c") > HOT || v("status/throttled")],
];

function period(v) {
  const frames = v("status/period_frames");
  if (!frames) return "no period";
  return `${frames} frames, ${((1000 * frames) / v("status/rate_hz")).toFixed(2)} ms`;
}

export class Health {
  #rack;
  #cards;
  #error = el("p", { className: "error", role: "status" });
  #blocks = el("tbody");
  #told = "";

  constructor(root, rack) {
    this.#rack = rack;
    this.#cards = CARDS.map(([name]) => ({
      root: el("div", { className: "card" }, el("h2", {}, name), el("b"), el("small")),
    }));
    root.append(el("div", { className: "cards" }, ...this.#cards.map((card) => card.root)), this.#table(), this.#error);
    for (const type of ["value", "tree", "connection"]) rack.addEventListener(type, () => this.#queue());
  }

  #queue = framed(() => this.#draw());

  #table() {
    const head = ["Block", "p50", "p99", "max"].map((text) => el("th", { scope: "col" }, text));
    return el(
      "table",
      { className: "loads" },
      el("caption", {}, "Share of a period, %"),
      el("thead", {}, el("tr", {}, ...head)),
      this.#blocks,
    );
  }

  #drawBlocks(told) {
    if (told === this.#told) return;
    this.#told = told;
    const rows = JSON.parse(told || "[]");
    this.#blocks.replaceChildren(
      ...rows.map(([name, ...shares]) =>
        el("tr", {}, el("th", { scope: "row" }, name), ...shares.map((share) => el("td", {}, share.toFixed(2)))),
      ),
    );
  }

  #draw() {
    const value = (path) => this.#rack.values.get(path);
    CARDS.forEach(([, main, note, isBad], index) => {
      const [, big, small] = this.#cards[index].root.children;
      write(big, String(main(value)));
      write(small, note(value));
      this.#cards[index].root.classList.toggle("bad", Boolean(isBad(value)));
    });
    this.#drawBlocks(value("status/load_blocks"));
    const error = value("status/error");
    write(this.#error, error ? `Last trouble: ${error}` : "");
  }
}
