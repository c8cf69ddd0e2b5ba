// Descriptors, the extents they list, and chains. What is inside sparse extents has tests of its own.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeDisk } from "../../src/disk/describe.js";
import { openDisk } from "../../src/disk/open.js";
import { parseDescriptor } from "../../src/formats/vmdk/descriptor.js";
import { vmdk } from "../../src/formats/vmdk/index.js";
import { mixed, noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { change, flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, type ReadOptions, readRange, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type BuiltSparse, buildCowd, buildHosted, buildSeSparse, descriptorText, type Grain } from "../support/vmdk-builder.js";
import { type DescriptorShape, descriptor } from "../support/vmdk-descriptor-builder.js";
import { buildStream } from "../support/vmdk-stream-builder.js";

const SECTOR = 512;

const hostedShape = { grains: [3, 0, "absent", 1, "zeroed", "absent", 2], grainSize: 1, tableEntries: 4 } as const;
const streamShape = { grains: ["text", "absent", "noise", "text", "absent"], grainSize: 4, tableEntries: 2 } as const;
const hosted = buildHosted(hostedShape);
const stream = buildStream(streamShape);
const cowd = buildCowd({ grains: [1, "absent", 0, 2, "absent"] });
const seSparse = buildSeSparse({ grains: ["absent", 1, 0] });

/** An image with a descriptor that calls it by another name. */
function embedded(name: string, build: (text: string) => { image: Buffer; disk: Buffer }, createType: string): Sample {
  const { disk } = build("");
  const { image } = build(descriptorText(createType, disk.length / SECTOR, "SPARSE", "as it was called once.vmdk"));
  return { name, image, disk };
}

/** A sparse extent of no capacity around a descriptor. */
function wrapped(text: string): Buffer {
  const { image } = buildHosted({ grains: [], descriptor: text });
  return image;
}

interface DeltaExtent {
  readonly type: string;
  readonly grains: readonly Grain[];
  readonly build: (grains: readonly Grain[]) => BuiltSparse;
}

const cowdOver = (grains: readonly Grain[]): DeltaExtent => ({
  type: "VMFSSPARSE",
  grains,
  build: (all) => buildCowd({ grains: all, parent: "base.vmdk" }),
});
const hostedOver = (grains: readonly Grain[]): DeltaExtent => ({
  type: "SPARSE",
  grains,
  build: (all) => buildHosted({ grains: all, grainSize: 1, tableEntries: 3 }),
});
const seSparseOver = (grains: readonly Grain[]): DeltaExtent => ({
  type: "SESPARSE",
  grains,
  build: (all) => buildSeSparse({ grains: all }),
});

/** A difference to a flat disk of 10 sectors, behind `zeros` sectors of zeros. Absent grains are the parent's, at the same place of the disk. */
function delta(name: string, zeros: number, extents: readonly DeltaExtent[]): Sample {
  const below = noise(99, 10 * SECTOR);
  const built = extents.map(({ grains, build }) => build(grains));
  let disk: Buffer = Buffer.alloc(zeros * SECTOR);
  built.forEach(({ grainSize, disk: own }, extent) => {
    extents[extent]?.grains.forEach((grain, index) => {
      const inParent = Buffer.alloc(grainSize);
      inParent.set(below.subarray(disk.length, disk.length + grainSize));
      disk = Buffer.concat([disk, grain === "absent" ? inParent : own.subarray(index * grainSize, (index + 1) * grainSize)]);
    });
  });
  const lines = built.map(({ disk: own }, index) => `RW ${own.length / SECTOR} ${extents[index]?.type ?? ""} "part ${index}.vmdk"`);
  return {
    name,
    image: descriptor({
      lines: [...(zeros > 0 ? [`RW ${zeros} ZERO`] : []), ...lines],
      parentCid: "0000abcd",
      keys: ['parentFileNameHint="base.vmdk"'],
    }),
    disk,
    parts: {
      "base.vmdk": descriptor({ lines: ['RW 10 VMFS "base-flat.vmdk"'], cid: "ABCD" }),
      "base-flat.vmdk": below,
      ...Object.fromEntries(built.map(({ image }, index) => [`part ${index}.vmdk`, image])),
    },
  };
}

describeDriver(vmdk, [
  {
    name: "two flat extents, the second from a sector on",
    image: descriptor({ lines: ['RW 5 FLAT "a.bin" 0', 'RW 3 FLAT "b.bin" 7'] }),
    parts: { "a.bin": noise(1, 5 * SECTOR), "b.bin": noise(2, 12 * SECTOR) },
    disk: Buffer.concat([noise(1, 5 * SECTOR), noise(2, 12 * SECTOR).subarray(7 * SECTOR, 10 * SECTOR)]),
  },
  {
    name: "ZERO between flat ones",
    image: descriptor({ lines: ['RW 4 FLAT "a.bin" 0', "RW 6 ZERO", 'RDONLY 2 VMFS "b.bin"'] }),
    parts: { "a.bin": noise(3, 4 * SECTOR), "b.bin": noise(4, 2 * SECTOR) },
    disk: Buffer.concat([noise(3, 4 * SECTOR), Buffer.alloc(6 * SECTOR), noise(4, 2 * SECTOR)]),
  },
  {
    name: "one file in several places, back to front",
    image: descriptor({ lines: [7, 2, 5, 0].map((start) => `RW 2 FLAT "a.bin" ${start}`) }),
    parts: { "a.bin": noise(5, 9 * SECTOR) },
    disk: Buffer.concat([7, 2, 5, 0].map((start) => noise(5, 9 * SECTOR).subarray(start * SECTOR, (start + 2) * SECTOR))),
  },
  {
    name: "sparse extents of all kinds, zeros and a flat one",
    image: descriptor({
      lines: [
        `RW ${hosted.disk.length / SECTOR} SPARSE "hosted.vmdk"`,
        `RW ${cowd.disk.length / SECTOR} VMFSSPARSE "cowd.vmdk"`,
        "RW 3 ZERO",
        `RDONLY ${seSparse.disk.length / SECTOR} SESPARSE "se.vmdk"`,
        'RW 1 FLAT "a.bin" 1',
        `RW ${stream.disk.length / SECTOR} SPARSE "stream.vmdk"`,
      ],
    }),
    parts: {
      "hosted.vmdk": hosted.image,
      "cowd.vmdk": cowd.image,
      "se.vmdk": seSparse.image,
      "stream.vmdk": stream.image,
      "a.bin": noise(6, 2 * SECTOR),
    },
    disk: Buffer.concat([
      hosted.disk,
      cowd.disk,
      Buffer.alloc(3 * SECTOR),
      seSparse.disk,
      noise(6, 2 * SECTOR).subarray(SECTOR),
      stream.disk,
    ]),
  },
  embedded("monolithicSparse that was renamed", (text) => buildHosted({ ...hostedShape, descriptor: text }), "monolithicSparse"),
  embedded("streamOptimized that was renamed", (text) => buildStream({ ...streamShape, descriptor: text }), "streamOptimized"),
  {
    name: "a descriptor alone in a sparse extent",
    image: wrapped(descriptor({ lines: ["RW 1 ZERO", 'RW 4 FLAT "a.bin" 0'] }).toString()),
    parts: { "a.bin": noise(7, 4 * SECTOR) },
    disk: Buffer.concat([Buffer.alloc(SECTOR), noise(7, 4 * SECTOR)]),
  },
  {
    name: "a descriptor of one extent alone in a sparse extent",
    image: wrapped(descriptor({ lines: ['RW 4 FLAT "a.bin" 0'] }).toString()),
    parts: { "a.bin": noise(8, 4 * SECTOR) },
    disk: noise(8, 4 * SECTOR),
  },
  delta("two COWD extents over a flat disk", 0, [
    cowdOver(["absent", 1, "absent", 0, "absent"]),
    cowdOver([2, "absent", "absent", 0, 1, "absent", "absent"]),
  ]),
  delta("hosted extents over a flat disk, behind one of zeros", 2, [
    hostedOver(["absent", 1, "zeroed", 0]),
    hostedOver(["absent", "absent", 0, "zeroed", "absent"]),
  ]),
  delta("seSparse over a shorter disk", 0, [seSparseOver(["absent", 1, "zeroed", 0, "absent"])]),
]);

const directory = tempDirectory();

/** Writes the files into a folder of their own; gives the path of the first. */
function write(files: Readonly<Record<string, Uint8Array>>): string {
  const home = subdirectory(directory);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(home, name), content);
  return join(home, Object.keys(files)[0] ?? "");
}

