// Whatever the bytes are: an answer comes, in bounded time, and its volumes lie on the disk.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PartitionTable } from "../../src/disk/partitions/partition.js";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { readVolumes } from "../../src/disk/volumes/read.js";
import { bootRecord, gpt, type Piece, type SparseDisk, sparseDisk } from "../support/partition-builder.js";
import {
  disklabel,
  dynamicDisk,
  lvmUuid,
  mdSuper0,
  mdSuper1,
  physicalVolume,
  solarisLabel,
  stripes,
  sunLabel,
  vgText,
} from "../support/volume-builder.js";

const MiB = 2 ** 20;
const size = 8 * MiB;
const sectors = size / 512;

const pv = { at: MiB, size: 6 * MiB, uuid: lvmUuid("AAAA"), areaSize: 64 * 1024 } as const;
const text = vgText({
  pvs: [{ uuid: pv.uuid, extents: 40 }],
  extentSize: 128,
  volumes: [
    {
      name: "root",
      extents: [3, 4],
      segments: [
        stripes([["pv0", 0]]),
        stripes(
          [
            ["pv0", 10],
            ["pv0", 20],
          ],
          16,
        ),
      ],
    },
    {
      name: "r",
      extents: [2],
      segments: [[`type = "raid1"`, "device_count = 2", `raids = ["r_rmeta_0", "r_rimage_0", "r_rmeta_1", "r_rimage_1"]`]],
    },
    ...["r_rmeta_0", "r_rimage_0", "r_rmeta_1", "r_rimage_1"].map((name, index) => ({
      name,
      hidden: true,
      extents: [2],
      segments: [stripes([["pv0", 30 + index * 2]])],
    })),
  ],
});

const dynamic = {
  publicStart: 63,
  publicSize: sectors - 63 - 2048,
  privateStart: sectors - 2048,
  headers: [6, sectors - 1],
  disks: [{ id: 1, name: "Disk1", guid: "0e1d2c3b-0001-0002-0003-0a0b0c0d0e0f" }],
  volumes: [
    {
      name: "Volume1",
      size: 100,
      components: [
        {
          layout: 2,
          partitions: [
            { start: 1000, offset: 0, size: 60, disk: 1 },
            { start: 100, offset: 60, size: 40, disk: 1 },
          ],
        },
      ],
    },
  ],
} as const;

const oneOf = (type: number, start = 2048, count = 12_288): Piece => ({ at: 0, content: bootRecord([{ type, start, count }]) });

const samples: Readonly<Record<string, readonly Piece[]>> = {
  disklabel: [
    oneOf(0xa6),
    {
      at: MiB + 512,
      content: disklabel(
        [
          { index: 0, start: 2100, size: 500 },
          { index: 5, start: 3000, size: 90 },
        ],
        { version: 1 },
      ),
    },
  ],
  "bare disklabel": [{ at: 512, content: disklabel([{ index: 0, start: 16, size: 500 }]) }],
  solaris: [oneOf(0xbf), { at: MiB + 512, content: solarisLabel([{ index: 0, tag: 2, start: 9, size: 500 }]) }],
  sun: [
    {
      at: 0,
      content: sunLabel([
        { index: 0, tag: 2, start: 1, size: 500 },
        { index: 7, tag: 2, start: 9, size: 50 },
      ]),
    },
  ],
  lvm: [oneOf(0x8e), ...physicalVolume({ ...pv, text })],
  md: [oneOf(0xfd), { at: MiB + 4096, content: mdSuper1({ superOffset: 8, dataOffset: 2048, size: 5000 }) }],
  "md 0.90": [oneOf(0xfd), { at: MiB + 6 * MiB - 65_536, content: mdSuper0({ size: 4000 }) }],
  ldm: [oneOf(0x42, 63, sectors - 63 - 2048), ...dynamicDisk(dynamic)],
};

function check(disk: SparseDisk, table: PartitionTable | undefined = readPartitions(disk)): void {
  const before = { ...disk.used };
  const { volumes, notes } = readVolumes(disk, table);
  expect(disk.used.reads - before.reads).toBeLessThan(2000);
  expect(disk.used.bytes - before.bytes).toBeLessThan(40 * MiB);
  expect(notes.length).toBeLessThanOrEqual(65);
  expect(new Set(volumes.map(({ name }) => name)).size).toBe(volumes.length);
  for (const volume of volumes) {
    expect(volume.name).toMatch(/^(?!\.{1,2}$)[^/\p{Cc}]+$/u);
    expect(Buffer.byteLength(volume.name)).toBeLessThan(230);
    let offset = 0;
    for (const piece of volume.pieces) {
      expect(piece.offset).toBe(offset);
      expect(Number.isSafeInteger(piece.start) && Number.isSafeInteger(piece.size)).toBe(true);
      expect(piece.start).toBeGreaterThanOrEqual(0);
      expect(piece.size).toBeGreaterThan(0);
      expect(piece.start + piece.size).toBeLessThanOrEqual(disk.size);
      offset += piece.size;
    }
    expect(volume.size).toBe(offset);
    expect(offset).toBeGreaterThan(0);
  }
}

