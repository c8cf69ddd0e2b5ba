// LVM2, as its on-disk format is documented.
import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { readVolumes, type VolumeScan } from "../../src/disk/volumes/read.js";
import { parseLvmText } from "../../src/disk/volumes/lvm-text.js";
import { bootRecord, type Piece, sparseDisk } from "../support/partition-builder.js";
import { imageErrorOf } from "../support/reading.js";
import {
  dashed,
  disklabel,
  dmRaidSuper,
  type LvShape,
  lvmUuid,
  mdSuper1,
  physicalVolume,
  type PvShape,
  stripes,
  type VgShape,
  vgText,
} from "../support/volume-builder.js";

const MiB = 2 ** 20;
const KiB = 1024;
const size = 64 * MiB;
/** Of the builder: 128 sectors. */
const extent = 64 * KiB;

/** Two partitions of 16 MiB, at 1 MiB and at 32 MiB. */
const table: Piece = {
  at: 0,
  content: bootRecord([
    { type: 0x8e, start: 2048, count: 32_768 },
    { type: 0x8e, start: 65_536, count: 32_768 },
  ]),
};
const pvA = { at: MiB, size: 16 * MiB, uuid: lvmUuid("AAAA") } satisfies PvShape;
const pvB = { at: 32 * MiB, size: 16 * MiB, uuid: lvmUuid("BBBB") } satisfies PvShape;
/** Where extent 0 of each is. */
const dataA = pvA.at + MiB;
const dataB = pvB.at + MiB;

const linear = (name: string, from: number, extents: number, pv = "pv0"): LvShape => ({
  name,
  extents: [extents],
  segments: [stripes([[pv, from]])],
});

/** A group on both partitions, of 240 extents each. */
function group(volumes: readonly LvShape[], change: Partial<VgShape> = {}): string {
  return vgText({ pvs: [pvA, pvB].map(({ uuid }) => ({ uuid, extents: 240 })), volumes, ...change });
}

function scan(pieces: readonly Piece[], diskSize = size): VolumeScan {
  const disk = sparseDisk(diskSize, pieces);
  return readVolumes(disk, readPartitions(disk));
}

/** The group on the disk, its metadata on both physical volumes. */
function scanGroup(volumes: readonly LvShape[], more: readonly Piece[] = []): VolumeScan {
  const text = group(volumes);
  return scan([table, ...physicalVolume({ ...pvA, text }), ...physicalVolume({ ...pvB, text }), ...more]);
}

/** `[name, type, [start, size], ...]`, pieces without a gap. */
function listed({ volumes }: VolumeScan) {
  return volumes.map(({ name, kind, typeName, pieces, size: bytes }) => {
    expect(kind).toBe("LVM");
    let offset = 0;
    for (const piece of pieces) {
      expect(piece.offset).toBe(offset);
      offset += piece.size;
    }
    expect(bytes).toBe(offset);
    return [name, typeName, ...pieces.map((piece) => [piece.start, piece.size])];
  });
}

