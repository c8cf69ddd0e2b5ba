// Trees of files, on a file system and in a container, in one shape that can be compared.
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Item } from "../../src/containers/container.js";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import { noise, text } from "./content.js";

/** What is compared of one thing: of what the reader compared with cannot tell, nothing. */
export interface Entry {
  readonly kind: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds. */
  readonly modified?: number;
  readonly size?: number;
  readonly target?: string;
  readonly sha256?: string;
}

export type Listing = ReadonlyMap<string, Entry>;

export type Aspect = keyof Entry;

/** A tree below `folder`, with the aspects that matter. */
export function listFolder(folder: string, aspects: readonly Aspect[]): Listing {
  const found = new Map<string, Entry>();
  const walk = (path: string): void => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const here = path === "" ? name : `${path}/${name}`;
      const stat = lstatSync(join(folder, here));
      const kind = stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "symlink" : stat.isFile() ? "file" : "special";
      found.set(
        here,
        pick(aspects, {
          kind,
          mode: stat.mode & 0o7777,
          uid: stat.uid,
          gid: stat.gid,
          modified: Math.floor(stat.mtimeMs / 1000),
          ...(kind === "file" && { size: stat.size, sha256: hashOf(readFileSync(join(folder, here))) }),
          ...(kind === "symlink" && { target: readlinkSync(join(folder, here)) }),
        }),
      );
      if (kind === "directory") walk(here);
    }
  };
  walk("");
  return found;
}

/** The tree of a container. */
export function listContainer(container: Container, aspects: readonly Aspect[]): Listing {
  const found = new Map<string, Entry>();
  const walk = (path: string, directory: Item): void => {
    for (const [name, item] of [...container.list(directory.id)].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const here = path === "" ? name : `${path}/${name}`;
      const again = container.item(item.id);
      if (JSON.stringify(again) !== JSON.stringify(item)) {
        throw new Error(`${here}: listed as ${JSON.stringify(item)}, by its number ${JSON.stringify(again)}`);
      }
      found.set(here, pick(aspects, entryOf(container, item)));
      if (item.kind === "directory") walk(here, item);
    }
  };
  walk("", container.root);
  return found;
}

function entryOf(container: Container, { id, kind, mode, uid, gid, modified, size, target }: Item): Entry {
  return {
    kind: ["directory", "symlink", "file"].includes(kind) ? kind : "special",
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(modified !== undefined && { modified: Math.floor(modified / 1000) }),
    ...(kind === "file" && { size, sha256: hashOf(contentOf(container, id)) }),
    ...(target !== undefined && kind === "symlink" && { target }),
  };
}

/** All bytes of a file. */
export function contentOf(container: Container, id: number): Buffer {
  const content = container.content(id);
  const target = Buffer.alloc(content.size, 0xee);
  if (target.length > 0) readDisk(content, target, 0, createBlockCache(2 ** 22));
  return target;
}

function pick(aspects: readonly Aspect[], entry: Entry): Entry {
  return Object.fromEntries(Object.entries(entry).filter(([aspect]) => aspects.includes(aspect as Aspect))) as unknown as Entry;
}

function hashOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Paths whose entries differ, with both sides; none if the trees are the same. */
export function treeDifferences(found: Listing, expected: Listing): readonly string[] {
  const paths = [...new Set([...found.keys(), ...expected.keys()])].sort();
  return paths
    .filter((path) => JSON.stringify(sorted(found.get(path))) !== JSON.stringify(sorted(expected.get(path))))
    .map((path) => `${path}: found ${JSON.stringify(found.get(path))}, expected ${JSON.stringify(expected.get(path))}`);
}

function sorted(entry: Entry | undefined): unknown {
  return entry && Object.fromEntries(Object.entries(entry).sort());
}

/** A tree of all that file systems hold: deep and wide directories, long names, empty and odd-sized files, links. */
export function makeTree(folder: string, { deep = 6, wide = 90 }: { deep?: number; wide?: number } = {}): void {
  const file = (path: string, content: Uint8Array) => writeFileSync(join(folder, path), content);
  mkdirSync(join(folder, "wide directory"), { recursive: true });
  for (let index = 0; index < wide; index += 1) {
    file(
      `wide directory/entry number ${index} with a rather long name, so that the directory takes several sectors.txt`,
      text(index, 30 + index),
    );
  }
  const chain = Array.from({ length: deep }, (_, depth) => `level-${depth}`).join("/");
  mkdirSync(join(folder, chain), { recursive: true });
  file(`${chain}/at the bottom`, noise(1, 5000));
  file("empty", new Uint8Array());
  file("one sector", noise(2, 2048));
  file("odd.bin", noise(3, 123_457));
  file("zeros.bin", Buffer.alloc(300_000));
  file("text.txt", text(4, 70_000));
  file("UPPER.TXT", text(5, 10));
  file("Ünïcödé 文字.txt", text(6, 99));
  file(`${"n".repeat(200)}.long`, text(7, 7));
  file("script.sh", Buffer.from("#!/bin/sh\nexit 0\n"));
  symlinkSync("text.txt", join(folder, "link to text"));
  symlinkSync("../../usr/./share//nowhere", join(folder, "broken link"));
  symlinkSync("/etc/passwd", join(folder, "absolute link"));
  symlinkSync(`${"component/".repeat(14)}end`, join(folder, "long link"));
  utimesSync(join(folder, "text.txt"), 1_000_000_000, 1_100_000_000);
}
