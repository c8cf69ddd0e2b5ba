/** The page's script, second part: what is there once, and drawing what is shown of it. */
export const drawScript = String.raw`
const LEAST_SPAN = Math.min(D.size, 512);
let from = 0, to = D.size, cursor = null, hovered = null, queued = false;
let colors = {}, patterns = [];
const view = $("view"), plot = $("plot"), overview = $("overview"), file = $("file");

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/* What is there once: a canvas per row, a button per area, the files that the plot can show. */
const canvases = D.rows.map((row) => {
  const line = make("div", "row"), label = make("div", "label"), canvas = make("canvas");
  label.append(make("b", "", row.title), " " + row.detail);
  label.title = row.title + ": " + row.detail;
  line.append(label, canvas);
  view.append(line);
  return canvas;
});
view.classList.toggle("many", D.rows.length > 6);
const areas = [];
for (const [title, all] of D.lanes) {
  const line = make("div", "row"), strip = make("div", "strip");
  line.append(make("div", "label", title), strip);
  for (const [start, length, name, about] of all) {
    const button = make("button", "", name + " " + about);
    button.type = "button";
    button.tabIndex = areas.length === 0 ? 0 : -1;
    button.title = name + ", " + about + ", " + exact(length);
    button.setAttribute("aria-label", "Show " + title + " " + button.title);
    button.addEventListener("click", () => show(start, start + length));
    strip.append(button);
    areas.push({ start, length, button });
  }
  $("lanes").append(line);
}
$("lanes").addEventListener("keydown", (event) => {
  const index = areas.findIndex(({ button }) => button === document.activeElement);
  const next = areas[index + ({ ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key] || areas.length)];
  if (!next) return;
  event.preventDefault();
  areas[index].button.tabIndex = -1;
  next.button.tabIndex = 0;
  next.button.hidden = false;
  next.button.focus();
});
/* What the plot draws of each file: [start, length, from, to, kind]. */
const lines = D.files.map(() => []);
D.cells.forEach((cell, index) => {
  for (const part of cell[1] === 1 ? cell.slice(2) : []) {
    if (D.kinds[part[KIND]] === "data" && part[FILE] != null) lines[part[FILE]].push([starts[index], cell[0], part[FROM], part[TO], part[KIND]]);
  }
});
for (const [offset, index, position, kind] of D.samples) lines[index].push([offset, 0, position, position, kind]);
const stored = D.files.map((_, index) => lines[index].reduce((sum, line) => sum + Math.max(line[1], D.sampleStep), 0));
const byContent = D.files.map((_, index) => index).sort((a, b) => stored[b] - stored[a]);
const own = make("option", "", "where most of this is");
own.value = "";
file.append(own);
for (const index of byContent.slice(0, 1000)) {
  const name = D.files[index][0];
  if (lines[index].length === 0) continue;
  const option = make("option", "", baseName(name) + " (" + sizeText(D.files[index][1]) + ")");
  option.value = index;
  file.append(option);
}
if (file.options.length === 1) file.closest(".plot").hidden = true;
document.querySelector(".map").hidden = false;
$("runs").hidden = false;

/* Canvases know nothing of CSS: colours and textures are made of what it says now. */
function readColors() {
  const style = getComputedStyle(document.documentElement);
  const device = window.devicePixelRatio || 1;
  for (const name of ["paper", "ink", "faint", "line", "mark", ...D.kinds]) colors[name] = style.getPropertyValue("--" + name).trim();
  patterns = D.kinds.map((kind) => {
    const size = kind === "compressed" ? 6 : 5;
    const tile = make("canvas"), g = tile.getContext("2d");
    tile.width = tile.height = Math.round(size * device);
    g.scale(tile.width / size, tile.width / size);
    g.fillStyle = colors[kind];
    g.fillRect(0, 0, size, size);
    g.strokeStyle = g.fillStyle = colors.paper;
    g.lineWidth = 1.1;
    g.beginPath();
    if (kind === "compressed") { g.moveTo(-1, 7); g.lineTo(7, -1); g.moveTo(-2, 2); g.lineTo(2, -2); g.moveTo(4, 8); g.lineTo(8, 4); }
    if (kind === "damaged") { g.moveTo(0, 0); g.lineTo(5, 5); g.moveTo(5, 0); g.lineTo(0, 5); }
    g.stroke();
    if (kind === "zero") g.fillRect(2, 2, 1.4, 1.4);
    return kind === "data" || kind === "absent" ? colors[kind] : g.createPattern(tile, "repeat");
  });
}

/* A canvas as large as it is shown, in the device's own pixels. */
function prepare(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale)), height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const g = canvas.getContext("2d");
  g.clearRect(0, 0, width, height);
  return { g, width, height, scale };
}

const isIn = (part, row) => part[DEPTH] >= row.first && part[DEPTH] < row.end && D.kinds[part[KIND]] !== "absent";

/* Columns of a row: how much of each is of which kind, stacked; nothing that is there is left out. */
function drawStrip(canvas, row, first, end) {
  const { g, width, height, scale: device } = prepare(canvas);
  const scale = width / (end - first);
  const shares = D.kinds.map(() => new Float32Array(width));
  for (let index = cellAt(first); index < D.cells.length && starts[index] < end; index += 1) {
    const left = (starts[index] - first) * scale, right = (starts[index + 1] - first) * scale;
    const low = Math.max(0, Math.floor(left)), high = Math.min(width, Math.ceil(right));
    for (const part of D.cells[index].slice(2)) {
      if (!isIn(part, row)) continue;
      const share = shares[part[KIND]], density = part[BYTES] / D.cells[index][0];
      for (let x = low; x < high; x += 1) share[x] += density * (Math.min(right, x + 1) - Math.max(left, x));
    }
  }
  g.fillStyle = colors.absent;
  g.fillRect(0, 0, width, height);
  const tops = new Int32Array(width).fill(height);
  D.kinds.forEach((kind, number) => {
    const share = shares[number];
    g.fillStyle = patterns[number];
    for (let x = 0, run = 0, tall = 0; x <= width; x += 1) {
      const now = x < width && share[x] > 1e-9 ? Math.min(tops[x], Math.max(Math.round((kind === "damaged" ? 6 : 2) * device), Math.round(share[x] * height))) : 0;
      if (x < width && x > run && now === tall && tops[x] === tops[run]) continue;
      if (tall > 0) {
        g.fillRect(run, tops[run] - tall, x - run, tall);
        const below = tops[run] - tall;
        for (let each = run; each < x; each += 1) tops[each] = below;
      }
      run = x;
      tall = now;
    }
  });
  return { g, width, height, scale };
}

/* The range that is pointed at, in the colour of marks. */
function drawMark({ g, width, height, scale: bytes }, device) {
  for (const range of [cursor, hovered]) {
    if (!range) continue;
    const left = Math.round((starts[range[0]] - from) * bytes), right = Math.round((starts[range[1] + 1] - from) * bytes);
    if (right < 0 || left > width) continue;
    g.strokeStyle = colors.mark;
    g.lineWidth = 2 * device;
    g.strokeRect(Math.max(-9, left - device), device, Math.min(width + 18, Math.max(right, left + 1) - Math.max(-9, left - device) + device), height - 2 * device);
  }
}

const isShown = ([start, length]) => start < to && start + Math.max(1, length) > from;
/* The file that was asked for, or the one that has most of what is shown. */
function plotted() {
  if (file.value !== "") return Number(file.value);
  let best = byContent[0] ?? 0, most = 0;
  for (const index of byContent) {
    let bytes = 0;
    for (const line of lines[index]) if (isShown(line)) bytes += Math.max(D.sampleStep, Math.min(to, line[0] + line[1]) - Math.max(from, line[0]));
    if (bytes > most) [best, most] = [index, bytes];
  }
  return best;
}

function drawPlot() {
  const number = plotted();
  const shown = (lines[number] || []).filter(isShown);
  const { g, width, height, scale } = prepare(plot);
  const whole = from === 0 && to === D.size;
  let low = whole ? 0 : Infinity, high = whole ? D.files[number]?.[1] ?? 0 : 0;
  for (const [start, length, first, last] of shown) {
    low = Math.min(low, first + Math.max(0, length > 0 ? from - start : 0));
    high = Math.max(high, last - Math.max(0, length > 0 ? start + length - to : 0));
  }
  const x = (offset) => ((offset - from) / (to - from)) * width;
  const y = (position) => 2 * scale + ((position - low) / Math.max(1, high - low)) * (height - 4 * scale);
  g.strokeStyle = colors.line;
  g.lineWidth = 1;
  g.beginPath();
  for (const at of ticksOf(from, to, axisCount())) { g.moveTo(Math.round(x(at)) + 0.5, 0); g.lineTo(Math.round(x(at)) + 0.5, height); }
  g.stroke();
  for (const kind of new Set(shown.map((line) => line[4]))) {
    g.strokeStyle = colors[D.kinds[kind]];
    g.lineWidth = 2.5 * scale;
    g.beginPath();
    for (const [start, length, first, last, of] of shown) {
      if (of !== kind) continue;
      const left = x(start), right = Math.max(left + 2 * scale, x(start + length));
      g.moveTo(left, y(first));
      g.lineTo(right, y(last));
    }
    g.stroke();
  }
  $("top").textContent = shown.length > 0 ? sizeText(low) + " in " + baseName(D.files[number][0]) : "nothing of this is plain in a file";
  $("bottom").textContent = shown.length > 0 ? sizeText(high) : "";
}

const axisCount = () => Math.max(2, Math.min(10, Math.floor($("axis").clientWidth / 110)));

function drawAxis() {
  const all = ticksOf(from, to, axisCount());
  const step = all.length > 1 ? all[1] - all[0] : to - from;
  $("axis").replaceChildren(...all.map((at) => {
    const share = (at - from) / (to - from);
    const mark = make("span", share < 0.04 ? "first" : share > 0.93 ? "last" : "", tickText(at, step));
    mark.style.left = share * 100 + "%";
    return mark;
  }));
}

function draw() {
  queued = false;
  const device = window.devicePixelRatio || 1;
  canvases.forEach((canvas, index) => drawMark(drawStrip(canvas, D.rows[index], from, to), device));
  const { g, width, height } = drawStrip(overview, D.rows[0], 0, D.size);
  g.strokeStyle = colors.mark;
  g.lineWidth = 2 * device;
  const left = (from / D.size) * width, right = (to / D.size) * width;
  g.strokeRect(Math.min(left + device, width - 3 * device), device, Math.max(2 * device, right - left - 2 * device), height - 2 * device);
  for (const { start, length, button } of areas) {
    const low = Math.max(from, start), high = Math.min(to, start + length);
    button.hidden = low >= high && button !== document.activeElement;
    const share = ((high - low) / (to - from)) * 100;
    button.style.left = Math.min(99.8, ((low - from) / (to - from)) * 100) + "%";
    button.style.width = Math.max(0, share) + "%";
    button.classList.toggle("thin", share < 3);
  }
  drawAxis();
  drawPlot();
  $("range").textContent = from === 0 && to === D.size ? "all " + sizeText(D.size) : sizeText(to - from) + " from " + sizeText(from) + " (" + hex(from) + ")";
  $("out").disabled = $("all").disabled = to - from >= D.size;
  $("in").disabled = to - from <= LEAST_SPAN;
  $("left").disabled = from <= 0;
  $("right").disabled = to >= D.size;
  if ($("runs").open) fillTable();
}
function redraw() { if (!queued) { queued = true; requestAnimationFrame(draw); } }

`;
