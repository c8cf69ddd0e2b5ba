// What descriptors may look like, and what is made of those that are not as they should be.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { parseDescriptor } from "../../src/formats/vmdk/descriptor.js";
import { vmdk } from "../../src/formats/vmdk/index.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { noise } from "../support/content.js";
import { flat, requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildHosted, buildSeSparse, descriptorText } from "../support/vmdk-builder.js";
import { descriptor } from "../support/vmdk-descriptor-builder.js";

const SECTOR = 512;
const directory = tempDirectory();
const a = noise(21, 8 * SECTOR);
const b = noise(22, 8 * SECTOR);

/** Files in memory, and how often each was opened and closed. */
function memory(files: Readonly<Record<string, Uint8Array>>, degraded = false): { opener: Opener; opened: string[]; closed: string[] } {
  const opened: string[] = [];
  const closed: string[] = [];
  const opener: Opener = {
    degraded,
    part(name) {
      const content = files[name];
      if (!content) throw new ImageError("PART_MISSING", `there is no ${name}`);
      opened.push(name);
      return { ...memorySource(name, content), close: () => void closed.push(name) };
    },
    parent: () => expect.fail("no parent was expected to be opened"),
  };
  return { opener, opened, closed };
}

function open(image: Uint8Array, opener = memory({ "a.bin": a, "b.bin": b }).opener): Layer {
  return vmdk.open(memorySource("disk.vmdk", image), opener, {});
}

function shows(image: Uint8Array, expected: Uint8Array, files: Readonly<Record<string, Uint8Array>> = { "a.bin": a, "b.bin": b }): void {
  const layer = open(image, memory(files).opener);
  expect(layer.size).toBe(expected.length);
  expect(difference(readRange(layer, 0, layer.size), expected)).toBeUndefined();
}

function refusal(image: Uint8Array, opener?: Opener): ImageError | undefined {
  return imageErrorOf(() => open(image, opener));
}

