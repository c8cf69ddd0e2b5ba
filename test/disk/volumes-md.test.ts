// Members of Linux md arrays.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { readVolumes, type VolumeScan } from "../../src/disk/volumes/read.js";
import { bootRecord, type Piece, sparseDisk } from "../support/partition-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";
import { mdSuper0, mdSuper1, type Super1, sunLabel } from "../support/volume-builder.js";

const MiB = 2 ** 20;
const size = 64 * MiB;
const uuid = "00112233:44556677:8899aabb:ccddeeff";

function scan(pieces: readonly Piece[], diskSize = size): VolumeScan {
  const disk = sparseDisk(diskSize, pieces);
  return readVolumes(disk, readPartitions(disk));
}

/** Two partitions of 16 MiB, at 1 MiB and at 32 MiB. */
const table: Piece = {
  at: 0,
  content: bootRecord([
    { type: 0xfd, start: 2048, count: 32_768 },
    { type: 0xfd, start: 65_536, count: 32_768 },
  ]),
};
const first = MiB;
const second = 32 * MiB;

/** Where the superblock of each version goes in 32768 sectors, and where data is there. */
const places = {
  "1.0": { superOffset: 32_752, dataOffset: 0 },
  "1.1": { superOffset: 0, dataOffset: 2048 },
  "1.2": { superOffset: 8, dataOffset: 2048 },
} as const;

function member(shape: Partial<Super1> = {}, version: keyof typeof places = "1.2", at = first): Piece {
  const place = places[version];
  return { at: at + place.superOffset * 512, content: mdSuper1({ ...place, size: 30_000, ...shape }) };
}

describe("a member of an md RAID 1", () => {
  test.each(["1.0", "1.1", "1.2"] as const)("with metadata %s shows its data area", (version) => {
    const { volumes, notes } = scan([table, member({}, version)]);
    const start = first + places[version].dataOffset * 512;
    expect(volumes).toEqual([
      {
        name: "md0",
        kind: "md",
        size: 30_000 * 512,
        pieces: [{ offset: 0, start, size: 30_000 * 512 }],
        typeName: `RAID 1, metadata ${version}`,
        uuid,
      },
    ]);
    expect(notes).toEqual([]);
  });

  test("with metadata 0.90", () => {
    const at = first + 16 * MiB - 65_536;
    const { volumes, notes } = scan([table, { at, content: mdSuper0({ uuid: [0x11, 0x22, 0x33, 0xffff0044], size: 16_000, minor: 127 }) }]);
    expect(volumes).toMatchObject([{ name: "md127", typeName: "RAID 1, metadata 0.90", pieces: [{ start: first, size: 16_000 * 1024 }] }]);
    expect(volumes[0]?.uuid).toBe("00000011:00000022:00000033:ffff0044");
    expect(notes).toEqual([]);
  });

  test("with metadata 0.90 in a partition that ends between borders of 64 KiB", () => {
    const odd = { at: 0, content: bootRecord([{ type: 0xfd, start: 2048, count: 32_700 }]) };
    const at = first + Math.floor((32_700 * 512) / 65_536) * 65_536 - 65_536;
    expect(scan([odd, { at, content: mdSuper0({ size: 16_000 }) }]).volumes).toMatchObject([{ name: "md0" }]);
  });

  test.each([
    ["host:7", "md7"],
    ["root", "md-root"],
    ["host:a/b c", "md-a_b c"],
    ["", "md-00112233"],
  ])("called %j is %s", (name, expected) => {
    expect(scan([table, member({ name })]).volumes).toMatchObject([{ name: expected }]);
  });

  test("on the bare disk", () => {
    expect(scan([member({}, "1.2", 0)]).volumes).toMatchObject([{ name: "md0", pieces: [{ start: MiB }] }]);
    const at = Math.floor((size / 512 - 16) / 8) * 8;
    expect(scan([{ at: at * 512, content: mdSuper1({ superOffset: at, dataOffset: 0, size: 100_000 }) }]).volumes).toMatchObject([
      { name: "md0", pieces: [{ start: 0, size: 100_000 * 512 }] },
    ]);
  });

  test("in the last slice of a Sun label is not one of the whole disk", () => {
    const slices = [{ index: 0, tag: 0xfd, start: 256, size: 131_072 - 256 * 128 }];
    const at = size - 65_536;
    const found = scan([
      { at: 0, content: sunLabel(slices) },
      { at, content: mdSuper0({ size: 4000 }) },
    ]);
    expect(found.volumes).toMatchObject([{ name: "s0" }, { name: "md0", pieces: [{ start: 256 * 128 * 512 }] }]);
  });

  test("beside another of the same array: the one written last is shown", () => {
    for (const [one, other, expected] of [
      [5, 5, first],
      [5, 9, second],
      [9, 5, first],
    ] as const) {
      const { volumes, notes } = scan([table, member({ events: one }), member({ events: other, device: 1 }, "1.2", second)]);
      expect(volumes).toMatchObject([{ name: "md0", pieces: [{ start: expected + MiB }] }]);
      expect(volumes).toHaveLength(1);
      expect(notes).toEqual([`the md array md0 is shown from partition ${expected === first ? 1 : 2}, one of 2 members that are there`]);
    }
  });

  test("beside one of an array with the same name", () => {
    const other = member({ uuid: "ff112233445566778899aabbccddeeff" }, "1.2", second);
    expect(scan([table, member(), other]).volumes).toMatchObject([{ name: "md0" }, { name: "md0~2" }]);
  });
});

