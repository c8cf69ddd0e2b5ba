// Audits of the formats that keep things twice, or with a checksum: VHD and VMDK.
import { describe, expect, test } from "vitest";
import { audited, changedBy, qemuCheck } from "../support/audit.js";
import { builtDisks } from "../support/built.js";
import { createImage, change, requireProgram } from "../support/qemu.js";
import { noise } from "../support/content.js";
import { withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildVhd } from "../support/vhd-builder.js";
import { buildHosted, descriptorText } from "../support/vmdk-builder.js";
import { buildStream } from "../support/vmdk-stream-builder.js";

const { write } = builtDisks();
const directory = tempDirectory();
const qemu = requireProgram("qemu-img");

function auditOf(image: Buffer, format: string) {
  return withDisk(write({ [`disk.${format}`]: image }), { format }, audited);
}

describe("VHD", () => {
  const BLOCK = 8192;
  const sample = () => buildVhd({ blocks: [2, 0, "free", 1, 3], blockSize: BLOCK });
  type Built = ReturnType<typeof sample>;
  const set = ({ image, tablePosition }: Built, block: number, sector: number) =>
    void image.writeUInt32BE(sector, tablePosition + 4 * block);
  const damages: [string, (built: Built) => unknown, Record<string, number>][] = [
    ["nothing", () => undefined, {}],
    ["a byte of the footer", ({ image }) => void (image[image.length - 512 + 90] = 1), { "checksum wrong": 1, "copies differ": 1 }],
    ["a byte of the footer's copy", ({ image }) => void (image[90] = 1), { "checksum wrong": 1, "copies differ": 1 }],
    ["a byte of the dynamic disk header", ({ image, headerPosition }) => void (image[headerPosition + 1000] = 1), { "checksum wrong": 1 }],
    ["no footer", ({ image }) => image.subarray(0, -512), { "footer missing": 1 }],
    ["two entries for one block", (built) => set(built, 1, built.slot(2) / 512), { overlap: 1 }],
    ["blocks that overlap by a sector", (built) => set(built, 1, built.slot(2) / 512 + 16), { overlap: 2 }],
    ["a block over the dynamic disk header, and another one", (built) => set(built, 0, 2), { overlap: 2 }],
    ["a block over the table, and another one", (built) => set(built, 0, built.tablePosition / 512), { overlap: 2 }],
    ["a block behind the end", (built) => set(built, 0, 2 ** 30), { "behind the end": 1 }],
    ["a block over the footer", (built) => set(built, 0, built.slot(3) / 512 + 1), { "behind the end": 1, overlap: 1 }],
  ];
  test.each(damages)("%s", (_, damage, kinds) => {
    const built = sample();
    expect(auditOf(changedBy(built.image, damage(built)), "vhd").kinds).toEqual(kinds);
  });
  test("an entry behind the disk", () => {
    const built = buildVhd({ blocks: [0, 1], blockSize: BLOCK, spare: 2 });
    set(built, 3, built.slot(0) / 512);
    expect(auditOf(built.image, "vhd").kinds).toEqual({ "block behind the disk": 1, overlap: 1 });
  });
  test("fixed disks have nothing but a footer", () => {
    const { image } = buildVhd({ type: 2, blocks: [0, 1, 2] });
    expect(auditOf(image, "vhd").kinds).toEqual({});
    image[image.length - 512 + 90] = 1;
    expect(auditOf(image, "vhd").kinds).toEqual({ "checksum wrong": 1 });
  });
  test.skipIf(!qemu).each(["vpc", "vhdx", "vdi", "qed", "vmdk", "parallels", "qcow2"] as const)(
    "QEMU's own images are clean: %s",
    (format) => {
      const path = `${subdirectory(directory)}/disk`;
      createImage(path, 64 * 2 ** 20, { format });
      change(
        path,
        [
          { kind: "write", at: 5_000_000 - (5_000_000 % 512), content: noise(1, 300_032) },
          { kind: "write", at: 0, content: noise(2, 512) },
        ],
        format,
      );
      expect(withDisk(path, {}, audited).kinds).toEqual({});
    },
  );
});

