// Audits of the formats whose tables name each block once: like "qemu-img check" where that knows the format, by hand elsewhere.
import { describe, expect, test } from "vitest";
import { audited, changedBy, qemuCheck } from "../support/audit.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildParallels } from "../support/parallels-builder.js";
import { buildQed } from "../support/qed-builder.js";
import { requireProgram } from "../support/qemu.js";
import { withDisk } from "../support/reading.js";
import { buildVdi } from "../support/vdi-builder.js";
import { buildVhdx, MIB, vhdxImage } from "../support/vhdx-builder.js";

const { write } = builtDisks();
const qemu = requireProgram("qemu-img");

function audit(image: Buffer, format: string) {
  const path = write({ [`disk.${format}`]: image });
  return { path, own: withDisk(path, { format }, audited) };
}

function expectLikeQemu(image: Buffer, format: string): void {
  const { path, own } = audit(image, format);
  const theirs = qemuCheck(path, format);
  expect({ corruptions: own.errors, leaks: own.kinds["leaked cluster"] ?? 0, own: own.problems, said: theirs.stderr }).toMatchObject({
    corruptions: theirs.corruptions,
    leaks: theirs.leaks,
  });
}

describe("VDI", () => {
  const sample = () => buildVdi({ blocks: [2, 0, "free", 1, "zero", 3], blockSize: MIB, align: 512 });
  const damages: [string, (built: ReturnType<typeof sample>) => void, Record<string, number>][] = [
    ["nothing", () => undefined, {}],
    ["two entries for one block", ({ image, tablePosition: at }) => void image.writeUInt32LE(1, at), { overlap: 1 }],
    [
      "three entries for one block",
      ({ image, tablePosition: at }) => void (image.writeUInt32LE(1, at), image.writeUInt32LE(1, at + 4)),
      { overlap: 2 },
    ],
    [
      "a number that is too high",
      ({ image, tablePosition: at }) => void image.writeUInt32LE(77, at + 4),
      { "block map": 1, "block count": 1 },
    ],
    ["an entry lost", ({ image, tablePosition: at }) => void image.writeUInt32LE(0xffffffff, at), { "block count": 1 }],
    ["an entry too many", ({ image, tablePosition: at }) => void image.writeUInt32LE(4, at + 8), { "block count": 1, "behind the end": 1 }],
    ["a wrong count", ({ image }) => void image.writeUInt32LE(99, 388), { "block count": 1 }],
  ];
  test.each(damages)("%s", (_, damage, kinds) => {
    const built = sample();
    damage(built);
    expect(audit(built.image, "vdi").own.kinds).toEqual(kinds);
  });
  test.skipIf(!qemu).each(damages)("like qemu-img check: %s", (_, damage) => {
    const built = sample();
    damage(built);
    expectLikeQemu(built.image, "vdi");
  });
  test("both blocks of the disk that share one of the file are doubtful", () => {
    const built = sample();
    built.image.writeUInt32LE(1, built.tablePosition);
    const { doubtful } = audit(built.image, "vdi").own;
    expect(doubtful.toSorted((a, b) => a.start - b.start)).toEqual([
      { start: 0, length: MIB },
      { start: 3 * MIB, length: MIB },
    ]);
  });
});

describe("QED", () => {
  const clusters = new Map<number, number | "zero">([
    [0, 0],
    [1, 3],
    [2, "zero"],
    [7, 1],
    [2100, 2],
  ]);
  const sample = () => buildQed({ clusters, tableSize: 2, clusterSize: 4096, size: 4096 * 3000, seed: 4 });
  type Built = ReturnType<typeof sample>;
  const l2 = (built: Built) => built.l2Positions.get(0) ?? 0;
  const set = (built: Built, at: number, value: number) => void built.image.writeBigUInt64LE(BigInt(value), at);
  const damages: [string, (built: Built) => unknown][] = [
    ["nothing", () => undefined],
    ["an entry lost", (built) => set(built, l2(built), 0)],
    ["two entries for one cluster", (built) => set(built, l2(built), built.dataPositions.get(1) ?? 0)],
    [
      "three entries for one cluster",
      (built) => {
        for (const at of [0, 8]) set(built, l2(built) + at, built.dataPositions.get(1) ?? 0);
      },
    ],
    ["a cluster over the L1 table", (built) => set(built, l2(built), built.l1Position)],
    ["a cluster over an L2 table", (built) => set(built, l2(built), l2(built) + 4096)],
    ["a cluster that is not aligned", (built) => set(built, l2(built), (built.dataPositions.get(0) ?? 0) + 512)],
    ["a cluster in the header", (built) => set(built, l2(built), 2048)],
    ["a cluster behind the end", (built) => set(built, l2(built) + 56, 2 ** 40)],
    ["an L2 table behind the end", (built) => set(built, built.l1Position, 2 ** 40)],
    ["an L2 table that is not aligned", (built) => set(built, built.l1Position, l2(built) + 8)],
    ["an L2 table named twice", (built) => set(built, built.l1Position + 8, l2(built))],
    ["an L2 table lost", (built) => set(built, built.l1Position, 0)],
    ["clusters that nobody uses", ({ image }) => Buffer.concat([image, Buffer.alloc(3 * 4096)])],
    ["a cluster cut", ({ image }) => image.subarray(0, -1000)],
  ];
  test.skipIf(!qemu).each(damages)("like qemu-img check: %s", (_, damage) => {
    const built = sample();
    expectLikeQemu(changedBy(built.image, damage(built)), "qed");
  });
  test("clusters that something else uses, too, are doubtful", () => {
    const built = sample();
    set(built, l2(built), built.dataPositions.get(1) ?? 0);
    const { own } = audit(built.image, "qed");
    expect(own.doubtful).toEqual([
      { start: 0, length: 4096 },
      { start: 7 * 4096, length: 4096 },
    ]);
    expect(own.kinds).toEqual({ overlap: 1, "leaked cluster": 1 });
  });
});

