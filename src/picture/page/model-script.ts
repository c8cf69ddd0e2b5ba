/** The page's script, first part: the data, numbers as words, and which cells are where. Runs as it is in browsers of 2020 and later. */
export const modelScript = String.raw`"use strict";
const $ = (id) => document.getElementById(id);
const D = JSON.parse($("data").textContent);
const KIND = 0, DEPTH = 1, BYTES = 2, FILE = 3, FROM = 4, TO = 5, ERROR = 6;
/* Where each cell begins; the last entry is the end of the disk. */
const starts = new Float64Array(D.cells.length + 1);
D.cells.forEach((cell, index) => { starts[index + 1] = starts[index] + cell[0]; });

function sizeText(bytes) {
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < 5) { value /= 1024; unit += 1; }
  if (unit === 0) return bytes === 1 ? "1 byte" : bytes + " bytes";
  return Number(value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)) + " " + ["KiB", "MiB", "GiB", "TiB", "PiB"][unit - 1];
}
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");
const exact = (bytes) => (bytes < 1024 ? sizeText(bytes) : sizeText(bytes) + " (" + grouped(bytes) + " bytes)");
const hex = (number) => "0x" + number.toString(16);
const counted = (count, one) => grouped(count) + " " + one + (count === 1 ? "" : "s");
function percent(part, whole) {
  const share = (part / whole) * 100;
  if (share < 0.1) return "< 0.1 %";
  if (part < whole && share > 99.9) return "> 99.9 %";
  return Number(share.toFixed(share < 10 || share > 99 ? 1 : 0)) + " %";
}
const baseName = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

/* The cell that the byte is in. */
function cellAt(offset) {
  let low = 0, high = D.cells.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= offset) low = middle; else high = middle - 1;
  }
  return low;
}

/* Cells from first to last as one: [runs, parts], parts of one kind and depth joined. */
function joined(first, last) {
  if (first === last) return [D.cells[first][1], D.cells[first].slice(2)];
  const parts = new Map();
  let runs = 0;
  for (let index = first; index <= last; index += 1) {
    runs += D.cells[index][1];
    for (const part of D.cells[index].slice(2)) {
      const key = part[KIND] * 1000 + part[DEPTH];
      const same = parts.get(key);
      if (!same) { parts.set(key, part.slice()); continue; }
      same[BYTES] += part[BYTES];
      if (same[FILE] == null || same[FILE] !== part[FILE]) { same[FILE] = same[FROM] = same[TO] = null; continue; }
      same[FROM] = Math.min(same[FROM], part[FROM]);
      same[TO] = Math.max(same[TO], part[TO]);
    }
  }
  return [runs, [...parts.values()]];
}

/* Where the bytes of a part are in their file; empty where that is not known. */
function positionText(part, single) {
  if (part[FROM] == null) return "";
  if (D.kinds[part[KIND]] === "compressed") {
    return single || part[FROM] === part[TO] ? "from a block at " + hex(part[FROM]) + " on" : "blocks at " + hex(part[FROM]) + " to " + hex(part[TO]);
  }
  return single ? hex(part[FROM]) : "between " + hex(part[FROM]) + " and " + hex(part[TO]);
}
const fileText = (part) => (part[FILE] == null ? "" : D.files[part[FILE]][0]);
const layerText = (part) => (D.chain.length > 1 && D.kinds[part[KIND]] !== "absent" ? part[DEPTH] + ", " + baseName(D.chain[part[DEPTH]]) : "");

/* Facts about cells, as pairs of name and value. */
function factsOf(first, last) {
  const start = starts[first], length = starts[last + 1] - start;
  const [runs, parts] = joined(first, last);
  const facts = [["Offset", hex(start) + " (" + sizeText(start) + ")"], ["Length", exact(length)]];
  const add = (name, value) => { if (value) facts.push([name, value]); };
  if (runs === 1) {
    const part = parts[0], kind = D.kinds[part[KIND]];
    facts.unshift(["Kind", kind + ": " + D.meanings[part[KIND]]]);
    add("File", fileText(part));
    add("Position", positionText(part, true));
    add("Layer", layerText(part));
    if (part[ERROR] != null) add("Error", D.errors[part[ERROR]]);
  } else {
    facts.unshift(["Kind", (parts.length > 1 ? "mixed" : D.kinds[parts[0][KIND]]) + ", " + counted(runs, "run")]);
    for (const part of parts) {
      const layer = layerText(part);
      const words = [sizeText(part[BYTES]) + ", " + percent(part[BYTES], length), fileText(part), positionText(part, false)];
      if (part[ERROR] != null) words.push(D.errors[part[ERROR]]);
      add(D.kinds[part[KIND]] + (layer ? " in layer " + layer : ""), words.filter(Boolean).join(", "));
    }
  }
  const places = D.lanes.flatMap((lane) => lane[1].filter((area) => area[0] < start + length && area[0] + area[1] > start));
  const names = places.slice(0, 4).map((area) => area[2] + " (" + area[3] + ")");
  add("In", names.join(", ") + (places.length > 4 ? " and " + (places.length - 4) + " more" : ""));
  return facts;
}

/* Round places between first and end, about count of them. */
function ticksOf(first, end, count) {
  const step = Math.pow(2, Math.max(0, Math.ceil(Math.log2((end - first) / Math.max(1, count)))));
  const found = [];
  for (let at = Math.ceil(first / step) * step; at <= end; at += step) found.push(at);
  return found;
}

/* A size told so exactly that neighbours step bytes apart can be told from each other. */
function tickText(at, step) {
  let unit = 0;
  while (unit < 5 && at >= Math.pow(1024, unit + 1)) unit += 1;
  const value = at / Math.pow(1024, unit);
  const digits = Math.max(0, Math.ceil(-Math.log10(step / Math.pow(1024, unit))));
  if (unit === 0 || digits > 4) return digits > 4 ? hex(at) : at + " B";
  return Number(value.toFixed(digits)) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit];
}
`;
