// BSD disklabels, Solaris and Sun labels.
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { readVolumes, type VolumeScan } from "../../src/disk/volumes/read.js";
import { bootRecord, gpt, type Piece, sparseDisk } from "../support/partition-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";
import { disklabel, solarisLabel, sunLabel } from "../support/volume-builder.js";

const MiB = 2 ** 20;
const size = 64 * MiB;

function scan(pieces: readonly Piece[], diskSize = size, sectorSize?: number): VolumeScan {
  const disk = { ...sparseDisk(diskSize, pieces), ...(sectorSize !== undefined && { sectorSize }) };
  return readVolumes(disk, readPartitions(disk));
}

/** `[name, first sector, sectors, type]` of each volume. */
function listed({ volumes }: VolumeScan, sectorSize = 512) {
  return volumes.map(({ name, pieces, typeName, size: bytes }) => {
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).toMatchObject({ offset: 0, size: bytes });
    return [name, (pieces[0]?.start ?? 0) / sectorSize, bytes / sectorSize, typeName];
  });
}

/** An MBR with the slice in its second entry. */
const inSlice = (type: number, label: Buffer, { start = 2048, count = 81920, at = 512 } = {}): Piece[] => [
  {
    at: 0,
    content: bootRecord([
      { type: 0x83, start: 1024, count: 512 },
      { type, start, count },
      { type: 0x0b, start: 90_000, count: 1000 },
    ]),
  },
  { at: start * 512 + at, content: label },
];