/** A descriptor with a line in it whose bytes are not UTF-8. */
function withBytes(line: readonly (string | Uint8Array)[], keys: readonly string[] = []): Buffer {
  const [before = "", after = ""] = descriptor({ lines: ["@"], keys })
    .toString("latin1")
    .split("@");
  return Buffer.concat([before, ...line, after].map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}

describe("what is taken for a descriptor", () => {
  const probe = (text: string) => vmdk.probe({ head: Buffer.from(text), tail: Buffer.alloc(0), size: text.length });

  test.each([
    "# Disk DescriptorFile\n",
    "# disk descriptorfile\r\n",
    "\uFEFF\r\n\t # Disk DescriptorFile\r\n",
    "# made by a program\n\n# Disk Descriptor File\nversion=1\n",
    "# the first line is lost\nversion=1\nCID=fffffffe\ncreateType=vmfs\n",
  ])("%j", (text) => {
    expect(probe(text)).toBe(true);
  });

  test.each([
    "#!/bin/sh\n# Disk\nversion=1\necho\n",
    "version=1\n",
    "key = 1\n# Disk DescriptorFile\n",
    "# Disk Description\n",
    "\0\0# Disk DescriptorFile\n",
    "\n\n\n",
  ])("not %j", (text) => {
    expect(probe(text)).toBe(false);
  });
});

describe("lines", () => {
  test("a flat extent need not tell where it starts, as VirtualBox reads it, unless the descriptor may be cut there", () => {
    shows(descriptor({ lines: ['RW 8 FLAT "a.bin"', 'RW 8 FLAT "b.bin"'] }), Buffer.concat([a, b]));
    const cut = '# Disk DescriptorFile\nversion=1\ncreateType="custom"\nRW 2 FLAT "a.bin"';
    shows(Buffer.from(`${cut}\n`), a.subarray(0, 2 * SECTOR));
    expect(refusal(Buffer.from(cut))).toMatchObject({ code: "CORRUPT", message: expect.stringContaining("ends before") as string });
    expect(refusal(Buffer.from(`${cut} `))).toMatchObject({ code: "CORRUPT" });
  });

  test("zeros may have a name and a start, and no sectors", () => {
    shows(
      descriptor({ lines: ["NOACCESS 0 ZERO ", 'RW 2 ZERO "/dev/sdc2" 0', 'RW 8 FLAT "a.bin" 0'] }),
      Buffer.concat([Buffer.alloc(2 * SECTOR), a]),
    );
  });

  test.each([
    ['"with blanks  in it.bin"', "with blanks  in it.bin"],
    ['"a"quote.bin"', 'a"quote.bin'],
    ['"|22quoted|22.bin"', '"quoted".bin'],
    ['"a|22b.bin"', "a|22b.bin"],
    ['"a=b.bin"', "a=b.bin"],
    ["plain.bin", "plain.bin"],
    ['"folder/part.bin"', "folder/part.bin"],
    ['"#.bin"', "#.bin"],
  ])("a file called %s", (text, name) => {
    shows(descriptor({ lines: [`RW 8 FLAT ${text} 0`, `RW 8 VMFS ${text}`] }), Buffer.concat([a, a]), { [name]: a });
  });

  test.each([
    ["RW", "sectors"],
    ["RW 8", "sectors"],
    ["RW FLAT 8", "sectors"],
    ["RW -8 ZERO", "sectors"],
    ['RW 8.5 FLAT "a.bin" 0', "sectors"],
    ['RW 0x8 FLAT "a.bin" 0', "sectors"],
    ['RW 0 FLAT "a.bin" 0', "0 sectors"],
    ["RW 17592186044416 ZERO", "17592186044416 sectors"],
    ["RW 8 FLAT", "no file"],
    ['RW 8 FLAT ""', "no end"],
    ['RW 8 FLAT "a.bin 0', "no end"],
    ['RW 8 FLAT "a.bin" 0x10', '"0x10"'],
    ['RW 8 FLAT "a.bin" -1', '"-1"'],
    ['RW 8 VMFS "a.bin" first', '"first"'],
    ['RW 8 FLAT "a.bin" 17592186044416', "start"],
    ['RDWR 8 FLAT "a.bin" 0', "neither"],
    ['RDWR 8 FLAT "a=b.bin" 0', "access"],
    ["something else", "neither"],
    ['"a.bin"', "neither"],
  ])("refused, never skipped: %s", (line, why) => {
    const error = refusal(descriptor({ lines: [line, 'RW 8 FLAT "b.bin" 0'] }));
    expect(error).toMatchObject({ code: "CORRUPT", file: "disk.vmdk" });
    expect(error?.message).toContain(why);
    expect(error?.message).toContain(line.replaceAll("\t", " ").slice(0, 8));
  });

  test("what an extent's start cannot be with sparse ones", () => {
    const { image } = buildSeSparse({ grains: [0] });
    const opener = memory({ "x.vmdk": image }).opener;
    expect(refusal(descriptor({ lines: ['RW 8 SESPARSE "x.vmdk" 8'] }), opener)?.message).toMatch(/starts inside/);
    expect(open(descriptor({ lines: ['RW 8 SESPARSE "x.vmdk" 0'] }), opener).size).toBe(8 * SECTOR);
  });

  test("lines of any end, and the end of texts in DOS", () => {
    for (const newline of ["\n", "\r\n", "\r"]) {
      shows(Buffer.concat([descriptor({ lines: ['RW 8 FLAT "a.bin" 0'], newline }), Buffer.from("\x1a")]), a);
    }
  });

  test("zeros behind the text are room, in the midst of it they are damage", () => {
    const text = descriptor({ lines: ['RW 8 FLAT "a.bin" 0'] });
    shows(Buffer.concat([text, Buffer.alloc(700)]), a);
    // The rest of a longer text, as QEMU leaves it where a CID became shorter.
    shows(Buffer.concat([text, Buffer.alloc(1), Buffer.from('de"\n')]), a);
    shows(Buffer.concat([text, Buffer.alloc(1), Buffer.from('de"\n'), Buffer.alloc(100)]), a);
    expect(refusal(Buffer.concat([text, Buffer.alloc(3), Buffer.from("RW 8 ZERO\n")]))).toMatchObject({
      code: "CORRUPT",
      position: text.length,
    });
  });

  test.each(["parentCID=12345678", 'createType="vmfs"', "CID=0", 'parentFileNameHint="x.vmdk"'])("twice, and not the same: %s", (key) => {
    const keys = [key, ...(key.startsWith("parentFile") ? ['parentFileNameHint="y.vmdk"'] : [])];
    expect(refusal(descriptor({ lines: ["RW 8 ZERO"], keys }))?.message).toMatch(/twice/);
  });

  test("twice the same, or twice what does not matter", () => {
    open(descriptor({ lines: ["RW 8 ZERO"], keys: ["parentCID=ffffffff", 'ddb.comment="x"', 'ddb.comment="y"'] }));
  });

  test("values with and without quotes, with one, and with more", () => {
    const { values } = parseDescriptor(Buffer.from('# Disk DescriptorFile\na = "x y"\nb=x\nc="x\nd="x"y"\ne=\n f\t=\t" x " # y\n'), "x");
    expect(["a", "b", "c", "d", "e", "f"].map((key) => values.get(key))).toEqual(["x y", "x", "x", 'x"y', "", "x"]);
  });

  test("a version that nobody knows is noted", () => {
    const of = (version: string) =>
      open(
        Buffer.from(
          descriptor({ lines: ["RW 8 ZERO"] })
            .toString()
            .replace("version=1", `version=${version}`),
        ),
      ).facts().notes;
    expect(of("4")).toEqual([]);
    expect(of("5").join()).toMatch(/version "5"/);
  });
});

describe("names of files in other encodings", () => {
  const utf8 = Buffer.from("größe.bin");
  const latin1 = Buffer.from("größe.bin", "latin1");
  test.each([
    ["the declared one is right", 'encoding="windows-1252"', latin1, "größe.bin"],
    ["none is declared, and it is UTF-8", "", utf8, "größe.bin"],
    ["none is declared, and it is not UTF-8", "", latin1, "größe.bin"],
    ["UTF-8 is declared, and it is not", 'encoding="UTF-8"', latin1, "größe.bin"],
    ["windows-1252 is declared, and it is UTF-8", 'encoding="windows-1252"', utf8, "größe.bin"],
    ["windows-1252 is declared, and the file was named by its bytes", 'encoding="windows-1252"', utf8, "grÃ¶ÃŸe.bin"],
    ["one that nobody knows", 'encoding="klingon"', utf8, "größe.bin"],
    ["Korean", "encoding=windows-949", Buffer.from([0xc7, 0xd1, 0xb1, 0xdb, 0x2e, 0x62]), "한글.b"],
    ["simplified Chinese", 'encoding="windows-936"', Buffer.from([0xd6, 0xd0, 0xce, 0xc4, 0x2e, 0x62]), "中文.b"],
    ["traditional Chinese", 'encoding="windows-950"', Buffer.from([0xa4, 0xa4, 0xa4, 0xe5, 0x2e, 0x62]), "中文.b"],
    ["Japanese, with a backslash in the bytes", 'encoding="Shift_JIS"', Buffer.from([0x95, 0x5c, 0x2e, 0x62]), "表.b"],
    ["characters that Latin-1 does not have", 'encoding="windows-1252"', Buffer.from([0x80, 0x93, 0x9f, 0xe4]), "€“Ÿä"],
    ["Cyrillic", 'encoding="windows-1251"', Buffer.from([0xe4, 0xe8, 0xf1, 0xea]), "диск"],
  ])("%s", (_, key, bytes, name) => {
    shows(withBytes(['RW 8 FLAT "', bytes, '" 0'], key === "" ? [] : [key]), a, { [name]: a });
  });

  test("a name that is missing in every encoding is told in the declared one", () => {
    const error = refusal(withBytes(['RW 8 FLAT "', latin1, '" 0'], ['encoding="windows-1252"']));
    expect(error).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining("größe.bin") as string });
  });

  test("a file that is there and may not be opened is not looked for under another name", () => {
    const asked: string[] = [];
    const opener: Opener = {
      ...memory({}).opener,
      part(name) {
        asked.push(name);
        throw new ImageError("PART_DENIED", "outside");
      },
    };
    expect(refusal(withBytes(['RW 8 FLAT "', utf8, '" 0'], ['encoding="windows-1252"']), opener)?.code).toBe("PART_DENIED");
    expect(asked).toHaveLength(1);
  });
});

