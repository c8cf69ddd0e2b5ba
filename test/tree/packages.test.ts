// Packages of machines with disks of every kind, as one archive and as files, through the whole way: each disk is the one that was put in.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeAt } from "../../src/tree/node.js";
import { checkShown } from "../../src/tree/check.js";
import { openView } from "../../src/tree/view.js";
import { noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { buildManifest, buildOvf, buildTar, type FileRecipe, type TarMember } from "../support/ovf-builder.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const CHUNK = 300_000;
const directory = tempDirectory();

/** Ways to store a disk in a package: what qemu-img is asked for, and what is done with the files then. */
const kinds: Readonly<
  Record<string, { readonly format: string; readonly options?: string; readonly packing?: "gzip" | "chunks" | "both" }>
> = {
  stream: { format: "vmdk", options: "subformat=streamOptimized" },
  sparse: { format: "vmdk", options: "subformat=monolithicSparse" },
  flat: { format: "vmdk", options: "subformat=monolithicFlat" },
  "split-sparse": { format: "vmdk", options: "subformat=twoGbMaxExtentSparse" },
  "split-flat": { format: "vmdk", options: "subformat=twoGbMaxExtentFlat" },
  qcow2: { format: "qcow2" },
  vhd: { format: "vpc", options: "force_size=on" },
  vhdx: { format: "vhdx" },
  raw: { format: "raw" },
  vdi: { format: "vdi" },
  "gzip-stream": { format: "vmdk", options: "subformat=streamOptimized", packing: "gzip" },
  "gzip-raw": { format: "raw", packing: "gzip" },
  "chunked-stream": { format: "vmdk", options: "subformat=streamOptimized", packing: "chunks" },
  "chunked-raw": { format: "raw", packing: "chunks" },
  "chunked-gzip": { format: "qcow2", packing: "both" },
};

interface Stored {
  readonly file: FileRecipe;
  readonly members: readonly TarMember[];
}

/** The disk `content` as the package stores it, with all files that belong to it. */
function store(name: string, content: Uint8Array): Stored {
  const { format, options, packing } = kinds[name] ?? { format: "raw" };
  const home = subdirectory(directory);
  const raw = join(home, "source");
  writeFileSync(raw, content);
  const href = `${name}.${format === "vpc" ? "vhd" : format}`;
  const target = join(home, href);
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", format, ...(options === undefined ? [] : ["-o", options]), raw, target]);
  execFileSync("rm", [raw]);
  const names = execFileSync("ls", [home], { encoding: "utf8" }).trim().split("\n");
  const members = names.map((each) => ({ name: each, content: readFileSync(join(home, each)) }));
  const [own] = members.filter((member) => member.name === href);
  if (packing === undefined || !own) return { file: { id: name, href, size: own?.content.length }, members };
  const bytes = packing === "chunks" ? own.content : gzipSync(own.content);
  const compression = packing === "chunks" ? undefined : "gzip";
  if (packing === "gzip") return { file: { id: name, href, size: bytes.length, compression }, members: [{ name: href, content: bytes }] };
  const chunks = Array.from({ length: Math.ceil(bytes.length / CHUNK) }, (_, index) => ({
    name: `${href}.${String(index).padStart(9, "0")}`,
    content: bytes.subarray(index * CHUNK, (index + 1) * CHUNK),
  }));
  return { file: { id: name, href, size: bytes.length, chunkSize: CHUNK, compression }, members: chunks };
}

/** All files of a package with the disks of those kinds. */
function packageOf(disks: ReadonlyMap<string, Uint8Array>): readonly TarMember[] {
  const stored = [...disks].map(([name, content]) => store(name, content));
  const ovf = buildOvf({
    files: stored.map(({ file }) => file),
    disks: [...disks].map(([name, content]) => ({ id: `d-${name}`, file: name, capacity: String(content.length) })),
  });
  const members = [{ name: "machine.ovf", content: ovf }, ...stored.flatMap((each) => each.members)];
  return [members[0] ?? { name: "", content: "" }, { name: "machine.mf", content: buildManifest(members) }, ...members.slice(1)];
}

function viewOf(image: string) {
  return openView({ image, options: {}, root: "directory", mode: 0o444, cacheLimit: 8 * MIB });
}

function expectDisks(image: string, disks: ReadonlyMap<string, Uint8Array>): void {
  const before = fingerprint(dirname(image));
  const view = viewOf(image);
  try {
    expect(view.description.notes).toEqual([]);
    expect(view.description.disks?.map(({ name }) => name)).toEqual([...disks.keys()]);
    for (const [name, expected] of disks) {
      const node = nodeAt(view.tree, `disks/${name}/disk.raw`);
      if (node?.kind !== "file") throw new Error(`${name} is not there`);
      const content = Buffer.alloc(node.file.size);
      node.file.read(content, 0);
      expect(content.equals(expected), name).toBe(true);
      const somewhere = Buffer.alloc(70_001);
      node.file.read(somewhere, MIB - 33);
      expect(somewhere.equals(expected.subarray(MIB - 33, MIB - 33 + somewhere.length)), name).toBe(true);
    }
    expect(checkShown(view.shown, "it", () => undefined).filter(({ severity }) => severity !== "ok")).toEqual([]);
  } finally {
    view.close();
  }
  expect(fingerprint(dirname(image))).toBe(before);
}

describe.skipIf(!requireProgram("qemu-img"))("packages", () => {
  const contents = new Map<string, Uint8Array>();
  const members = new Map<string, readonly TarMember[]>();
  const groups = [
    ["stream"],
    ["sparse", "flat"],
    ["split-sparse", "split-flat", "qcow2"],
    ["vhd", "vhdx", "raw", "vdi"],
    ["gzip-stream", "gzip-raw"],
    ["chunked-stream", "chunked-raw"],
    ["chunked-gzip", "qcow2", "stream", "gzip-raw"],
  ] as const;

  beforeAll(() => {
    for (const [index, name] of Object.keys(kinds).entries()) {
      const content = Buffer.alloc(4 * MIB);
      noise(index, 700_000 + index * 512).copy(content, MIB - 1024);
      noise(index + 100, 5000).copy(content, 4 * MIB - 5000);
      contents.set(name, content);
    }
    for (const group of groups) members.set(group.join(), packageOf(disksOf(group)));
  });

  const disksOf = (names: readonly string[]) => new Map(names.map((name) => [name, contents.get(name) ?? new Uint8Array()]));

  test.each(groups.map((group) => [group]))("as one archive: %s", (group) => {
    const image = join(subdirectory(directory), "machine.ova");
    writeFileSync(image, buildTar(members.get(group.join()) ?? []));
    expectDisks(image, disksOf(group));
  });

  test.each(groups.map((group) => [group]))("as files: %s", (group) => {
    const home = subdirectory(directory);
    for (const { name, content } of members.get(group.join()) ?? []) writeFileSync(join(home, name), content);
    expectDisks(join(home, "machine.ovf"), disksOf(group));
  });

  test("a byte that was flipped anywhere is found, and the file named", () => {
    const whole = buildTar(members.get("stream") ?? []);
    const image = join(subdirectory(directory), "machine.ova");
    const start = whole.indexOf("KDMV");
    for (const position of [start, start + 70_000, start + 512 * 300 + 11]) {
      const changed = Buffer.from(whole);
      changed[position] = (changed[position] ?? 0) ^ 4;
      writeFileSync(image, changed);
      const view = viewOf(image);
      const errors = checkShown(view.shown, "it", () => undefined).filter(({ severity }) => severity === "error");
      view.close();
      expect(errors.map(({ file, kind }) => `${file} ${kind}`)).toContain("it: stream.vmdk digest differs");
    }
  });

  test("a compressed package in a compressed archive", () => {
    const home = subdirectory(directory);
    writeFileSync(join(home, "machine.ova"), buildTar(members.get("gzip-stream,gzip-raw") ?? []));
    const image = join(subdirectory(directory), "all.tar.xz");
    execFileSync("tar", ["-cJf", image, "-C", home, "machine.ova"]);
    const view = viewOf(image);
    const node = nodeAt(view.tree, "disks/machine/disks/gzip-stream/disk.raw");
    if (node?.kind !== "file") throw new Error("the disk is not there");
    const content = Buffer.alloc(node.file.size);
    node.file.read(content, 0);
    expect(content.equals(contents.get("gzip-stream") ?? new Uint8Array())).toBe(true);
    view.close();
  });
});
