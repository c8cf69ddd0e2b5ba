import { SaxesParser } from "saxes";
import { describe, expect, test } from "vitest";
import { dark, kinds, light } from "../../src/picture/kinds.js";
import { escapeMarkup } from "../../src/picture/markup.js";
import { drawSvg } from "../../src/picture/svg.js";
import { diskOf, exampleDisk, fileOf, pictureOfLayer } from "../support/pictures.js";

interface Parsed {
  readonly titles: readonly string[];
  readonly texts: readonly string[];
  readonly names: ReadonlySet<string>;
  readonly attributes: readonly (readonly [string, string])[];
}

/** Fails if it is not well-formed XML. */
function parse(svg: string): Parsed {
  const parser = new SaxesParser();
  const [titles, texts, attributes]: [string[], string[], [string, string][]] = [[], [], []];
  const names = new Set<string>();
  const open: string[] = [];
  let text = "";
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes: all }) => {
    names.add(name);
    open.push(name);
    text = "";
    for (const [key, value] of Object.entries(all)) attributes.push([key, value]);
  });
  parser.on("text", (more) => {
    text += more;
  });
  parser.on("closetag", () => {
    const name = open.pop();
    if (name === "title") titles.push(text);
    if (name === "text") texts.push(text);
  });
  parser.write(svg).close();
  return { titles, texts, names, attributes };
}

describe("SVG", () => {
  test("is well-formed, and tells of each run what it is", () => {
    const { titles, texts } = parse(drawSvg(pictureOfLayer(exampleDisk(), ["boot", "root"])));
    expect(titles).toContain("data\noffset 0x0, 64 KiB (65,536 bytes)\nat 0x50000 of top.img\nlayer 0");
    expect(titles).toContain("data\noffset 0x30000, 64 KiB (65,536 bytes)\nat 0x1000 of base.img\nlayer 1");
    expect(titles).toContain("compressed\noffset 0x40000, 64 KiB (65,536 bytes)\nfrom a block at 0x30000 on in top.img\nlayer 0");
    expect(titles).toContain("damaged\noffset 0x50000, 64 KiB (65,536 bytes)\ntop.img: the entry leads nowhere (at byte 0x40)\nlayer 0");
    expect(texts).toContain("Layer 1: base.img, test");
    expect(texts).toContain("1 · boot, Linux");
    for (const kind of kinds) expect(texts.some((text) => text.startsWith(`${kind}: `))).toBe(true);
  });

  test("needs nothing but itself", () => {
    const svg = drawSvg(pictureOfLayer(exampleDisk(), ["x"]));
    const { names, attributes } = parse(svg);
    for (const name of ["script", "image", "use", "foreignObject", "a"]) expect(names).not.toContain(name);
    expect(attributes.filter(([key, value]) => /href|^on/i.test(key) || (/:\/\//.test(value) && key !== "xmlns"))).toEqual([]);
    expect(svg).not.toMatch(/url\((?!#)/);
    expect(svg).not.toContain("@import");
  });

  test("hostile labels and file names stay text", () => {
    const hostile = "</title><script>alert(1)</script>\"'&\u0000\u001b[2J\u202e\ufffe\ud800";
    const { names, texts, attributes } = parse(drawSvg(pictureOfLayer(exampleDisk(hostile, hostile), [hostile])));
    expect(names).not.toContain("script");
    expect(attributes.some(([key]) => /^on/i.test(key))).toBe(false);
    expect(texts.some((text) => text.includes("<script>alert(1)</script>"))).toBe(true);
    expect(texts.join("")).not.toMatch(/[\u0000-\u0008\u001b\u202e\ufffe]/);
  });

  test("a million runs, and a chain of 64 images, give a drawing that can be opened", () => {
    const source = fileOf("f", 2 ** 40);
    let disk = diskOf("d", 2 ** 20, 20_000, (index, length) => ({ kind: "data", length, source, position: (index % 977) * 2 ** 20 }));
    for (let depth = 1; depth < 64; depth += 1) {
      const own = fileOf(`${depth}.img`, 2 ** 40);
      disk = diskOf(
        `${depth}.img`,
        2 ** 20,
        20_000,
        (index, length) =>
          index % 64 === depth ? { kind: "data", length, source: own, position: index } : { kind: "parent", length, offset: 0 },
        disk,
      );
    }
    const svg = drawSvg(pictureOfLayer(disk));
    expect(svg.length).toBeLessThan(3_000_000);
    expect(parse(svg).texts).toContain("Layers 11–63: the rest of the chain");
  });

  test("an empty disk", () => {
    const { texts } = parse(drawSvg(pictureOfLayer(diskOf("e", 512, 0, (_index, length) => ({ kind: "zero", length })))));
    expect(texts).toContain("The disk is empty.");
  });

  test("two drawings do not share ids", () => {
    expect(drawSvg(pictureOfLayer(exampleDisk()), { prefix: "other" })).toContain('fill="url(#other-zero)"');
  });
});

test("what is not allowed in markup", () => {
  expect(escapeMarkup("a<b>&\"'\u0001\ufffe")).toBe("a&#60;b&#62;&#38;&#34;&#39;\ufffd\ufffd");
});

/** Relative luminance by WCAG 2. */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const contrast = (one: string, other: string): number => {
  const [high = 0, low = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};

describe.each([
  ["light", light],
  ["dark", dark],
])("%s colours", (_name, palette) => {
  test("text can be read, and what is stored is seen", () => {
    for (const text of [palette.ink, palette.faint]) {
      for (const ground of [palette.paper, palette.panel]) expect(contrast(text, ground)).toBeGreaterThan(4.5);
    }
    for (const kind of ["data", "damaged"] as const) expect(contrast(palette.kinds[kind], palette.kinds.absent)).toBeGreaterThan(3);
    expect(contrast(palette.mark, palette.paper)).toBeGreaterThan(3);
  });
});
