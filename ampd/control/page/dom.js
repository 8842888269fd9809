// A few words for making elements.

/** An element with properties, attributes (data-*, aria-*, role) and children. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children);
  return node;
}

/** A button that shows at once that it is touched. */
export function button(className, label, onpress) {
  const node = el("button", { type: "button", className }, label);
  node.addEventListener("click", onpress);
  return node;
}

/** Write text only where it differs: a screen reader speaks what changes. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** draw, once before the next picture however often it is asked for; draw gets that picture's ms. */
export function framed(draw) {
  let queued = false;
  return () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame((now) => {
      queued = false;
      draw(now);
    });
  };
}

/** Let a name be as large as its place: in one line, or in several where that would be small. */
export function fit(node, least, most) {
  const place = node.parentElement;
  const box = getComputedStyle(place);
  const wide = place.clientWidth - parseFloat(box.paddingLeft) - parseFloat(box.paddingRight);
  const high = place.clientHeight - parseFloat(box.paddingTop) - parseFloat(box.paddingBottom) - 24;
  if (wide <= 0) return; // not shown
  for (const lines of ["nowrap", "normal"]) {
    node.style.whiteSpace = lines;
    const smallest = lines === "nowrap" ? Math.max(least, most / 2.2) : least;
    for (let size = most; size >= smallest; size -= 2) {
      node.style.fontSize = `${size}px`;
      if (node.scrollWidth <= wide && node.scrollHeight <= high) return;
    }
  }
}

const picker = document.getElementById("picker");
const search = document.getElementById("picker-search");
const list = document.getElementById("picker-list");

/** Let one of the entries be chosen by typing a few letters of it.
 *  find: text -> [{name, note, here}], or a promise of it. */
export function pick(title, find, onchoose) {
  const refresh = async () => {
    const asked = search.value;
    const entries = await find(asked);
    if (search.value !== asked) return;
    list.replaceChildren(
      ...entries.map((entry) => {
        const choose = button(entry.here ? "here" : "", "", () => {
          picker.close();
          onchoose(entry.name);
        });
        choose.append(el("b", {}, entry.label ?? entry.name), el("span", {}, entry.note ?? ""));
        return el("li", {}, choose);
      }),
    );
    if (!entries.length) list.append(el("li", { className: "none" }, "nothing of that name"));
  };
  document.getElementById("picker-title").textContent = title;
  search.value = "";
  let shown = null;
  search.oninput = () => (shown = refresh());
  search.onkeydown = async (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    await shown; // a fast hand means what it typed, not what is still shown
    list.querySelector("button")?.click();
  };
  picker.onclick = (event) => {
    if (event.target === picker) picker.close();
  };
  shown = refresh();
  picker.showModal();
  search.focus({ preventScroll: true });
}

/** Entries whose name has all the letters, those that begin with them first. */
export function matching(entries, text) {
  const wanted = text.trim().toLowerCase();
  const rank = (entry) => (entry.label ?? entry.name).toLowerCase().indexOf(wanted);
  return entries.filter((entry) => rank(entry) >= 0).sort((a, b) => Boolean(rank(a)) - Boolean(rank(b)));
}
