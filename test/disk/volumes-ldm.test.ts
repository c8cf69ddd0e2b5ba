// Windows dynamic disks.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { readVolumes, type VolumeScan } from "../../src/disk/volumes/read.js";
import { bootRecord, gpt, type Piece, sparseDisk } from "../support/partition-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";
import { type DynamicDisk, type DynamicVolume, dynamicDisk, withByteSum } from "../support/volume-builder.js";

const MiB = 2 ** 20;
const size = 64 * MiB;
const sectors = size / 512;

const own = { id: 0x101, name: "Disk1", guid: "0e1d2c3b-0001-0002-0003-0a0b0c0d0e0f" };
const other = { id: 0x102, name: "Disk2", guid: "0e1d2c3b-0001-0002-0003-ffffffffffff" };

const shape = {
  publicStart: 63,
  publicSize: sectors - 63 - 2048,
  privateStart: sectors - 2048,
  headers: [6, sectors - 1],
  disks: [own, other],
} as const;

const mbr: Piece = { at: 0, content: bootRecord([{ type: 0x42, start: 63, count: sectors - 63 - 2048 }]) };

const simple: DynamicVolume = {
  name: "Volume1",
  size: 4000,
  components: [{ layout: 2, partitions: [{ start: 1985, offset: 0, size: 4000, disk: own.id }] }],
};
const spanned: DynamicVolume = {
  name: "Volume2",
  size: 5000,
  components: [
    {
      layout: 2,
      partitions: [
        { start: 40_000, offset: 0, size: 3000, disk: own.id },
        { start: 20_000, offset: 3000, size: 2000, disk: own.id },
      ],
    },
  ],
};

function disk(volumes: readonly DynamicVolume[], change: Partial<DynamicDisk> = {}): Piece[] {
  return [mbr, ...dynamicDisk({ ...shape, ...change, volumes })];
}

function scan(pieces: readonly Piece[], diskSize = size): VolumeScan {
  const made = sparseDisk(diskSize, pieces);
  return readVolumes(made, readPartitions(made));
}

/** `volume` with parts changed in its first component's first partition. */
function withPartition(volume: DynamicVolume, change: object): DynamicVolume {
  const [component] = volume.components;
  const [first, ...rest] = component?.partitions ?? [];
  return { ...volume, components: [{ layout: 2, partitions: [{ start: 0, offset: 0, size: 1, disk: 0, ...first, ...change }, ...rest] }] };
}

