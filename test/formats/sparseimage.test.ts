import { expect, test } from "vitest";
import type { Layer } from "../../src/formats/driver.js";
import { sparseimage } from "../../src/formats/sparseimage/index.js";
import { memorySource } from "../../src/source/memory.js";
import { describeDriver } from "../support/contract.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { buildSparseimage, type SparseimageShape } from "../support/sparseimage-builder.js";

const shuffled = { size: 12 * 4096 + 1024, bands: [7, 0, undefined, 12, 8, 9, 3] } as const satisfies SparseimageShape;
/** More than the 1008 of the first node, and than the 1010 of the second. */
const many = {
  size: 2100 * 512,
  sectorsPerBand: 1,
  bands: Array.from({ length: 2060 }, (_, index) => 2099 - index),
} as const satisfies SparseimageShape;

describeDriver(sparseimage, [
  { name: "bands out of order", ...buildSparseimage(shuffled) },
  { name: "bands of 512 bytes in three nodes", ...buildSparseimage(many) },
  { name: "nothing stored", ...buildSparseimage({ size: 8192, bands: [] }) },
]);

function open(image: Uint8Array): Layer {
  return sparseimage.open(
    memorySource("a.sparseimage", image),
    { part: () => expect.fail(), parent: () => expect.fail(), degraded: false },
    {},
  );
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

const built = buildSparseimage(shuffled);

test("bands are where the node says, others are zeros", () => {
  const layer = open(built.image);
  expect(layer.map(7 * 4096, 10 ** 6)).toMatchObject({ kind: "data", position: 4096, length: 4096 });
  expect(layer.map(8 * 4096, 10 ** 6)).toMatchObject({ kind: "data", position: 4096 + 4 * 4096, length: 8192 });
  expect(layer.map(4 * 4096 + 5, 10 ** 6)).toEqual({ kind: "zero", length: 3 * 4096 - 5 });
  expect(layer.facts()).toEqual({ variant: "version 3", details: { "band size": 4096, "stored bands": 6, nodes: 1 }, notes: [] });
});

test("bands of later nodes stand behind those nodes", () => {
  const { image, disk } = buildSparseimage(many);
  const layer = open(image);
  expect(layer.facts().details).toMatchObject({ "stored bands": 2060, nodes: 3 });
  expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
});

test("a disk that tells its size in 32 bits only", () => {
  const old = changed(built.image, 28, [0, 0, 0, 0, 0, 0, 0, 0]);
  expect(difference(readRange(open(old), 0, built.disk.length), built.disk)).toBeUndefined();
});

test("a band behind the end of the file is damaged, not zeros", () => {
  const layer = open(built.image.subarray(0, -4096));
  expect(layer.map(3 * 4096, 1)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED" } });
  expect(difference(readRange(layer, 7 * 4096, 3 * 4096), built.disk.subarray(7 * 4096, 10 * 4096))).toBeUndefined();
});

test("a band in two places is damaged, since nobody knows which one counts", () => {
  const layer = open(changed(built.image, 64 + 4 + 3, [8]));
  expect(layer.map(7 * 4096, 10 ** 6)).toMatchObject({ kind: "damaged", length: 4096, error: { code: "CORRUPT" } });
});

test.each([
  ["a later version", 7, [9], "UNSUPPORTED", "version is 9"],
  ["bands of 0 sectors", 8, [0, 0, 0, 0], "CORRUPT", "a band has 0 sectors"],
  ["two sizes", 19, [1], "CORRUPT", "sectors, and"],
  ["a band behind the end of the disk", 64 + 3, [14], "CORRUPT", "number 14 of 13"],
  ["a next node in the first one", 20, [0, 0, 0, 0, 0, 0, 8, 0], "CORRUPT", "next node"],
  ["a next node behind the end", 20, [0, 0, 0, 0, 1, 0, 0, 0], "TRUNCATED", "next node"],
  ["a next node that is none", 20, [0, 0, 0, 0, 0, 0, 16, 0], "CORRUPT", "there is no node"],
])("what cannot be read: %s", (_, at, bytes, code, message) => {
  expect(imageErrorOf(() => open(changed(built.image, at, bytes)))).toMatchObject({
    code,
    message: expect.stringContaining(message) as string,
  });
});