test("the samples hold volumes", () => {
  for (const [name, pieces] of Object.entries(samples)) {
    const disk = sparseDisk(size, pieces);
    const { volumes, notes } = readVolumes(disk, readPartitions(disk));
    expect([name, volumes.length > 0, notes]).toEqual([name, true, []]);
  }
});

/** Where the samples have anything. */
const places = fc.oneof(
  fc.nat(1024),
  fc.integer({ min: MiB, max: MiB + 6000 }),
  fc.integer({ min: MiB + 4096, max: MiB + 4096 + 512 + text.length }),
  fc.integer({ min: 7 * MiB - 65_536, max: 7 * MiB - 61_440 }),
  fc.integer({ min: size - MiB, max: size - MiB + 14_000 }),
);
const writes = fc.array(fc.record({ at: places, content: fc.uint8Array({ minLength: 1, maxLength: 8 }) }), { maxLength: 6 });

test.each(Object.keys(samples))("%s, with bytes changed and cut anywhere", (name) => {
  fc.assert(
    fc.property(writes, fc.option(fc.nat(size)), (pieces, cut) => check(sparseDisk(cut ?? size, [...(samples[name] ?? []), ...pieces]))),
    { numRuns: 300 },
  );
});

test.each(Object.keys(samples))("%s, with reads that fail", (name) => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), (failures) => {
      let index = 0;
      let armed = false;
      const disk = sparseDisk(size, samples[name] ?? [], () => {
        index += 1;
        if (armed && failures[index % failures.length]) throw Object.assign(new Error("EIO"), { code: "EIO" });
      });
      const table = readPartitions(disk);
      armed = true;
      check(disk, table);
    }),
    { numRuns: 100 },
  );
});

describe("with right checksums,", () => {
  const u32 = fc.oneof(fc.nat(40_000), fc.nat(2 ** 32 - 1));

  test("any disklabel", () => {
    const entry = fc.record({ index: fc.nat(21), start: u32, size: u32, type: fc.nat(255) });
    const options = fc.record({
      endian: fc.constantFrom("little" as const, "big" as const),
      version: fc.constantFrom(0, 1),
      sectorSize: fc.constantFrom(512, 4096),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 22 }), options, fc.constantFrom(0xa5, 0xa6, 0xa9, undefined), (entries, how, type) => {
        const label = disklabel(entries, { ...how, count: 22 });
        check(sparseDisk(size, type === undefined ? [{ at: 512, content: label }] : [oneOf(type), { at: MiB + 512, content: label }]));
      }),
      { numRuns: 300 },
    );
  });

  test("any slices", () => {
    const slice = fc.record({ index: fc.nat(7), tag: fc.nat(20), start: u32, size: u32 });
    fc.assert(
      fc.property(fc.array(slice, { maxLength: 8 }), fc.nat(300), fc.nat(65_535), (slices, heads, perTrack) => {
        check(sparseDisk(size, [oneOf(0xbf), { at: MiB + 512, content: solarisLabel(slices) }]));
        check(sparseDisk(size, [{ at: 0, content: sunLabel(slices, { heads, sectors: perTrack }) }]));
      }),
      { numRuns: 300 },
    );
  });

  test("any md superblock", () => {
    const shape = fc.record({
      level: fc.constantFrom(1, 1, 1, 0, 5),
      dataOffset: u32,
      size: fc.oneof(u32, fc.nat(Number.MAX_SAFE_INTEGER)),
      features: fc.constantFrom(0, 8, 2),
      badBlocks: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      device: fc.nat(3),
      name: fc.string({ unit: "binary", maxLength: 20 }),
    });
    fc.assert(
      fc.property(shape, (fields) =>
        check(sparseDisk(size, [oneOf(0xfd), { at: MiB + 4096, content: mdSuper1({ superOffset: 8, ...fields }) }])),
      ),
      { numRuns: 200 },
    );
  });

  test("any numbers and names in LVM's text", () => {
    const words = text.split(/(\d+|"[^"]*"|[={}[\]])/);
    const token = fc.oneof(
      fc.nat(100).map(String),
      fc.nat(Number.MAX_SAFE_INTEGER).map(String),
      fc.constantFrom(...words),
      fc.string({ maxLength: 9 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(words.length - 1), token), { maxLength: 6 }), (changes) => {
        const changed = [...words];
        for (const [at, value] of changes) changed[at] = value;
        check(sparseDisk(size, [oneOf(0x8e), ...physicalVolume({ ...pv, text: changed.join("") })]));
      }),
      { numRuns: 300 },
    );
  });

  test("any places on a dynamic disk", () => {
    const number = fc.oneof(fc.nat(20_000), fc.nat(Number.MAX_SAFE_INTEGER));
    const partition = fc.record({ start: number, offset: number, size: number, disk: fc.constantFrom(1, 2) });
    const component = fc.record({ layout: fc.constantFrom(1, 2, 2, 2, 3), partitions: fc.array(partition, { maxLength: 4 }) });
    const volume = fc.record({ name: fc.string({ maxLength: 40 }), size: number, components: fc.array(component, { maxLength: 2 }) });
    fc.assert(
      fc.property(fc.array(volume, { maxLength: 5 }), number, (volumes, publicStart) => {
        check(sparseDisk(size, [oneOf(0x42, 63, 10_000), ...dynamicDisk({ ...dynamic, volumes, publicStart })]));
      }),
      { numRuns: 300 },
    );
  });
});

