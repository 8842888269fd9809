// Puts the views together.

import { write } from "./dom.js";
import { Edit, saver, uploader } from "./edit.js";
import { Health } from "./health.js";
import { Meters } from "./meters.js";
import { Rack } from "./rack.js";
import { Stage } from "./stage.js";

const SAID_MS = 6000;
const VIEWS = ["stage", "edit", "health"];
const PAIR = "#pair="; // and the token, which no request carries where it stands
const at = (id) => document.getElementById(id);

const rack = new Rack();
const stage = new Stage(at("stage"), rack);
new Edit(at("edit"), rack, [uploader(say), saver(rack, say)]);
new Health(at("health"), rack);
new Meters(at("meters"), rack);

function show(view) {
  for (const each of VIEWS) at(each).hidden = each !== view;
  for (const node of document.querySelectorAll("nav button")) {
    node.setAttribute("aria-pressed", String(node.dataset.view === view));
  }
  history.replaceState(null, "", view === "stage" ? "/" : `#${view}`);
}

for (const node of document.querySelectorAll("nav button")) {
  node.addEventListener("click", () => show(node.dataset.view));
}
at("where").addEventListener("click", () => stage.chooseSet());
addEventListener("keydown", (event) => {
  if (at("picker").open || event.target.matches("input, [role=slider], button")) return;
  if (event.key === "ArrowRight") rack.press("rig/next");
  if (event.key === "ArrowLeft") rack.press("rig/prev");
});

rack.addEventListener("connection", () => {
  at("lost").hidden = rack.connected;
  document.body.classList.toggle("lost", !rack.connected);
  if (rack.connected) showRights(rack.isGuest);
});

/** A guest sees what it may do, and how to pair. */
function showRights(isGuest) {
  document.body.classList.toggle("guest", isGuest);
  at("guest").hidden = !isGuest;
  at("where").disabled = isGuest;
  stage.limit(isGuest);
  const edit = document.querySelector("nav [data-view=edit]");
  edit.hidden = isGuest;
  if (isGuest && edit.getAttribute("aria-pressed") === "true") show("stage");
}

/** The code on the box leads here with the token. Whether it was good. */
async function pair() {
  if (!location.hash.startsWith(PAIR)) return false;
  const token = location.hash.slice(PAIR.length);
  history.replaceState(null, "", "/"); // no bookmark of it
  try {
    const trouble = await rack.pair(token);
    say(trouble || "this browser is paired", !trouble);
    return !trouble;
  } catch {
    say("the box does not answer; open the code again", false);
    return false;
  }
}
addEventListener("hashchange", async () => {
  if (await pair()) location.reload();
});
rack.addEventListener("value", () => {
  write(at("set"), rack.values.get("set") || "all rigs");
  const jack = rack.values.get("jack") ?? "";
  write(at("jack"), jack === "running" ? "" : `JACK ${jack}`);
});

/** Say a sentence for a while. */
function say(text, good) {
  write(at("said"), text);
  at("said").classList.toggle("good", good);
  at("said").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (at("said").hidden = true), SAID_MS);
}
rack.addEventListener("refused", (event) => say(event.detail.text, false));

await pair();
const wanted = location.hash.slice(1);
show(VIEWS.includes(wanted) ? wanted : "stage");
setTimeout(() => (at("lost").hidden = rack.connected), 1500);
rack.connect();