describe("volumes of LVM that are shown:", () => {
  test("linear ones, in one piece or more", () => {
    const found = scanGroup([
      linear("root", 0, 10),
      {
        name: "home",
        extents: [3, 2, 4],
        segments: [stripes([["pv0", 100]]), stripes([["pv1", 7]]), stripes([["pv1", 9]])],
      },
    ]);
    expect(found.notes).toEqual([]);
    expect(listed(found)).toEqual([
      ["vg0-root", "linear", [dataA, 10 * extent]],
      ["vg0-home", "linear", [dataA + 100 * extent, 3 * extent], [dataB + 7 * extent, 6 * extent]],
    ]);
    expect(found.volumes[0]?.uuid).toBe(dashed(lvmUuid("root")));
  });

  test("striped ones, over partitions and within one", () => {
    const two = stripes(
      [
        ["pv0", 10],
        ["pv1", 20],
      ],
      64,
    );
    const found = scanGroup([
      { name: "fast", extents: [4], segments: [two] },
      {
        name: "odd",
        extents: [6],
        segments: [
          stripes(
            [
              ["pv0", 30],
              ["pv0", 40],
              ["pv1", 0],
            ],
            128,
          ),
        ],
      },
    ]);
    expect(found.notes).toEqual([]);
    const [fast, odd] = listed(found);
    expect(fast).toEqual([
      "vg0-fast",
      "striped",
      ...[0, 1, 2, 3].flatMap((row) => [
        [dataA + 10 * extent + row * 32 * KiB, 32 * KiB],
        [dataB + 20 * extent + row * 32 * KiB, 32 * KiB],
      ]),
    ]);
    expect(odd?.slice(2)).toEqual(
      [0, 1].flatMap((row) =>
        [dataA + (30 + row) * extent, dataA + (40 + row) * extent, dataB + row * extent].map((start) => [start, extent]),
      ),
    );
  });

  test("a linear and a striped segment in one", () => {
    const found = scanGroup([
      {
        name: "both",
        extents: [1, 2],
        segments: [
          stripes([["pv0", 5]]),
          stripes(
            [
              ["pv0", 6],
              ["pv1", 6],
            ],
            128,
          ),
        ],
      },
    ]);
    expect(listed(found)).toEqual([["vg0-both", "linear, striped", [dataA + 5 * extent, 2 * extent], [dataB + 6 * extent, extent]]]);
  });

  test("mirrors, from the first leg", () => {
    const mirror = [
      `type = "mirror"`,
      "mirror_count = 2",
      `mirror_log = "m_mlog"`,
      "region_size = 1024",
      `mirrors = ["m_mimage_0", 0, "m_mimage_1", 0]`,
    ];
    const found = scanGroup([
      { name: "m", extents: [5], segments: [mirror] },
      { ...linear("m_mimage_0", 60, 5, "pv1"), hidden: true },
      { ...linear("m_mimage_1", 60, 5, "pv0"), hidden: true },
      { ...linear("m_mlog", 100, 1), hidden: true },
    ]);
    expect(found.notes).toEqual([]);
    expect(listed(found)).toEqual([["vg0-m", "mirror", [dataB + 60 * extent, 5 * extent]]]);
  });

  test("a volume that is being moved, from where it still is", () => {
    const move = [`type = "mirror"`, "mirror_count = 2", "extents_moved = 3", `mirrors = [\n"pv0", 50,\n"pv1", 50\n]`];
    const found = scanGroup([
      { name: "moving", extents: [2, 3], segments: [stripes([["pv0", 10]]), stripes([["pvmove0", 1]])] },
      { name: "pvmove0", hidden: true, status: ["READ", "WRITE", "PVMOVE", "LOCKED"], extents: [5], segments: [move] },
    ]);
    expect(found.notes).toEqual([]);
    expect(listed(found)).toEqual([["vg0-moving", "linear", [dataA + 10 * extent, 2 * extent], [dataA + 51 * extent, 3 * extent]]]);
  });

  test("a part of another volume, from anywhere in its pieces", () => {
    const found = scanGroup([
      { name: "v", extents: [3, 2], segments: [stripes([["w", 4]]), stripes([["w", 2]])] },
      { name: "w", hidden: true, extents: [3, 5], segments: [stripes([["pv0", 0]]), stripes([["pv1", 50]])] },
    ]);
    expect(found.notes).toEqual([]);
    expect(listed(found)).toEqual([
      ["vg0-v", "linear", [dataB + 51 * extent, 3 * extent], [dataA + 2 * extent, extent], [dataB + 50 * extent, extent]],
    ]);
  });

  describe("raid1", () => {
    const raid1 = [
      `type = "raid1"`,
      "device_count = 2",
      "region_size = 4096",
      `raids = [\n"r_rmeta_0", "r_rimage_0",\n"r_rmeta_1", "r_rimage_1"\n]`,
    ];
    const parts = (status: readonly string[] = []): LvShape[] => [
      { name: "r", extents: [6], segments: [raid1] },
      { ...linear("r_rmeta_0", 0, 1), hidden: true },
      { ...linear("r_rimage_0", 1, 6), hidden: true, status: ["READ", "WRITE", ...status] },
      { ...linear("r_rmeta_1", 0, 1, "pv1"), hidden: true },
      { ...linear("r_rimage_1", 1, 6, "pv1"), hidden: true },
    ];
    const legA = ["vg0-r", "raid1", [dataA + extent, 6 * extent]];
    const legB = ["vg0-r", "raid1", [dataB + extent, 6 * extent]];
    const metaA = (shape: object): Piece => ({ at: dataA, content: dmRaidSuper({ position: 0, ...shape }) });
    const metaB = (shape: object): Piece => ({ at: dataB, content: dmRaidSuper({ position: 1, ...shape }) });

    test("that was never active, from the first leg", () => {
      const found = scanGroup(parts());
      expect(found.notes).toEqual([]);
      expect(listed(found)).toEqual([legA]);
    });

    test.each([
      ["both are the same", [metaA({}), metaB({})], legA],
      ["the first is older", [metaA({ events: 4 }), metaB({ events: 9 })], legB],
      ["the second is older", [metaA({ events: 9 }), metaB({ events: 4 })], legA],
      ["the first is known to have failed", [metaA({ events: 9, failed: 1 }), metaB({ events: 9, failed: 1 })], legB],
      ["the first is half rebuilt", [metaA({ recovered: 5n }), metaB({})], legB],
      ["only the second has a record", [metaB({})], legB],
    ])("where %s", (_, pieces, expected) => {
      const found = scanGroup(parts(), pieces);
      expect(found.notes).toEqual([]);
      expect(listed(found)).toEqual([expected]);
    });

    test("that is being rebuilt, as the metadata tells", () => {
      expect(listed(scanGroup(parts(["REBUILD"])))).toEqual([legB]);
    });

    test("of which no leg is whole", () => {
      expect(scanGroup(parts(), [metaA({ recovered: 5n }), metaB({ failed: 3 })])).toEqual({
        volumes: [],
        notes: ["the LVM volume vg0/r is not shown: none of its legs is known to be whole"],
      });
    });

    test("of which a leg is on another disk", () => {
      const text = group(parts());
      expect(listed(scan([table, ...physicalVolume({ ...pvB, text })]))).toEqual([legB]);
    });
  });

  test("raid0", () => {
    const raid0 = [`type = "raid0"`, "stripe_count = 2", "stripe_size = 128", `raid0_lvs = [\n"z_rimage_0",\n"z_rimage_1"\n]`];
    const found = scanGroup([
      { name: "z", extents: [4], segments: [raid0] },
      { ...linear("z_rimage_0", 5, 2), hidden: true },
      { ...linear("z_rimage_1", 8, 2, "pv1"), hidden: true },
    ]);
    expect(found.notes).toEqual([]);
    expect(listed(found)).toEqual([
      [
        "vg0-z",
        "raid0",
        [dataA + 5 * extent, extent],
        [dataB + 8 * extent, extent],
        [dataA + 6 * extent, extent],
        [dataB + 9 * extent, extent],
      ],
    ]);
  });

  test("the origin of a snapshot, but not what holds the snapshot's changes", () => {
    const found = scanGroup([
      linear("root", 0, 5),
      linear("snap", 10, 2),
      {
        name: "snapshot0",
        hidden: true,
        extents: [5],
        segments: [[`type = "snapshot"`, "chunk_size = 8", `origin = "root"`, `cow_store = "snap"`]],
      },
    ]);
    expect(listed(found)).toEqual([["vg0-root", "linear", [dataA, 5 * extent]]]);
    expect(found.notes).toEqual(["the LVM volume vg0/snap is not shown: it is a snapshot of root, which is not supported"]);
  });
});