const a = noise(11, 8 * SECTOR);
const b = noise(12, 8 * SECTOR);

/** `disk.vmdk` over `a.bin` and `b.bin`, 8 sectors each. */
function disk(lines: readonly string[], more: Omit<DescriptorShape, "lines"> = {}): string {
  return write({ "disk.vmdk": descriptor({ lines, ...more }), "a.bin": a, "b.bin": b });
}

function reads(path: string, expected: Uint8Array, options: ReadOptions = {}): void {
  expect(difference(flatOf(path, options), expected)).toBeUndefined();
}

describe("extent lines", () => {
  test("RDONLY extents keep their place (QEMU skips them, and shifts what follows)", () => {
    reads(disk(['RDONLY 8 FLAT "a.bin" 0', 'RW 8 FLAT "b.bin" 0']), Buffer.concat([a, b]));
  });

  test("NOACCESS extents keep their place, and reading them fails", () => {
    const path = disk(['NOACCESS 8 FLAT "a.bin" 0', 'RW 8 FLAT "b.bin" 0']);
    withDisk(path, {}, (layer) => {
      expect(layer.size).toBe(16 * SECTOR);
      expect(difference(readRange(layer, 8 * SECTOR, 8 * SECTOR), b)).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 8 * SECTOR - 1, 2))?.message).toMatch(/must not be read/);
    });
  });

  test("ZERO extents keep their place (QEMU and dissect drop them)", () => {
    reads(disk(['RW 8 FLAT "a.bin" 0', "RW 100 ZERO", 'RW 8 FLAT "b.bin" 0']), Buffer.concat([a, Buffer.alloc(100 * SECTOR), b]));
    reads(disk(["NOACCESS 3 ZERO", 'RW 8 FLAT "b.bin" 0']), Buffer.concat([Buffer.alloc(3 * SECTOR), b]));
  });

  test("FLAT with a start sector (dissect ignores it)", () => {
    reads(
      disk(['RW 3 FLAT "a.bin" 4', 'RW 2 FLAT "a.bin" 1']),
      Buffer.concat([a.subarray(4 * SECTOR, 7 * SECTOR), a.subarray(SECTOR, 3 * SECTOR)]),
    );
  });

  test("VMFS with and without a start sector", () => {
    reads(disk(['RW 8 VMFS "a.bin"', 'RW 2 VMFS "b.bin" 6']), Buffer.concat([a, b.subarray(6 * SECTOR)]));
  });

  test("up to seven fields: partition UUID and device identifier", () => {
    reads(disk(['RW 8 FLAT "a.bin" 0 6ae8bf3c-0000-11ee-be56-0242ac120002 t10.ATA_____disk']), a);
  });

  test("blanks and quotes in any number, and types in any case", () => {
    reads(disk(['  rw   8  flat   "a.bin"   0  ', "RW 8 Flat b.bin 0"]), Buffer.concat([a, b]));
  });

  test.each(["VMFSRDM", "VMFSRAW"])("a raw device mapping (%s) is refused by name (dissect drops it)", (type) => {
    const path = disk([`RW 8 ${type} "a.bin"`, 'RW 8 FLAT "b.bin" 0']);
    expect(refusalOf(path).message).toContain(type);
    withDisk(path, { degraded: true }, (layer) => expect(difference(readRange(layer, 8 * SECTOR, 8 * SECTOR), b)).toBeUndefined());
  });

  test.each(["/dev/sda", "\\\\.\\PhysicalDrive1"])("fullDevice and partitionedDevice: the device %s is not opened", (device) => {
    expect(refusalOf(disk([`RW 8 FLAT "${device}" 0`, 'RW 8 FLAT "b.bin" 0'], { createType: "partitionedDevice" })).message).toMatch(
      /device/,
    );
  });

  test.each([
    'RW 8 NEWTYPE "a.bin"',
    'RW eight FLAT "a.bin" 0',
    "RW 8",
    'RW 0 FLAT "a.bin" 0',
    'RW 8 FLAT "a.bin 0',
    'RDWR 8 FLAT "a.bin" 0',
  ])("a line that is not understood is an error and never skipped: %s", (line) => {
    expect(refusalOf(disk([line, 'RW 8 FLAT "b.bin" 0'])).code).toMatch(/^(CORRUPT|UNSUPPORTED)$/);
  });

  test("an extent file shorter than its line: the rest of it is an error", () => {
    withDisk(disk(['RW 20 FLAT "a.bin" 0', 'RW 8 FLAT "b.bin" 0']), {}, (layer) => {
      expect(difference(readRange(layer, 0, 8 * SECTOR), a)).toBeUndefined();
      expect(difference(readRange(layer, 20 * SECTOR, 8 * SECTOR), b)).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 8 * SECTOR, 1))?.code).toBe("TRUNCATED");
    });
  });

  test("a missing extent file is refused; degraded, only its range fails", () => {
    const path = disk(['RW 8 FLAT "gone.bin" 0', 'RW 8 FLAT "b.bin" 0']);
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING" });
    withDisk(path, { degraded: true }, (layer) => {
      expect(imageErrorOf(() => readRange(layer, 0, 1))?.code).toBe("PART_MISSING");
      expect(difference(readRange(layer, 8 * SECTOR, 8 * SECTOR), b)).toBeUndefined();
    });
  });

  test("an extent whose name differs in upper and lower case only, as on Windows, is found; two such are not told apart", () => {
    const content = noise(9, 4096);
    const text = descriptor({ lines: ['RW 8 FLAT "Disk-FLAT.vmdk" 0'] });
    reads(write({ "disk.vmdk": text, "disk-flat.vmdk": content }), content);
    const both = write({ "x.vmdk": text, "disk-flat.vmdk": content, "DISK-flat.vmdk": content });
    expect(imageErrorOf(() => flatOf(both))).toMatchObject({ code: "PART_MISSING" });
  });

  test("extents that were renamed together with their descriptor are found, and that is told", () => {
    const content = noise(9, 8192);
    const text = descriptor({ lines: ['RW 8 FLAT "old name-f001.vmdk" 0', 'RW 8 FLAT "old name-f002.vmdk" 0'] });
    const [first, second] = [content.subarray(0, 4096), content.subarray(4096)];
    const path = write({ "new.vmdk": text, "new-f001.vmdk": first, "new-f002.vmdk": second });
    reads(path, content);
    withDisk(path, {}, (layer) =>
      expect(layer.facts().notes).toEqual([
        expect.stringContaining('"new-f001.vmdk" was taken'),
        expect.stringContaining('"new-f002.vmdk" was taken'),
      ]),
    );
    const other = write({ "new.vmdk": text, "other-f001.vmdk": first, "other-f002.vmdk": second });
    expect(imageErrorOf(() => flatOf(other))).toMatchObject({
      code: "PART_MISSING",
      message: expect.stringContaining("old name-f001") as string,
    });
  });

  test("an extent outside the folder is not opened", () => {
    expect(refusalOf(disk(['RW 8 FLAT "/etc/passwd" 0'])).code).toBe("PART_DENIED");
    expect(refusalOf(disk(['RW 8 FLAT "../../../../etc/passwd" 0'])).code).toBe("PART_DENIED");
  });
});

