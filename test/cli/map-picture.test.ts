import { existsSync, linkSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { mapCommand } from "../../src/cli/commands/map.js";
import { isUtf8 } from "../../src/cli/picturing.js";
import { terminalLines } from "../../src/picture/terminal.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { diskOf, exampleDisk, fileOf, pictureOfLayer } from "../support/pictures.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { failureOf, fakeIo, outputOf, run } from "./fake-io.js";

const terminal = { columns: 80, color: false, unicode: true };
const rowOf = (lines: readonly string[], title: string) =>
  lines
    .find((line) => line.startsWith(title))
    ?.slice(title.length)
    .trimStart();

describe("in a terminal", () => {
  test("as wide as it is, a row for each image, partitions above", () => {
    const lines = terminalLines(pictureOfLayer(exampleDisk(), ["boot", "root"]), { ...terminal, columns: 78 });
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(78);
    expect(rowOf(lines, "Disk")).toBe("████████████████░░░░░░░░████████▓▓▓▓▓▓▓▓╳╳╳╳╳╳╳╳████████········");
    expect(lines.find((line) => line.startsWith("Layer 0"))?.slice(13)).toBe("████████████████░░░░░░░░        ▓▓▓▓▓▓▓▓╳╳╳╳╳╳╳╳████████");
    expect(lines.find((line) => line.startsWith("Layer 1"))?.slice(13)).toBe(`${" ".repeat(24)}████████`);
    expect(rowOf(lines, "Partitions")).toMatch(/^│1 boot, Linux╌+││2 root, Linux╌+│$/);
    expect(lines.join("\n")).toContain("█ data 256 KiB (50 %)   ▓ compressed 64 KiB (13 %)");
    expect(lines.join("\n")).toContain("4 runs of data, 64 KiB on average; 0 % go on");
  });

  test("in ASCII", () => {
    const lines = terminalLines(pictureOfLayer(exampleDisk("ü.img", "base.img"), ["größe"]), { ...terminal, columns: 78, unicode: false });
    expect(rowOf(lines, "Disk")).toBe("################00000000########%%%%%%%%XXXXXXXX########........");
    expect(lines.slice(1).join("")).toMatch(/^[\x20-\x7e]*$/);
    expect(lines.join("\n")).toContain("1 gr??e, Linux");
  });

  test("colours where they are welcome, and all of them end in their line", () => {
    const lines = terminalLines(pictureOfLayer(exampleDisk()), { ...terminal, color: true });
    expect(lines.find((line) => line.startsWith("Disk"))).toContain("\x1b[36m█");
    for (const line of lines) {
      expect(line.match(/\x1b\[[1-9][\d;]*m/g)?.length ?? 0).toBe(line.match(/\x1b\[0m/g)?.length ?? 0);
    }
    const plain = terminalLines(pictureOfLayer(exampleDisk()), terminal);
    expect(lines.map((line) => line.replaceAll(/\x1b\[[\d;]*m/g, "").trimEnd())).toEqual(plain);
    expect(plain.join("")).not.toContain("\x1b");
  });

  test.each([1, 20, 40, 79, 200, 1000])("%d columns", (columns) => {
    const lines = terminalLines(pictureOfLayer(exampleDisk(), ["boot", "root"]), { ...terminal, columns });
    // Words are never cut.
    const longest = Math.max(...lines.filter((line) => /[█▓⠀-⣿]/u.test(line)).map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(Math.max(columns, 50));
    if (columns === 200) expect(rowOf(lines, "Disk")?.length).toBeGreaterThan(150);
  });

  test("a column that is of several kinds is as high as what is stored of it; damage always shows", () => {
    const source = fileOf("f", 2 ** 30);
    const parts = (share: number, damaged = false) =>
      diskOf("f", 512, 64_000, (index, length) => {
        if (damaged && index === 100) return { kind: "damaged", length, error: new Error("x") as never };
        return index % 100 < share ? { kind: "data", length, source, position: index * 2048 } : { kind: "zero", length };
      });
    const columns = 13 + 1 + 64;
    const draw = (share: number, damaged?: boolean) =>
      rowOf(terminalLines(pictureOfLayer(parts(share, damaged)), { ...terminal, columns }), "Disk") ?? "";
    expect(new Set(draw(50))).toEqual(new Set("▄"));
    expect(new Set(draw(5))).toEqual(new Set("▁"));
    expect(new Set(draw(95))).toEqual(new Set("█"));
    expect(new Set(draw(0))).toEqual(new Set("░"));
    expect(Array.from(draw(50, true)).filter((glyph) => glyph === "╳")).toHaveLength(1);
  });

  test("an empty disk", () => {
    const empty = diskOf("e", 512, 0, (_index, length) => ({ kind: "zero", length }));
    expect(terminalLines(pictureOfLayer(empty), terminal).at(-1)).toBe("The disk is empty.");
  });

  test("a name that would steer the terminal does not", () => {
    const lines = terminalLines(pictureOfLayer(exampleDisk("a\x1b[2J\u202e.img", "b\n.img"), ["\x1b]0;x\x07"]), terminal);
    expect(lines.join("")).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
  });

  test("which locale shows more than ASCII", () => {
    expect(isUtf8({ LANG: "en_GB.UTF-8" })).toBe(true);
    expect(isUtf8({ LANG: "en_GB.UTF-8", LC_ALL: "C" })).toBe(false);
    expect(isUtf8({ LANG: "C", LC_CTYPE: "C.utf8" })).toBe(true);
    expect(isUtf8({ LC_ALL: "", LANG: "de_DE.UTF-8" })).toBe(true);
    expect(isUtf8({})).toBe(false);
  });
});

describe("map --picture, --svg, --html", () => {
  const disks = builtDisks();
  const clusters = new Map<number, Cluster>([
    [0, { kind: "data", content: noise(1, 4096) }],
    [2, { kind: "zero" }],
  ]);
  const image = () =>
    disks.write({
      "top.qcow2": { size: 8 * 4096, clusters, backing: { name: "base.raw", format: "raw" } },
      "base.raw": noise(3, 5 * 4096),
    });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test("the picture of an image, with its chain", async () => {
    vi.stubEnv("LC_ALL", "C.UTF-8");
    const path = image();
    const output = await outputOf(mapCommand, "--picture", path);
    expect(output).toMatch(/^top\.qcow2\nqcow2, version 3 · 32 KiB disk · .* stored in 2 files\n/);
    expect(output).toMatch(/^Disk +█{16}▄░{7}▂█{16}▂·+$/m);
    expect(output).toContain(`${dirname(path)}/base.raw`);
    expect(output).not.toContain("\x1b");
  });

  test("in colours where the terminal has them, as wide as it is", async () => {
    vi.stubEnv("LC_ALL", "C");
    const io = fakeIo({ terminal: true, color: true, columns: 50 });
    await run(mapCommand(io), ["--picture", image()], io);
    expect(io.text()).toContain("\x1b[36m#");
    expect(io.text()).toMatch(/^Disk\n/m);
  });

  test("files are written, and not replaced unless that is asked for", async () => {
    const path = image();
    const [svg, html] = [join(dirname(path), "map.svg"), join(dirname(path), "map.html")];
    expect(await outputOf(mapCommand, "--svg", svg, "--html", html, path)).toBe("");
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg xmlns/);
    expect(readFileSync(html, "utf8")).toMatch(/^<!doctype html>/);
    writeFileSync(svg, "mine");
    expect(await failureOf(mapCommand, "--svg", svg, path)).toMatchObject({
      message: `"${svg}" exists already`,
      hint: "Add --force to replace it.",
    });
    expect(readFileSync(svg, "utf8")).toBe("mine");
    await outputOf(mapCommand, "--svg", svg, "--force", path);
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg xmlns/);
  });

  test("a file of the image is never replaced, whatever it is called", async () => {
    const path = image();
    const other = join(dirname(path), "other.html");
    linkSync(join(dirname(path), "base.raw"), other);
    const before = readFileSync(other);
    for (const target of [path, join(dirname(path), "base.raw"), other]) {
      expect(await failureOf(mapCommand, "--html", target, "--force", path)).toMatchObject({
        message: expect.stringContaining("belongs to the image") as string,
      });
    }
    expect(readFileSync(other).equals(before)).toBe(true);
  });

  test("a folder that is not there", async () => {
    const path = image();
    const target = join(dirname(path), "no", "map.svg");
    expect(await failureOf(mapCommand, "--svg", target, path)).toMatchObject({
      message: `"${target}" cannot be written: there is no such file`,
    });
    expect(existsSync(target)).toBe(false);
  });

  test("- is standard output, for one of them", async () => {
    const path = image();
    expect(await outputOf(mapCommand, "--svg", "-", path)).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(await outputOf(mapCommand, "--html", "-", path)).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
    expect(await failureOf(mapCommand, "--svg", "-", "--html", "-", path)).toMatchObject({
      message: "standard output can have one drawing only",
    });
    expect(await failureOf(mapCommand, "--picture", "--html", "-", path)).toMatchObject({
      message: "standard output can have one drawing only",
    });
    expect(await failureOf(mapCommand, "--svg", "x", "--html", "x", path)).toMatchObject({
      message: "--svg and --html name the same file",
    });
  });

  test("--json is something else", async () => {
    for (const words of [["--picture"], ["--svg", "-"], ["--html", "-"]]) {
      expect(await failureOf(mapCommand, "--json", ...words, image())).toMatchObject({ code: "commander.conflictingOption" });
    }
  });
});
