import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { ImageError } from "../../src/util/errors.js";
import { apm, bootRecord, fatBootSector, type GptShape, gpt, linuxType, type Piece, sparseDisk } from "../support/partition-builder.js";

const MiB = 2 ** 20;
const efi = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const shape: GptShape = {
  diskSize: 8 * MiB,
  entries: [
    { number: 1, first: 2048, last: 4095, type: efi, name: "EFI \u{1f4be}" },
    { number: 5, first: 4096, last: 4096, uuid: "ABCDEF01-2345-6789-ABCD-EF0123456789", attributes: 4n },
  ],
};

function tableOf(size: number, ...pieces: readonly Piece[]) {
  return readPartitions(sparseDisk(size, pieces));
}

/** `piece` with the byte at `at` flipped. */
function damaged({ at, content }: Piece, position = 20): Piece {
  const copy = Buffer.from(content);
  copy[position] = (copy[position] ?? 0) ^ 0xff;
  return { at, content: copy };
}

const firstSectors = { at: 0, content: Buffer.alloc(34 * 512) };

describe("a GPT", () => {
  test("tells its partitions in full", () => {
    expect(tableOf(8 * MiB, ...gpt(shape))).toEqual({
      scheme: "gpt",
      sectorSize: 512,
      id: "11111111-2222-3333-4444-555555555555",
      partitions: [
        {
          number: 1,
          start: MiB,
          size: MiB,
          type: efi,
          typeName: "EFI system",
          name: "EFI \u{1f4be}",
          uuid: "00000000-0000-0000-0000-000000000001",
        },
        {
          number: 5,
          start: 2 * MiB,
          size: 512,
          type: linuxType,
          typeName: "Linux filesystem",
          uuid: "ABCDEF01-2345-6789-ABCD-EF0123456789",
          bootable: true,
        },
      ],
      notes: [],
    });
  });

  test.each([512, 1024, 2048, 4096])("with sectors of %i bytes", (sectorSize) => {
    const table = tableOf(64 * MiB, ...gpt({ ...shape, diskSize: 64 * MiB, sectorSize }));
    expect(table).toMatchObject({
      scheme: "gpt",
      sectorSize,
      partitions: [{ start: 2048 * sectorSize, size: 2048 * sectorSize }, { number: 5 }],
      notes: [],
    });
  });

  test.each([512, 1024, 2048, 4096])("with sectors of %i bytes, of which only the backup is left", (sectorSize) => {
    const pieces = gpt({ ...shape, diskSize: 64 * MiB, sectorSize });
    const table = tableOf(64 * MiB, pieces[0], pieces[3], pieces[4]);
    expect(table).toMatchObject({ scheme: "gpt", sectorSize, partitions: [{ start: 2048 * sectorSize }, { number: 5 }] });
    expect(table?.notes).toEqual([`only the backup GPT at byte ${64 * MiB - sectorSize} is intact; it is used`]);
  });

  test.each([
    [256, 128],
    [128, 4],
    [512, 1000],
    [136, 7700],
  ])("with entries of %i bytes, %i of them", (entrySize, entryCount) => {
    const entries = [...shape.entries.slice(0, 1), { number: Math.min(entryCount, 200), first: 5000, last: 5001, name: "last" }];
    const table = tableOf(8 * MiB, ...gpt({ ...shape, entrySize, entryCount, entries }));
    expect(table?.partitions.map(({ number, name }) => [number, name])).toEqual([
      [1, "EFI \u{1f4be}"],
      [Math.min(entryCount, 200), "last"],
    ]);
    expect(table?.notes).toEqual([]);
  });

  test("on a 16 TiB disk takes few reads and no time", () => {
    const diskSize = 2 ** 44;
    const far = 2 ** 35 - 10000;
    const disk = sparseDisk(diskSize, gpt({ diskSize, entries: [{ number: 1, first: 2 ** 33, last: far }] }));
    const started = performance.now();
    const table = readPartitions(disk);
    expect(performance.now() - started).toBeLessThan(50);
    expect(table?.partitions).toMatchObject([{ start: 2 ** 42, size: (far - 2 ** 33 + 1) * 512 }]);
    expect(disk.used.reads).toBeLessThan(20);
    expect(disk.used.bytes).toBeLessThan(64 * 1024);
  });

  test("with a name of 36 characters, and one with rubbish behind its end", () => {
    const entries = [
      { number: 1, first: 2048, last: 2048, name: "abcdefghijklmnopqrstuvwxyz0123456789" },
      { number: 2, first: 2049, last: 2049, name: "seen\0unseen" },
    ];
    expect(tableOf(8 * MiB, ...gpt({ ...shape, entries }))?.partitions.map(({ name }) => name)).toEqual([
      "abcdefghijklmnopqrstuvwxyz0123456789",
      "seen",
    ]);
  });

  test("with entries that cannot be", () => {
    const entries = [
      { number: 1, first: 100, last: 98 },
      { number: 2, first: 2 ** 40, last: 2 ** 40 },
      { number: 3, first: 100n, last: 0xffffffffffffffffn },
      { number: 4, first: 0xffffffffffffffffn, last: 0n },
      { number: 6, first: 100, last: 20000 },
    ];
    const table = tableOf(8 * MiB, ...gpt({ ...shape, entries }));
    expect(table?.partitions.map(({ number }) => number)).toEqual([6]);
    expect(table?.notes).toHaveLength(5);
    expect(table?.notes[4]).toBe(`partition 6 ends ${20001 * 512 - 8 * MiB} bytes past the disk`);
  });
});

