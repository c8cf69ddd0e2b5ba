import * as fs from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemCode } from "../../src/util/errors.js";
import { fingerprint } from "../support/hash.js";
import type { Mounts, Served } from "../support/mount.js";
import { sampleDisk } from "./sample.js";

const DIRECT_WRITE = fs.constants.O_WRONLY | fs.constants.O_APPEND;

export function refusals(mounts: Mounts): void {
  let served: Served;
  let home: string;
  let before: string;
  beforeAll(async () => {
    const { image } = sampleDisk(mounts.directory);
    home = join(image, "..");
    before = fingerprint(home);
    served = await mounts.serve(image);
  });

  const inMount = (name: string) => join(served.mountpoint, name);
  const writes: Readonly<Record<string, (disk: string) => unknown>> = {
    "opening for writing": (disk) => fs.openSync(disk, "r+"),
    "opening for appending": (disk) => fs.openSync(disk, DIRECT_WRITE),
    "opening and emptying": (disk) => fs.openSync(disk, "w"),
    "making a file": () => fs.writeFileSync(inMount("new"), ""),
    "making a directory": () => fs.mkdirSync(inMount("new")),
    "making a link": (disk) => fs.symlinkSync(disk, inMount("new")),
    "making a hard link": (disk) => fs.linkSync(disk, inMount("new")),
    "removing the disk": (disk) => fs.unlinkSync(disk),
    renaming: (disk) => fs.renameSync(disk, inMount("new")),
    shortening: (disk) => fs.truncateSync(disk, 0),
    "changing the mode": (disk) => fs.chmodSync(disk, 0o666),
    "changing the owner": (disk) => fs.chownSync(disk, 1, 1),
    "changing times": (disk) => fs.utimesSync(disk, 0, 0),
  };

  test.each(Object.keys(writes))("%s: EROFS", (name) => {
    expect(codeOf(() => writes[name]?.(served.disk))).toBe("EROFS");
  });

  test("what is not there: ENOENT", () => {
    expect(codeOf(() => fs.statSync(inMount("disk.img")))).toBe("ENOENT");
    expect(codeOf(() => fs.readdirSync(inMount("files")))).toBe("ENOENT");
    // Asked twice: the kernel may remember that there is nothing.
    expect(codeOf(() => fs.openSync(inMount("disk.img"), "r"))).toBe("ENOENT");
  });

  test("a file is no directory, a directory no file, and nothing is a link", () => {
    expect(codeOf(() => fs.statSync(inMount("disk.raw/x")))).toBe("ENOTDIR");
    expect(codeOf(() => fs.readdirSync(served.disk))).toBe("ENOTDIR");
    expect(codeOf(() => fs.readFileSync(served.mountpoint))).toBe("EISDIR");
    expect(codeOf(() => fs.readlinkSync(served.disk))).toBe("EINVAL");
  });

  test("long names", () => {
    expect(codeOf(() => fs.statSync(inMount("n".repeat(255))))).toBe("ENOENT");
    expect(codeOf(() => fs.statSync(inMount("ü".repeat(127))))).toBe("ENOENT");
    expect(codeOf(() => fs.statSync(inMount("n".repeat(256))))).toMatch(/^(?:ENAMETOOLONG|ENOENT)$/);
  });

  afterAll(() => {
    expect(fingerprint(home)).toBe(before);
  });
}

/** The code of the error that `action` throws. */
export function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return systemCode(error) ?? String(error);
  }
}