describe("on a dynamic disk", () => {
  test("simple and spanned volumes are shown", () => {
    const { volumes, notes } = scan(disk([simple, spanned]));
    expect(notes).toEqual([]);
    expect(volumes).toEqual([
      {
        name: "Volume1",
        kind: "LDM",
        typeName: "simple",
        size: 4000 * 512,
        pieces: [{ offset: 0, start: (63 + 1985) * 512, size: 4000 * 512 }],
        uuid: "01010101-0101-0101-0101-010101010101",
      },
      {
        name: "Volume2",
        kind: "LDM",
        typeName: "spanned",
        size: 5000 * 512,
        pieces: [
          { offset: 0, start: 40_063 * 512, size: 3000 * 512 },
          { offset: 3000 * 512, start: 20_063 * 512, size: 2000 * 512 },
        ],
        uuid: "02020202-0202-0202-0202-020202020202",
      },
    ]);
  });

  test("the side of a mirror that is here and up to date is shown", () => {
    const side = (start: number, on: number, state = "ACTIVE") => ({
      layout: 2,
      state,
      partitions: [{ start, offset: 0, size: 4000, disk: on }],
    });
    const mirrored = (...components: DynamicVolume["components"]) => scan(disk([{ name: "M", size: 4000, components }]));
    for (const components of [
      [side(100, own.id), side(500, other.id)],
      [side(500, other.id), side(100, own.id)],
      [side(500, other.id, "STALE"), side(100, own.id)],
    ]) {
      const { volumes, notes } = mirrored(...components);
      expect(volumes).toMatchObject([{ name: "M", typeName: "mirrored", pieces: [{ start: 163 * 512, size: 4000 * 512 }] }]);
      expect(notes).toEqual([]);
    }
    expect(mirrored(side(100, own.id, "STALE"), side(500, other.id))).toEqual({
      volumes: [],
      notes: ['the dynamic volume "M" is not shown: the side of its mirror on this disk is not up to date'],
    });
  });

  test("a record over several blocks, names that no file can have, and disks of the old kind", () => {
    const long = { ...simple, name: `a/${"x".repeat(200)}` };
    const { volumes, notes } = scan(disk([long, { ...simple, name: ".." }], { disks: [{ ...own, old: true }, other] }));
    expect(notes).toEqual([]);
    expect(volumes.map(({ name }) => name)).toEqual([`a_${"x".repeat(198)}`, "_.."]);
  });

  test("of a GPT, where Windows keeps a partition for the database", () => {
    const entries = [
      { number: 1, first: 34, last: 34 + 2047, type: "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3" },
      { number: 2, first: 4096, last: 120_000, type: "AF9B60A0-1431-4F62-BC68-3311714A69AD" },
    ];
    const change = { publicStart: 4096, publicSize: 115_905, privateStart: 34, headers: [34 + 2047] };
    const { volumes, notes } = scan([...gpt({ diskSize: size, entries }), ...dynamicDisk({ ...shape, ...change, volumes: [simple] })]);
    expect(notes).toEqual([]);
    expect(volumes).toMatchObject([{ name: "Volume1", pieces: [{ start: (4096 + 1985) * 512 }] }]);
  });

  test.each([
    [
      { ...simple, raid5: true, components: [{ ...simple.components[0], layout: 3, partitions: [] }] },
      "it is a RAID-5 volume, which is not supported",
    ],
    [
      { ...simple, components: [{ layout: 1, partitions: [{ start: 0, offset: 0, size: 2000, disk: own.id }] }] },
      "it is a striped volume, whose data lie on several disks",
    ],
    [{ ...simple, components: [] }, "0 of its 0 parts are recorded"],
    [withPartition(simple, { disk: other.id }), `it needs the disk Disk2 (${other.guid}), which is not this one`],
    [withPartition(simple, { disk: 0x999 }), "it needs an unknown disk, which is not this one"],
    [withPartition(simple, { start: 130_000 }), `2048000 bytes at byte ${130_063 * 512} are not on the disk, which ends at ${size}`],
    [withPartition(simple, { size: 3999 }), "its partitions are smaller than it"],
    [withPartition(simple, { offset: 8 }), "its partitions do not follow each other at byte 0"],
    [withPartition(spanned, { size: 2999 }), `its partitions do not follow each other at byte ${2999 * 512}`],
  ] as [DynamicVolume, string][])("case %#: a volume that cannot be shown is named", (volume, why) => {
    const { volumes, notes } = scan(disk([volume, { ...spanned, name: "Good" }]));
    expect(volumes.map(({ name }) => name)).toEqual(["Good"]);
    expect(notes).toEqual([`the dynamic volume "${volume.name}" is not shown: ${why}`]);
  });

  test("one of the copies of everything that is kept twice is enough", () => {
    const pieces = disk([simple]);
    const spoil = (at: number): Piece => ({ at, content: Buffer.from([0x5a]) });
    const toc = (sector: number) => (shape.privateStart + sector) * 512;
    expect(scan([...pieces, spoil(6 * 512 + 0x50)])).toMatchObject({
      volumes: [{ name: "Volume1" }],
      notes: [`the LDM private header at byte ${6 * 512} has a wrong checksum; it is not used`],
    });
    expect(scan([...pieces, spoil(toc(2) + 0x30)]).volumes).toHaveLength(1);
    expect(scan([...pieces, spoil(toc(2045) + 0x30)]).volumes).toHaveLength(1);
    expect(scan([...pieces, spoil(toc(2) + 0x30), spoil(toc(2045) + 0x30)])).toEqual({
      volumes: [],
      notes: ["this is a Windows dynamic disk, and its volumes are not shown: its table of contents is missing or damaged"],
    });
  });

  const base = (shape.privateStart + 17) * 512;
  test.each([
    [base, "there is no database at byte"],
    [base + 18, "its database has version"],
    [base + 8, "its blocks have"],
    [base + 0x88, "its database does not hold what it says"],
    [base + 512, `its database is damaged at byte ${base + 512}: a block has no signature`],
    [base + 512 + 12, `its database is damaged at byte ${base + 512}: block`],
    [base + 512 + 19, `its database is damaged at byte ${base + 512}: a record of the unknown type`],
    [base + 512 + 4 * 128 + 24, "its database is damaged at byte"],
  ])("a database with byte %i changed is refused", (at, why) => {
    const { volumes, notes } = scan([...disk([simple]), { at, content: Buffer.from([0x5e]) }]);
    expect(volumes).toEqual([]);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(`this is a Windows dynamic disk, and its volumes are not shown: ${why}`);
  });

  test("a database in the middle of a change is refused", () => {
    expect(scan(disk([simple], { updateStatus: 2 })).notes).toEqual([
      "this is a Windows dynamic disk, and its volumes are not shown: its database was being changed",
    ]);
  });

  test("a disk that was cut short has no database", () => {
    const { volumes, notes } = scan(disk([simple]), size / 2);
    expect(volumes).toEqual([]);
    expect(notes).toEqual([
      `this is a Windows dynamic disk, and its volumes are not shown: its database, 1048576 bytes at byte ${shape.privateStart * 512}, leaves the disk`,
    ]);
  });

  test("without a private header, and with impossible numbers in it", () => {
    expect(scan([mbr]).notes).toEqual(["this is a Windows dynamic disk, and its volumes are not shown: its private header is missing"]);
    const header = Buffer.from(dynamicDisk({ ...shape, volumes: [] })[0]?.content ?? "");
    header.writeBigUInt64BE(2n ** 60n, 0x12b);
    expect(scan([mbr, { at: 6 * 512, content: withByteSum(header) }]).volumes).toEqual([]);
    header.writeBigUInt64BE(0n, 0x12b);
    header.writeBigUInt64BE(2n ** 20n, 0x133);
    expect(scan([mbr, { at: 6 * 512, content: withByteSum(header) }]).notes).toEqual([
      "this is a Windows dynamic disk, and its volumes are not shown: its database takes 536870912 bytes, more than 16777216",
    ]);
  });

  test("nothing is looked for on a disk without partitions of that kind", () => {
    const [, ...database] = disk([simple]);
    const plain = { at: 0, content: bootRecord([{ type: 7, start: 63, count: 1000 }]) };
    expect(scan([plain, ...database])).toEqual({ volumes: [], notes: [] });
  });
});

