import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { apm, bootRecord, extendedChain, fatBootSector, gpt, type MbrEntry, type Piece, sparseDisk } from "../support/partition-builder.js";

const MiB = 2 ** 20;

function tableOf(size: number, ...pieces: readonly Piece[]) {
  return readPartitions(sparseDisk(size, pieces));
}

function mbrOf(size: number, entries: readonly (MbrEntry | undefined)[], id?: number) {
  return tableOf(size, { at: 0, content: bootRecord(entries, id) });
}

/** `number@start+size` in sectors of 512 bytes. */
function placesOf(table: ReturnType<typeof readPartitions>): string[] | undefined {
  return table?.partitions.map(({ number, start, size }) => `${number}@${start / 512}+${size / 512}`);
}

describe("an MBR", () => {
  test("tells its partitions in full", () => {
    const table = mbrOf(
      64 * MiB,
      [{ type: 0x0c, start: 2048, count: 4096, indicator: 0x80 }, undefined, { type: 0x83, start: 8192, count: 100 }],
      0x0badcafe,
    );
    expect(table).toEqual({
      scheme: "mbr",
      sectorSize: 512,
      id: "0x0badcafe",
      partitions: [
        { number: 1, start: 2048 * 512, size: 4096 * 512, type: "0x0c", typeName: "FAT32 (LBA)", uuid: "0badcafe-01", bootable: true },
        { number: 3, start: 8192 * 512, size: 100 * 512, type: "0x83", typeName: "Linux", uuid: "0badcafe-03" },
      ],
      notes: [],
    });
  });

  test("counts in the sectors of the image", () => {
    const disk = { ...sparseDisk(64 * MiB, [{ at: 0, content: bootRecord([{ type: 0x83, start: 256, count: 10 }]) }]), sectorSize: 4096 };
    expect(readPartitions(disk)).toMatchObject({ sectorSize: 4096, partitions: [{ number: 1, start: 256 * 4096, size: 10 * 4096 }] });
  });

  test("reaches to the end of what 32 bits count", () => {
    const table = mbrOf(2 ** 42, [{ type: 0x83, start: 0xffffffff, count: 0xffffffff }]);
    expect(placesOf(table)).toEqual([`1@4294967295+4294967295`]);
  });

  test("may start a partition at 0 and give it no type, as hybrid CDs do", () => {
    expect(placesOf(mbrOf(64 * MiB, [{ type: 0, start: 0, count: 1000, indicator: 0x80 }]))).toEqual(["1@0+1000"]);
  });

  test("without partitions is one if it has a signature", () => {
    expect(mbrOf(64 * MiB, [], 7)).toEqual({ scheme: "mbr", sectorSize: 512, id: "0x00000007", partitions: [], notes: [] });
    expect(mbrOf(64 * MiB, [])).toBeUndefined();
  });

  test("notes what leaves the disk, and lists what starts inside", () => {
    const table = mbrOf(MiB, [
      { type: 0x83, start: 1, count: 100 },
      { type: 0x83, start: 2000, count: 50 },
      { type: 0x83, start: 2048, count: 50 },
    ]);
    expect(placesOf(table)).toEqual(["1@1+100", "2@2000+50"]);
    expect(table?.notes).toEqual([
      "partition 2 ends 1024 bytes past the disk",
      "partition 3 is not listed: it starts at byte 1048576, and the disk ends at 1048576",
    ]);
  });

  test("on a disk that is no multiple of 512 bytes", () => {
    const table = mbrOf(MiB + 100, [{ type: 0x83, start: 2047, count: 2 }]);
    expect(placesOf(table)).toEqual(["1@2047+2"]);
    expect(table?.notes).toEqual(["partition 1 ends 412 bytes past the disk"]);
  });

  test("beside a GPT and an Apple map that it does not announce is used, and they are noted", () => {
    const [, ...announced] = gpt({ diskSize: 64 * MiB, entries: [{ number: 1, first: 4096, last: 8191 }] });
    const mbr = bootRecord([{ type: 0x83, start: 2048, count: 100 }]);
    const [descriptor, ...map] = apm([{ start: 1, count: 4, name: "Apple", type: "Apple_partition_map" }], { blockSize: 2048 });
    mbr.set(descriptor?.content.subarray(0, 8) ?? []);
    const table = tableOf(64 * MiB, ...announced, ...map, { at: 0, content: mbr });
    expect(table?.scheme).toBe("mbr");
    expect(placesOf(table)).toEqual(["1@2048+100"]);
    expect(table?.notes).toHaveLength(2);
  });
});

