// How loud it is: the guitar and what goes out, with the peak held and a light for too much.

import { el, framed } from "./dom.js";

const FLOOR_DB = -60;
const FALL_DB_PER_S = 24;
const HOLD_MS = 1200;
const LIGHT_MS = 1500;
const TOO_MUCH_DB = { in: -0.1, out: -1.05 }; // at the converter's end; at the ceiling

const place = (db) => Math.min(Math.max((db - FLOOR_DB) / -FLOOR_DB, 0), 1);

export class Meters {
  #bars = new Map();

  constructor(root, rack) {
    for (const name of ["in", "out"]) {
      const node = el("div", { className: "meter" }, el("i"), el("u"));
      node.dataset.name = name;
      root.append(node);
      this.#bars.set(name, { node, level: FLOOR_DB, peak: FLOOR_DB, held: 0, lit: -LIGHT_MS, at: 0 });
      rack.addEventListener(`meter/${name}`, (event) => this.#hear(name, event.detail[0]));
    }
    rack.addEventListener("connection", () => this.#rest());
  }

  #hear(name, db) {
    const bar = this.#bars.get(name);
    const now = performance.now();
    bar.level = Math.max(db, this.#fallen(bar, now));
    bar.at = now;
    if (db >= bar.peak || now - bar.held > HOLD_MS) [bar.peak, bar.held] = [Math.max(db, FLOOR_DB), now];
    if (db >= TOO_MUCH_DB[name]) bar.lit = now;
    this.#move();
  }

  #rest() {
    for (const bar of this.#bars.values()) bar.level = bar.peak = FLOOR_DB;
    this.#move();
  }

  #fallen(bar, now) {
    return Math.max(FLOOR_DB, bar.level - (FALL_DB_PER_S * (now - bar.at)) / 1000);
  }

  #move = framed((now) => {
    let rests = true;
    for (const bar of this.#bars.values()) {
      const level = this.#fallen(bar, now);
      const held = now - bar.held < HOLD_MS ? bar.peak : level;
      bar.node.style.setProperty("--level", place(level).toFixed(3));
      bar.node.style.setProperty("--peak", place(held).toFixed(3));
      bar.node.classList.toggle("hot", now - bar.lit < LIGHT_MS);
      rests &&= level <= FLOOR_DB && held <= FLOOR_DB && now - bar.lit >= LIGHT_MS;
    }
    if (!rests && !document.hidden) this.#move();
  });
}
