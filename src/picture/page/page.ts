import { formatSize } from "../../util/size.js";
import { meanings } from "../kinds.js";
import { element, escapeMarkup } from "../markup.js";
import { kindsIn, type Picture } from "../picture.js";
import { drawSvg } from "../svg.js";
import { exactSize, fragmentationLine, grouped, headline, percent } from "../words.js";
import { actScript } from "./act-script.js";
import { dataScript } from "./data.js";
import { drawScript } from "./draw-script.js";
import { modelScript } from "./model-script.js";
import { pageStyle } from "./style.js";

/** Nothing but what is in the page itself: no request leaves it, wherever it lies. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** Without one, browsers ask the server for an icon. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Cpath fill='%230072b2' d='M0 0h8v3H0z'/%3E%3Cpath fill='%23e69f00' d='M0 4h5v3H0z'/%3E%3C/svg%3E";

/** A drawing to look into, as one HTML page. Where scripts are off it is the drawing of `drawSvg`. */
export function drawPage(picture: Picture): string {
  const title = `Map of ${picture.name}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${escapeMarkup(`Where the bytes of a disk are stored: ${headline(picture)}`)}">
<link rel="icon" href="${ICON}">
<title>${escapeMarkup(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<header><h1>${escapeMarkup(picture.name)}</h1><p>${escapeMarkup(headline(picture))}</p></header>
<main>
${legend(picture)}
<noscript><div class="still">${drawSvg(picture)}</div></noscript>
${picture.survey.size > 0 ? map : "<p>The disk is empty.</p>"}
${facts(picture)}
${areaTable(picture)}
${chainTable(picture)}
${picture.survey.size > 0 ? runTable : ""}
</main>
<footer>Drawn by flatmount. The image was only read.</footer>
${picture.survey.size > 0 ? `${dataScript(picture)}\n<script>${modelScript}${drawScript}${actScript}</script>` : ""}
</body>
</html>
`;
}

function legend({ survey }: Picture): string {
  const items = kindsIn(survey).map((kind) => {
    const size = `${formatSize(survey.totals[kind])}, ${percent(survey.totals[kind], survey.size)}`;
    const words = [element("b", {}, kind), element("span", {}, size), element("small", {}, escapeMarkup(meanings[kind]))];
    return element("li", {}, [element("i", { class: `swatch ${kind}` }, "&nbsp;"), element("span", { class: "words" }, words)]);
  });
  return element("ul", { class: "legend", "aria-label": "Kinds of storage" }, items);
}

const map = `<section class="map" aria-label="Map" hidden>
<div class="tools" role="group" aria-label="What is shown">
<button id="in" type="button" aria-label="Zoom in">+</button><button id="out" type="button" aria-label="Zoom out">−</button>
<button id="left" type="button" aria-label="Move to the left">←</button><button id="right" type="button" aria-label="Move to the right">→</button>
<button id="all" type="button">Whole disk</button><output id="range"></output>
</div>
<canvas id="overview" aria-hidden="true"></canvas>
<div id="lanes"></div>
<div id="view" tabindex="0" role="application" aria-roledescription="zoomable map" aria-label="Map of the disk" aria-describedby="keys"></div>
<div id="axis" aria-hidden="true"></div>
<div class="plot"><div class="label"><label for="file">Where in the file</label> <select id="file"></select></div>
<div class="chart"><canvas id="plot" role="img" aria-label="Position in the file against offset on the disk"></canvas><span id="top"></span><span id="bottom"></span></div></div>
<div id="detail"></div>
<p id="live" class="unseen" aria-live="polite"></p>
<p id="keys">Click into the map, or reach it with Tab: <kbd>←</kbd> <kbd>→</kbd> go from run to run, <kbd>+</kbd> <kbd>−</kbd> or the wheel zoom, <kbd>Enter</kbd> fills the map with the run, <kbd>Page Up</kbd> <kbd>Page Down</kbd> or dragging move it, <kbd>Home</kbd> <kbd>End</kbd> go to the ends of the disk, <kbd>Esc</kbd> shows all of it.</p>
</section>`;

function facts({ survey, stored }: Picture): string {
  const fragmentation = fragmentationLine(survey);
  const rows: (readonly [string, string])[] = [
    ["Disk", exactSize(survey.size)],
    ["Stored", exactSize(stored)],
    ["Runs", grouped(survey.runs)],
    ...(fragmentation === undefined ? [] : [["Fragmentation", fragmentation] as const]),
  ];
  const items = rows.map(([name, value]) => element("div", {}, [element("dt", {}, name), element("dd", {}, escapeMarkup(value))]));
  return element("dl", { class: "facts" }, items);
}

function table(caption: string, header: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = header.map((cell) => element("th", { scope: "col" }, escapeMarkup(cell)));
  const body = rows.map((row) =>
    element(
      "tr",
      {},
      row.map((cell) => element("td", {}, escapeMarkup(cell))),
    ),
  );
  const whole = [element("caption", {}, escapeMarkup(caption)), element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)];
  // Wide tables are scrolled, with keys, too.
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, element("table", {}, whole));
}

function areaTable({ areas: { lanes, omitted } }: Picture): string {
  const rows = lanes.flatMap(({ areas }) =>
    areas.map(({ name, type, label, start, length }) => [name, type, label ?? "–", grouped(start), formatSize(length)]),
  );
  if (rows.length === 0) return "";
  const caption = `Partitions and volumes${omitted > 0 ? ` (${grouped(omitted)} more are left out)` : ""}`;
  return table(caption, ["Name", "Type", "Label", "Start", "Size"], rows);
}

function chainTable({ survey: { chain, totalsByDepth } }: Picture): string {
  if (chain.length === 1) return "";
  const rows = chain.map(({ file, format }, depth) => {
    const { data = 0, compressed = 0, zero = 0, damaged = 0 } = totalsByDepth[depth] ?? {};
    return [String(depth), format, ...[data, compressed, zero, damaged].map(formatSize), file];
  });
  return table("Layers: what each image of the chain gives", ["Layer", "Format", "Data", "Compressed", "Zero", "Damaged", "File"], rows);
}

const runTable = `<details id="runs" hidden><summary>The runs as a table</summary>
<p class="tools"><button id="before" type="button">Earlier</button><button id="after" type="button">Later</button><output id="rows"></output></p>
<div class="scroll" tabindex="0" role="region" aria-label="Runs in the map"><table><caption>Runs in the part of the disk that the map shows</caption>
<thead><tr><th scope="col">Offset</th><th scope="col">Length</th><th scope="col">What</th><th scope="col">File</th><th scope="col">Position</th><th scope="col">Layer</th></tr></thead><tbody></tbody></table></div>
</details>`;