describe("files of extents", () => {
  test("each is opened once and closed once, however many extents it has", () => {
    const files = memory({ "a.bin": a, "b.bin": b });
    const layer = open(
      descriptor({ lines: [1, 2, 3, 4].flatMap((start) => [`RW 1 FLAT "a.bin" ${start}`, `RW 1 FLAT "b.bin" ${start}`]) }),
      files.opener,
    );
    expect(files.opened).toEqual(["a.bin", "b.bin"]);
    layer.close();
    expect(files.closed).toEqual(["a.bin", "b.bin"]);
  });

  test("what was opened is closed where a later extent is refused", () => {
    const files = memory({ "a.bin": a });
    expect(refusal(descriptor({ lines: ['RW 8 FLAT "a.bin" 0', 'RW 8 FLAT "b.bin" 0'] }), files.opener)?.code).toBe("PART_MISSING");
    expect(files.closed).toEqual(["a.bin"]);
  });

  test.each([
    ["/dev/sda", "/dev/sda"],
    ["\\\\.\\PhysicalDrive0", "PhysicalDrive0"],
    ["\\\\?\\Volume{6ae8bf3c}", "Volume"],
    ["vmhba1:0:0:0", "vmhba1"],
    ["/vmfs/devices/disks/naa.6001", "naa"],
  ])("the device %s is refused by name, and with --degraded only its range fails", (device, told) => {
    const image = descriptor({
      lines: ['RW 1 FLAT "a.bin" 0', `RW 4 FLAT "${device}" 63 partitionUUID deadbeef`, "RW 1 ZERO", 'RW 1 FLAT "a.bin" 1'],
      createType: "partitionedDevice",
    });
    expect(refusal(image)).toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining(told) as string });
    const layer = open(image, memory({ "a.bin": a }, true).opener);
    expect(layer.size).toBe(7 * SECTOR);
    expect(difference(readRange(layer, 0, SECTOR), a.subarray(0, SECTOR))).toBeUndefined();
    expect(
      difference(readRange(layer, 5 * SECTOR, 2 * SECTOR), Buffer.concat([Buffer.alloc(SECTOR), a.subarray(SECTOR, 2 * SECTOR)])),
    ).toBeUndefined();
    for (const offset of [SECTOR, 5 * SECTOR - 1])
      expect(layer.map(offset, 1)).toMatchObject({ kind: "damaged", error: { code: "UNSUPPORTED" } });
    expect(layer.facts().notes.join()).toMatch(/Degraded/);
  });

  test("fullDevice over an image file is read", () => {
    shows(descriptor({ lines: ['RW 8 FLAT "a.bin" 0'], createType: "fullDevice" }), a);
  });

  test.each([
    ["vmfsRaw", "VMFSRAW"],
    ["vmfsRDM", "VMFSRDM"],
    ["vmfsRawDeviceMap", "VMFSRDM"],
    ["vmfsRDMP", "VMFSRDM"],
    ["vmfsPassthroughRawDeviceMap", "VMFSRDM"],
  ])("a disk of the type %s is refused, whatever its file holds", (createType, type) => {
    const error = refusal(descriptor({ lines: [`RW 8 ${type} "a.bin"`], createType }));
    expect(error).toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("raw device mapping") as string });
  });

  test("an embedded extent that must not be read", () => {
    const { image } = buildHosted({
      grains: [0, 1],
      descriptor: descriptorText("monolithicSparse", 16, "SPARSE", "x").replace("RW 16", "NOACCESS 16"),
    });
    expect(open(image).map(0, 5)).toMatchObject({ kind: "damaged", length: 5 });
  });

  test("an embedded extent of another size than its line", () => {
    const build = (sectors: number) =>
      buildHosted({ grains: [1, 0], descriptor: descriptorText("monolithicSparse", sectors, "SPARSE", "x") });
    const larger = open(build(20).image);
    expect(larger.size).toBe(20 * SECTOR);
    expect(difference(readRange(larger, 0, 16 * SECTOR), build(16).disk)).toBeUndefined();
    expect(larger.map(16 * SECTOR, 9999)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED" } });
    expect(larger.facts().notes.join()).toMatch(/descriptor says 10240/);
    const smaller = open(build(9).image);
    expect(difference(readRange(smaller, 0, smaller.size), build(16).disk.subarray(0, 9 * SECTOR))).toBeUndefined();
    expect(smaller.map(0, 2 ** 20).length).toBeLessThanOrEqual(smaller.size);
  });

  test("an extent of twoGbMaxExtentSparse alone is read and noted; it is known as a part by its name", () => {
    const { image, disk } = buildHosted({ grains: [1, "absent", 0] });
    const layer = open(image);
    expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
    expect(layer.facts().notes.join()).toMatch(/no descriptor/);
  });
});