describe("volumes of LVM that are named, and not shown:", () => {
  const refused = (volume: LvShape, ...others: readonly LvShape[]) => {
    const found = scanGroup([volume, linear("good", 200, 1), ...others]);
    expect(listed(found)).toEqual([["vg0-good", "linear", [dataA + 200 * extent, extent]]]);
    expect(found.notes).toHaveLength(1);
    return found.notes[0]?.replace("the LVM volume vg0/v is not shown: ", "");
  };
  const ofType = (type: string): LvShape => ({ name: "v", extents: [1], segments: [[`type = "${type}"`]] });

  test.each([
    ["thin", 'it is thinly provisioned ("thin"), which is not supported'],
    ["thin-pool", 'it is thinly provisioned ("thin-pool"), which is not supported'],
    ["cache", 'it has a cache ("cache"), which is not supported'],
    ["writecache", 'it has a cache ("writecache"), which is not supported'],
    ["raid5_ls", 'it has segments of the type "raid5_ls", which is not supported'],
    ["raid10", 'it has segments of the type "raid10", which is not supported'],
    ["vdo", 'it has segments of the type "vdo", which is not supported'],
    ["zero", 'it has segments of the type "zero", which is not supported'],
    ["error", 'it has segments of the type "error", which is not supported'],
  ])("%s", (type, why) => {
    expect(refused(ofType(type))).toBe(why);
  });

  test("what a snapshot is being merged into", () => {
    const merge = {
      name: "snapshot0",
      hidden: true,
      extents: [5],
      segments: [[`type = "snapshot"`, `origin = "v"`, `merging_store = "s"`]],
    };
    expect(refused(linear("v", 0, 5), merge)).toBe("a snapshot is being merged into it, which is not supported");
  });

  test("what leaves its physical volume", () => {
    expect(refused(linear("v", 239, 2))).toBe("it leaves partition 1");
    expect(refused(linear("v", 5, 1, "pv7"))).toBe("there is no volume pv7");
  });

  test("what is made of itself", () => {
    expect(refused(linear("v", 0, 1, "w"), { ...linear("w", 0, 1, "v"), hidden: true })).toBe("it is made of itself");
    const chain = Array.from({ length: 10 }, (_, index) => ({
      ...linear(`w${index}`, 0, 1, index === 9 ? "pv0" : `w${index + 1}`),
      hidden: true,
    }));
    expect(refused(linear("v", 0, 1, "w0"), ...chain)).toBe("it is made of volumes more than 8 deep");
  });

  test("what is smaller than what is made of it", () => {
    expect(refused(linear("v", 3, 3, "w"), { ...linear("w", 0, 5), hidden: true })).toBe("it leaves a volume that it is made of");
  });

  test("segments and stripes that do not fit", () => {
    const gap = scanGroup([
      { name: "v", extents: [2, 2], segments: [stripes([["pv0", 0]]), ["start_extent = 1", ...stripes([["pv0", 5]])]] },
    ]);
    expect(gap.volumes).toEqual([]);
    expect(
      refused({
        name: "v",
        extents: [3],
        segments: [
          stripes([
            ["pv0", 0],
            ["pv1", 0],
          ]),
        ],
      }),
    ).toBe("its 3 extents do not fit its 2 stripes");
    expect(
      refused({
        name: "v",
        extents: [2],
        segments: [
          stripes(
            [
              ["pv0", 0],
              ["pv1", 0],
            ],
            96,
          ),
        ],
      }),
    ).toBe("its stripes of 49152 bytes do not fill its extents");
    expect(refused({ name: "v", extents: [2], segments: [[`type = "striped"`, "stripe_count = 2", `stripes = ["pv0", 0]`]] })).toBe(
      "its 2 extents do not fit its 1 stripes",
    );
  });

  test("what needs a physical volume of another disk", () => {
    const volumes = [
      linear("here", 0, 2),
      linear("there", 0, 2, "pv1"),
      { name: "both", extents: [1, 1], segments: [stripes([["pv0", 5]]), stripes([["pv1", 5]])] },
    ];
    const text = group(volumes);
    const found = scan([table, ...physicalVolume({ ...pvA, text })]);
    expect(listed(found)).toEqual([["vg0-here", "linear", [dataA, 2 * extent]]]);
    const missing = `it needs the physical volume ${dashed(pvB.uuid)}, which is not on this disk`;
    expect(found.notes).toEqual([`the LVM volume vg0/there is not shown: ${missing}`, `the LVM volume vg0/both is not shown: ${missing}`]);
  });

  test("what is on a physical volume that was missing when the group changed", () => {
    const pvs = [
      { uuid: pvA.uuid, extents: 240 },
      { uuid: pvB.uuid, extents: 240, flags: '"MISSING"' },
    ];
    const text = group([linear("old", 0, 2, "pv1")], { pvs });
    expect(scan([table, ...physicalVolume({ ...pvA, text }), ...physicalVolume(pvB)]).volumes).toEqual([]);
  });

  test("a volume of more stripes than are listed", () => {
    const pvs = [{ uuid: pvA.uuid, extents: 600_000 }];
    const text = group(
      [
        {
          name: "v",
          extents: [300_000],
          segments: [
            stripes(
              [
                ["pv0", 0],
                ["pv0", 300_000],
              ],
              128,
            ),
          ],
        },
      ],
      { pvs },
    );
    const diskSize = 2 ** 37;
    const found = scan(physicalVolume({ at: 0, size: diskSize, uuid: pvA.uuid, text }), diskSize);
    expect(found).toEqual({ volumes: [], notes: ["the LVM volume vg0/v is not shown: it has more than 65536 stripes on the one disk"] });
  });
});

