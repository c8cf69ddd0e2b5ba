// What every driver owes its callers, whatever the format. The shapes of a format are the samples, made by its own test file.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import { openDisk } from "../../src/disk/open.js";
import { readDisk } from "../../src/disk/read.js";
import type { Extent, FileEnds, FormatDriver, Layer, Opener, ParentWish } from "../../src/formats/driver.js";
import { raw } from "../../src/formats/raw/index.js";
import { drivers } from "../../src/formats/registry.js";
import { memorySource } from "../../src/source/memory.js";
import type { Source } from "../../src/source/source.js";
import { ImageError } from "../../src/util/errors.js";
import { noise } from "./content.js";
import { requireProgram } from "./qemu.js";
import { difference, imageErrorOf } from "./reading.js";
import { signatures } from "./signatures.js";
import { inTempDirectory } from "./temp.js";

/** An image and the disk that it must show. Small: the contract opens it some thousand times. */
export interface Sample {
  readonly name: string;
  /** The image, or a maker that writes it into a directory and tells where. */
  readonly image: Uint8Array | ((directory: string) => string);
  readonly disk: Uint8Array;
  /** The other files that the image names: its parents and parts. */
  readonly parts?: Readonly<Record<string, Uint8Array>>;
  /** A program the maker needs. */
  readonly needs?: string;
}

/** Declares the tests of one driver. */
export function describeDriver(driver: FormatDriver, samples: readonly Sample[]): void {
  describe(`${driver.name} driver`, () => {
    test.skipIf(driver === raw)("takes no other format for its own", () => {
      for (const [name, head] of Object.entries(signatures)) {
        if (name.split(",")[0] !== driver.name) expect(driver.probe(endsOf(Buffer.from(head, "latin1"))), name).toBe(false);
      }
      for (const content of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(2 ** 16), noise(1, 2 ** 16)]) {
        expect(driver.probe(endsOf(content))).toBe(false);
      }
    });

    for (const sample of samples) {
      describe.skipIf(sample.needs !== undefined && !requireProgram(sample.needs))(sample.name, () => describeSample(driver, sample));
    }
  });
}

