import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../src/disk/open.js";
import { sparsebundle } from "../../src/formats/sparsebundle/index.js";
import { memorySource } from "../../src/source/memory.js";
import { noise } from "../support/content.js";
import { difference, flatOf, imageErrorOf, readRange, withDisk } from "../support/reading.js";
import { bundleInfo } from "../support/sparseimage-builder.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();
const bandSize = 65536;
const size = 20 * bandSize + 4096;

/** A bundle with the bands 0, 3 (short), 16 and 20 (the last one, which the disk ends in), and its disk. */
function build(): { readonly path: string; readonly disk: Buffer } {
  const path = join(subdirectory(directory), "back up.sparsebundle");
  mkdirSync(join(path, "bands"), { recursive: true });
  for (const name of ["Info.plist", "Info.bckup"]) writeFileSync(join(path, name), bundleInfo({ size, bandSize }));
  writeFileSync(join(path, "token"), "");
  const disk = Buffer.alloc(size);
  for (const [name, band, length] of [
    ["0", 0, bandSize],
    ["3", 3, 1000],
    ["10", 16, bandSize],
    ["14", 20, bandSize],
  ] as const) {
    const content = noise(band + 1, length);
    content.copy(disk, band * bandSize);
    writeFileSync(join(path, "bands", name), content);
  }
  for (const name of ["15", "0a0", "A", ".DS_Store"]) writeFileSync(join(path, "bands", name), "of no band");
  return { path, disk };
}

test("bands are read from their files, others are zeros", () => {
  const { path, disk } = build();
  expect(difference(flatOf(path), disk)).toBeUndefined();
  withDisk(path, {}, (layer) => {
    expect(layer.map(bandSize, 10 ** 7)).toEqual({ kind: "zero", length: 2 * bandSize });
    expect(layer.map(3 * bandSize, 10 ** 7)).toMatchObject({ kind: "data", length: 1000 });
    expect(layer.map(3 * bandSize + 1000, 10 ** 7)).toEqual({ kind: "zero", length: bandSize - 1000 });
    expect(layer.facts()).toEqual({ variant: "version 1", details: { "band size": bandSize, "stored bands": 4 }, notes: [] });
  });
});

test("is opened by its directory, its property list, or a copy of that", () => {
  const { path, disk } = build();
  expect(difference(flatOf(join(path, "Info.plist")), disk)).toBeUndefined();
  rmSync(join(path, "Info.plist"));
  expect(difference(flatOf(path), disk)).toBeUndefined();
});

test("another thread opens what the first one has opened, and looks at no path", () => {
  const { path, disk } = build();
  const first = openDisk(path);
  renameSync(path, `${path}.away`);
  const second = openDisk(path, { opened: structuredClone(first.files) });
  expect(difference(readRange(second.layer, 0, size), disk)).toBeUndefined();
  second.close();
  first.close();
});

test("a property list without its bands is no empty disk", () => {
  const { path } = build();
  rmSync(join(path, "bands"), { recursive: true });
  expect(imageErrorOf(() => flatOf(join(path, "Info.plist")))).toMatchObject({
    code: "PART_MISSING",
    message: expect.stringContaining('"bands"') as string,
  });
});

test("a band that leads out of the bundle is not opened", () => {
  const { path } = build();
  const outside = join(subdirectory(directory), "secret");
  writeFileSync(outside, noise(1, 4096));
  symlinkSync(outside, join(path, "bands", "5"));
  expect(imageErrorOf(() => flatOf(path))).toMatchObject({ code: "PART_DENIED" });
  withDisk(path, { degraded: true }, (layer) => {
    expect(layer.map(5 * bandSize, 10 ** 7)).toMatchObject({ kind: "damaged", length: bandSize, error: { code: "PART_DENIED" } });
    expect(layer.facts().notes).toEqual(["Degraded: 1 bands cannot be read."]);
  });
});

test("a band that was cut after it was opened is an error, not zeros", () => {
  const { path } = build();
  withDisk(path, {}, (layer) => {
    truncateSync(join(path, "bands", "0"), 100);
    expect(imageErrorOf(() => readRange(layer, 0, 4096))).toMatchObject({ code: "TRUNCATED" });
  });
});

test("encrypted", () => {
  const { path } = build();
  writeFileSync(join(path, "token"), Buffer.from("encrcdsa\0\0\0\x02"));
  expect(imageErrorOf(() => flatOf(path))).toMatchObject({ code: "KEY_NEEDED", message: expect.stringContaining("encrypted") as string });
});

function open(text: string, names: readonly string[] = []): void {
  const opener = { part: () => memorySource("band", Buffer.alloc(0)), names: () => names, parent: () => expect.fail(), degraded: false };
  sparsebundle.open(memorySource("Info.plist", Buffer.from(text)), opener, {}).close();
}

test("more bands than can be open at once", () => {
  const names = Array.from({ length: 70_000 }, (_, index) => index.toString(16));
  expect(imageErrorOf(() => open(bundleInfo({ size: 2 ** 40, bandSize: 2 ** 20 }), names))).toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("70000 bands") as string,
  });
});

describe("property lists", () => {
  const info = bundleInfo({ size, bandSize });

  test("of sparse bundles only are known by their head", () => {
    const probe = (text: string) => sparsebundle.probe({ head: Buffer.from(text), tail: Buffer.alloc(0), size: text.length });
    expect(probe(info)).toBe(true);
    expect(probe(`\uFEFF${info}`)).toBe(true);
    expect(probe(info.replace("sparsebundle", "other"))).toBe(false);
    expect(probe("com.apple.diskimage.sparsebundle")).toBe(false);
  });

  test.each([
    ["no XML", "<plist><dict>", "CORRUPT", "cannot be understood"],
    ["another type", info.replace("sparsebundle", "other"), "WRONG_FORMAT", "type of the bundle"],
    ["a later version", info.replace("<integer>1<", "<integer>2<"), "UNSUPPORTED", "version"],
    ["no size", info.replace(`<integer>${size}<`, "<integer><"), "CORRUPT", "for size"],
    ["a size that is no number", info.replace(`<integer>${size}<`, "<integer>-5<"), "CORRUPT", '"-5"'],
    ["bands of 100 bytes", info.replace(`<integer>${bandSize}<`, "<integer>100<"), "CORRUPT", "100 bytes"],
    ["too many bands", info.replace(`<integer>${size}<`, "<integer>9007199254740000<"), "UNSUPPORTED", "bands"],
  ])("that cannot be: %s", (_, text, code, message) => {
    expect(imageErrorOf(() => open(text))).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });
});