describe("VMDK", () => {
  const sample = (more: Partial<Parameters<typeof buildHosted>[0]> = {}) =>
    buildHosted({
      grains: [2, "absent", 0, 1, ...Array.from({ length: 60 }, () => "absent" as const), 3],
      tableEntries: 16,
      redundant: true,
      descriptor: descriptorText("monolithicSparse", 65 * 8, "SPARSE", "disk.vmdk"),
      ...more,
    });
  type Built = ReturnType<typeof sample>;
  const set = (
    built: Built,
    grain: number,
    sector: number,
    copies: readonly ("tables" | "redundantTables")[] = ["tables", "redundantTables"],
  ) => {
    for (const copy of copies) built.image.writeUInt32LE(sector, (built[copy][Math.floor(grain / 16)] ?? 0) + 4 * (grain % 16));
  };
  const place = (built: Built, slot: number) => (built.data + slot * built.grainSize) / 512;
  const damages: [string, (built: Built) => unknown, Record<string, number>][] = [
    ["nothing", () => undefined, {}],
    ["an entry that is in one copy only", (built) => set(built, 1, place(built, 1), ["redundantTables"]), { "copies differ": 1 }],
    [
      "two entries that differ",
      (built) => {
        for (const grain of [0, 3]) set(built, grain, 0, ["redundantTables"]);
      },
      { "copies differ": 2 },
    ],
    [
      "a table that is in one directory only",
      (built) => void built.image.writeUInt32LE(0, built.redundantDirectory),
      { "copies differ": 1 },
    ],
    ["two entries for one grain", (built) => set(built, 0, place(built, 0)), { overlap: 1 }],
    ["grains that overlap by a sector", (built) => set(built, 2, place(built, 2) - 7), { overlap: 2 }],
    ["a grain over the tables", (built) => set(built, 0, 2), { overlap: 1 }],
    ["a grain behind the end", (built) => set(built, 0, 2 ** 24), { "behind the end": 1 }],
    ["a table behind the end", (built) => void built.image.writeUInt32LE(2 ** 24, built.directory), { "grain directory": 1 }],
    ["not closed", ({ image }) => void (image[72] = 1), { "not closed": 1 }],
  ];
  test.each(damages)("%s", (_, damage, kinds) => {
    const built = sample();
    expect(auditOf(changedBy(built.image, damage(built)), "vmdk").kinds).toEqual(kinds);
  });
  test("grains whose tables differ are doubtful", () => {
    const built = sample();
    set(built, 3, 0, ["redundantTables"]);
    expect(auditOf(built.image, "vmdk").doubtful).toEqual([{ start: 3 * built.grainSize, length: built.grainSize }]);
  });
  test.skipIf(!qemu)("qemu-img check complains about a grain behind the end, too", () => {
    const built = sample();
    const path = write({ "disk.vmdk": built.image });
    expect(qemuCheck(path, "vmdk").status).toBe(0);
    set(built, 0, 2 ** 24);
    expect(qemuCheck(write({ "disk.vmdk": built.image }), "vmdk").status).not.toBe(0);
  });
  test("streams: clean, cut, two entries for one grain", () => {
    const built = buildStream({ grains: ["text", "noise", "absent", "text"] });
    expect(auditOf(built.image, "vmdk").kinds).toEqual({});
    const [first = 0] = built.tables;
    built.image.copy(built.image, first, first + 4, first + 8);
    expect(auditOf(built.image, "vmdk").kinds).toEqual({ overlap: 1 });
    expect(auditOf(built.image.subarray(0, -1024), "vmdk").kinds).toEqual({ "footer missing": 1 });
  });
  test("extents of a disk of several are told by name, and where they are on it", () => {
    const built = sample({ descriptor: undefined as unknown as string });
    const sectors = built.disk.length / 512;
    set(built, 0, place(built, 0));
    const text = `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="twoGbMaxExtentSparse"\nRW ${sectors} SPARSE "a.vmdk"\nRW ${sectors} SPARSE "b.vmdk"\n`;
    const path = write({
      "disk.vmdk": Buffer.from(text),
      "a.vmdk": sample({ descriptor: undefined as unknown as string }).image,
      "b.vmdk": built.image,
    });
    const { problems, doubtful } = withDisk(path, {}, audited);
    expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/^".*b\.vmdk": the grain at offset 0x/)]);
    expect(doubtful.map(({ start }) => start - built.disk.length).toSorted((a, b) => a - b)).toEqual([0, 2 * built.grainSize]);
  });
});