test("a hostile GPT gives no more notes than a person reads", () => {
  const entries = Array.from({ length: 128 }, (_, index) => ({ number: index + 1, first: 2 ** 40, last: 2 ** 40 }));
  const notes = tableOf(8 * MiB, ...gpt({ ...shape, entries }))?.notes;
  expect(notes).toHaveLength(65);
  expect(notes?.at(-1)).toBe("more is unusual than is listed here");
});

describe("of a damaged GPT", () => {
  const pieces = gpt(shape);
  const numbers = (table: ReturnType<typeof readPartitions>) => table?.partitions.map(({ number }) => number);

  test.each([
    ["the header", 1, 20, "its header's CRC-32"],
    ["the entries", 2, 40, "its entries' CRC-32"],
  ])("the backup is used where %s of the primary is damaged", (_, index, position, reason) => {
    const table = tableOf(8 * MiB, ...pieces, damaged(pieces[index] as Piece, position));
    expect(numbers(table)).toEqual([1, 5]);
    expect(table?.notes).toEqual([
      expect.stringContaining(`the primary GPT at byte 512 is damaged: ${reason}`),
      `only the backup GPT at byte ${8 * MiB - 512} is intact; it is used`,
    ]);
  });

  test.each([
    ["a header size of 40", 12, 40, "its header has 40 bytes, not 92 to 512"],
    ["a header size over a sector", 12, 513, "its header has 513 bytes, not 92 to 512"],
    ["another place", 24, 7, "its header belongs to sector 7 of 512 bytes"],
    ["entries of 64 bytes", 84, 64, "its entries have 64 bytes, not 128 or more"],
    ["entries without number", 80, 0xffffffff, "its 4294967295 entries of 128 bytes take more than 1048576 bytes"],
    ["entries past the disk", 72, 20000, "its entries, 16384 bytes at byte 10240000, leave the disk"],
  ])("a primary that declares %s is not believed", (_, at, value, reason) => {
    const table = tableOf(8 * MiB, pieces[0], gpt({ ...shape, patch: [[at, value]] })[1], pieces[2], pieces[3], pieces[4]);
    expect(numbers(table)).toEqual([1, 5]);
    expect(table?.notes[0]).toBe(`the primary GPT at byte 512 is damaged: ${reason}`);
  });

  test("whose first 34 sectors are overwritten the backup is used", () => {
    const table = tableOf(8 * MiB, ...pieces, firstSectors);
    expect(numbers(table)).toEqual([1, 5]);
    expect(table?.notes).toEqual([
      `only the backup GPT at byte ${8 * MiB - 512} is intact; it is used`,
      "there is no protective MBR, so that Linux would not look for this GPT",
    ]);
  });

  test.each([
    ["FAT", { at: 0, content: fatBootSector() }],
    ["ext4", { at: 0x438, content: Buffer.from([0x53, 0xef]) }],
    ["ISO 9660", { at: 0x8001, content: Buffer.from("CD001") }],
  ])("a backup that %s over the whole disk has left is not used", (_, mark) => {
    expect(tableOf(8 * MiB, ...pieces, firstSectors, mark)).toBeUndefined();
  });

  test("a backup is found where the disk has grown since", () => {
    for (const known of [pieces.slice(3), [pieces[0], ...pieces.slice(3)], [damaged(pieces[1]), ...pieces.slice(3)]]) {
      const table = tableOf(9 * MiB, ...known);
      // Without protective MBR and primary, nothing tells where it is.
      expect(numbers(table)).toEqual(known.length > 2 ? [1, 5] : undefined);
    }
  });

  test("nothing is listed where no copy is intact", () => {
    const table = tableOf(8 * MiB, ...pieces, damaged(pieces[1]), damaged(pieces[4]));
    expect(table).toMatchObject({ scheme: "gpt", partitions: [] });
    expect(table?.notes).toEqual([
      expect.stringContaining("the primary GPT at byte 512 is damaged"),
      expect.stringContaining(`the backup GPT at byte ${8 * MiB - 512} is damaged`),
      "no copy of the GPT is intact, so no partitions are listed",
    ]);
    expect(tableOf(8 * MiB, pieces[0])).toMatchObject({
      scheme: "gpt",
      partitions: [],
      notes: ["no copy of the GPT is intact, so no partitions are listed"],
    });
  });

  test("the backup's damage is noted where the primary is used", () => {
    const notes = (size: number, ...more: Piece[]) => tableOf(size, ...pieces, ...more)?.notes;
    expect(notes(8 * MiB, { at: pieces[4].at, content: Buffer.alloc(512) })).toEqual([
      `the backup GPT at byte ${8 * MiB - 512} is missing`,
    ]);
    expect(notes(8 * MiB, damaged(pieces[4]))).toEqual([
      expect.stringContaining(`the backup GPT at byte ${8 * MiB - 512} is damaged: its header's CRC-32`),
    ]);
    expect(notes(9 * MiB)).toEqual([`the backup GPT belongs at byte ${8 * MiB - 512}, not in the last sector: the disk may have grown`]);
    expect(notes(7 * MiB)).toEqual([
      `the backup GPT belongs at byte ${8 * MiB - 512}, and the disk ends at ${7 * MiB}: it may have been cut short`,
    ]);
    expect(notes(8 * MiB, gpt({ ...shape, patch: [[32, 1]] })[1])).toContain("the backup GPT at byte 512 is missing");
    const [, , , otherEntries, otherHeader] = gpt({ ...shape, entries: shape.entries.slice(1) });
    expect(notes(8 * MiB, otherEntries, otherHeader)).toEqual(["the backup GPT differs from the primary one, which is used"]);
  });
});