describe("which files are parts", () => {
  const sparse = buildHosted({ grains: [0] }).image;
  const partOf = (name: string, head: Uint8Array) => vmdk.partOf?.(name, { head, tail: Buffer.alloc(0), size: head.length });

  test.each([
    ["disk-s001.vmdk", sparse, "disk.vmdk"],
    ["my-disk-s1234.VMDK", sparse, "my-disk.vmdk"],
    ["disk-000001-s012.vmdk", sparse, "disk-000001.vmdk"],
    ["disk-000001-delta.vmdk", sparse, "disk-000001.vmdk"],
    ["disk-000001-sesparse.vmdk", sparse, "disk-000001.vmdk"],
    ["disk-flat.vmdk", a, "disk.vmdk"],
    ["disk-f001.vmdk", a, "disk.vmdk"],
    ["disk-delta.vmdk", a, "disk.vmdk"],
    ["disk-pt.vmdk", a, "disk.vmdk"],
    ["disk-rdm.vmdk", a, "disk.vmdk"],
    ["disk-rdmp.vmdk", a, "disk.vmdk"],
  ])("%s", (name, head, whole) => {
    expect(partOf(name, head)).toEqual([whole]);
  });

  test.each([
    ["disk.vmdk", sparse],
    ["disk-s001.vmdk", a],
    ["disk-f001.vmdk", sparse],
    ["disk-flat.vmdk", sparse],
    ["disk-flat.img", a],
    ["-flat.vmdk", a],
    ["disk-flat.vmdk", descriptor({ lines: [] })],
    ["disk-s001.vmdk", buildHosted({ grains: [0], descriptor: "# Disk DescriptorFile\n" }).image],
  ])("not %s", (name, head) => {
    expect(partOf(name, head)).toEqual([]);
  });
});