describe("a BSD disklabel", () => {
  test("of FreeBSD, counted from the slice", () => {
    const label = disklabel(
      [
        { index: 0, start: 16, size: 1000 },
        { index: 1, start: 1016, size: 500, type: 1 },
        { index: 2, start: 0, size: 81920, type: 0 },
        { index: 3, start: 1516, size: 80404, type: 27 },
      ],
      { count: 8 },
    );
    const found = scan(inSlice(0xa5, label));
    expect(listed(found)).toEqual([
      ["2.a", 2064, 1000, "4.2BSD"],
      ["2.b", 3064, 500, "Swap"],
      ["2.d", 3564, 80404, "ZFS"],
    ]);
    expect(found.volumes[0]).toMatchObject({ kind: "BSD disklabel" });
    expect(found.notes).toEqual([]);
  });

  test("of older FreeBSD, counted from the start of the disk as its raw partition is", () => {
    const label = disklabel([
      { index: 0, start: 2064, size: 1000 },
      { index: 2, start: 2048, size: 81920, type: 0 },
    ]);
    expect(listed(scan(inSlice(0xa5, label)))).toEqual([["2.a", 2064, 1000, "4.2BSD"]]);
  });

  test("of FreeBSD in a slice that was moved since", () => {
    const label = disklabel([
      { index: 0, start: 79, size: 1000 },
      { index: 2, start: 63, size: 81920, type: 0 },
    ]);
    expect(listed(scan(inSlice(0xa5, label)))).toEqual([["2.a", 2064, 1000, "4.2BSD"]]);
  });

  test("of NetBSD, counted from the start of the disk, with its two raw partitions", () => {
    const label = disklabel([
      { index: 0, start: 2048, size: 1000 },
      { index: 1, start: 3048, size: 100, type: 1 },
      { index: 2, start: 2048, size: 81920, type: 0 },
      { index: 3, start: 0, size: 131072, type: 0 },
      { index: 4, start: 90_000, size: 1000, type: 8 },
      { index: 5, start: 4000, size: 8, type: 19 },
    ]);
    const found = scan(inSlice(0xa9, label));
    expect(listed(found)).toEqual([
      ["2.a", 2048, 1000, "4.2BSD"],
      ["2.b", 3048, 100, "Swap"],
      ["2.f", 4000, 8, "RAIDframe"],
    ]);
    // e is partition 3 of the MBR.
    expect(found.notes).toEqual([]);
  });

  test("of NetBSD where the third partition is the whole disk", () => {
    const label = disklabel([
      { index: 0, start: 2100, size: 1000 },
      { index: 2, start: 0, size: 131_072, type: 0 },
    ]);
    const found = scan(inSlice(0xa9, label));
    expect(listed(found)).toEqual([["2.a", 2100, 1000, "4.2BSD"]]);
    expect(found.notes).toEqual([]);
  });

  test("of OpenBSD, with numbers of 48 bits and an identity, a slice at 0 relative to nothing", () => {
    const label = disklabel(
      [
        { index: 0, start: 2048 + 64, size: 1000 },
        { index: 2, start: 0, size: 131072, type: 0 },
        { index: 8, start: 90_000, size: 1000, type: 8 },
        { index: 9, start: 120_000, size: 1000, type: 17 },
        { index: 15, start: 5000, size: 10, type: 19 },
      ],
      { version: 1, uid: "0123456789abcdef" },
    );
    const found = scan(inSlice(0xa6, label));
    expect(listed(found)).toEqual([
      ["2.a", 2112, 1000, "4.2BSD"],
      ["2.p", 5000, 10, "RAID"],
    ]);
    expect(found.volumes.map(({ uuid }) => uuid)).toEqual(["0123456789abcdef.a", "0123456789abcdef.p"]);
    expect(found.notes).toEqual([`2.j is not shown: ${1000 * 512} bytes at byte ${120_000 * 512} are not inside partition 2`]);
  });

  test("of OpenBSD in a GPT, beyond 2 TiB", () => {
    const diskSize = 9 * 2 ** 40;
    const first = 6 * 2 ** 31;
    const label = disklabel(
      [
        { index: 0, start: first + 64, size: 2 ** 32 + 5 },
        { index: 2, start: 0, size: diskSize / 512, type: 0 },
      ],
      { version: 1 },
    );
    const entries = [{ number: 4, first, last: first + 2 ** 32 + 99, type: "824CC7A0-36A8-11E3-890A-952519AD3F61" }];
    const found = scan([...gpt({ diskSize, entries }), { at: first * 512 + 512, content: label }], diskSize);
    expect(listed(found)).toEqual([["4.a", first + 64, 2 ** 32 + 5, "4.2BSD"]]);
  });

  test("of FreeBSD in a GPT", () => {
    const entries = [{ number: 1, first: 4096, last: 60_000, type: "516E7CB4-6ECF-11D6-8FF8-00022D09712B" }];
    const label = disklabel([
      { index: 0, start: 16, size: 100 },
      { index: 2, start: 0, size: 55_905, type: 0 },
    ]);
    expect(listed(scan([...gpt({ diskSize: size, entries }), { at: 4097 * 512, content: label }]))).toEqual([["1.a", 4112, 100, "4.2BSD"]]);
  });

  test.each([
    ["sector 1", 512, "little"],
    ["sector 0, as on alpha", 64, "little"],
    ["sector 0, as on SPARC", 128, "big"],
    ["sector 1, most significant byte first", 512, "big"],
  ] as const)("on a bare disk in %s", (_, at, endian) => {
    const label = disklabel(
      [
        { index: 0, start: 16, size: 1000 },
        { index: 2, start: 0, size: 131072, type: 0 },
        { index: 7, start: 2000, size: 129072, type: 9 },
      ],
      { endian, count: 8 },
    );
    const found = scan([{ at, content: label }]);
    expect(listed(found)).toEqual([
      ["a", 16, 1000, "4.2BSD"],
      ["h", 2000, 129072, "4.4LFS"],
    ]);
    expect(found.notes).toEqual([]);
  });

  test("of FreeBSD that has the whole disk, and an MBR that is made up", () => {
    const label = disklabel([
      { index: 0, start: 0, size: 100_000 },
      { index: 2, start: 0, size: 131_072, type: 0 },
    ]);
    const made = { at: 0, content: bootRecord([undefined, undefined, undefined, { type: 0xa5, start: 0, count: 50_000 }]) };
    expect(listed(scan([made, { at: 512, content: label }]))).toEqual([["4.a", 0, 100_000, "4.2BSD"]]);
  });

  test("of a slice that was copied alone", () => {
    const label = disklabel([
      { index: 0, start: 2048, size: 1000 },
      { index: 2, start: 2048, size: 131072, type: 0 },
    ]);
    expect(listed(scan([{ at: 512, content: label }]))).toEqual([["a", 0, 1000, "4.2BSD"]]);
  });

  test("of an OpenBSD slice that was copied alone is refused: it counts from a disk that is not there", () => {
    const label = disklabel(
      [
        { index: 0, start: 64, size: 1000 },
        { index: 2, start: 0, size: 2_000_000, type: 0 },
      ],
      { version: 1 },
    );
    const found = scan([{ at: 512, content: label }]);
    expect(found.volumes).toEqual([]);
    expect(found.notes).toEqual([
      `the BSD disklabel at byte 512 is for a disk of ${2_000_000 * 512} bytes, of which this is a part or the beginning: its partitions are not shown`,
    ]);
  });

  test("in sectors of 4096 bytes", () => {
    const label = disklabel([{ index: 0, start: 16, size: 100 }], { sectorSize: 4096 });
    expect(listed(scan([{ at: 4096, content: label }], size, 4096), 4096)).toEqual([["a", 16, 100, "4.2BSD"]]);
  });

  test.each([
    [22, "v"],
    [52, "Z"],
  ])("with %i entries", (count, letter) => {
    const label = disklabel([{ index: count - 1, start: 100, size: 10 }], { count });
    expect(listed(scan([{ at: 512, content: label }]))).toEqual([[letter, 100, 10, "4.2BSD"]]);
  });

  test.each([
    [150, 1, "has a wrong checksum"],
    [138, 53, "has 53 entries, more than 52"],
    [40, 1, "counts in sectors of 513 bytes"],
    [41, 0, "counts in sectors of 0 bytes"],
    [136, 0xff, "has a wrong checksum"],
  ])("with byte %i changed is not believed", (at, value, problem) => {
    const label = disklabel([{ index: 0, start: 16, size: 1000 }]);
    label[at] = value;
    const notes = [`the BSD disklabel at byte 512 ${problem}: its partitions are not shown`];
    expect(scan([{ at: 512, content: label }])).toEqual({ volumes: [], notes });
  });

  test("without its second signature is none", () => {
    const label = disklabel([{ index: 0, start: 16, size: 1000 }]);
    label[132] = 0;
    expect(scan([{ at: 512, content: label }])).toEqual({ volumes: [], notes: [] });
  });

  test("on a disk that was cut short", () => {
    const label = disklabel([
      { index: 0, start: 16, size: 100_000 },
      { index: 1, start: 100_016, size: 5000 },
      { index: 2, start: 0, size: 131072, type: 0 },
    ]);
    const found = scan(inSlice(0xa5, label, { start: 1600, count: 131072 }), 4 * MiB);
    expect(listed(found)).toEqual([["2.a", 1616, 8192 - 1616, "4.2BSD"]]);
    expect(found.notes).toEqual([
      `2.a ends ${(100_000 + 1616 - 8192) * 512} bytes past the disk`,
      `2.b is not shown: it starts at byte ${(100_016 + 1600) * 512}, and the disk ends at ${4 * MiB}`,
    ]);
  });

  test("in a partition of another type is none", () => {
    expect(scan(inSlice(0x83, disklabel([{ index: 0, start: 16, size: 1000 }])))).toEqual({ volumes: [], notes: [] });
  });
});

