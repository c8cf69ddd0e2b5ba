// Whatever the bytes are: an answer comes, in bounded time, and its numbers are ones to read with.
import fc from "fast-check";
import { expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import {
  apm,
  bootRecord,
  extendedChain,
  fatBootSector,
  gpt,
  type Piece,
  type SparseDisk,
  sparseDisk,
} from "../support/partition-builder.js";

const MiB = 2 ** 20;
const size = 2 * MiB;

const samples: Readonly<Record<string, readonly Piece[]>> = {
  mbr: [
    {
      at: 0,
      content: bootRecord(
        [
          { type: 0x83, start: 8, count: 50 },
          { type: 5, start: 100, count: 3000 },
        ],
        5,
      ),
    },
    ...extendedChain(100, 20),
  ],
  gpt: gpt({
    diskSize: size,
    entries: [1, 2, 9].map((number) => ({ number, first: 100 * number, last: 100 * number + 50, name: `p${number}` })),
  }),
  "gpt 4096": gpt({ diskSize: size, sectorSize: 4096, entries: [{ number: 1, first: 100, last: 150 }] }),
  "backup gpt": gpt({ diskSize: size, entries: [{ number: 1, first: 100, last: 150 }] }).slice(3),
  apm: apm([1, 2, 3, 4, 5].map((index) => ({ start: index * 64, count: 64, name: "n", type: "Apple_HFS" }))),
  fat: [{ at: 0, content: fatBootSector() }],
};

/** Bytes written over a sample, mostly where tables are. */
const writes = fc.array(
  fc.record({
    at: fc.oneof(
      fc.nat(16384),
      fc.integer({ min: 446, max: 512 }),
      fc.integer({ min: 100 * 512, max: 200 * 512 }),
      fc.integer({ min: size - 17000, max: size - 20 }),
    ),
    content: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  }),
  { maxLength: 12 },
);

function check(disk: SparseDisk): void {
  const table = readPartitions(disk);
  expect(disk.used.reads).toBeLessThan(3000);
  expect(table?.notes.length ?? 0).toBeLessThanOrEqual(65);
  let last = 0;
  for (const partition of table?.partitions ?? []) {
    expect(partition.number).toBeGreaterThan(last);
    last = partition.number;
    expect(Number.isSafeInteger(partition.start) && Number.isSafeInteger(partition.size)).toBe(true);
    expect(partition.start).toBeGreaterThanOrEqual(0);
    expect(partition.start).toBeLessThan(disk.size);
    expect(partition.size).toBeGreaterThan(0);
  }
}

test.each(Object.keys(samples))("%s, with bytes changed and cut anywhere", (name) => {
  fc.assert(
    fc.property(writes, fc.option(fc.nat(size)), (pieces, cut) => check(sparseDisk(cut ?? size, [...(samples[name] ?? []), ...pieces]))),
    { numRuns: 1000 },
  );
});

test("a GPT with right checksums and any entries", () => {
  const lba = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 5000n }));
  const entry = fc.record({
    number: fc.integer({ min: 1, max: 128 }),
    first: lba,
    last: lba,
    name: fc.string({ unit: "binary", maxLength: 36 }),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 100 }), fc.constantFrom(512, 4096), (entries, sectorSize) =>
      check(sparseDisk(size, gpt({ diskSize: size, entries, sectorSize }))),
    ),
    { numRuns: 300 },
  );
});

test("random bytes with the signatures of tables", () => {
  const head = fc.uint8Array({ minLength: 8192, maxLength: 8192, size: "max" });
  const marks: Piece[] = [
    { at: 510, content: Buffer.from([0x55, 0xaa]) },
    { at: 0, content: Buffer.from("ER\x02\0") },
    { at: 512, content: Buffer.from("EFI PART") },
    { at: 512, content: Buffer.from("PM") },
    { at: 4096, content: Buffer.from("EFI PART") },
    // Otherwise hardly any would pass for an MBR.
    ...[446, 462, 478, 494].map((at) => ({ at, content: Buffer.from([0x80]) })),
    { at: 450, content: Buffer.from([0xee]) },
    { at: 466, content: Buffer.from([5, 0, 0, 0, 3, 0, 0, 0]) },
  ];
  fc.assert(
    fc.property(head, fc.subarray(marks), fc.nat(65536), (content, chosen, diskSize) =>
      check(sparseDisk(diskSize, [{ at: 0, content }, ...chosen])),
    ),
    { numRuns: 500 },
  );
});

test("reads that fail, anywhere", () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(samples)), fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), (name, failures) => {
      let index = 0;
      const fail = () => {
        index += 1;
        if (failures[index % failures.length]) throw Object.assign(new Error("EIO"), { code: "EIO" });
      };
      check(sparseDisk(size, samples[name] ?? [], fail));
    }),
    { numRuns: 500 },
  );
});
