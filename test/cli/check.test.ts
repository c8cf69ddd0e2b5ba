import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { checkCommand } from "../../src/cli/commands/check.js";
import { noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { fakeIo, run } from "./fake-io.js";

describe.skipIf(!requireProgram("qemu-img") || !requireProgram("xorriso"))("check", () => {
  const directory = tempDirectory();
  afterEach(() => {
    process.exitCode = 0;
  });

  /** What the command prints, and its exit status. */
  async function checked(image: string, ...options: readonly string[]): Promise<{ readonly text: string; readonly status: number }> {
    const io = fakeIo();
    const before = fingerprint(dirname(image));
    process.exitCode = 0;
    await run(checkCommand(io), [image, ...options], io);
    expect(fingerprint(dirname(image))).toBe(before);
    return { text: io.text(), status: process.exitCode };
  }

  function packedQcow2(): string {
    const home = subdirectory(directory);
    const raw = join(home, "d.raw");
    writeFileSync(
      raw,
      Buffer.concat(Array.from({ length: 40 }, (_, index) => noise(index, 5000).toString("hex")).map((part) => Buffer.from(part))),
    );
    const image = join(home, "d.qcow2");
    execFileSync("qemu-img", ["convert", "-q", "-c", "-f", "raw", "-O", "qcow2", raw, image]);
    return image;
  }

  test("a whole image", async () => {
    const image = packedQcow2();
    expect(await checked(image)).toEqual({ text: "d.qcow2: nothing wrong was found\n", status: 0 });
    expect(JSON.parse((await checked(image, "--json")).text)).toEqual({ image, result: "clean", findings: [] });
  });

  test("a compressed block that does not decode is named by its range of the disk", async () => {
    const image = packedQcow2();
    const content = readFileSync(image);
    content.fill(0xff, Math.floor(content.length * 0.8));
    writeFileSync(image, content);
    const { text, status } = await checked(image);
    expect(text).toMatch(/^ERROR {4}d\.qcow2: bytes \d+ to \d+ of the disk cannot be read: .+$/m);
    expect(text).toMatch(/it is damaged\n$/);
    expect(status).toBe(1);
  });

  test("a disc that is cut names the files that are lost", async () => {
    const home = subdirectory(directory);
    const tree = subdirectory(directory);
    writeFileSync(join(tree, "first"), noise(1, 100_000));
    writeFileSync(join(tree, "last"), noise(2, 900_000));
    const image = join(home, "disc.iso");
    execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-no-pad", "-o", image, tree], { stdio: "ignore" });
    expect((await checked(image)).status).toBe(0);
    writeFileSync(image, readFileSync(image).subarray(0, -40_960));
    const { text, status } = await checked(image);
    expect(text).toMatch(new RegExp(`^ERROR {4}${basename(image)}: last: `, "m"));
    expect(text).not.toMatch(/: first: /);
    expect(status).toBe(1);
  });
});