describe("descriptors", () => {
  test.each([
    "# Disk DescriptorFile",
    "# Disk Descriptor File",
    "#Disk DescriptorFile",
    "#Disk Descriptor File",
    "\uFEFF# Disk DescriptorFile",
    "\r\n# Disk DescriptorFile",
  ])("that begin with %j", (first) => {
    reads(disk(['RW 8 FLAT "a.bin" 0'], { first, newline: "\r\n" }), a);
  });

  test("keys in any case, with blanks, quotes and comments", () => {
    const { values } = parseDescriptor(
      Buffer.from('# Disk DescriptorFile\nCid = "ABCD"\n  parentCID=FFFFFFFF\ncreateType  =vmfs\n# CID=1\n'),
      "x",
    );
    expect([values.get("cid"), values.get("parentcid"), values.get("createtype")]).toEqual(["ABCD", "FFFFFFFF", "vmfs"]);
  });

  test.each([
    { encoding: "windows-1252", name: "größe.bin", bytes: Buffer.from("größe.bin", "latin1") },
    { encoding: "UTF-8", name: "größe 文字.bin", bytes: Buffer.from("größe 文字.bin") },
    { encoding: "Big5", name: "中文.bin", bytes: Buffer.from([0xa4, 0xa4, 0xa4, 0xe5, 0x2e, 0x62, 0x69, 0x6e]) },
    { encoding: "GBK", name: "中文.bin", bytes: Buffer.from([0xd6, 0xd0, 0xce, 0xc4, 0x2e, 0x62, 0x69, 0x6e]) },
    { encoding: "Shift_JIS", name: "日本.bin", bytes: Buffer.from([0x93, 0xfa, 0x96, 0x7b, 0x2e, 0x62, 0x69, 0x6e]) },
  ])("names in $encoding (QEMU takes the bytes as they are)", ({ encoding, name, bytes }) => {
    const [before = "", after = ""] = descriptor({ lines: ['RW 8 FLAT "@" 0'], keys: [`encoding="${encoding}"`] })
      .toString("latin1")
      .split("@");
    const path = write({ "disk.vmdk": Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]), [name]: a });
    reads(path, a);
  });

  test.each([
    ["disk%20one-flat.vmdk", "disk one-flat.vmdk"],
    ["disk one-flat.vmdk", "disk%20one-flat.vmdk"],
    ["gr%C3%B6%C3%9Fe.vmdk", "größe.vmdk"],
    ["gr%F6%DFe.vmdk", "größe.vmdk"],
    ["größe-flat.vmdk", "gro\u0308ße-flat.vmdk"],
    ["C:\\\\Virtual%20Machines\\\\100%25 disk.bin", "100% disk.bin"],
    ["C:\\Virtual Machines\\disk-flat.vmdk", "disk-flat.vmdk"],
    ["\\\\server\\share\\disk-flat.vmdk", "disk-flat.vmdk"],
    ["..\\vm\\DISK-flat.vmdk", "disk-flat.vmdk"],
    ["a%2Fb-flat.vmdk", "a%2fb-flat.vmdk"],
  ])("a file called %j is found beside, where it is called %j", (named, is) => {
    const path = write({ "disk.vmdk": descriptor({ lines: [`RW 8 FLAT "${named}" 0`], keys: ['encoding="UTF-8"'] }), [is]: a });
    reads(path, a);
    // Another file is not taken for it, and no escape leads out of the folder.
    expect(refusalOf(write({ "disk.vmdk": descriptor({ lines: [`RW 8 FLAT "${named}" 0`] }), "other.vmdk": a })).code).toBe("PART_MISSING");
  });

  test("escapes do not lead to another folder", () => {
    const path = write({ "disk.vmdk": descriptor({ lines: ['RW 8 FLAT "..%2Fsecret.bin" 0'] }) });
    writeFileSync(join(path, "../../secret.bin"), a);
    expect(refusalOf(path).code).toBe("PART_MISSING");
  });

  test("two files that may both be meant are not told apart", () => {
    const lines = ['RW 8 FLAT "disk%20one.bin" 0'];
    const path = write({ "disk.vmdk": descriptor({ lines }), "disk one.bin": a, "DISK ONE.bin": a });
    expect(refusalOf(path).code).toBe("PART_MISSING");
    reads(write({ "disk.vmdk": descriptor({ lines }), "disk one.bin": a.toReversed(), "disk%20one.bin": a }), a);
  });

  test("an encoding nobody knows is noted", () => {
    withDisk(disk(['RW 8 FLAT "a.bin" 0'], { keys: ['encoding="x-mac-klingon"'] }), {}, (layer) => {
      expect(layer.facts().notes.join()).toMatch(/klingon/);
    });
  });

  test.each(["vmfs", "vmfsThin", "vmfsEagerZeroedThick", "vmfsPreallocated", "monolithicFlat", "twoGbMaxExtentFlat", "custom"])(
    "createType %s over flat files",
    (createType) => {
      reads(disk(['RW 8 VMFS "a.bin"'], { createType }), a);
    },
  );

  test("vsanSparse is refused by name", () => {
    expect(refusalOf(disk(['RW 8 VMFS "a.bin"'], { createType: "vsanSparse" })).message).toContain("vsanSparse");
  });

  test("an encrypted disk is refused", () => {
    expect(refusalOf(disk(['RW 8 FLAT "a.bin" 0'], { keys: ['encryption.keySafe = "vmware:key/list"'] })).code).toBe("KEY_NEEDED");
  });

  test("change tracking is no matter", () => {
    reads(disk(['RW 8 FLAT "a.bin" 0'], { keys: ['changeTrackPath="disk-ctk.vmdk"'] }), a);
  });

  test("one without extents is refused", () => {
    expect(refusalOf(disk([])).message).toMatch(/no extents/);
  });

  test("a flat extent given instead of its descriptor leads to that, or is refused", () => {
    const path = write({ "disk-flat.vmdk": a, "disk.vmdk": descriptor({ lines: ['RW 8 VMFS "disk-flat.vmdk"', "RW 2 ZERO"] }) });
    reads(path, Buffer.concat([a, Buffer.alloc(2 * SECTOR)]));
    expect(refusalOf(write({ "disk-flat.vmdk": a })).message).toContain("disk.vmdk");
    expect(refusalOf(write({ "disk-flat.vmdk": a, "disk.vmdk": descriptor({ lines: ["RW 2 ZERO"] }) })).code).toBe("PART_MISSING");
    reads(write({ "disk-flat.vmdk": a }), a, { format: "raw" });
  });
});

