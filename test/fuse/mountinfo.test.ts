import { spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { mountAt, mountsOf } from "../../src/fuse/mountinfo.js";
import { run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";

describe.runIf(process.platform === "linux")("what is mounted", () => {
  test("the root is, and /proc", () => {
    expect(mountAt("/")).toMatchObject({ mountpoint: "/", root: expect.stringMatching(/^\//) });
    expect(mountAt("/proc")).toMatchObject({ type: "proc", root: "/" });
    expect(mountAt("/proc/self")).toBeUndefined();
  });

  test("every line is understood", () => {
    for (const { id, parent, device, mountpoint, type, options } of mountsOf()) {
      expect([id, parent].every(Number.isSafeInteger)).toBe(true);
      expect(device).toMatch(/^\d+:\d+$/);
      expect(mountpoint).toMatch(/^\//);
      expect(type).toMatch(/^\S+$/);
      expect(options).toEqual(expect.arrayContaining([expect.stringMatching(/^r[ow]$/)]));
    }
  });
});

describe.runIf(mayMount())("mounts with odd names", () => {
  const directory = tempDirectory();
  let mountpoint: string;
  afterEach(() => {
    while (mountAt(mountpoint)) run("umount", [mountpoint]);
  });

  test.each(["with blanks", "tab\tand\nline break", "back\\slash", "\\040", " - ", "über", "-", "a,b:c#d"])("%j", (name) => {
    mountpoint = join(directory, name);
    mkdirSync(mountpoint);
    run("mount", ["-t", "tmpfs", "-o", "ro,nodev,size=4k", `source ${name}`, mountpoint]);
    const { dev } = statSync(mountpoint);
    expect(mountAt(mountpoint)).toMatchObject({
      mountpoint,
      source: `source ${name}`,
      type: "tmpfs",
      // As makedev(3) packs them, for small numbers.
      device: `${dev >> 8}:${dev & 255}`,
      options: expect.arrayContaining(["ro", "nodev"]),
    });
  });

  test("of several at one place, the topmost", () => {
    mountpoint = join(directory, "stack");
    mkdirSync(mountpoint);
    for (const source of ["lower", "upper"]) run("mount", ["-t", "tmpfs", source, mountpoint]);
    const [lower, upper] = mountsOf().filter((mount) => mount.mountpoint === mountpoint);
    expect(mountAt(mountpoint)).toMatchObject({ id: upper?.id, source: "upper", parent: lower?.id });
  });
});

/** Root in a container may not. */
function mayMount(): boolean {
  return process.geteuid?.() === 0 && spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).status === 0;
}