describe("a Solaris label", () => {
  const slices = [
    { index: 0, tag: 2, start: 1000, size: 5000 },
    { index: 1, tag: 3, start: 6000, size: 300 },
    { index: 2, tag: 5, start: 0, size: 80_000 },
    { index: 8, tag: 1, start: 0, size: 16 },
    { index: 15, tag: 9, start: 10_000, size: 8 },
  ];

  test.each([0xbf, 0x82])("in a partition of type %i", (type) => {
    const found = scan(inSlice(type, solarisLabel(slices)));
    expect(listed(found)).toEqual([
      ["2.s0", 3048, 5000, "Root"],
      ["2.s1", 8048, 300, "Swap"],
      ["2.s8", 2048, 16, "Boot"],
      ["2.s15", 12_048, 8, "Alternate sectors"],
    ]);
    expect(found.volumes[0]?.kind).toBe("Solaris");
    expect(found.notes).toEqual([]);
  });

  test("with 8 slices", () => {
    expect(listed(scan(inSlice(0xbf, solarisLabel(slices, { count: 8 }))))).toHaveLength(2);
  });

  test("Linux swap has none", () => {
    expect(scan(inSlice(0x82, Buffer.alloc(512)))).toEqual({ volumes: [], notes: [] });
  });

  test("damaged, of another version, or with slices that leave the partition", () => {
    const damaged = solarisLabel(slices);
    damaged[80] = 1;
    expect(scan(inSlice(0xbf, damaged)).notes).toEqual([
      `the Solaris label at byte ${2049 * 512} has a wrong checksum: its slices are not shown`,
    ]);
    expect(scan(inSlice(0xbf, solarisLabel(slices, { version: 2 }))).notes).toEqual([
      `the Solaris label at byte ${2049 * 512} has version 2, not 1: its slices are not shown`,
    ]);
    const leaving = scan(inSlice(0xbf, solarisLabel([{ index: 3, tag: 4, start: 81_919, size: 2 }])));
    expect(leaving).toEqual({
      volumes: [],
      notes: [`2.s3 is not shown: 1024 bytes at byte ${(2048 + 81_919) * 512} are not inside partition 2`],
    });
  });
});

