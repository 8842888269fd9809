// OSC 1.0 messages <-> bytes, as far as ampd speaks it: i f s T F. Source: opensoundcontrol.org

const TEXT = new TextEncoder();
const READ = new TextDecoder();
const ALIGN = 4;

const padded = (length) => (Math.floor(length / ALIGN) + 1) * ALIGN;

/** A number is sent as f, a whole one wrapped in int() as i. */
export const int = (value) => ({ int: value });

/** One message as bytes. values: numbers, texts, booleans, int(). */
export function encode(address, values = []) {
  let tags = ",";
  const parts = [];
  for (const value of values) {
    if (typeof value === "boolean") {
      tags += value ? "T" : "F";
    } else if (typeof value === "string") {
      tags += "s";
      parts.push(text(value));
    } else {
      const whole = typeof value === "object";
      const view = new DataView(new ArrayBuffer(ALIGN));
      tags += whole ? "i" : "f";
      if (whole) view.setInt32(0, value.int);
      else view.setFloat32(0, value);
      parts.push(new Uint8Array(view.buffer));
    }
  }
  const all = [text(address), text(tags), ...parts];
  const out = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of all) {
    out.set(part, place);
    place += part.length;
  }
  return out;
}

function text(value) {
  const raw = TEXT.encode(value);
  const out = new Uint8Array(padded(raw.length));
  out.set(raw);
  return out;
}

/** {address, values} of a message's bytes. */
export function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  let place = 0;
  const readText = () => {
    const end = bytes.indexOf(0, place);
    const found = READ.decode(bytes.subarray(place, end));
    place += padded(end - place);
    return found;
  };
  const address = readText();
  const values = [];
  for (const tag of readText().slice(1)) {
    if (tag === "T" || tag === "F") values.push(tag === "T");
    else if (tag === "s") values.push(readText());
    else {
      values.push(tag === "i" ? view.getInt32(place) : view.getFloat32(place));
      place += ALIGN;
    }
  }
  return { address, values };
}