describe("of md is named, and not shown:", () => {
  const told = (why: string, name = "md0") => `the member of the md array ${name} in partition 1 is not shown: ${why}`;

  test.each([
    [{ level: 0 }, "in an array of the kind RAID 0 a member alone has no use"],
    [{ level: 5 }, "in an array of the kind RAID 5 a member alone has no use"],
    [{ level: 10 }, "in an array of the kind RAID 10 a member alone has no use"],
    [{ level: -1 }, "in an array of the kind linear a member alone has no use"],
    [{ level: -4 }, "in an array of the kind multipath a member alone has no use"],
    [{ roles: [0xffff, 1] }, "it is a spare"],
    [{ roles: [0xfffe, 1] }, "it has been marked faulty"],
    [{ roles: [0xfffd, 1] }, "it is a journal"],
    [{ device: 2 }, "it is a spare"],
    [{ features: 4 }, "it is being reshaped"],
    [{ features: 2, recovered: 1000 }, "only its first 512000 bytes have been rebuilt"],
    [{ features: 64 }, "its data are being moved"],
    [{ features: 0x8000 }, "it has the unknown features 0x8000"],
    [{ size: 31_000 }, "its data, 15872000 bytes at byte 1048576, are not inside partition 1, which has 16777216 bytes"],
    [{ size: 0 }, "its data, 0 bytes at byte 1048576, are not inside partition 1, which has 16777216 bytes"],
  ])("a member with %j", (shape, why) => {
    expect(scan([table, member(shape)])).toEqual({ volumes: [], notes: [told(why)] });
  });

  test("a member with bad blocks, but not one that has only room to record them", () => {
    const shape = { features: 8, badBlocks: 16 };
    const log = (value: bigint): Piece => {
      const content = Buffer.alloc(512, 0xff);
      content.writeBigUInt64LE(value);
      return { at: first + (8 + 16) * 512, content };
    };
    expect(scan([table, member(shape), log(5n)])).toEqual({ volumes: [], notes: [told("some of its blocks are recorded as bad")] });
    expect(scan([table, member(shape), log(2n ** 64n - 1n)]).volumes).toHaveLength(1);
    expect(scan([table, member({ badBlocks: 16 }), log(5n)]).volumes).toHaveLength(1);
    const before = { at: first + 32_744 * 512, content: log(5n).content };
    expect(scan([table, member({ features: 8, badBlocks: -8 }, "1.0"), before]).volumes).toHaveLength(0);
  });

  test("a rebuilt member is shown again", () => {
    expect(scan([table, member({ features: 2, recovered: 30_000 })]).volumes).toHaveLength(1);
  });

  test.each([
    [{ level: 6 }, "in an array of the kind RAID 6 a member alone has no use"],
    [{ state: 1 }, "it has been marked faulty"],
    [{ state: 0 }, "it is a spare"],
    [{ slot: 2 }, "it is a spare"],
    [{ patch: 91 }, "it is being reshaped"],
    [{ size: 17_000 }, "its data, 17408000 bytes at byte 0, are not inside partition 1, which has 16777216 bytes"],
  ])("a member of 0.90 with %j", (shape, why) => {
    const at = first + 16 * MiB - 65_536;
    expect(scan([table, { at, content: mdSuper0({ size: 16_000, ...shape }) }])).toEqual({ volumes: [], notes: [told(why)] });
  });

  test("a superblock with a wrong checksum", () => {
    for (const at of [40, 90, 200, 257]) {
      const piece = member();
      piece.content[at] = 0x5a;
      expect(scan([table, piece])).toEqual({
        volumes: [],
        notes: [`the md superblock at byte ${first + 4096} has a wrong checksum; it is not used`],
      });
    }
    const old = mdSuper0({ size: 16_000 });
    old[3000] = 1;
    expect(scan([table, { at: first + 16 * MiB - 65_536, content: old }]).notes).toEqual([
      `the md superblock at byte ${first + 16 * MiB - 65_536} has a wrong checksum; it is not used`,
    ]);
  });

  test("a superblock that belongs elsewhere is none", () => {
    const content = mdSuper1({ superOffset: 8, dataOffset: 2048, size: 30_000 });
    expect(scan([table, { at: first, content }])).toEqual({ volumes: [], notes: [] });
  });
});

