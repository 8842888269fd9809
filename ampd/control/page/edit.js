// The view for making sounds: the chain as blocks, every param with its unit.

import { button, el, framed, pick, write } from "./dom.js";
import { fromNorm, shown, toNorm } from "./rack.js";

const FINE = 0.1; // of the speed, with the finger away from the row or Shift held
const FINE_PX = 70;
const SLOP_PX = 6;
const DOUBLE_TAP_MS = 350;
const BUILT_IN = "built-in speaker";
const ENDS = { input: "In", output: "Out" };
const FILES = { model: "models", impulse: "irs" };
const WORDS = { db: "gain", hz: "freq", ms: "time", s: "time", q: "Q", bpm: "beat" };

export class Edit {
  #rack;
  #chain = el("div", { className: "chain" });
  #own = el("div", { className: "rows" });
  #rows = new Map();
  #compare;
  #drawn = "";

  constructor(root, rack, tools) {
    this.#rack = rack;
    this.#compare = new Compare(rack);
    root.append(
      el("div", { className: "tools" }, this.#compare.root, ...tools),
      this.#chain,
      el("details", { className: "block whole", open: false }, el("summary", {}, "Whole rack"), this.#own),
    );
    rack.addEventListener("tree", () => this.#build());
    rack.addEventListener("value", (event) => this.#rows.get(event.detail)?.queue());
  }

  #build() {
    const { params, blocks } = this.#rack;
    const shape = [...params.keys(), ...this.#rack.files].join("\n");
    if (shape !== this.#drawn) {
      this.#drawn = shape;
      this.#compare.reset();
      this.#rows.clear();
      const ordered = [...blocks].sort(([a], [b]) => place(a) - place(b));
      this.#chain.replaceChildren(...ordered.map(([name, paths]) => this.#block(name, paths)));
      const own = [...params.keys()].filter((path) => !path.includes("/") && path !== "snapshot");
      this.#own.replaceChildren(...own.map((path) => this.#row(path).root));
    }
    for (const row of this.#rows.values()) row.queue();
  }

  #block(name, paths) {
    const head = el("div", { className: "head" }, el("h2", {}, title(name)));
    const node = el("section", { className: "block", "aria-label": title(name) }, head);
    const rows = el("div", { className: "rows" });
    for (const path of paths) {
      if (path.endsWith("/bypass")) {
        const lamp = new Lamp(this.#rack, path, node);
        this.#rows.set(path, lamp);
        head.append(lamp.root);
      } else {
        rows.append(this.#row(path).root);
      }
    }
    for (const [key, kind] of Object.entries(FILES)) {
      const path = `${name}/${key}`;
      if (!this.#rack.files.has(path)) continue;
      const file = new File(this.#rack, path, kind);
      this.#rows.set(path, file);
      head.append(file.root);
    }
    node.append(rows);
    return node;
  }

  #row(path) {
    const param = this.#rack.params.get(path);
    const row = param.taper === "toggle" ? new Switch(this.#rack, param) : new Fader(this.#rack, param);
    this.#rows.set(path, row);
    return row;
  }
}

const place = (name) => (name === "input" ? -1 : name === "output" ? 1 : 0);

/** "high_cut_hz" -> "high cut", as the value has its unit; where two would be one, "low freq". */
function label(param, params) {
  const words = param.path.split("_");
  const last = words.at(-1);
  if (words.length === 1 || !(last in WORDS)) return bare(param.path);
  const stem = `${words.slice(0, -1).join("_")}_`;
  const same = [...params.keys()].filter((path) => path.startsWith(stem) && !path.slice(stem.length).includes("_"));
  return bare(words.slice(0, -1).join("_")) + (same.length > 1 ? ` ${WORDS[last]}` : "");
}

const bare = (path) => path.split("/").at(-1).replaceAll("_", " ");

/** A block as people call it. */
const title = (name) => ENDS[name] ?? (name.length < 3 ? name.toUpperCase() : name);

/** Redraws at most once a frame. */
class Row {
  queue = framed(() => this.draw());
}

class Fader extends Row {
  root;
  #rack;
  #param;
  #fill = el("i");
  #value = el("output");
  #drag = null;
  #tapped = 0;

  constructor(rack, param) {
    super();
    this.#rack = rack;
    this.#param = param;
    this.root = el(
      "div",
      {
        className: "fader",
        role: "slider",
        tabIndex: 0,
        title: `${param.text} (${shown(param, param.low)} to ${shown(param, param.high)})`,
        "data-path": param.path,
        "aria-label": `${param.path.replace("/", " ")}: ${param.text}`,
        "aria-valuemin": param.low,
        "aria-valuemax": param.high,
      },
      this.#fill,
      el("span", {}, label(param, rack.params)),
      this.#value,
    );
    if (param.low < 0 && param.high > 0) {
      const zero = el("s");
      zero.style.left = `${100 * toNorm(param, 0)}%`;
      this.root.append(zero);
    }
    this.root.addEventListener("pointerdown", (event) => this.#begin(event));
    this.root.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) {
      this.root.addEventListener(type, () => this.#end());
    }
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  draw() {
    const value = this.#rack.values.get(this.#param.path);
    if (value === undefined) return;
    this.#fill.style.transform = `scaleX(${toNorm(this.#param, value)})`;
    write(this.#value, shown(this.#param, value));
    this.root.setAttribute("aria-valuenow", value);
    this.root.setAttribute("aria-valuetext", shown(this.#param, value));
  }

  #begin(event) {
    const now = performance.now();
    if (now - this.#tapped < DOUBLE_TAP_MS) {
      this.#tapped = 0;
      this.#rack.set(this.#param.path, this.#param.fallback);
      return;
    }
    this.#tapped = now;
    const value = this.#rack.values.get(this.#param.path) ?? this.#param.fallback;
    this.#drag = { x: event.clientX, y: event.clientY, at: toNorm(this.#param, value), moved: false };
    this.root.setPointerCapture(event.pointerId);
    this.root.classList.add("held");
  }

  #move(event) {
    if (!this.#drag) return;
    const far = event.clientX - this.#drag.x;
    if (!this.#drag.moved && Math.abs(far) < SLOP_PX) return;
    const fine = event.shiftKey || Math.abs(event.clientY - this.#drag.y) > FINE_PX;
    if (!this.#drag.moved) {
      this.#drag.moved = true;
      this.#tapped = 0;
      this.#drag.x += Math.sign(far) * SLOP_PX;
    }
    const step = (event.clientX - this.#drag.x) / this.root.clientWidth;
    this.#drag.x = event.clientX;
    this.#drag.at = Math.min(Math.max(this.#drag.at + step * (fine ? FINE : 1), 0), 1);
    this.root.classList.toggle("fine", fine);
    this.#rack.set(this.#param.path, fromNorm(this.#param, this.#drag.at));
  }

  #end() {
    this.#drag = null;
    this.root.classList.remove("held", "fine");
  }

  #key(event) {
    const value = this.#rack.values.get(this.#param.path);
    const position = toNorm(this.#param, value);
    const step = event.shiftKey ? 0.001 : 0.01;
    const wanted = {
      ArrowRight: position + step,
      ArrowUp: position + step,
      ArrowLeft: position - step,
      ArrowDown: position - step,
      PageUp: position + 0.1,
      PageDown: position - 0.1,
      Home: 0,
      End: 1,
    }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") {
      this.#rack.set(this.#param.path, this.#param.fallback);
    } else if (wanted === undefined) {
      return;
    } else {
      this.#rack.set(this.#param.path, fromNorm(this.#param, wanted));
    }
    event.preventDefault();
  }
}

class Switch extends Row {
  root;
  #rack;
  #param;

  constructor(rack, param) {
    super();
    this.#rack = rack;
    this.#param = param;
    this.root = button("switch", "", () => {
      const on = !rack.values.get(param.path);
      rack.set(param.path, param.truth ? on : Number(on));
    });
    this.root.append(el("span", {}, label(param, rack.params)), el("i"));
    this.root.title = param.text;
    this.root.setAttribute("role", "switch");
    this.root.setAttribute("data-path", param.path);
  }

  draw() {
    const on = Boolean(this.#rack.values.get(this.#param.path));
    this.root.setAttribute("aria-checked", String(on));
  }
}

/** The lamp of a block: lit while it sounds. */
class Lamp extends Row {
  root;
  #rack;
  #path;
  #block;

  constructor(rack, path, block) {
    super();
    this.#rack = rack;
    this.#path = path;
    this.#block = block;
    this.root = button("lamp", "", () => rack.set(path, Number(!rack.values.get(path))));
    this.root.setAttribute("aria-label", `${path.split("/")[0]} on`);
    this.root.setAttribute("data-path", path);
  }

  draw() {
    const off = Boolean(this.#rack.values.get(this.#path));
    this.root.setAttribute("aria-pressed", String(!off));
    this.#block.classList.toggle("off", off);
  }
}

/** The model of an amp or the impulse of a cab: chosen by a few letters of its name. */
class File extends Row {
  root;
  #rack;
  #path;

  constructor(rack, path, kind) {
    super();
    this.#rack = rack;
    this.#path = path;
    const find = async (text) => {
      const { entries } = JSON.parse((await rack.ask(kind, [text]))[0]);
      const own = kind === "irs" && !text ? [{ name: "", label: BUILT_IN }] : [];
      const playable = entries.filter((entry) => !entry.reason);
      const note = ({ gear, tone, family }) => [gear, tone, family].filter(Boolean).join(" \u00b7 ");
      const row = (entry) => ({ name: entry.name, note: note(entry), here: entry.name === rack.values.get(path) });
      return [...own, ...playable.map(row)];
    };
    this.root = button("file", "", () =>
      pick(kind === "models" ? "Models" : "Cabs", find, (name) => rack.send(path, [name])),
    );
    this.root.setAttribute("aria-haspopup", "dialog");
    this.root.setAttribute("data-path", path);
  }

  draw() {
    write(this.root, this.#rack.values.get(this.#path) || BUILT_IN);
  }
}

/** A button that keeps what plays as a new rig. */
export function saver(rack, say) {
  const save = async (name) => {
    const answer = await fetch("/save", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name }),
    });
    const said = await answer.json();
    say(said.error ?? `saved as ${said.name}`, answer.ok);
    if (answer.ok) rack.send("rig", [said.name]);
  };
  const entries = (text) => {
    const name = text.trim().replaceAll(/[^A-Za-z0-9._-]+/g, "-");
    return name ? [{ name, label: name, note: "save as this" }] : [];
  };
  const node = button("save", "Save as rig", () => pick("Save as rig", entries, save));
  node.setAttribute("aria-haspopup", "dialog");
  return node;
}

/** A button that brings a model or an impulse response into the library. */
export function uploader(say) {
  const choose = el("input", { type: "file", hidden: true, accept: ".nam,.json,.aidax,.wav,.flac,.aif,.aiff" });
  choose.addEventListener("change", async () => {
    const [file] = choose.files;
    choose.value = "";
    if (!file) return;
    say(`${file.name} is examined \u2026`, true);
    const name = file.name.replaceAll(/[^A-Za-z0-9._-]+/g, "-");
    try {
      const answer = await fetch(`/upload/${encodeURIComponent(name)}`, {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream" },
        body: file,
      });
      const said = await answer.json();
      say(said.error ?? `${said.name} is in the library`, answer.ok);
    } catch {
      say(`${file.name} did not get through; is it larger than 32 MB?`, false);
    }
  });
  const node = button("upload", "Add file", () => choose.click());
  node.title = "a model (.nam, .json, .aidax) or an impulse response (.wav, .flac, .aif)";
  const both = el("span", {}, node, choose);
  return both;
}

/** Two settings of the rig that plays, to and fro; this page alone keeps the other one. */
class Compare {
  root = el("div", { className: "compare", role: "group", "aria-label": "Compare two settings" });
  #rack;
  #kept = new Map();
  #here = "A";

  constructor(rack) {
    this.#rack = rack;
    for (const name of ["A", "B"]) this.root.append(button("", name, () => this.#go(name)));
    this.reset();
  }

  reset() {
    this.#kept.clear();
    this.#here = "A";
    this.#draw();
  }

  #go(name) {
    if (name === this.#here) return;
    this.#kept.set(this.#here, this.#now());
    const other = this.#kept.get(name);
    this.#here = name;
    this.#draw();
    if (!other) return; // the other one begins as this one is
    for (const [path, value] of other) {
      if (this.#rack.values.get(path) !== value) this.#rack.set(path, value);
    }
  }

  #now() {
    const { params, values } = this.#rack;
    const own = [...params.keys()].filter((path) => path.includes("/") || path === "mix");
    return new Map(own.map((path) => [path, values.get(path)]));
  }

  #draw() {
    for (const node of this.root.children) {
      node.setAttribute("aria-pressed", String(node.textContent === this.#here));
    }
  }
}