describe("the metadata of LVM", () => {
  const volumes = [linear("root", 0, 10)];
  const expected = [["vg0-root", "linear", [dataA, 10 * extent]]];

  test("of the highest number is used", () => {
    const older = group([linear("root", 50, 10)], { sequence: 8 });
    const newer = group(volumes, { sequence: 9 });
    for (const [a, b] of [
      [older, newer],
      [newer, older],
    ]) {
      const found = scan([table, ...physicalVolume({ ...pvA, text: a ?? "" }), ...physicalVolume({ ...pvB, text: b ?? "" })]);
      expect(listed(found)).toEqual(expected);
    }
  });

  test("may be on one of the physical volumes only, in two copies, or around the end of its area", () => {
    const text = group(volumes);
    const shapes: PvShape[][] = [
      [pvA, { ...pvB, text }],
      [{ ...pvA, text, second: 8 * MiB }, pvB],
      [{ ...pvA, text, textAt: 256 * KiB - 512 }, pvB],
      [
        { ...pvA, text, labelSector: 0 },
        { ...pvB, labelSector: 3 },
      ],
    ];
    for (const pvs of shapes) {
      const found = scan([table, ...pvs.flatMap(physicalVolume)]);
      expect(found.notes).toEqual([]);
      expect(listed(found)).toEqual(expected);
    }
  });

  test("of a damaged copy is not used, and the other is", () => {
    const text = group(volumes);
    const pieces = [table, ...physicalVolume({ ...pvA, text, second: 8 * MiB }), ...physicalVolume(pvB)];
    const spoil = (at: number): Piece => ({ at: pvA.at + at, content: Buffer.from([0x5a]) });
    for (const [at, problem] of [
      [4096 + 10, "has no header"],
      [4096 + 60, "has a header with a wrong checksum"],
      [4096 + 700, "holds a text with a wrong checksum"],
    ] as const) {
      const found = scan([...pieces, spoil(at)]);
      expect(listed(found)).toEqual(expected);
      expect(found.notes).toEqual([`the LVM metadata area at byte ${pvA.at + 4096} ${problem}; it is not used`]);
    }
    const label = scan([...pieces, spoil(512 + 40)]);
    expect(label.volumes).toEqual([]);
    expect(label.notes).toContain(`the LVM label at byte ${pvA.at + 512} has a wrong checksum; it is not used`);
    expect(label.notes).toContain("partition 2 is an LVM physical volume that no volume group on this disk names");
  });

  test("names volumes as device-mapper does", () => {
    const text = group([linear("my-data", 0, 1)], { name: "vg-one" });
    expect(scan([table, ...physicalVolume({ ...pvA, text }), ...physicalVolume(pvB)]).volumes.map(({ name }) => name)).toEqual([
      "vg--one-my--data",
    ]);
  });

  test("of two groups of the same name", () => {
    const one = vgText({ id: lvmUuid("one"), pvs: [{ uuid: pvA.uuid, extents: 240 }], volumes });
    const two = vgText({ id: lvmUuid("two"), pvs: [{ uuid: pvB.uuid, extents: 240 }], volumes });
    const found = scan([table, ...physicalVolume({ ...pvA, text: one }), ...physicalVolume({ ...pvB, text: two })]);
    expect(listed(found).map(([name, , piece]) => [name, piece])).toEqual([
      ["vg0-root", [dataA, 10 * extent]],
      ["vg0-root~2", [dataB, 10 * extent]],
    ]);
  });

  test("of a partition that was copied is told of", () => {
    const text = group(volumes);
    const found = scan([table, ...physicalVolume({ ...pvA, text }), ...physicalVolume({ ...pvA, at: pvB.at, text })]);
    expect(listed(found)).toEqual(expected);
    expect(found.notes).toEqual(["partition 2 is the same LVM physical volume as partition 1, which is used"]);
  });

  test("on the bare disk, in a slice of a disklabel, and in an md array", () => {
    const text = vgText({ pvs: [{ uuid: pvA.uuid, extents: 240 }], volumes });
    const bare = scan(physicalVolume({ ...pvA, at: 0, size, text }));
    expect(listed(bare)).toEqual([["vg0-root", "linear", [MiB, 10 * extent]]]);

    const label = disklabel([{ index: 0, start: 2048, size: 32_768 }]);
    const inSlice = scan([{ at: 512, content: label }, ...physicalVolume({ ...pvA, text })]);
    expect(inSlice.volumes).toMatchObject([{ name: "a" }, { name: "vg0-root", pieces: [{ start: dataA }] }]);

    const inArray = scan([
      table,
      { at: MiB + 4096, content: mdSuper1({ superOffset: 8, dataOffset: 2048, size: 30_000 }) },
      ...physicalVolume({ ...pvA, at: 2 * MiB, size: 30_000 * 512, text }),
    ]);
    expect(inArray.notes).toEqual([]);
    expect(inArray.volumes).toMatchObject([{ name: "md0" }, { name: "vg0-root", pieces: [{ start: 3 * MiB }] }]);
  });

  test("in a member of a RAID 5 is not used: the member holds a part of it", () => {
    const text = vgText({ pvs: [{ uuid: pvA.uuid, extents: 240 }], volumes });
    const at = MiB + 32_752 * 512;
    const found = scan([
      table,
      { at, content: mdSuper1({ superOffset: 32_752, dataOffset: 0, size: 30_000, level: 5 }) },
      ...physicalVolume({ ...pvA, text }),
    ]);
    expect(found.volumes).toEqual([]);
    expect(found.notes).toHaveLength(1);
  });

  test("without volumes, or without a group", () => {
    expect(scanGroup([])).toEqual({ volumes: [], notes: [] });
    expect(scan([table, ...physicalVolume(pvA)])).toEqual({
      volumes: [],
      notes: ["partition 1 is an LVM physical volume that no volume group on this disk names"],
    });
  });

  test.each([
    ["", "there is no volume group in it"],
    ["vg0 {", "the text is damaged near its byte 6"],
    ["vg0 { id = }", "the text is damaged near its byte"],
    ["vg0 { seqno = 1 }", '"extent_size" is not a number of 1 or more'],
    ["vg0 { seqno = 1 extent_size = 0 }", '"extent_size" is not a number of 1 or more'],
    ["vg0 { seqno = -1 }", '"seqno" is not a number of 0 or more'],
  ])("%j is refused in words", (text, why) => {
    const { volumes, notes } = scan([table, ...physicalVolume({ ...pvA, text })]);
    expect(volumes).toEqual([]);
    expect(notes[0]).toMatch(/^(?:LVM metadata|the LVM volume group vg0) cannot be used: /);
    expect(notes[0]).toContain(why);
  });
});