describe.skipIf(!requireProgram("qemu-img") || !requireProgram("qemu-io"))("with images of QEMU", () => {
  const content = mixed(5, 3 * 2 ** 20);

  /** A disk of the given type in a folder of its own. */
  function make(subformat: string): string {
    const home = subdirectory(directory);
    writeFileSync(join(home, "source.bin"), content);
    qemuImg("convert", "-f", "raw", "-O", "vmdk", "-o", `subformat=${subformat}`, join(home, "source.bin"), join(home, "disk.vmdk"));
    return join(home, "disk.vmdk");
  }

  test.each(["monolithicSparse", "streamOptimized"])("%s, renamed", (subformat) => {
    const path = make(subformat);
    const other = join(path, "../other name.bin");
    renameSync(path, other);
    reads(other, content);
  });

  test.each(["twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "monolithicFlat"])(
    "%s: an extent given instead of the descriptor",
    (subformat) => {
      const path = make(subformat);
      const suffix = { twoGbMaxExtentSparse: "s001", twoGbMaxExtentFlat: "f001", monolithicFlat: "flat" }[subformat];
      reads(path.replace(".vmdk", `-${suffix}.vmdk`), content);
    },
  );

  test("one of several sparse extents is not taken for the disk", () => {
    const home = subdirectory(directory);
    qemuImg("create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", join(home, "disk.vmdk"), "5G");
    for (const extent of ["disk-s001.vmdk", "disk-s003.vmdk"]) {
      expect(withDisk(join(home, extent), {}, ({ size }) => size)).toBe(5 * 2 ** 30);
    }
    renameSync(join(home, "disk.vmdk"), join(home, "gone"));
    expect(imageErrorOf(() => withDisk(join(home, "disk-s001.vmdk"), {}, () => undefined))?.code).toBe("PART_MISSING");
  });

  test("sparse and flat extents in one descriptor", () => {
    const sparse = make("twoGbMaxExtentSparse");
    const home = join(sparse, "..");
    writeFileSync(join(home, "a.bin"), a);
    writeFileSync(
      join(home, "mixed.vmdk"),
      descriptor({ lines: ['RW 8 FLAT "a.bin" 0', `RW ${content.length / SECTOR} SPARSE "disk-s001.vmdk"`, "RW 3 ZERO"] }),
    );
    reads(join(home, "mixed.vmdk"), Buffer.concat([a, content, Buffer.alloc(3 * SECTOR)]));
  });

  test("7-Zip reads the same from a flat disk of ours", () => {
    const path = disk(['RW 8 FLAT "a.bin" 0', 'RW 8 FLAT "b.bin" 0'], { createType: "twoGbMaxExtentFlat" });
    const home = subdirectory(directory);
    run("7z", ["x", "-y", "-bd", `-o${home}`, path]);
    reads(path, flatOf(join(home, "disk.img"), { format: "raw" }));
  });

  /** A delta over a base, and a delta over that. */
  function chain(): { home: string; top: string; expected: Buffer } {
    const home = subdirectory(directory);
    writeFileSync(join(home, "source.bin"), content);
    qemuImg("convert", "-f", "raw", "-O", "vmdk", join(home, "source.bin"), join(home, "base.vmdk"));
    for (const [name, below] of [
      ["middle", "base"],
      ["top", "middle"],
    ] as const) {
      run("qemu-img", ["create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", `${below}.vmdk`, `${name}.vmdk`], home);
      change(join(home, `${name}.vmdk`), [{ kind: "write", at: name === "top" ? 100_000 : 900_000, content: noise(7, 130_000) }], "vmdk");
    }
    const top = join(home, "top.vmdk");
    return { home, top, expected: flat(top) };
  }

  test("a chain of deltas, each parent known by its CID", () => {
    const { top, expected } = chain();
    reads(top, expected);
    const opened = openDisk(top);
    expect(describeDisk(opened).chain.map(({ found }) => found ?? "")).toEqual([
      "",
      expect.stringMatching(/^where the image says; CID [0-9a-f]{8} matches$/),
      expect.stringMatching(/CID .* matches/),
    ]);
    opened.close();
  });

  test("a parent that was renamed is found by its CID", () => {
    const { home, top, expected } = chain();
    renameSync(join(home, "base.vmdk"), join(home, "renamed.vmdk"));
    reads(top, expected);
  });

  test("a parent in another folder is found with --search", () => {
    const { home, top, expected } = chain();
    mkdirSync(join(home, "elsewhere"));
    renameSync(join(home, "base.vmdk"), join(home, "elsewhere/base.vmdk"));
    expect(refusalOf(top).code).toBe("PART_MISSING");
    reads(top, expected, { search: [join(home, "elsewhere")] });
  });

  test("a parent that was changed since is refused, and taken with --parent", () => {
    const { home, top, expected } = chain();
    change(join(home, "middle.vmdk"), [{ kind: "write", at: 0, content: noise(9, 512) }], "vmdk");
    const error = refusalOf(top);
    expect(error.message).toMatch(/changed/);
    const changed = Buffer.from(expected);
    noise(9, 512).copy(changed, 0);
    reads(top, changed, { parents: [join(home, "middle.vmdk")] });
  });

  test("a missing parent: degraded, what the delta holds itself is read", () => {
    const { home, top, expected } = chain();
    renameSync(join(home, "middle.vmdk"), join(subdirectory(directory), "gone.vmdk"));
    withDisk(top, { degraded: true }, (layer) => {
      expect(difference(readRange(layer, 131_072, 65_536), expected.subarray(131_072, 196_608))).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 2_000_000, 1))?.code).toBe("PART_MISSING");
    });
  });
});

