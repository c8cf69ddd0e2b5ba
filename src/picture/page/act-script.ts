/** The page's script, last part: what people do with mouse, fingers and keys, and what they are told. */
export const actScript = String.raw`
/* Shows a range, moved and sized to what can be shown. */
function show(first, end) {
  const span = Math.min(D.size, Math.max(LEAST_SPAN, Math.round(end - first)));
  from = Math.max(0, Math.min(D.size - span, Math.round(first)));
  to = from + span;
  page = 0;
  redraw();
}
const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) * factor, at + (to - at) * factor);
const move = (share) => show(from + (to - from) * share, to + (to - from) * share);

/* Cells of the pixel that the byte is in: all of them, since none could be told from its neighbours. */
function groupAt(offset) {
  const pixel = (to - from) / Math.max(1, canvases[0].clientWidth);
  const first = cellAt(Math.max(0, Math.min(D.size - 1, offset)));
  if (starts[first + 1] - starts[first] >= pixel) return [first, first];
  const low = from + Math.floor((offset - from) / pixel) * pixel;
  const begin = cellAt(Math.max(0, low)), last = cellAt(Math.min(D.size - 1, low + pixel - 1e-3));
  return [starts[begin] < low && begin < first ? begin + 1 : begin, Math.max(first, last)];
}
function offsetOf(event) {
  const box = canvases[0].getBoundingClientRect();
  if (event.clientX < box.left || event.clientX >= box.right) return undefined;
  return from + ((event.clientX - box.left) / box.width) * (to - from);
}
function tell() {
  const range = hovered || cursor;
  if (!range) {
    $("detail").replaceChildren(make("p", "", "Point at the map, or choose it and use the arrow keys, to see what is there."));
    return;
  }
  const list = make("dl");
  for (const [name, value] of factsOf(range[0], range[1])) {
    const pair = make("div");
    pair.append(make("dt", "", name), make("dd", "", value));
    list.append(pair);
  }
  $("detail").replaceChildren(list);
}
function choose(range) {
  cursor = range;
  const [first, last] = [starts[range[0]], starts[range[1] + 1]];
  if (first < from || last > to) {
    if (last - first >= to - from) show(first, first + to - from);
    else if (first < from) show(first - (to - from) * 0.1, first + (to - from) * 0.9);
    else show(last - (to - from) * 0.9, last + (to - from) * 0.1);
  }
  hovered = null;
  tell();
  $("live").textContent = factsOf(range[0], range[1]).map(([name, value]) => name + " " + value).join(". ");
  redraw();
}
function step(direction) {
  if (!cursor) return choose(groupAt(direction > 0 ? from : to - 1));
  const next = direction > 0 ? cursor[1] + 1 : cursor[0] - 1;
  if (next < 0 || next >= D.cells.length) return;
  const group = groupAt(direction > 0 ? starts[next] : starts[next + 1] - 1);
  choose(direction > 0 ? [next, Math.max(next, group[1])] : [Math.min(next, group[0]), next]);
}
const middle = () => (cursor && starts[cursor[0]] < to && starts[cursor[1] + 1] > from ? Math.max(from, Math.min(to, (starts[cursor[0]] + starts[cursor[1] + 1]) / 2)) : (from + to) / 2);

const keys = {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  "+": () => zoom(0.5, middle()),
  "=": () => zoom(0.5, middle()),
  "-": () => zoom(2, middle()),
  PageDown: () => move(0.9),
  PageUp: () => move(-0.9),
  Home: () => { show(0, to - from); choose(groupAt(0)); },
  End: () => { show(D.size - (to - from), D.size); choose(groupAt(D.size - 1)); },
  Enter: () => { if (cursor) show(starts[cursor[0]], starts[cursor[1] + 1]); },
  Escape: () => show(0, D.size),
  0: () => show(0, D.size),
};
view.addEventListener("keydown", (event) => {
  const act = keys[event.key];
  if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act();
});
function wheel(event) {
  const offset = offsetOf(event);
  if (offset === undefined) return;
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
    if (to - from < D.size) { event.preventDefault(); move((event.deltaX || event.deltaY) / 1000); }
    return;
  }
  /* At the ends of zooming the page scrolls, as anywhere. */
  if (event.deltaY > 0 ? to - from >= D.size : to - from <= LEAST_SPAN) return;
  event.preventDefault();
  zoom(Math.pow(1.0025, Math.max(-240, Math.min(240, event.deltaY * (event.deltaMode === 1 ? 30 : 1)))), offset);
}
let drag = null;
function press(event) {
  if (event.button !== 0 || offsetOf(event) === undefined) return;
  drag = { x: event.clientX, from, to, moved: false };
  event.currentTarget.setPointerCapture(event.pointerId);
}
function hover(event) {
  if (drag) {
    const moved = event.clientX - drag.x;
    if (Math.abs(moved) > 4) drag.moved = true;
    if (!drag.moved) return;
    const way = (moved / canvases[0].clientWidth) * (drag.to - drag.from);
    return show(drag.from - way, drag.to - way);
  }
  const offset = offsetOf(event);
  hovered = offset === undefined ? null : groupAt(offset);
  tell();
  redraw();
}
function release(event) {
  const offset = offsetOf(event);
  if (drag && !drag.moved && event.type === "pointerup" && offset !== undefined) choose(groupAt(offset));
  drag = null;
}
for (const target of [view, plot]) {
  target.addEventListener("wheel", wheel, { passive: false });
  target.addEventListener("pointerdown", press);
  target.addEventListener("pointermove", hover);
  target.addEventListener("pointerup", release);
  target.addEventListener("pointercancel", release);
  target.addEventListener("pointerleave", () => { hovered = null; tell(); redraw(); });
  target.addEventListener("dblclick", () => keys.Enter());
}
function look(event) {
  if (event.buttons === 0) return;
  const box = overview.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * D.size;
  show(at - (to - from) / 2, at + (to - from) / 2);
}
overview.addEventListener("pointerdown", look);
overview.addEventListener("pointermove", look);
$("in").addEventListener("click", () => zoom(0.5, middle()));
$("out").addEventListener("click", () => zoom(2, middle()));
$("left").addEventListener("click", () => move(-0.5));
$("right").addEventListener("click", () => move(0.5));
$("all").addEventListener("click", () => show(0, D.size));
file.addEventListener("change", redraw);

/* The runs in the map, a page of them at a time: for those who cannot see it, or want the numbers. */
const PAGE = 100;
let page = 0;
function fillTable() {
  const first = cellAt(from), count = cellAt(to - 1) - first + 1;
  const begin = first + page * PAGE, end = Math.min(first + count, begin + PAGE);
  const rows = [];
  for (let index = begin; index < end; index += 1) {
    const [runs, parts] = joined(index, index), single = runs === 1;
    const all = (text) => [...new Set(parts.map(text).filter(Boolean))].join("; ");
    const what = single ? D.kinds[parts[0][KIND]] : counted(runs, "run") + ": " + all((part) => percent(part[BYTES], D.cells[index][0]) + " " + D.kinds[part[KIND]]);
    const row = make("tr");
    for (const text of [hex(starts[index]), exact(D.cells[index][0]), what, all(fileText), all((part) => positionText(part, single)), all(layerText)]) row.append(make("td", "", text || "–"));
    rows.push(row);
  }
  document.querySelector("#runs tbody").replaceChildren(...rows);
  $("rows").textContent = "rows " + grouped(begin - first + 1) + " to " + grouped(end - first) + " of " + grouped(count);
  $("before").disabled = page === 0;
  $("after").disabled = end >= first + count;
}
$("before").addEventListener("click", () => { page -= 1; fillTable(); });
$("after").addEventListener("click", () => { page += 1; fillTable(); });
$("runs").addEventListener("toggle", () => { if ($("runs").open) fillTable(); });

function restyle() { readColors(); redraw(); }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
addEventListener("beforeprint", () => { document.documentElement.dataset.print = ""; readColors(); draw(); });
addEventListener("afterprint", () => { delete document.documentElement.dataset.print; restyle(); });
new ResizeObserver(restyle).observe(view);
readColors();
tell();
draw();
`;