describe("what is not the disk that the guest sees", () => {
  test.each([
    'encryption.keySafe = "vmware:key/list/(pair/(phrase/x))"',
    'encryptionKeys="vmware:key/list/(pair/(fqid/x))"',
    'encryptedKeys="vmware:key/list/"',
    'keyID="a4e7494f"',
    'cryptoDatabase="x"',
    'ddb.iofilters = "vmwarevmcrypt"',
  ])("encrypted: %s", (key) => {
    const error = refusal(descriptor({ lines: ['RW 8 VMFS "a.bin"'], ddb: [key] }));
    expect(error).toMatchObject({ code: "KEY_NEEDED", message: expect.stringContaining("encrypted") as string });
  });

  test("filters that do not change what is stored", () => {
    shows(descriptor({ lines: ['RW 8 VMFS "a.bin"'], ddb: ['ddb.iofilters = "vmwarelwd"', 'ddb.encoding = "UTF-8"'] }), a);
  });
});

describe("hostile descriptors", () => {
  const start = '# Disk DescriptorFile\nversion=1\ncreateType="custom"\n';
  const end = '\nRW 8 FLAT "a.bin" 0\n';
  const mib = 2 ** 20;

  test.each([
    ["lines without text", "\n".repeat(mib)],
    ["blanks", `k${" ".repeat(mib)}= 1`],
    ["blanks at the end of lines", `# x${" ".repeat(mib)}x${" ".repeat(mib)}`],
    ["tabs and lines", "\t\n".repeat(mib / 2)],
    ["a key of a MiB", `${"k".repeat(mib)}=1`],
    ["quotes", `k=${'"'.repeat(mib)}`],
    ["a long encoding", `encoding="${"x".repeat(mib)}"`],
  ])("%s take no time", (_, middle) => {
    const before = performance.now();
    shows(Buffer.from(start + middle + end), a);
    expect(performance.now() - before).toBeLessThan(2000);
  });

  test("a line of a MiB is told in short", () => {
    for (const line of [`RW 8 FLAT "${"x".repeat(mib)}`, `RW 8 FLAT ${'"x'.repeat(mib / 2)}`, `RW ${" ".repeat(mib)}x`, "x".repeat(mib)]) {
      const before = performance.now();
      expect(refusal(Buffer.from(start + line + end))?.message.length).toBeLessThan(300);
      expect(performance.now() - before).toBeLessThan(2000);
    }
  });

  test("more than 65536 extents, and more than 8 MiB", () => {
    expect(refusal(Buffer.from(start + "RW 1 ZERO\n".repeat(65_537)))?.message).toMatch(/65537 extents/);
    expect(open(Buffer.from(start + "RW 1 ZERO\n".repeat(65_536))).size).toBe(65_536 * SECTOR);
    expect(refusal(Buffer.from(start + "#".repeat(8 * mib)))?.message).toMatch(/limit/);
  });

  test("extents of over 2^53 bytes together", () => {
    expect(refusal(descriptor({ lines: ["RW 17592186044415 ZERO", "RW 1 ZERO"] }))?.message).toMatch(/2\^53/);
    expect(open(descriptor({ lines: ["RW 17592186044415 ZERO"] })).size).toBe(2 ** 53 - SECTOR);
  });
});

