import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { subdirectory, tempDirectory } from "../support/temp.js";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

describe("the code that is kept", () => {
  const folders = tempDirectory();
  test("is kept by the first command, and used by the next", () => {
    const cache = subdirectory(folders);
    const expected = version(cache);
    const [file] = kept(cache);
    const before = statSync(file as string);
    expect(before.mode & 0o777).toBe(0o600);
    expect(version(cache)).toBe(expected);
    expect(kept(cache)).toEqual([file]);
    expect(statSync(file as string).ino).toBe(before.ino);
  });

  test("is made anew where it is damaged or cut", () => {
    const cache = subdirectory(folders);
    const expected = version(cache);
    const [file = ""] = kept(cache);
    const good = readFileSync(file);
    for (const bad of [Buffer.alloc(0), good.subarray(0, 1000), Buffer.alloc(good.length, 0x5a)]) {
      writeFileSync(file, bad);
      expect(version(cache)).toBe(expected);
      expect(readFileSync(file).length).toBeGreaterThan(100_000);
    }
  });

  test("is never taken from where others can write, nor put there", () => {
    const cache = subdirectory(folders);
    const folder = join(cache, "flatmount/code");
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o777);
    version(cache);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("of an older build goes when the new one is kept", () => {
    const cache = subdirectory(folders);
    version(cache);
    const [file = ""] = kept(cache);
    const old = file.replace(/\d+$/, "1");
    writeFileSync(old, "old");
    writeFileSync(file, "damaged");
    version(cache);
    expect(kept(cache)).toEqual([file]);
  });

  test("cannot be kept: the command works as well", () => {
    expect(version("/proc/nowhere")).toMatch(/^\d/);
  });
});

function version(cache: string): string {
  return execFileSync(process.execPath, [program, "--version"], { encoding: "utf8", env: { ...process.env, XDG_CACHE_HOME: cache } });
}

function kept(cache: string): string[] {
  const folder = join(cache, "flatmount/code");
  return readdirSync(folder).map((name) => join(folder, name));
}