describe("a Sun label", () => {
  const slices = [
    { index: 0, tag: 2, start: 0, size: 5000 },
    { index: 1, tag: 0x82, start: 50, size: 300 },
    { index: 2, tag: 5, start: 0, size: 131072 },
    { index: 6, tag: 4, start: 100, size: 1000 },
  ];

  test("in cylinders", () => {
    const found = scan([{ at: 0, content: sunLabel(slices) }]);
    expect(listed(found)).toEqual([
      ["s0", 0, 5000, "Root"],
      ["s1", 50 * 128, 300, "Linux swap"],
      ["s6", 100 * 128, 1000, "/usr"],
    ]);
    expect(found.volumes[0]?.kind).toBe("Sun");
    expect(found.notes).toEqual([]);
  });

  test("of SunOS 4, without tags", () => {
    const found = scan([{ at: 0, content: sunLabel(slices, { tags: false }) }]);
    expect(listed(found).map(([name, , , type]) => [name, type])).toEqual([
      ["s0", "Unassigned"],
      ["s1", "Unassigned"],
      ["s6", "Unassigned"],
    ]);
  });

  test("damaged, without sectors, or on a disk that was cut short", () => {
    const damaged = sunLabel(slices);
    damaged[450] = 1;
    expect(scan([{ at: 0, content: damaged }])).toEqual({ volumes: [], notes: [] });
    expect(scan([{ at: 0, content: sunLabel(slices, { heads: 0 }) }])).toEqual({
      volumes: [],
      notes: ["the Sun label has cylinders without sectors: its slices are not shown"],
    });
    const short = scan([{ at: 0, content: sunLabel(slices) }], 6500 * 512);
    expect(listed(short)).toEqual([
      ["s0", 0, 5000, "Root"],
      ["s1", 6400, 100, "Linux swap"],
    ]);
    expect(short.notes).toEqual([
      `s1 ends ${200 * 512} bytes past the disk`,
      `s6 is not shown: it starts at byte ${12_800 * 512}, and the disk ends at ${6500 * 512}`,
    ]);
  });
});