describe("identities", () => {
  const base = (keys: readonly string[], cid: string): Buffer => descriptor({ lines: ['RW 8 FLAT "a.bin" 0'], cid, keys });
  const child = (hint: string, keys: readonly string[], parentCid: string): Buffer =>
    descriptor({ lines: ["RW 8 ZERO"], parentCid, keys: [`parentFileNameHint="${hint}"`, ...keys] });

  test("CIDs in any case and length", () => {
    reads(write({ "top.vmdk": child("base.vmdk", [], "0000ABCD"), "base.vmdk": base([], "abcd"), "a.bin": a }), Buffer.alloc(8 * SECTOR));
  });

  test("a Windows path and a datastore path lead to the file beside", () => {
    for (const hint of ["C:\\vm\\base.vmdk", "[datastore1] vm/base.vmdk", "/vmfs/volumes/x/base.vmdk"]) {
      const path = write({ "top.vmdk": child(hint, [], "0000abcd"), "base.vmdk": base([], "0000abcd"), "a.bin": a });
      expect(withDisk(path, {}, (layer) => layer.parent?.name.endsWith("base.vmdk"))).toBe(true);
    }
  });

  test("VirtualBox' UUID where the CID tells nothing", () => {
    const uuid = "00000000-1111-2222-3333-444444444444";
    const path = write({
      "top.vmdk": child("", [`ddb.uuid.parent="${uuid}"`], "fffffffe"),
      "other.vmdk": base(['ddb.uuid.image="99999999-1111-2222-3333-444444444444"'], "fffffffe"),
      "right.vmdk": base([`ddb.uuid.image="${uuid}"`], "fffffffe"),
      "a.bin": a,
    });
    expect(withDisk(path, {}, (layer) => layer.parent?.name.endsWith("right.vmdk"))).toBe(true);
  });
});