describe("logical partitions", () => {
  const container = (type: number): MbrEntry => ({ type, start: 100, count: 900 });

  test.each([0x05, 0x0f, 0x85])("are numbered from 5 (container 0x%s)", (type) => {
    const mbr = bootRecord([undefined, { type: 0x83, start: 10, count: 20 }, container(type)]);
    expect(placesOf(tableOf(MiB, { at: 0, content: mbr }, ...extendedChain(100, 3)))).toEqual(["2@10+20", "5@101+2", "6@105+2", "7@109+2"]);
  });

  test("may be missing from a link", () => {
    const mbr = bootRecord([container(5)]);
    const chain = [
      { at: 100 * 512, content: bootRecord([undefined, { type: 5, start: 10, count: 10 }]) },
      {
        at: 110 * 512,
        content: bootRecord([
          { type: 0x83, start: 2, count: 3 },
          { type: 5, start: 30, count: 10 },
        ]),
      },
      {
        at: 130 * 512,
        content: bootRecord([
          { type: 5, start: 50, count: 10 },
          { type: 0x82, start: 1, count: 1 },
        ]),
      },
      { at: 150 * 512, content: bootRecord([{ type: 0x07, start: 1, count: 9 }]) },
    ];
    expect(placesOf(tableOf(MiB, { at: 0, content: mbr }, ...chain))).toEqual(["5@112+3", "6@131+1", "7@151+9"]);
  });

  test("in the third and fourth entry count only where they fit the link and the container", () => {
    const links = [
      bootRecord([
        { type: 0x83, start: 1, count: 2 },
        { type: 5, start: 200, count: 50 },
        { type: 0x83, start: 10, count: 5 },
      ]),
      bootRecord([
        { type: 0x83, start: 1, count: 2 },
        { type: 5, start: 800, count: 500 },
        { type: 0x83, start: 46, count: 5 },
      ]),
      bootRecord([
        { type: 0x83, start: 1, count: 2 },
        undefined,
        { type: 0x83, start: 10, count: 90 },
        { type: 0x83, start: 10, count: 91 },
      ]),
    ];
    const chain = links.map((content, index) => ({ at: [100, 300, 900][index]! * 512, content }));
    const table = tableOf(MiB, { at: 0, content: bootRecord([container(5)]) }, ...chain);
    expect(placesOf(table)).toEqual(["5@101+2", "6@110+5", "7@301+2", "8@901+2", "9@910+90"]);
  });

  test("of two containers are numbered on", () => {
    const mbr = bootRecord([
      { type: 5, start: 100, count: 50 },
      { type: 0x0f, start: 200, count: 50 },
    ]);
    expect(placesOf(tableOf(MiB, { at: 0, content: mbr }, ...extendedChain(100, 2), ...extendedChain(200, 1)))).toEqual([
      "5@101+2",
      "6@105+2",
      "7@201+2",
    ]);
  });

  test("in a chain that loops end there", () => {
    const mbr = bootRecord([container(5)]);
    const chain = [
      {
        at: 100 * 512,
        content: bootRecord([
          { type: 0x83, start: 1, count: 2 },
          { type: 5, start: 10, count: 10 },
        ]),
      },
      {
        at: 110 * 512,
        content: bootRecord([
          { type: 0x83, start: 1, count: 2 },
          { type: 5, start: 0, count: 10 },
        ]),
      },
    ];
    const table = tableOf(MiB, { at: 0, content: mbr }, ...chain);
    expect(placesOf(table)).toEqual(["5@101+2", "6@111+2"]);
    expect(table?.notes).toEqual([
      "the chain of extended boot records returns to byte 51200: the logical partitions behind it are not listed",
    ]);
  });

  test("in a chain without end are bounded", () => {
    const mbr = bootRecord([{ type: 5, start: 100, count: 10000 }]);
    const table = tableOf(64 * MiB, { at: 0, content: mbr }, ...extendedChain(100, 300));
    expect(table?.partitions).toHaveLength(256);
    expect(table?.notes).toEqual([
      "the chain of extended boot records is longer than 256: the logical partitions behind it are not listed",
    ]);
  });

  test.each([
    ["a link without signature", { type: 5, start: 10, count: 10 }, "at byte 56320 has no signature 55 AA"],
    ["a link past the disk", { type: 5, start: 5000, count: 10 }, "at byte 2611200 lies past the disk"],
  ])("end at %s", (_, link, reason) => {
    const first = bootRecord([{ type: 0x83, start: 1, count: 2 }, link]);
    const table = tableOf(MiB, { at: 0, content: bootRecord([container(5)]) }, { at: 51200, content: first });
    expect(placesOf(table)).toEqual(["5@101+2"]);
    expect(table?.notes[0]).toContain(reason);
  });
});