describe.skipIf(!requireProgram("fdisk") || !requireProgram("sfdisk") || !requireProgram("partx"))("fdisk and partx agree about", () => {
  const directory = tempDirectory();
  let made = 0;

  function emptyDisk(): string {
    made += 1;
    const path = join(directory, `${made}.raw`);
    writeFileSync(path, "");
    truncateSync(path, size);
    return path;
  }

  function feed(program: string, args: readonly string[], input: string): void {
    const result = spawnSync(program, args, { encoding: "utf8", input });
    if (result.status !== 0 || /out of range/i.test(result.stdout + result.stderr))
      throw new Error(`${program}: ${result.stdout}${result.stderr}`);
  }

  function scanFile(path: string): VolumeScan {
    const fd = openSync(path, "r");
    try {
      const read = (target: Uint8Array, offset: number) => {
        if (readSync(fd, target, 0, target.length, offset) !== target.length) throw new Error("short read");
      };
      const disk = { size: statSync(path).size, read };
      return readVolumes(disk, readPartitions(disk));
    } finally {
      closeSync(fd);
    }
  }

  const byPartx = (path: string, from: number) =>
    run("partx", ["-g", "-r", "-b", "-o", "NR,START,SECTORS", path])
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number))
      .filter(([number = 0]) => number >= from)
      .map(([, start, sectors]) => [start, sectors]);

  test.each([
    ["a5", "FreeBSD"],
    ["a6", "OpenBSD"],
    ["a9", "NetBSD"],
  ])("a nested disklabel in a slice of type %s (%s)", (type) => {
    const path = emptyDisk();
    feed("sfdisk", ["-q", path], `label: dos\nstart=2048,size=81920,type=${type}\nstart=90000,size=10000,type=83\n`);
    const steps = ["b", "y", "n", "a", "2064", "20000", "n", "b", "20001", "30000", "n", "e", "30001", "83967"];
    const types = ["t", "a", "7", "t", "b", "1", "t", "e", "7"];
    feed("fdisk", [path], `${[...steps, ...types, "w", "r", "q"].join("\n")}\n`);
    const found = scanFile(path);
    expect(listed(found)).toEqual([
      ["1.a", 2064, 17_937, "4.2BSD"],
      ["1.b", 20_001, 10_000, "Swap"],
      ["1.e", 30_001, 53_967, "4.2BSD"],
    ]);
    expect(found.notes).toEqual([]);
    expect(listed(found).map(([, start, sectors]) => [start, sectors])).toEqual(byPartx(path, 5));
  });

  test("a Sun label", () => {
    const path = emptyDisk();
    feed("fdisk", [path], "s\nw\n");
    const found = scanFile(path);
    expect(found.notes).toEqual([]);
    expect(listed(found).map(([name, , , type]) => [name, type])).toEqual([
      ["s0", "Linux"],
      ["s1", "Linux swap"],
    ]);
    expect(listed(found).map(([, start, sectors]) => [start, sectors])).toEqual(byPartx(path, 1));
  });

  test("what the builder writes", () => {
    const path = emptyDisk();
    const labels: Piece[][] = [
      inSlice(
        0xa6,
        disklabel(
          [
            { index: 0, start: 2112, size: 1000 },
            { index: 1, start: 4000, size: 99, type: 1 },
          ],
          { count: 8 },
        ),
      ),
      inSlice(
        0x82,
        solarisLabel([
          { index: 0, tag: 2, start: 1000, size: 5000 },
          { index: 1, tag: 3, start: 6000, size: 300 },
        ]),
      ),
      [
        {
          at: 0,
          content: sunLabel([
            { index: 0, tag: 2, start: 3, size: 5000 },
            { index: 1, tag: 7, start: 50, size: 300 },
          ]),
        },
      ],
      [
        {
          at: 512,
          content: disklabel([
            { index: 0, start: 16, size: 1000 },
            { index: 5, start: 2000, size: 99, type: 1 },
          ]),
        },
      ],
    ];
    for (const pieces of labels) {
      const disk = sparseDisk(size, pieces);
      const content = Buffer.alloc(size);
      disk.read(content, 0);
      writeFileSync(path, content);
      expect(byPartx(path, readPartitions(disk) ? 5 : 1)).toEqual(listed(scanFile(path)).map(([, start, sectors]) => [start, sectors]));
    }
  });
});