describe("Parallels", () => {
  const sample = (more: Partial<Parameters<typeof buildParallels>[0]> = {}) =>
    buildParallels({ clusters: [2, "absent", 0, 1, "absent", 3], sectorsPerCluster: 8, ...more });
  const damages: [string, (image: Buffer) => unknown][] = [
    ["nothing", () => undefined],
    ["a cluster behind the end", (image) => void image.writeUInt32LE(9999, 64)],
    ["an unused tail", (image) => Buffer.concat([image, Buffer.alloc(8192)])],
    ["an entry lost at the end", (image) => void image.writeUInt32LE(0, 64 + 20)],
    ["not closed", (image) => void image.writeUInt32LE(0x746f6e59, 44)],
    ["cut", (image) => image.subarray(0, -8192 - 512)],
  ];
  test.skipIf(!qemu).each(damages)("like qemu-img check: %s", (_, damage) => {
    const { image } = sample();
    expectLikeQemu(changedBy(image, damage(image)), "parallels");
  });
  test("two entries for one cluster", () => {
    const { image } = sample();
    image.writeUInt32LE(image.readUInt32LE(64), 64 + 12);
    const { own } = audit(image, "parallels");
    expect(own.kinds).toEqual({ overlap: 1 });
    expect(own.doubtful).toHaveLength(2);
  });
  test("a cluster over two others", () => {
    const { image } = sample({ magic: "WithoutFreeSpace" });
    image.writeUInt32LE(image.readUInt32LE(64) + 7, 64 + 12);
    expect(audit(image, "parallels").own.kinds).toEqual({ overlap: 2 });
  });
});

describe("VHDX", () => {
  const sample = () => buildVhdx({ blocks: [noise(1, MIB), noise(2, MIB), { state: 0 }, noise(4, MIB)], blockSize: MIB, seed: 2 });
  const entry = (image: Buffer, at: number, value: bigint) => void image.writeBigUInt64LE(value, at);
  const damages: [
    string,
    (image: Buffer, positions: ReturnType<typeof sample>["positions"]) => unknown,
    Record<string, number>,
    boolean?,
  ][] = [
    ["nothing", () => undefined, {}],
    ["the first header", (image) => void (image[65_536 + 100] = 1), { "checksum wrong": 1 }],
    ["the first region table", (image) => void (image[196_608 + 9000] = 1), { "checksum wrong": 1 }],
    ["the second region table", (image) => void (image[262_144 + 9000] = 1), { "checksum wrong": 1 }],
    ["two entries for one block", (image, at) => entry(image, at.entry(0), image.readBigUInt64LE(at.entry(1))), { overlap: 1 }],
    ["a block over the BAT", (image, at) => entry(image, at.entry(0), BigInt(at.bat) | 6n), { overlap: 1 }],
    ["a block over the header section", (image, at) => entry(image, at.entry(0), 6n), { overlap: 1 }],
    ["a block behind the end", (image, at) => entry(image, at.entry(0), (2n ** 40n) | 6n), { "behind the end": 1 }, true],
    ["a state that is not known", (image, at) => entry(image, at.entry(2), 4n), { "block state": 1 }],
    ["a partially present block without a parent", (image, at) => entry(image, at.entry(2), 7n), { "block state": 1, overlap: 1 }],
    ["the file is cut", (image) => image.subarray(0, -MIB), { "behind the end": 1 }, true],
  ];
  test.each(damages)("%s", (_, damage, kinds) => {
    const built = sample();
    const image = vhdxImage(built);
    expect(audit(changedBy(image, damage(image, built.positions)), "vhdx").own.kinds).toEqual(kinds);
  });
  test.skipIf(!qemu).each(damages.filter(([, , , known]) => known))("qemu-img check complains, too: %s", (_, damage) => {
    const built = sample();
    const image = vhdxImage(built);
    const { status, corruptions } = qemuCheck(write({ "disk.vhdx": changedBy(image, damage(image, built.positions)) }), "vhdx");
    expect(status === 1 || corruptions > 0).toBe(true);
  });
});
