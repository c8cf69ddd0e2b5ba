import { closeSync, openSync, readSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { mixed } from "../support/content.js";
import { type Mounts, type Served, until } from "../support/mount.js";
import { qemuImg, qemuMap } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { codeOf } from "./refusals.js";

const MIB = 2 ** 20;

/** A disk the end of whose file is lost: what was stored there must not read as zeros, and everything else must read. */
export function damage(mounts: Mounts): void {
  const content = mixed(6, 8 * MIB);
  let served: Served;
  let lost: readonly { readonly start: number; readonly length: number }[];
  beforeAll(async () => {
    const home = subdirectory(mounts.directory);
    const image = join(home, "disk.qcow2");
    writeFileSync(join(home, "flat.raw"), content);
    // Full, so that where the file is cut all of the disk is data.
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-S", "0", join(home, "flat.raw"), image);
    const cut = 5 * MIB + 12_345;
    lost = qemuMap(image).flatMap(({ start, length, offset = 0 }) => {
      const kept = Math.min(length, Math.max(0, cut - offset));
      return kept === length ? [] : [{ start: start + kept, length: length - kept }];
    });
    truncateSync(image, cut);
    served = await mounts.serve(image);
  });

  const isLost = (offset: number, length: number) =>
    lost.some(({ start, length: size }) => offset < start + size && start < offset + length);

  test("what is lost fails with EIO, page by page, and what is left reads", () => {
    const descriptor = openSync(served.disk, "r");
    const page = Buffer.alloc(4096);
    let failed = 0;
    // The other way round, and in leaps: no read-ahead.
    for (let offset = content.length - 4096; offset >= 0; offset -= 4096 * 5) {
      page.fill(0xee);
      const code = codeOf(() => readSync(descriptor, page, 0, 4096, offset));
      expect({ offset, code }).toEqual({ offset, code: isLost(offset, 4096) ? "EIO" : undefined });
      if (code === undefined) expect(page.equals(content.subarray(offset, offset + 4096))).toBe(true);
      else failed += 1;
    }
    closeSync(descriptor);
    expect(failed).toBeGreaterThan(50);
  });

  test("a long read gives what comes before the damage, never zeros", () => {
    const descriptor = openSync(served.disk, "r");
    const [{ start } = { start: 0 }] = lost;
    const whole = start - (start % 4096);
    const target = Buffer.alloc(3 * MIB, 0xee);
    const from = whole - MIB;
    const count = readSync(descriptor, target, 0, target.length, from);
    expect(count).toBe(MIB);
    expect(target.subarray(0, count).equals(content.subarray(from, from + count))).toBe(true);
    closeSync(descriptor);
  });

  test("the daemon tells what it could not read, and serves on", async () => {
    await until(() => served.said().includes("disk.qcow2: "), "the daemon to name the file");
    expect(served.child.exitCode).toBeNull();
    const descriptor = openSync(served.disk, "r");
    const target = Buffer.alloc(100_000);
    readSync(descriptor, target, 0, target.length, 1000);
    expect(target.equals(content.subarray(1000, 101_000))).toBe(true);
    closeSync(descriptor);
  });
}