describe.skipIf(!requireProgram("ldmtool"))("ldmtool agrees about", () => {
  const directory = tempDirectory();
  const group = "0a0b0c0d-0102-0304-0506-0708090a0b0c";

  interface ToldVolume {
    readonly type: string;
    readonly size: number;
    readonly partitions: readonly string[];
  }

  const entries = [
    { number: 1, first: 34, last: 34 + 2047, type: "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3" },
    { number: 2, first: 4096, last: 120_000, type: "AF9B60A0-1431-4F62-BC68-3311714A69AD" },
  ];
  const onGpt = { publicStart: 4096, publicSize: 115_905, privateStart: 34, headers: [34 + 2047] };

  test.each([
    ["an MBR", disk([simple, { ...spanned, name: `Volume${"2".repeat(100)}` }]), 63],
    ["a GPT", [...gpt({ diskSize: size, entries }), ...dynamicDisk({ ...shape, ...onGpt, volumes: [simple, spanned] })], 4096],
  ] as [string, Piece[], number][])("the volumes of a disk with %s", (_, pieces, publicStart) => {
    const made = sparseDisk(size, pieces);
    const content = Buffer.alloc(size);
    made.read(content, 0);
    const path = join(directory, "dynamic.raw");
    writeFileSync(path, content);
    const ask = (...words: readonly string[]) => JSON.parse(run("ldmtool", ["-d", path, "show", ...words])) as unknown;
    const { volumes, notes } = readVolumes(made, readPartitions(made));
    expect(notes).toEqual([]);
    expect(volumes).toHaveLength(2);
    expect((ask("diskgroup", group) as { volumes: string[] }).volumes).toEqual(volumes.map(({ name }) => name));
    for (const volume of volumes) {
      const told = ask("volume", group, volume.name) as ToldVolume;
      expect(told).toMatchObject({ type: volume.typeName, size: volume.size / 512, guid: volume.uuid });
      const parts = told.partitions.map((name) => ask("partition", group, name) as { start: number; size: number; disk: string });
      expect(
        volume.pieces.map(({ start, size: bytes }) => ({ start: start / 512 - publicStart, size: bytes / 512, disk: "Disk1" })),
      ).toEqual(parts.map(({ start, size: bytes, disk: on }) => ({ start, size: bytes, disk: on })));
    }
  });
});