describe("beside other tables, a GPT", () => {
  const pieces = gpt(shape);

  test("with a hybrid MBR keeps its numbers, and the MBR's partitions are noted", () => {
    const mbr = bootRecord([
      { type: 0xee, start: 1, count: 2047 },
      { type: 0x07, start: 4096, count: 1 },
    ]);
    const table = tableOf(8 * MiB, ...pieces, { at: 0, content: mbr });
    expect(table).toMatchObject({ scheme: "hybrid", partitions: [{ number: 1 }, { number: 5 }] });
    expect(table?.notes).toEqual(["the hybrid MBR lists partition 2 of type 0x07 (NTFS, exFAT or HPFS), 512 bytes at byte 2097152"]);
  });

  test("is announced also by a first sector that was a FAT's, and for more sectors than there are", () => {
    const mbr = fatBootSector();
    bootRecord([{ type: 0xee, start: 1, count: 0xffffffff }]).copy(mbr, 446, 446, 510);
    expect(tableOf(8 * MiB, ...pieces, { at: 0, content: mbr })).toMatchObject({ scheme: "gpt", partitions: [{}, {}], notes: [] });
  });

  test("comes before an Apple map if an MBR announces it, and behind it if none does", () => {
    const [descriptor, ...map] = apm([{ start: 1, count: 2, name: "Apple", type: "Apple_partition_map" }], { blockSize: 2048 });
    const mbr = Buffer.from(pieces[0].content);
    mbr.set(descriptor?.content.subarray(0, 8) ?? []);
    // The map's block lies on unused GPT entries.
    const shared = [pieces[1], pieces[3], pieces[4], ...map];
    expect(tableOf(8 * MiB, ...shared, { at: 0, content: mbr })).toMatchObject({
      scheme: "gpt",
      partitions: [{ number: 1 }, { number: 5 }],
    });
    expect(tableOf(8 * MiB, ...shared, descriptor as Piece)?.scheme).toBe("apm");
  });

  test("of two for different sector sizes, the one for 512 bytes is used, or the one of the image's sectors", () => {
    const second = gpt({ ...shape, sectorSize: 4096, entries: [{ number: 2, first: 256, last: 256 }] });
    // The entries of the first must leave room for the second header.
    const first = gpt({ ...shape, entryCount: 8 });
    const disk = sparseDisk(8 * MiB, [...first, second[1], second[2]]);
    const table = readPartitions(disk);
    expect(table).toMatchObject({ sectorSize: 512, partitions: [{ number: 1 }, { number: 5 }] });
    expect(table?.notes).toEqual(["a second GPT for sectors of 4096 bytes is there too; the one for 512 bytes is used"]);
    expect(readPartitions({ ...disk, sectorSize: 4096 })).toMatchObject({ sectorSize: 4096, partitions: [{ number: 2 }] });
  });

  test("with entries in the MBR's place but no announcement is left alone", () => {
    const table = tableOf(8 * MiB, ...pieces, { at: 0, content: bootRecord([{ type: 0x83, start: 2048, count: 10 }]) });
    expect(table).toMatchObject({ scheme: "mbr", partitions: [{ number: 1, start: MiB, size: 5120 }] });
    expect(table?.notes).toEqual(["there is a GPT, too, but the MBR does not announce it; the MBR is used, as Linux does"]);
  });
});