describe("no MBR", () => {
  const entry: MbrEntry = { type: 0x83, start: 8, count: 100 };
  const marked = (at: number, mark: string, entries: readonly MbrEntry[] = []) => {
    const sector = bootRecord(entries, 0x12345678);
    sector.write(mark, at, "latin1");
    return { at: 0, content: sector };
  };

  test("is what has no signature, or is shorter than a sector", () => {
    const sector = bootRecord([entry], 1);
    expect(tableOf(511, { at: 0, content: sector })).toBeUndefined();
    expect(tableOf(0)).toBeUndefined();
    sector[511] = 0;
    expect(tableOf(MiB, { at: 0, content: sector })).toBeUndefined();
  });

  test.each([0, 1, 2, 3])("is what has another byte than 00 or 80 in slot %i", (slot) => {
    const sector = bootRecord([entry], 1);
    sector[446 + slot * 16] = 0x81;
    expect(tableOf(MiB, { at: 0, content: sector })).toBeUndefined();
  });

  test("is what has no entry inside the disk", () => {
    expect(mbrOf(MiB, [{ type: 0x83, start: 2048, count: 1 }], 1)).toBeUndefined();
  });

  test.each([
    ["FAT16", fatBootSector()],
    [
      "FAT32",
      (() => {
        const sector = fatBootSector({ mark: "" });
        sector.write("FAT32   ", 82);
        return sector;
      })(),
    ],
    ["FAT without a mark", fatBootSector({ mark: "" })],
    ["FAT12 with odd parameters", marked(54, "FAT12   ").content],
    ["FAT32 with odd parameters", marked(82, "FAT32   ").content],
    ["NTFS", marked(3, "NTFS    ").content],
    ["exFAT", marked(3, "EXFAT   ").content],
    ["BitLocker", marked(3, "-FVE-FS-").content],
    ["AIX", marked(0, "\xc9\xc2\xd4\xc1").content],
  ])("is the boot sector of %s", (_, content) => {
    const sector = Buffer.from(content);
    sector.writeUInt32LE(0x12345678, 440);
    expect(tableOf(MiB, { at: 0, content: sector })).toBeUndefined();
    // Text and code behind the marks: an entry, but not one that a partitioning program would write.
    for (const bad of [
      { ...entry, start: 0 },
      { ...entry, type: 0 },
      { ...entry, count: 5000 },
    ]) {
      bootRecord([bad]).copy(sector, 446, 446, 510);
      expect(tableOf(MiB, { at: 0, content: sector })).toBeUndefined();
    }
  });

  test("is the first sector of a Linux kernel", () => {
    const kernel = { at: 0x202, content: Buffer.from("HdrS") };
    expect(tableOf(MiB, { at: 0, content: bootRecord([{ ...entry, start: 0 }], 1) }, kernel)).toBeUndefined();
    expect(tableOf(MiB, { at: 0, content: bootRecord([], 1) }, kernel)).toBeUndefined();
  });

  test("is an empty boot record on a disk that is one ext4", () => {
    const empty = { at: 0, content: bootRecord([], 1) };
    expect(tableOf(MiB, empty)?.scheme).toBe("mbr");
    expect(tableOf(MiB, empty, { at: 0x438, content: Buffer.from([0x53, 0xef]) })).toBeUndefined();
  });

  test("but a stick that was one FAT before it was partitioned has one", () => {
    const sector = fatBootSector();
    bootRecord([entry, { type: 0x82, start: 200, count: 100 }]).copy(sector, 446, 446, 510);
    expect(placesOf(tableOf(MiB, { at: 0, content: sector }))).toEqual(["1@8+100", "2@200+100"]);
    bootRecord([entry, { type: 0x82, start: 100, count: 100 }]).copy(sector, 446, 446, 510);
    expect(tableOf(MiB, { at: 0, content: sector })).toBeUndefined();
  });
});