describe.skipIf(!requireProgram("mdadm"))("mdadm agrees about", () => {
  const directory = tempDirectory();

  /** Of `mdadm --examine`: what stands behind each name. */
  function examined(pieces: readonly Piece[]): ReadonlyMap<string, string> {
    const disk = sparseDisk(16 * MiB, pieces);
    const content = Buffer.alloc(16 * MiB);
    disk.read(content, 0);
    const path = join(directory, "member.raw");
    writeFileSync(path, content);
    const lines = run("mdadm", ["--examine", path]).split("\n");
    return new Map(lines.map((line) => line.split(" : ").map((each) => each.trim()) as [string, string]));
  }

  test.each(["1.0", "1.1", "1.2"] as const)("metadata %s", (version) => {
    const pieces = [member({ name: "host:5" }, version, 0)];
    const told = examined(pieces);
    const [volume] = scan(pieces, 16 * MiB).volumes;
    expect(told.get("Checksum")).toMatch(/ - correct$/);
    expect(told.get("Array UUID")).toBe(volume?.uuid);
    expect(told.get("Raid Level")).toBe("raid1");
    // mdadm leaves it out where it is 0.
    expect(Number.parseInt(told.get("Data Offset") ?? "0", 10) * 512).toBe(volume?.pieces[0]?.start);
    expect(Number.parseInt(told.get("Array Size") ?? "", 10) * 1024).toBe(volume?.size);
    expect(told.get("Name")).toBe("host:5");
    expect(volume?.name).toBe("md5");
  });

  test("metadata 0.90", () => {
    const pieces = [{ at: 16 * MiB - 65_536, content: mdSuper0({ uuid: [0x11, 0x22, 0x33, 0xffff0044], size: 16_000, minor: 3 }) }];
    const told = examined(pieces);
    const [volume] = scan(pieces, 16 * MiB).volumes;
    expect(told.get("Checksum")).toMatch(/ - correct$/);
    expect(told.get("UUID")?.replace(/ .*/, "")).toBe(volume?.uuid);
    expect(Number.parseInt(told.get("Array Size") ?? "", 10) * 1024).toBe(volume?.size);
    expect(told.get("Preferred Minor")).toBe("3");
    expect(volume?.name).toBe("md3");
  });
});