describe("where the disk cannot be read", () => {
  const pieces = gpt(shape);
  const broken = (from: number, to: number, error: Error) =>
    readPartitions(
      sparseDisk(8 * MiB, pieces, (offset, length) => {
        if (offset < to && offset + length > from) throw error;
      }),
    );
  const corrupt = new ImageError("CORRUPT", "the cluster is not there");

  test("the backup stands in for the primary, and a note tells", () => {
    for (const [from, to] of [
      [512, 1024],
      [1024, 34 * 512],
      [0, 34 * 512],
    ] as const) {
      const table = broken(from, to, corrupt);
      expect(table?.partitions.map(({ number }) => number)).toEqual([1, 5]);
      expect(table?.notes[0]).toMatch(/bytes at byte \d+ cannot be read: the cluster is not there/);
    }
  });

  test("errors of the system are notes, too", () => {
    const table = broken(512, 1024, Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" }));
    expect(table?.partitions).toHaveLength(2);
    expect(table?.notes[0]).toContain("EIO");
  });

  test("a disk of which nothing can be read is not one without a table", () => {
    const table = broken(0, 8 * MiB, corrupt);
    expect(table?.partitions).toEqual([]);
    expect(table?.notes[0]).toBe("512 bytes at byte 0 cannot be read: the cluster is not there");
  });

  test("a mistake of ours is not hidden", () => {
    expect(() => broken(0, 512, new TypeError("x is not a function"))).toThrow(TypeError);
  });
});
