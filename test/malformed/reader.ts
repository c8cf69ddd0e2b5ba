// Reads what a program mounted; a process of its own, so that a mount that never answers holds up nobody else.
import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Range } from "./sample.js";

/** What no file of the set comes near to. */
const MOST_BYTES = 2 ** 26;
/** What is read of a file that is larger all the same. */
const SAMPLE = 2 ** 20;
const MOST_FILES = 1000;
const PAGE = 4096;

export interface Reading {
  readonly failed: readonly Range[];
  readonly size: number;
  /** The first error's code. */
  readonly code?: string;
}

function readFile(path: string): { bytes: Buffer } & Reading {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(size > MOST_BYTES ? SAMPLE : size);
    const failed: Range[] = [];
    let code: string | undefined;
    for (let at = 0; at < bytes.length; at += PAGE) {
      const length = Math.min(PAGE, bytes.length - at);
      try {
        // An end before the size is told as an error: nothing was read there.
        if (readSync(file, bytes, at, length, at) < length) failed.push([at, at + length]);
      } catch (error) {
        code ??= String((error as NodeJS.ErrnoException).code);
        failed.push([at, at + length]);
        if (code === "ENOTCONN") break;
      }
    }
    return { bytes, failed, size, ...(code !== undefined && { code }) };
  } finally {
    closeSync(file);
  }
}

/** Writes the bytes to `out`, and what failed to `out.json`. */
export function readDisk(path: string, out: string): void {
  const { bytes, ...reading } = readFile(path);
  writeFileSync(out, bytes);
  writeFileSync(`${out}.json`, JSON.stringify(reading));
}

/** Writes what is below `root` to `out`: by path its content in base64, null where it cannot be read. */
export function readTree(root: string, out: string): void {
  const files: Record<string, string | null> = {};
  let code: string | undefined;
  let count = 0;
  const walk = (folder: string, prefix: string, depth: number) => {
    if (depth > 30) throw new Error("the folders have no end");
    for (const name of readdirSync(folder)) {
      count += 1;
      if (count > MOST_FILES) throw new Error("the folders have no end");
      const path = join(folder, name);
      const shown = prefix + name;
      try {
        const stat = lstatSync(path);
        if (stat.isDirectory()) walk(path, `${shown}/`, depth + 1);
        else if (stat.isFile()) {
          const { bytes, failed, code: own } = readFile(path);
          code ??= own;
          files[shown] = failed.length > 0 ? null : bytes.toString("base64");
        }
      } catch (error) {
        if (!(error as NodeJS.ErrnoException).code) throw error;
        code ??= (error as NodeJS.ErrnoException).code;
        files[shown] = null;
      }
    }
  };
  walk(root, "", 0);
  writeFileSync(out, JSON.stringify({ files, code }));
}