describe("what is told", () => {
  test("type, ids, adapter, geometry", () => {
    const layer = open(
      descriptor({
        lines: ['RW 8 VMFS "a.bin"', "RW 8 ZERO"],
        createType: "vmfs",
        keys: ['encoding="UTF-8"', 'changeTrackPath="a-ctk.vmdk"'],
        ddb: [
          'ddb.geometry.cylinders = "5"',
          'ddb.geometry.heads = "16"',
          'ddb.geometry.sectors = "63"',
          'ddb.thinProvisioned = "1"',
          'ddb.longContentID = "0481be4e314537249f0f1ca612345678"',
        ],
      }),
    );
    expect(layer.facts()).toEqual({
      variant: "vmfs",
      details: {
        extents: 2,
        CID: "12345678",
        "parent CID": "ffffffff",
        "long content id": "0481be4e314537249f0f1ca612345678",
        adapter: "lsilogic",
        encoding: "UTF-8",
        "cylinders/heads/sectors": "5/16/63",
        "thin provisioned": true,
        "change tracking": true,
      },
      notes: [],
    });
  });

  test("without a type, what the extent is", () => {
    expect(open(buildHosted({ grains: [0] }).image).facts()).toMatchObject({ variant: "hosted", details: { extents: 1 } });
  });

  test("snapshots are files of their own", () => {
    const error = imageErrorOf(() => vmdk.open(memorySource("x", descriptor({ lines: [] })), memory({}).opener, { snapshot: "1" }));
    expect(error).toMatchObject({ code: "UNSUPPORTED", hint: expect.stringContaining("snapshot") as string });
  });
});

describe("descriptors that other programs read", () => {
  const sparse = buildHosted({ grains: [2, "absent", 0, 1], grainSize: 128 });
  const lines = [
    'RW 5 FLAT "a.bin" 3',
    `RW ${sparse.disk.length / SECTOR} SPARSE "part with blanks.vmdk"`,
    'RW 8 FLAT "b.bin" 0',
    'RW 1 FLAT "a.bin" 0',
  ];
  const expected = Buffer.concat([a.subarray(3 * SECTOR), sparse.disk, b, a.subarray(0, SECTOR)]);
  const write = (createType: string, which: readonly string[]): string => {
    const home = subdirectory(directory);
    writeFileSync(join(home, "disk.vmdk"), descriptor({ lines: which, createType }));
    writeFileSync(join(home, "a.bin"), a);
    writeFileSync(join(home, "b.bin"), b);
    writeFileSync(join(home, "part with blanks.vmdk"), sparse.image);
    return join(home, "disk.vmdk");
  };

  test.skipIf(!requireProgram("qemu-img"))("qemu-img: flat and sparse ones, with start sectors", () => {
    const path = write("twoGbMaxExtentSparse", lines);
    expect(difference(flat(path, { format: "vmdk" }), expected)).toBeUndefined();
    expect(difference(flatOf(path), expected)).toBeUndefined();
  });

  test.skipIf(!requireProgram("vmdkinfo"))("vmdkinfo: all accesses and types, by their sizes", () => {
    const path = write("twoGbMaxExtentFlat", ['RDONLY 8 FLAT "a.bin" 0', 'RW 8 FLAT "b.bin" 0']);
    expect(run("vmdkinfo", [path])).toMatch(new RegExp(`Media size:.*${16 * SECTOR} bytes`));
    expect(difference(flatOf(path), Buffer.concat([a, b]))).toBeUndefined();
  });

  test("a missing file is told by its name", () => {
    const path = write("custom", ['RW 8 FLAT "gone.bin" 0']);
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining("gone.bin") as string });
    withDisk(path, { degraded: true }, (layer) => expect(layer.size).toBe(8 * SECTOR));
  });
});
