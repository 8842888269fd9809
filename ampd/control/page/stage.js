// The view for playing: what can be read from two metres and hit with a thumb.

import { button, el, fit, framed, matching, pick, write } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const CENTS = 50;
const IN_TUNE = 3;
const SILENT_MS = 700;

export class Stage {
  #rack;
  #name = el("h1");
  #number = el("span", { className: "number" });
  #next = el("p", { className: "error" });
  #snapshots = el("div", { className: "snapshots", role: "group", "aria-label": "Snapshots" });
  #switches = new Map();
  #bpm = el("small");
  #tap;
  #tuner;

  constructor(root, rack) {
    this.#rack = rack;
    this.#tuner = new Tuner();
    const title = button("title", "", () => this.chooseRig());
    title.setAttribute("aria-haspopup", "dialog");
    title.append(this.#number, this.#name);
    const steps = el(
      "div",
      { className: "steps" },
      this.#step("rig/prev", "previous rig", "M15 5 8 12l7 7"),
      this.#step("rig/next", "next rig", "m9 5 7 7-7 7"),
    );
    const tap = button("pad tap", "Tap", () => {});
    this.#tap = tap;
    tap.append(this.#bpm);
    tap.addEventListener("pointerdown", () => rack.press("tap"));
    tap.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") rack.press("tap");
    });
    const pads = el(
      "div",
      { className: "pads" },
      this.#switch("bypass", "Bypass"),
      this.#switch("mute", "Mute"),
      this.#switch("tuner", "Tuner"),
      tap,
    );
    root.append(
      el("div", { className: "display" }, title, this.#tuner.root, this.#next),
      this.#snapshots,
      steps,
      pads,
    );
    for (const type of ["value", "tree", "connection"]) rack.addEventListener(type, () => this.#queue());
    rack.addEventListener("tuner/pitch", (event) => this.#tuner.hear(...event.detail));
    rack.addEventListener("event/fault", (event) => write(this.#next, event.detail[1]));
    new ResizeObserver(() => fit(this.#name, 28, 132)).observe(title);
  }

  /** Let a guest touch what it may. */
  limit(isGuest) {
    this.#tap.disabled = isGuest;
    this.#switches.get("bypass").disabled = isGuest;
  }

  chooseRig() {
    const { lists, values } = this.#rack;
    const entries = (lists.get("rigs") ?? []).map((name) => ({ name, here: name === values.get("rig") }));
    pick("Rigs", (text) => matching(entries, text), (name) => this.#rack.send("rig", [name]));
  }

  chooseSet() {
    const { lists, values } = this.#rack;
    const entries = (lists.get("sets") ?? []).map((name) => ({
      name,
      label: name || "all rigs",
      here: name === values.get("set"),
    }));
    pick("Sets", (text) => matching(entries, text), (name) => this.#rack.send("set", [name]));
  }

  #step(path, label, arrow) {
    const node = button("step", "", () => this.#rack.press(path));
    node.setAttribute("aria-label", label);
    node.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${arrow}"/></svg>`;
    return node;
  }

  #switch(path, label) {
    const node = button(`pad ${path}`, label, () => this.#rack.set(path, !this.#rack.values.get(path)));
    node.setAttribute("aria-pressed", "false");
    this.#switches.set(path, node);
    return node;
  }

  #queue = framed(() => this.#draw());

  #draw() {
    const { values, lists } = this.#rack;
    const rig = values.get("rig") ?? "";
    if (this.#name.textContent !== rig) {
      write(this.#name, rig);
      write(this.#next, "");
      fit(this.#name, 28, 132);
    }
    const place = (lists.get("rigs") ?? []).indexOf(rig);
    write(this.#number, place < 0 ? "" : `${place + 1} / ${lists.get("rigs").length}`);
    for (const [path, node] of this.#switches) {
      node.setAttribute("aria-pressed", String(Boolean(values.get(path))));
    }
    const tempo = values.get("tempo_bpm");
    write(this.#bpm, tempo === undefined ? "" : `${tempo.toFixed(tempo % 1 ? 1 : 0)} BPM`);
    this.#drawSnapshots(lists.get("snapshots") ?? [], Math.round(values.get("snapshot") ?? 0));
    document.body.classList.toggle("tuning", Boolean(values.get("tuner")));
    document.body.classList.toggle("bypassed", Boolean(values.get("bypass")));
    document.body.classList.toggle("muted", Boolean(values.get("mute")));
  }

  #drawSnapshots(names, here) {
    const shown = [...this.#snapshots.children].map((node) => node.textContent).join("\n");
    if (shown !== names.join("\n")) {
      this.#snapshots.replaceChildren(
        ...names.map((name, index) =>
          button("snapshot", name, () => {
            const now = Math.round(this.#rack.values.get("snapshot") ?? 0);
            this.#rack.set("snapshot", now === index + 1 ? 0 : index + 1);
          }),
        ),
      );
    }
    [...this.#snapshots.children].forEach((node, index) =>
      node.setAttribute("aria-pressed", String(here === index + 1)),
    );
  }
}

/** A needle over a scale of a semitone. */
class Tuner {
  root = el("div", { className: "dial", role: "status", "aria-live": "off" });
  #note = el("b", {}, "\u2013");
  #figures = el("small");
  #needle;
  #heard = 0;

  constructor() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "-100 -92 200 100");
    svg.setAttribute("aria-hidden", "true");
    let marks = "";
    for (let cents = -CENTS; cents <= CENTS; cents += 10) {
      const big = cents % CENTS === 0;
      marks += `<path class="${cents === 0 ? "zero" : ""}" transform="rotate(${this.#angle(cents)})" d="M0 ${big ? -78 : -82}V-90"/>`;
    }
    svg.innerHTML = `<g class="marks">${marks}</g><path class="needle" d="M-1.6 0 0 -86 1.6 0Z"/><circle r="5"/>`;
    this.#needle = svg.querySelector(".needle");
    this.root.append(svg, el("div", {}, this.#note, this.#figures));
    this.hear("", 0, 0);
  }

  #angle(cents) {
    return (Math.min(Math.max(cents, -CENTS), CENTS) / CENTS) * 62;
  }

  hear(note, cents, hz) {
    const now = performance.now();
    if (hz <= 0) {
      if (now - this.#heard < SILENT_MS) return; // the last note stands for a moment
      write(this.#note, "\u2013");
      write(this.#figures, "");
      this.root.className = "dial silent";
      return;
    }
    this.#heard = now;
    this.#needle.style.transform = `rotate(${this.#angle(cents)}deg)`;
    write(this.#note, note);
    write(this.#figures, `${cents >= 0 ? "+" : "\u2212"}${Math.abs(cents).toFixed(1)} c   ${hz.toFixed(1)} Hz`);
    this.root.className = Math.abs(cents) <= IN_TUNE ? "dial good" : cents < 0 ? "dial flat" : "dial sharp";
  }
}
