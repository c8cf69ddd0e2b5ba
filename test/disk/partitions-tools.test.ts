// Tables written by other programs, and what those and libblkid (partx) say about them.
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Partition, readPartitions } from "../../src/disk/partitions/read.js";
import { requireProgram, run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const directory = tempDirectory();
let made = 0;

/** An empty sparse disk. */
function emptyDisk(size: number): string {
  made += 1;
  const path = join(directory, `${made}.raw`);
  writeFileSync(path, "");
  truncateSync(path, size);
  return path;
}

function tableOf(path: string, sectorSize?: number) {
  const fd = openSync(path, "r");
  try {
    const read = (target: Uint8Array, offset: number) => {
      if (readSync(fd, target, 0, target.length, offset) !== target.length) throw new Error("short read");
    };
    return readPartitions({ size: statSync(path).size, read, ...(sectorSize !== undefined && { sectorSize }) });
  } finally {
    closeSync(fd);
  }
}

function overwrite(path: string, at: number, content: Uint8Array): void {
  const fd = openSync(path, "r+");
  writeSync(fd, content, 0, content.length, at);
  closeSync(fd);
}

function feed(program: string, args: readonly string[], input: string): void {
  const result = spawnSync(program, args, { encoding: "utf8", input });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.status}\n${result.stdout}${result.stderr}`);
}

interface SfdiskTable {
  readonly partitiontable: {
    readonly label: string;
    readonly id: string;
    readonly partitions: readonly {
      readonly node: string;
      readonly start: number;
      readonly size: number;
      readonly type: string;
      readonly uuid?: string;
      readonly name?: string;
      readonly bootable?: boolean;
      readonly attrs?: string;
    }[];
  };
}

/** What `sfdisk --json` says, in our words; extended partitions left out. */
function bySfdisk(path: string) {
  const { label, id, partitions } = (JSON.parse(run("sfdisk", ["--json", path])) as SfdiskTable).partitiontable;
  const dos = label === "dos";
  return {
    scheme: dos ? "mbr" : label,
    id,
    partitions: partitions
      .filter(({ type }) => !dos || !["5", "f", "85"].includes(type))
      .map(({ node, start, size, type, uuid, name, bootable, attrs }) => ({
        number: Number(node.slice(path.length)),
        start: start * 512,
        size: size * 512,
        type: dos ? `0x${type.padStart(2, "0")}` : type,
        ...(uuid !== undefined && { uuid }),
        ...(name !== undefined && { name }),
        ...((bootable === true || attrs?.includes("LegacyBIOSBootable") === true) && { bootable: true }),
      })),
  };
}

/** What libblkid says: number, bytes, type, PARTUUID, label. */
function byPartx(path: string, sectorSize = 512) {
  const lines = run("partx", ["-P", "-S", String(sectorSize), "-o", "NR,START,SECTORS,TYPE,UUID,NAME,SCHEME", path])
    .trim()
    .split("\n");
  return lines
    .map((line) => Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key ?? "", value ?? ""])))
    .filter(({ SCHEME, TYPE }) => SCHEME !== "dos" || !["0x5", "0xf", "0x85"].includes(TYPE ?? ""))
    .map(({ NR, START, SECTORS, TYPE, UUID, NAME }) => [Number(NR), Number(START) * 512, Number(SECTORS) * 512, TYPE, UUID, NAME].join(" "))
    .toSorted();
}

/** Ours, as `byPartx` words it. */
function asPartx(table: ReturnType<typeof tableOf>) {
  const type = (text: string) =>
    text.startsWith("0x") ? `0x${Number(text).toString(16)}` : text.includes("_") ? text : text.toLowerCase();
  return table?.partitions
    .map((found) => [found.number, found.start, found.size, type(found.type), (found.uuid ?? "").toLowerCase(), found.name ?? ""].join(" "))
    .toSorted();
}

/** Ours, as `bySfdisk` words it; `sfdisk` does not tell the PARTUUIDs of an MBR. */
function withoutTypeNames(table: ReturnType<typeof tableOf>, { uuids = true } = {}) {
  const shorten = ({ typeName: _, uuid, ...rest }: Partition) => ({ ...rest, ...(uuids && { uuid }) });
  return table && { scheme: table.scheme, id: table.id, partitions: table.partitions.map(shorten) };
}

describe.skipIf(!requireProgram("sfdisk") || !requireProgram("partx"))("sfdisk and partx agree about", () => {
  test("an MBR with many logical partitions", () => {
    const path = emptyDisk(GiB);
    const logical = Array.from({ length: 40 }, (_, index) => `size=${100 + index * 7},type=${["83", "82", "8e", "7"][index % 4]}`);
    feed("sfdisk", ["-q", path], ["label: dos", "size=10M,type=c,bootable", "size=5M,type=83", "type=f", ...logical].join("\n"));
    const table = tableOf(path);
    expect(table?.partitions).toHaveLength(42);
    expect(withoutTypeNames(table, { uuids: false })).toEqual(bySfdisk(path));
    expect(asPartx(table)).toEqual(byPartx(path));
    expect(table?.notes).toEqual([]);
  });

  test("an MBR whose chain of logical partitions is out of order and has holes", () => {
    const path = emptyDisk(GiB);
    const lines = [
      "label: dos",
      "/dev/x2: start=4096,size=1000000,type=5",
      "/dev/x5: start=500000,size=100",
      "/dev/x6: start=6000,size=200",
      "/dev/x7: start=300000,size=300",
    ];
    feed("sfdisk", ["-q", path], lines.join("\n"));
    expect(asPartx(tableOf(path))).toEqual(byPartx(path));
    run("sfdisk", ["-q", "--delete", path, "6"]);
    expect(tableOf(path)?.partitions).toHaveLength(2);
    expect(asPartx(tableOf(path))).toEqual(byPartx(path));
    run("sfdisk", ["-q", "--delete", path, "5"]);
    expect(tableOf(path)?.partitions).toHaveLength(1);
    expect(asPartx(tableOf(path))).toEqual(byPartx(path));
  });

  test("an MBR without partitions", () => {
    const path = emptyDisk(MiB);
    feed("sfdisk", ["-q", path], "label: dos\nlabel-id: 0x00abcdef\n");
    expect(tableOf(path)).toEqual({ scheme: "mbr", sectorSize: 512, id: "0x00abcdef", partitions: [], notes: [] });
  });

  test("a GPT with names, attributes and holes in the numbers", () => {
    const path = emptyDisk(GiB);
    const lines = [
      "label: gpt",
      `/dev/x1: size=10M,type=U,name="EFI"`,
      `/dev/x3: size=1M,name="Daten und mehr",attrs="LegacyBIOSBootable"`,
      "/dev/x128: size=2M,type=S",
    ];
    feed("sfdisk", ["-q", path], lines.join("\n"));
    const table = tableOf(path);
    expect(table?.partitions.map(({ number }) => number)).toEqual([1, 3, 128]);
    expect(withoutTypeNames(table)).toEqual(bySfdisk(path));
    expect(asPartx(table)).toEqual(byPartx(path));
    expect(table?.notes).toEqual([]);
  });

  test("a GPT of another length", () => {
    const path = emptyDisk(GiB);
    feed("sfdisk", ["-q", path], "label: gpt\ntable-length: 512\n/dev/x500: size=1M\n/dev/x1: size=1M\n");
    expect(tableOf(path)?.partitions.map(({ number }) => number)).toEqual([1, 500]);
    expect(withoutTypeNames(tableOf(path))).toEqual(bySfdisk(path));
  });

  test("a GPT on a 15 TiB disk, found in a moment", () => {
    const path = emptyDisk(15 * 1024 * GiB);
    feed("sfdisk", ["-q", path], "label: gpt\nsize=10T\nsize=3T\n");
    const started = performance.now();
    const table = tableOf(path);
    expect(performance.now() - started).toBeLessThan(100);
    expect(withoutTypeNames(table)).toEqual(bySfdisk(path));
  });

  test("a GPT of which the first 34 sectors are gone, once its protective MBR is back", () => {
    const path = emptyDisk(GiB);
    feed("sfdisk", ["-q", path], "label: gpt\nsize=1M\nsize=2M\n");
    const whole = bySfdisk(path);
    const fd = openSync(path, "r");
    const mbr = Buffer.alloc(512);
    readSync(fd, mbr, 0, 512, 0);
    closeSync(fd);
    overwrite(path, 0, Buffer.alloc(34 * 512, 0xa5));
    expect(withoutTypeNames(tableOf(path))).toEqual(whole);
    overwrite(path, 0, mbr);
    expect(withoutTypeNames(tableOf(path))).toEqual(bySfdisk(path));
    expect(tableOf(path)?.notes).toEqual([`only the backup GPT at byte ${GiB - 512} is intact; it is used`]);
  });

  test.each([
    ["its header", 512 + 40],
    ["its entries", 1024 + 35],
  ])("a GPT with %s damaged", (_, at) => {
    const path = emptyDisk(GiB);
    feed("sfdisk", ["-q", path], "label: gpt\nsize=1M\nsize=2M\n");
    const whole = bySfdisk(path);
    overwrite(path, at, Buffer.from([0x5a]));
    expect(bySfdisk(path)).toEqual(whole);
    expect(withoutTypeNames(tableOf(path))).toEqual(whole);
  });
});

describe.skipIf(!requireProgram("fdisk") || !requireProgram("partx"))("fdisk and partx agree about sectors of 4096 bytes:", () => {
  const steps = (label: string) => `${label}\nn\n${label === "o" ? "p\n" : ""}1\n\n+4M\nn\n${label === "o" ? "p\n3\n" : "7\n"}\n+8M\nw\n`;

  test("a GPT", () => {
    const path = emptyDisk(64 * MiB);
    feed("fdisk", ["-b", "4096", path], steps("g"));
    const table = tableOf(path);
    expect(table).toMatchObject({
      scheme: "gpt",
      sectorSize: 4096,
      notes: [],
      partitions: [{ number: 1, start: MiB, size: 4 * MiB }, { number: 7 }],
    });
    expect(asPartx(table)).toEqual(byPartx(path, 4096));
    overwrite(path, 0, Buffer.alloc(34 * 4096));
    expect(tableOf(path)?.partitions).toEqual(table?.partitions);
  });

  test("an MBR, where the image tells the size", () => {
    const path = emptyDisk(64 * MiB);
    feed("fdisk", ["-b", "4096", path], steps("o"));
    const table = tableOf(path, 4096);
    expect(table).toMatchObject({
      scheme: "mbr",
      partitions: [
        { number: 1, start: MiB, size: 4 * MiB },
        { number: 3, size: 8 * MiB },
      ],
    });
    expect(asPartx(table)).toEqual(byPartx(path, 4096));
  });
});

describe.skipIf(!requireProgram("sgdisk") || !requireProgram("partx"))("sgdisk and partx agree about", () => {
  test("a hybrid MBR: the GPT's numbers count", () => {
    const path = emptyDisk(64 * MiB);
    run("sgdisk", ["-n", "1:2048:+4M", "-n", "2:0:+8M", "-n", "6:0:+1M", "-c", "6:sixth", "-t", "2:0700", "-h", "2:6", path]);
    const table = tableOf(path);
    expect(table?.scheme).toBe("hybrid");
    expect(asPartx(table)).toEqual(byPartx(path));
    expect(table?.notes).toEqual([
      "the hybrid MBR lists partition 2 of type 0x07 (NTFS, exFAT or HPFS), 8388608 bytes at byte 5242880",
      "the hybrid MBR lists partition 3 of type 0x83 (Linux), 1048576 bytes at byte 13631488",
    ]);
    const info = run("sgdisk", ["-i", "6", path]);
    const sixth = table?.partitions.find(({ number }) => number === 6);
    expect(info).toContain(`Partition unique GUID: ${sixth?.uuid}`);
    expect(info).toContain(`Partition GUID code: ${sixth?.type}`);
    expect(info).toContain(`Partition name: '${sixth?.name}'`);
  });

  test("an MBR that was made from a GPT, where the backup GPT is still there", () => {
    const path = emptyDisk(64 * MiB);
    run("sgdisk", ["-n", "1:2048:+4M", path]);
    overwrite(path, 0, Buffer.alloc(34 * 512));
    feed("sfdisk", ["-q", "--wipe", "never", path], "label: dos\nstart=4096,size=100\n");
    expect(tableOf(path)).toMatchObject({ scheme: "mbr", partitions: [{ number: 1, start: 4096 * 512 }] });
    expect(asPartx(tableOf(path))).toEqual(byPartx(path));
  });
});

describe.skipIf(!requireProgram("parted") || !requireProgram("partx"))("parted and partx agree about", () => {
  test("an Apple partition map", () => {
    const path = emptyDisk(64 * MiB);
    run("parted", [
      "-s",
      path,
      "mklabel",
      "mac",
      "mkpart",
      "one",
      "hfs+",
      "1MiB",
      "5MiB",
      "mkpart",
      "two",
      "ext2",
      "5MiB",
      "7MiB",
      "name",
      "2",
      "hello",
    ]);
    const table = tableOf(path);
    expect(table).toMatchObject({ scheme: "apm", sectorSize: 512, notes: [] });
    expect(asPartx(table)).toEqual(byPartx(path));
    // parted hides free space; its lines are number:start:end:size:file system:name:flags.
    const printed = run("parted", ["-s", "-m", path, "unit", "B", "print"]).trim().split("\n").slice(2);
    const listed = table?.partitions.filter(({ type }) => type !== "Apple_Free");
    expect(listed?.map(({ number, start, size, name }) => `${number}:${start}B:${start + size - 1}B:${size}B::${name}`)).toEqual(
      printed.map((line) => line.split(":").slice(0, 6).join(":")),
    );
  });

  test("a GPT and an MBR with logical partitions", () => {
    for (const label of ["gpt", "msdos"]) {
      const path = emptyDisk(64 * MiB);
      const parts =
        label === "gpt"
          ? ["a", "1MiB", "5MiB", "mkpart", "b", "5MiB", "9MiB"]
          : ["primary", "1MiB", "5MiB", "mkpart", "extended", "5MiB", "60MiB", "mkpart", "logical", "6MiB", "9MiB"];
      run("parted", ["-s", path, "mklabel", label, "mkpart", ...parts]);
      expect(tableOf(path)?.partitions).toHaveLength(2);
      expect(asPartx(tableOf(path))).toEqual(byPartx(path));
    }
  });
});

describe.skipIf(!requireProgram("mkfs.ext4") || !requireProgram("sgdisk"))("a file system on the whole disk has no table:", () => {
  test("ext4, also where a backup GPT is left behind it", () => {
    const path = emptyDisk(64 * MiB);
    run("sgdisk", ["-n", "1:2048:+4M", path]);
    run("mkfs.ext4", ["-q", "-F", path]);
    expect(tableOf(path)).toBeUndefined();
  });
});