describe("hostile metadata of LVM", () => {
  const extents = 1000;
  const hostile = (volumes: Parameters<typeof vgText>[0]["volumes"]) => {
    const made = vgText({ pvs: [{ uuid: pv.uuid, extents }], volumes, extentSize: 1 });
    const pieces = physicalVolume({ at: 0, size: 64 * MiB, uuid: pv.uuid, text: made, areaSize: 4 * MiB });
    const disk = sparseDisk(64 * MiB, pieces);
    const started = performance.now();
    const found = readVolumes(disk, undefined);
    expect(performance.now() - started).toBeLessThan(2500);
    return found;
  };

  test("volumes made of many pieces of each other take bounded time", () => {
    const level = (name: string, of: string, count: number, length: number) => ({
      name,
      extents: Array.from({ length: count }, () => length),
      segments: Array.from({ length: count }, (_, index) => stripes([[of, of === "pv0" ? (index * 2) % extents : 0]])),
    });
    const found = hostile([
      level("a", "pv0", 2000, 1),
      level("b", "a", 2000, 2000),
      level("c", "b", 2000, 1_000_000),
      level("d", "b", 900, 4_000_000),
    ]);
    expect(found.volumes.length).toBeLessThanOrEqual(1);
    expect(found.notes.length).toBeGreaterThanOrEqual(3);
  });

  test("very many volumes, each of very many stripes", () => {
    const many = Array.from({ length: 1500 }, (_, index) => ({
      name: `v${index}`,
      extents: [1000],
      segments: [
        stripes(
          [
            ["pv0", 0],
            ["pv0", 500],
          ],
          1,
        ),
      ],
    }));
    const { volumes, notes } = hostile(many);
    expect(volumes.length).toBeLessThan(600);
    expect(notes.length).toBe(65);
  });
});

test("a disk of many partitions takes a few reads of each", () => {
  const diskSize = 512 * MiB;
  const entries = Array.from({ length: 128 }, (_, index) => ({
    number: index + 1,
    first: 4096 * (index + 1),
    last: 4096 * (index + 1) + 4095,
  }));
  const disk = sparseDisk(diskSize + 64 * MiB, gpt({ diskSize: diskSize + 64 * MiB, entries }));
  const table = readPartitions(disk);
  const before = disk.used.reads;
  expect(readVolumes(disk, table)).toEqual({ volumes: [], notes: [] });
  expect((disk.used.reads - before) / 128).toBeLessThanOrEqual(3);
});

test("what has volumes of its own, and is not read, is named", () => {
  const marks: [string, Piece][] = [
    ["encrypted with LUKS 1", { at: 0, content: Buffer.from("LUKS\xba\xbe\0\x01", "latin1") }],
    ["encrypted with LUKS 2", { at: 0, content: Buffer.from("LUKS\xba\xbe\0\x02", "latin1") }],
    ["encrypted with BitLocker", { at: 3, content: Buffer.from("-FVE-FS-") }],
    ["a part of a bcache", { at: 4096 + 24, content: Buffer.from("c68573f64e1a45ca8265f57f48ba6d81", "hex") }],
    [
      "a part of a ZFS pool",
      { at: 16_384, content: Buffer.from(`01010000${"00".repeat(4)}00000001${"00".repeat(8)}0000000776657273696f6e00`, "hex") },
    ],
  ];
  for (const [content, { at, content: mark }] of marks) {
    const disk = sparseDisk(size, [oneOf(0x83), { at: MiB + at, content: mark }]);
    expect(readVolumes(disk, readPartitions(disk))).toEqual({
      volumes: [],
      notes: [`partition 1 is ${content}; it is shown as it is stored`],
    });
  }
  const made = vgText({
    pvs: [{ uuid: pv.uuid, extents: 40 }],
    volumes: [{ name: "secret", extents: [3], segments: [stripes([["pv0", 0]])] }],
  });
  const disk = sparseDisk(size, [
    oneOf(0x8e),
    ...physicalVolume({ ...pv, text: made }),
    { at: 2 * MiB, content: Buffer.from("LUKS\xba\xbe\0\x02", "latin1") },
  ]);
  expect(readVolumes(disk, readPartitions(disk)).notes).toEqual([
    "the volume vg0-secret is encrypted with LUKS 2; it is shown as it is stored",
  ]);
});
