import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { checkCommand } from "../../src/cli/commands/check.js";
import { noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { requireProgram } from "../support/qemu.js";
import { schemaProblems } from "../support/schema.js";
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

  test("structure: leaks are warnings, counts that are too low are damage", async () => {
    const image = packedQcow2();
    const whole = readFileSync(image);
    const block = Number(whole.readBigUInt64BE(Number(whole.readBigUInt64BE(48))));
    const changed = (cluster: number, count: number) => {
      const content = Buffer.from(whole);
      content.writeUInt16BE(count, block + 2 * cluster);
      writeFileSync(image, content);
    };
    changed(1, 7);
    const leaked = await checked(image);
    expect(leaked.text).toBe("WARNING  d.qcow2: cluster 1: the refcount is 7, the references to it are 1\nd.qcow2: there are warnings\n");
    expect(leaked.status).toBe(3);
    changed(1, 0);
    const low = await checked(image, "--json");
    const result = JSON.parse(low.text) as { readonly findings: readonly object[] };
    expect(schemaProblems(result, "check.schema.json")).toEqual([]);
    expect(result).toMatchObject({
      result: "damaged",
      findings: [{ file: "d.qcow2", kind: "refcount too low", severity: "error", position: 65_536 }],
    });
    expect(low.status).toBe(1);
  });

  test("findings of one kind beyond the hundredth are counted", async () => {
    const image = packedQcow2();
    const content = readFileSync(image);
    const table = Number(content.readBigUInt64BE(48));
    // An entry of the refcount table that is not aligned, hundreds of times.
    for (let entry = 1; entry <= 300; entry += 1) content.writeBigUInt64BE(12_345n, table + 8 * entry);
    writeFileSync(image, content);
    const { text } = await checked(image, "--json");
    const { findings } = JSON.parse(text) as { readonly findings: readonly { readonly kind: string; readonly count?: number }[] };
    expect(schemaProblems(JSON.parse(text), "check.schema.json")).toEqual([]);
    expect(findings.filter(({ kind }) => kind === "refcount table")).toHaveLength(101);
    expect(findings.find(({ count }) => count === 200)).toMatchObject({ message: '200 more of the kind "refcount table"' });
  });

  test("every image of a chain, by name", async () => {
    const base = packedQcow2();
    const home = dirname(base);
    const top = join(home, "top.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", "d.qcow2", "-F", "qcow2", top]);
    expect((await checked(top)).status).toBe(0);
    const content = readFileSync(base);
    content.writeUInt16BE(9, Number(content.readBigUInt64BE(Number(content.readBigUInt64BE(48)))));
    writeFileSync(base, content);
    const { text, status } = await checked(top);
    expect(text).toMatch(/^WARNING {2}top\.qcow2: d\.qcow2: cluster 0: the refcount is 9/);
    expect(status).toBe(3);
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