describe("LVM's text", () => {
  test("is read as it is written", () => {
    const text = '# a comment {\na { b = 1 c = "x\\"y\\\\z # no" d = ["p", 2,\n "q"] e { f = -5 } g = [] "h/i" = 1.5 }\n#end\0';
    expect(parseLvmText(text)).toEqual(
      new Map([
        [
          "a",
          new Map<string, unknown>([
            ["b", 1],
            ["c", 'x"y\\z # no'],
            ["d", ["p", 2, "q"]],
            ["e", new Map([["f", -5]])],
            ["g", []],
            ["h/i", 1.5],
          ]),
        ],
      ]),
    );
  });

  test.each([
    "a",
    "a = ",
    "a = b",
    "a {",
    "a }",
    "= 1",
    "a = 1 a = 2",
    "a = [1",
    "a = [1 2]",
    'a = "x',
    'a = "x\\',
    "a = [[1]]",
    "a ; b",
    "{",
    "}",
    `${"a {".repeat(12)}${"}".repeat(12)}`,
  ])("%j is none", (text) => {
    expect(imageErrorOf(() => parseLvmText(text))).toMatchObject({ code: "CORRUPT" });
  });

  test("takes time in proportion to it", () => {
    const started = performance.now();
    for (const text of [
      "#".repeat(2 ** 21),
      " #\n".repeat(2 ** 20),
      `a = "${"\\".repeat(2 ** 21)}`,
      `a = [${"1,".repeat(2 ** 20)}`,
      "a {".repeat(2 ** 20),
    ]) {
      imageErrorOf(() => parseLvmText(text));
    }
    expect(performance.now() - started).toBeLessThan(3000);
  });
});
