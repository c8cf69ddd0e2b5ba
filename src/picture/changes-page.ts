import { type ChangesPicture, changesLine, drawChanges } from "./changes-svg.js";
import { dark, light } from "./kinds.js";
import { element, escapeMarkup } from "./markup.js";
import { variables } from "./svg-style.js";
import { counted, grouped } from "./words.js";

/** Nothing but what is in the page itself, and nothing that runs. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const style = `
:root{color-scheme:light dark;${variables(light)}}
@media(prefers-color-scheme:dark){:root{${variables(dark)}}}
body{margin:0;padding:1.25rem clamp(.75rem,2.5vw,4rem) 2rem;background:var(--paper);color:var(--ink);font:1rem/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.5rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
p{color:var(--faint)}svg{max-width:100%;height:auto}
table{border-collapse:collapse}th,td{text-align:left;padding:.15rem .9rem .15rem 0;border-bottom:1px solid var(--line)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
`;

/** The drawing of `drawChanges`, and the first ranges as a table, as one HTML page. */
export function drawChangesPage(picture: ChangesPicture): string {
  const { name, before, after, changes } = picture;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeMarkup(`Changes in ${name}`)}</title>
<style>${style}</style>
</head>
<body>
<header><h1>${escapeMarkup(name)}</h1><p>${escapeMarkup(`From ${before} to ${after}: ${changesLine(changes)}`)}</p></header>
<main>
${drawChanges(picture)}
${changes.first.length > 0 ? rangeTable(picture) : ""}
</main>
<footer><p>Drawn by flatmount. The image was only read.</p></footer>
</body>
</html>
`;
}

function rangeTable({ changes: { first, ranges } }: ChangesPicture): string {
  const number = { class: "number" };
  const rows = first.map(({ start, length, before, after, error }) =>
    element("tr", {}, [
      element("td", number, grouped(start)),
      element("td", number, grouped(length)),
      ...[before, after, error ?? ""].map((words) => element("td", {}, escapeMarkup(words))),
    ]),
  );
  const names = ["Before", "After", ""].map((words) => element("th", { scope: "col" }, words));
  const head = element("tr", {}, [...["Offset", "Length"].map((words) => element("th", { ...number, scope: "col" }, words)), ...names]);
  const rest = ranges > first.length ? element("p", {}, `The first ${grouped(first.length)} of ${counted(ranges, "range")}.`) : "";
  return `${rest}${element("table", {}, [head, ...rows])}`;
}
