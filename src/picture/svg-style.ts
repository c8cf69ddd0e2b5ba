import { dark, kinds, light, type Palette } from "./kinds.js";

/** Colours and patterns of a drawing. */
export function svgStyle(prefix: string): string {
  const within = `.${prefix}`;
  const rules = [
    `${within}{font:13px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;${variables(light)}}`,
    `@media(prefers-color-scheme:dark){${within}{${variables(dark)}}}`,
    `@media print{${within}{${variables(light)}}}`,
    `${within} .paper{fill:var(--paper)}${within} text{fill:var(--ink)}${within} .f{fill:var(--faint)}`,
    `${within} .h{font-size:19px;font-weight:600}${within} .s{font-size:12px}`,
    `${within} .area{fill:var(--panel);stroke:var(--faint)}${within} .ground,${within} .absent{fill:var(--absent)}`,
    `${within} .tick,${within} .frame{stroke:var(--line);fill:none}${within} .key{stroke:var(--line)}`,
    `${within} .data{fill:var(--data)}${within} .line{stroke-width:2;fill:none;stroke-linecap:round}`,
    ...kinds.map((kind) => `${within} .line.${kind}{stroke:var(--${kind})}${within} .of-${kind}{fill:var(--${kind})}`),
    `${within} .cut{stroke:var(--paper);stroke-width:1.2;fill:none}`,
  ];
  return `<style>${rules.join("\n")}</style><defs>${patterns(prefix)}</defs>`;
}

/** The colours of a palette as custom properties. */
export function variables({ kinds: fills, ...rest }: Palette): string {
  return Object.entries({ ...rest, ...fills })
    .map(([name, value]) => `--${name}:${value}`)
    .join(";");
}

/** What tells kinds apart without colours: stripes, dots, crosses. */
function patterns(prefix: string): string {
  const pattern = (kind: string, size: number, cuts: string) =>
    `<pattern id="${prefix}-${kind}" width="${size}" height="${size}" patternUnits="userSpaceOnUse"><path class="of-${kind}" d="M0 0h${size}v${size}h-${size}z"/>${cuts}</pattern>`;
  return [
    pattern("compressed", 6, '<path class="cut" d="M-1 7L7 -1M-2 2L2 -2M4 8L8 4"/>'),
    pattern("zero", 5, '<path class="cut" d="M2 2h1.4"/>'),
    pattern("damaged", 7, '<path class="cut" d="M0 0L7 7M7 0L0 7"/>'),
  ].join("");
}
