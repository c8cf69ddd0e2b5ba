import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../src/containers/container.js";
import { initramfs } from "../../src/containers/cpio/index.js";
import { createIndexStore } from "../../src/disk/index-store.js";
import { createUnpacker } from "../../src/disk/unpack.js";
import { memorySource } from "../../src/source/memory.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, contentOf, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";

const aspects: readonly Aspect[] = ["kind", "mode", "uid", "gid", "modified", "size", "target", "sha256"];

function opened(content: Uint8Array): Container {
  const unpacker = createUnpacker(createIndexStore({}, undefined), { degraded: false });
  const unpack = (source: Parameters<typeof unpacker.unpack>[0], label: string) => {
    const { source: inner, packings } = unpacker.unpack(source, label);
    return packings.length > 0 ? inner : undefined;
  };
  return initramfs.open(memorySource("initrd.img", content), { ...alone, unpack });
}

const packers: Readonly<Record<string, readonly string[]>> = {
  gzip: ["gzip", "-c"],
  xz: ["xz", "-c", "--check=crc32"],
  zstd: ["zstd", "-q", "-c"],
  bzip2: ["bzip2", "-c"],
  "lz4, legacy": ["lz4", "-q", "-l", "-c"],
  lzma: ["xz", "--format=lzma", "-c"],
};

describe.skipIf(!requireProgram("bsdtar"))("archives made by bsdtar", () => {
  const directory = tempDirectory();
  let tree: string;

  beforeAll(() => {
    tree = join(subdirectory(directory), "tree");
    mkdirSync(tree);
    makeTree(tree, { deep: 10, wide: 50 });
    chmodSync(join(tree, "script.sh"), 0o4755);
    linkSync(join(tree, "odd.bin"), join(tree, "second name"));
  });

  const archive = (format: string, folder = tree) =>
    execFileSync("bsdtar", ["-c", "-f", "-", `--format=${format}`, "-C", folder, "."], { maxBuffer: 2 ** 26 });

  test.each(["newc", "odc", "bin"])("%s", (format) => {
    const content = archive(format);
    expect(initramfs.probe(memorySource("x", content))).toBe(true);
    expect(treeDifferences(listContainer(opened(content), aspects), listFolder(tree, aspects))).toEqual([]);
  });

  test.each(Object.entries(packers))("microcode first, then one compressed with %s", (_, [program = "", ...options]) => {
    const early = subdirectory(directory);
    mkdirSync(join(early, "kernel", "x86", "microcode"), { recursive: true });
    writeFileSync(join(early, "kernel", "x86", "microcode", "GenuineIntel.bin"), noise(1, 3000));
    const { stdout } = spawnSync(program, options, { input: archive("newc"), maxBuffer: 2 ** 26 });
    const container = opened(Buffer.concat([archive("newc", early), Buffer.alloc(1000), stdout]));
    const found = new Map([...listContainer(container, aspects)].filter(([path]) => path !== "kernel" && !path.startsWith("kernel/")));
    expect(treeDifferences(found, listFolder(tree, aspects))).toEqual([]);
    expect(container.facts().details).toMatchObject({ "early microcode": true });
    expect(container.facts().notes).toEqual([]);
    container.close?.();
  });

  test("what comes later replaces what was there", () => {
    const folders = [1, 2].map((index) => {
      const folder = subdirectory(directory);
      writeFileSync(join(folder, "init"), `version ${index}`);
      writeFileSync(join(folder, `only ${index}`), "x");
      return folder;
    });
    const container = opened(Buffer.concat(folders.map((folder) => archive("newc", folder))));
    const names = container.list(container.root.id);
    expect([...names.keys()].sort()).toEqual(["init", "only 1", "only 2"]);
    expect(contentOf(container, names.get("init")?.id ?? 0).toString()).toBe("version 2");
  });

  test("the bytes of a file with several names stand with one of them", () => {
    const container = opened(archive("newc"));
    const names = container.list(container.root.id);
    const [first, second] = [names.get("odd.bin"), names.get("second name")];
    expect(first?.id).toBe(second?.id);
    expect(contentOf(container, second?.id ?? 0).equals(readFileSync(join(tree, "odd.bin")))).toBe(true);
  });

  test("cut anywhere: what is there is shown, the loss is told", () => {
    const content = archive("newc").subarray(0, 60_000);
    for (let size = 200; size < content.length; size += 997) {
      const container = opened(content.subarray(0, size));
      expect(container.facts().notes.join()).toMatch(/cut/);
      container.list(container.root.id);
    }
  });

  test("bytes changed anywhere end in a listing or an error", () => {
    const content = archive("newc");
    for (let at = 0; at < 20_000; at += 41) {
      const changed = Buffer.from(content);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      try {
        if (initramfs.probe(memorySource("x", changed))) listContainer(opened(changed), ["kind", "target"]);
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageError" });
      }
    }
  });
});

/** A "newc" entry from the specification alone. */
function entry(
  name: string,
  content: Uint8Array,
  fields: Partial<Record<"mode" | "links" | "inode" | "major" | "minor", number>> = {},
): Buffer {
  const { mode = 0o100644, links = 1, inode = 7, major = 0, minor = 0 } = fields;
  const numbers = [inode, mode, 1, 2, links, 1_700_000_000, content.length, 8, 1, major, minor, name.length + 1, 0];
  const head = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}${name}\0`;
  const pad = (size: number) => Buffer.alloc((4 - (size % 4)) % 4);
  return Buffer.concat([Buffer.from(head), pad(head.length), content, pad(content.length)]);
}

const end = entry("TRAILER!!!", new Uint8Array());

describe("archives from the specification", () => {
  test("devices, and names that lead out", () => {
    const container = opened(
      Buffer.concat([
        entry("dev/console", new Uint8Array(), { mode: 0o020600, major: 5, minor: 1 }),
        entry("../evil", noise(1, 5)),
        entry("/absolute/./x", noise(2, 6)),
        end,
      ]),
    );
    const names = container.list(container.root.id);
    expect([...names.keys()]).toEqual(["dev", "absolute"]);
    const device = container.list(names.get("dev")?.id ?? 0).get("console");
    expect(device).toMatchObject({ kind: "character device", mode: 0o600, device: { major: 5, minor: 1 } });
    expect(container.facts().notes.join()).toMatch(/evil leads out/);
  });

  test("what is no archive behind one is told", () => {
    const container = opened(Buffer.concat([entry("a", noise(1, 5)), end, Buffer.alloc(512), noise(3, 5000)]));
    expect(container.facts().notes.join()).toMatch(/neither an archive nor compressed/);
    expect([...container.list(container.root.id).keys()]).toEqual(["a"]);
  });
});