function describeSample(driver: FormatDriver, sample: Sample): void {
  const { disk } = sample;
  let image: Uint8Array;
  let directory: string | undefined;
  beforeAll(() => {
    if (typeof sample.image !== "function") {
      image = sample.image;
      return;
    }
    directory = mkdtempSync(join(tmpdir(), "flatmount-test-"));
    image = readFileSync(sample.image(directory));
  });
  afterAll(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });
  const withImage = (content: Uint8Array, use: (layer: Layer) => void, onRead?: () => void) =>
    withLayer(driver, sample, content, use, onRead);

  test("is recognised", () => {
    expect(driver.probe(endsOf(image))).toBe(true);
  });

  test("has the size of the disk", () => {
    withImage(image, (layer) => expect(layer.size).toBe(disk.length));
  });

  test("is read right from end to end", () => {
    withImage(image, (layer) => expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined());
  });

  test("is read right in any range", () => {
    withImage(image, (layer) => {
      const cache = createBlockCache(2 ** 16);
      fc.assert(
        fc.property(rangeIn(disk.length), ([offset, length]) => {
          const target = Buffer.alloc(length, 0xee);
          readDisk(layer, target, offset, cache);
          expect(difference(target, disk.subarray(offset, offset + length))).toBeUndefined();
        }),
        { numRuns: 300 },
      );
    });
  });

  test("gets to its driver: no other part of the program takes the file for something else before", () => {
    inTempDirectory((home) => {
      const path = writeSample(driver, sample, image, home);
      const error = imageErrorOf(() => {
        const { layer, close } = openDisk(path, { allow: [home] });
        try {
          expect(layer.format).toBe(driver.name);
          expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
        } finally {
          close();
        }
      });
      // Who tries an encrypted image through a driver of its own gives that one the password.
      if (error && (drivers.includes(driver) || error.code !== "KEY_NEEDED")) throw error;
    });
  });

  test("never maps outside what was asked", () => {
    withImage(image, (layer) => {
      fc.assert(fc.property(rangeIn(disk.length), ([offset, length]) => checkExtent(layer.map(offset, length), length)));
    });
  });

  test("on a medium that fails while it is opened, says so or is read right", () => {
    fc.assert(
      fc.property(fc.nat({ max: 40 }), failures, (good, code) => {
        const medium = failingMedium(code);
        medium.failAfter(good);
        const failure = failureOf(() =>
          withImage(
            image,
            (layer) => {
              medium.heal();
              expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
            },
            medium.onRead,
          ),
        );
        if (failure !== undefined) expect([failure, medium.isTold(failure)]).toEqual([failure, true]);
      }),
      { numRuns: 60 },
    );
  });

  test("on a medium that fails for a while, says so, and is read right afterwards", () => {
    const medium = failingMedium("ESTALE");
    withImage(
      image,
      (layer) => {
        // What is decoded once is kept, as it is in a mount.
        const cache = createBlockCache(2 ** 16);
        fc.assert(
          fc.property(rangeIn(disk.length), fc.nat({ max: 4 }), ([offset, length], good) => {
            const target = Buffer.alloc(length, 0xee);
            medium.failAfter(good);
            const failure = failureOf(() => readDisk(layer, target, offset, cache));
            medium.heal();
            if (failure !== undefined) expect([failure, medium.isTold(failure)]).toEqual([failure, true]);
            else expect(difference(target, disk.subarray(offset, offset + length))).toBeUndefined();
            readDisk(layer, target, offset, cache);
            expect(difference(target, disk.subarray(offset, offset + length))).toBeUndefined();
          }),
          { numRuns: 100 },
        );
      },
      medium.onRead,
    );
  });

  test("cut anywhere, is refused or read right as far as it is read", () => {
    const { length } = image;
    const cuts = fc.oneof(
      fc.nat({ max: length - 1 }),
      fc.nat({ max: Math.min(length - 1, 8192) }),
      fc.integer({ min: Math.max(0, length - 1024), max: length - 1 }),
    );
    fc.assert(
      fc.property(cuts, (kept) => {
        imageErrorOf(() =>
          withImage(image.slice(0, kept), (layer) => {
            expect(layer.size).toBeLessThanOrEqual(disk.length);
            for (const [offset, content] of readableRuns(layer)) {
              expect(
                difference(content, disk.subarray(offset, offset + content.length)),
                `cut to ${kept} bytes, offset ${offset}`,
              ).toBeUndefined();
            }
          }),
        );
      }),
      { numRuns: 150 },
    );
  });

  test("with any byte changed, ends in data or an ImageError", () => {
    const { length } = image;
    const places = fc.oneof(
      fc.nat({ max: length - 1 }),
      fc.nat({ max: Math.min(length - 1, 1024) }),
      fc.integer({ min: Math.max(0, length - 1024), max: length - 1 }),
    );
    fc.assert(
      fc.property(
        places,
        fc.integer({ min: 1, max: 255 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        (at, mask, spots) => {
          const changed = image.slice();
          changed[at] = (changed[at] ?? 0) ^ mask;
          imageErrorOf(() => withImage(changed, (layer) => poke(layer, spots)));
        },
      ),
      { numRuns: 400 },
    );
  });
}

/** Writes the image and its parts, under names by which it finds them, and tells where the image is. Parts stay in `home`, which is for this alone. */
function writeSample({ extensions }: FormatDriver, { name, parts = {} }: Sample, image: Uint8Array, home: string): string {
  const folder = join(home, "images");
  const plain = name.replaceAll("/", "-");
  const said =
    extensions.some((extension) => plain.toLowerCase().endsWith(extension.toLowerCase())) ||
    // Bochs calls a difference like its parent, with something behind it.
    Object.keys(parts).some((part) => part !== "" && plain.startsWith(part));
  const files = [...Object.entries(parts), [said ? plain : `${plain}${extensions[0] ?? ""}`, image] as const];
  const paths = files.map(([file, content]) => {
    const path = join(folder, file === "" ? "parent" : file.replaceAll("\\", "/"));
    if (!path.startsWith(`${home}/`)) throw new Error(`${path} is outside the folder of the test`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  });
  return paths.at(-1) ?? folder;
}

/** Reads here and there, including both ends; nothing is expected of the bytes. The disk may now claim to be of any size. */
function poke(layer: Layer, spots: Iterator<number>): void {
  const offsets = [0, layer.size - 1, ...Array.from({ length: 6 }, () => Math.floor((spots.next().value as number) * layer.size))];
  for (const offset of offsets) {
    if (offset < 0 || offset >= layer.size) continue;
    const length = Math.min(10_000, layer.size - offset);
    checkExtent(layer.map(offset, length), length);
    imageErrorOf(() => readRange(layer, offset, length));
  }
}

/** Every run of the disk that can be read, one extent at a time, so that a damaged one hides nothing else. */
function* readableRuns(layer: Layer): Generator<readonly [offset: number, content: Buffer]> {
  for (let offset = 0; offset < layer.size; ) {
    const asked = Math.min(layer.size - offset, 2 ** 20);
    const extent = layer.map(offset, asked);
    checkExtent(extent, asked);
    let content: Buffer | undefined;
    const at = offset;
    imageErrorOf(() => {
      content = readRange(layer, at, extent.length);
    });
    if (content) yield [offset, content];
    offset += extent.length;
  }
}

function readRange(layer: Layer, offset: number, length: number): Buffer {
  const target = Buffer.alloc(length, 0xee);
  readDisk(layer, target, offset, createBlockCache(2 ** 16));
  return target;
}

/** The promises of `Layer.map`. */
function checkExtent(extent: Extent, asked: number): void {
  const { kind, length } = extent;
  const legal = (value: number) => Number.isSafeInteger(value) && value >= 0;
  const fail = (what: string) => new Error(`map() gave ${what}: ${kind}, ${length} of ${asked} bytes`);
  if (!legal(length) || length < 1 || length > asked) throw fail("a run of a length that was not asked for");
  if (kind === "data" && (!legal(extent.position) || extent.position + length > extent.source.size)) throw fail("data outside its file");
  if (kind === "parent" && !legal(extent.offset)) throw fail("an impossible offset of the parent");
  if (kind === "packed" && (!legal(extent.skip) || extent.skip + length > extent.block.size)) throw fail("a run outside its block");
  if (kind === "damaged" && !(extent.error instanceof ImageError)) throw fail("damage without a reason");
}

/** What read(2) says of a failing disk, a server that has forgotten the file, a lack of memory, and a lack of descriptors behind a file system. */
const failures = fc.constantFrom("EIO", "ESTALE", "ENOMEM", "EMFILE");

/** A medium whose reads fail after so many good ones, until it heals. */
function failingMedium(code: string) {
  let left = Number.POSITIVE_INFINITY;
  const failed = new Set<unknown>();
  return {
    failAfter: (good: number) => (left = good),
    heal: () => (left = Number.POSITIVE_INFINITY),
    onRead: () => {
      left -= 1;
      if (left >= 0) return;
      const error = Object.assign(new Error(`${code}: the medium fails, read`), { code });
      failed.add(error);
      throw error;
    },
    /** Whether `error` is a failure of the medium, or explains one. */
    isTold: (error: unknown): boolean => failed.has(error) || (error instanceof Error && failed.has(error.cause)),
  };
}

function failureOf(work: () => void): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Opens `image` over the sample's other files, all in memory, and checks that whatever was opened is closed in the end. `onRead` comes before each read. */
function withLayer(
  driver: FormatDriver,
  { name, parts = {} }: Sample,
  image: Uint8Array,
  use: (layer: Layer) => void,
  onRead?: () => void,
): void {
  const open = new Set<Source>();
  const sourceOf = (fileName: string, content: Uint8Array): Source => {
    const inner = memorySource(fileName, content);
    const source: Source = {
      ...inner,
      read(target, position) {
        onRead?.();
        inner.read(target, position);
      },
      close: () => void open.delete(source),
    };
    open.add(source);
    return source;
  };
  const part = (partName: string) => {
    const content = parts[partName];
    if (!content) throw new ImageError("PART_MISSING", `there is no ${partName}`, { file: name });
    return sourceOf(partName, content);
  };
  const parent = ({ names, identities }: ParentWish) => {
    const parentName = names.find((each) => parts[each]) ?? names[0] ?? "";
    const source = part(parentName);
    const content = parts[parentName] ?? new Uint8Array();
    try {
      const known = identities && driver.identities?.(source);
      if (known && !known.some(({ kind, value }) => identities.some((identity) => kind === identity.kind && value === identity.value))) {
        throw new ImageError("PART_MISSING", `${parentName} is another image`, { file: name });
      }
      return (driver.probe(endsOf(content)) ? driver : raw).open(source, opener, {});
    } catch (error) {
      source.close();
      throw error;
    }
  };
  const opener: Opener = { part, parent, degraded: false };

  const source = sourceOf(name, image);
  let layer: Layer;
  try {
    layer = driver.open(source, opener, {});
  } catch (error) {
    source.close();
    expect(
      [...open].map((left) => left.name),
      "left open by a failed open()",
    ).toEqual([]);
    throw error;
  }
  try {
    use(layer);
  } finally {
    layer.close();
  }
  expect(
    [...open].map((left) => left.name),
    "left open by close()",
  ).toEqual([]);
}

function endsOf(content: Uint8Array): FileEnds {
  return { head: content.subarray(0, 65536), tail: content.subarray(Math.max(0, content.length - 512)), size: content.length };
}

/** An offset and a length, at least 1 byte, that lie in `size` bytes; often at one of the ends. */
function rangeIn(size: number): fc.Arbitrary<readonly [offset: number, length: number]> {
  return fc
    .tuple(fc.nat({ max: size - 1 }), fc.oneof(fc.nat(), fc.nat({ max: 600 })))
    .map(([offset, length]) => [offset, 1 + (length % (size - offset))] as const);
}
