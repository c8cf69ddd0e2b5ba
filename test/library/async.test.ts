// The package's own face over workers: what was built, since a worker is a file of its own.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { openImage } from "../../src/library/index.js";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers } from "../support/content.js";
import { sha256 } from "../support/hash.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, flatOf } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const entry = fileURLToPath(new URL("../../dist/library/index.js", import.meta.url));
const { openImageAsync, ClosedError, ImageError, PathError } = (await import(entry)) as typeof import("../../src/library/index.js");

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
const fixtures = ["base.qcow2", "linux.qcow2", "mbr-logical.raw", "overlay.qcow2", "version1.qcow", "version2.qcow2", "zstd.qcow2"];
const descriptorsOf = (name: string) => readdirSync("/proc/self/fd").filter((number) => linkOf(number).includes(name)).length;
const directory = tempDirectory();
const disks = builtDisks();

function linkOf(descriptor: string): string {
  try {
    return readlinkSync(join("/proc/self/fd", descriptor));
  } catch {
    return "";
  }
}

/** All of it; Array.fromAsync came with Node 22. */
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** What a program of its own prints that imports the package. */
function program(text: string): string {
  const file = join(directory, `program-${sha256(Buffer.from(text)).slice(0, 8)}.mjs`);
  writeFileSync(file, `import { openImageAsync } from ${JSON.stringify(entry)};\n${text}`);
  return execFileSync(process.execPath, [file], { encoding: "utf8", timeout: 20_000 });
}

describe("an image over workers", () => {
  test.each(fixtures)("%s reads as the disk that is in it, anywhere, by many at once", async (name) => {
    const expected = flatOf(fixture(name));
    const image = await openImageAsync(fixture(name), { workers: 3 });
    const random = randomNumbers(11);
    const ranges = Array.from({ length: 60 }, () => {
      const offset = between(random, 0, image.size);
      return { offset, length: between(random, 0, Math.min(100_000, image.size - offset)) };
    });
    await Promise.all(
      ranges.map(async ({ offset, length }) => {
        const found = await image.readAt(offset, length);
        expect(difference(found, expected.subarray(offset, offset + length))).toBeUndefined();
        const target = new Uint8Array(length).fill(0xee);
        await image.read(target, offset);
        expect(difference(target, found)).toBeUndefined();
      }),
    );
    await image.close();
  });

  test.each(fixtures)("%s tells the same as in the caller's thread", async (name) => {
    const here = openImage(fixture(name));
    const image = await openImageAsync(fixture(name));
    expect(image.description).toEqual(here.description);
    expect(await collect(image.extents())).toEqual([...here.extents()]);
    expect(await collect(image.tree.walk())).toEqual([...here.tree.walk()]);
    expect(image.partitions.map(({ number, size, info }) => ({ number, size, info }))).toEqual(
      here.partitions.map(({ number, size, info }) => ({ number, size, info })),
    );
    expect(await image.check()).toEqual(here.check());
    expect(image.format).toBe(here.format);
    await image.close();
    here.close();
  });

  test("streams any range, in order, whatever the pieces", async () => {
    const expected = flatOf(fixture("linux.qcow2"));
    const image = await openImageAsync(fixture("linux.qcow2"), { workers: 4 });
    const random = randomNumbers(5);
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const start = between(random, 0, 2 ** 21);
        const end = between(random, start - 1, 2 ** 22);
        const found = await buffer(image.createReadStream({ start, end, highWaterMark: between(random, 5000, 200_000) }));
        expect(difference(found, expected.subarray(start, end + 1))).toBeUndefined();
      }),
    );
    expect(sha256(await buffer(image.createReadStream()))).toBe(sha256(expected));
    await image.close();
  });

  test("asks for more extents than come in one answer", async () => {
    const clusters = new Map(
      Array.from({ length: 2500 }, (_, index) => [index * 2, { kind: "data", content: noise(index, 512) }] as const),
    );
    const path = disks.write({ "disk.qcow2": { size: 5000 * 512, clusterBits: 9, clusters } });
    const here = openImage(path);
    const image = await openImageAsync(path);
    const expected = [...here.extents()];
    expect(expected.length).toBeGreaterThan(4096);
    expect(await collect(image.extents())).toEqual(expected);
    await image.close();
    here.close();
  });

  test("hands over buffers that are the caller's alone", async () => {
    const image = await openImageAsync(fixture("version2.qcow2"));
    const [one, other] = await Promise.all([image.readAt(0, 4096), image.readAt(0, 4096)]);
    expect(one.buffer.byteLength).toBe(4096);
    one.fill(0xee);
    expect(other.equals(flatOf(fixture("version2.qcow2")).subarray(0, 4096))).toBe(true);
    await image.close();
  });

  test("rejects ranges that leave the file, and numbers that make no sense", async () => {
    const image = await openImageAsync(fixture("version2.qcow2"));
    for (const [offset, length] of [
      [0, image.size + 1],
      [-1, 1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const) {
      await expect(image.readAt(offset, length)).rejects.toBeInstanceOf(RangeError);
    }
    await image.close();
    for (const workers of [0, 1.5, 65]) await expect(openImageAsync(fixture("base.qcow2"), { workers })).rejects.toBeInstanceOf(RangeError);
  });

  test("rejects with the errors of the caller's thread, class and all", async () => {
    await expect(openImageAsync("/nowhere")).rejects.toBeInstanceOf(ImageError);
    await expect(openImageAsync("/nowhere")).rejects.toMatchObject({ code: "UNREADABLE", file: "/nowhere" });
    const gone = disks.write({ "top.qcow2": { size: 4096, clusters: new Map(), backing: { name: "gone.raw" } } });
    await expect(openImageAsync(gone)).rejects.toMatchObject({
      code: "PART_MISSING",
      file: gone,
      hint: expect.stringContaining("--search") as string,
    });
    const content = noise(4, 4096);
    const clusters = new Map([
      [0, { kind: "data", content }],
      [1, { kind: "entry", entry: 0x8000_0001_0000_0000n }],
    ] as const);
    const image = await openImageAsync(disks.write({ "disk.qcow2": { size: 8192, clusters } }));
    await expect(image.readAt(4000, 200)).rejects.toBeInstanceOf(ImageError);
    expect((await image.readAt(0, 4096)).equals(content)).toBe(true);
    const extents = await collect(image.extents());
    expect(extents.find(({ kind }) => kind === "damaged")?.error).toBeInstanceOf(ImageError);
    await expect(image.tree.open("nothing")).rejects.toBeInstanceOf(PathError);
    const pieces: Buffer[] = [];
    const stream = image.createReadStream({ highWaterMark: 3000 });
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    await expect(finished(stream)).rejects.toBeInstanceOf(ImageError);
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    await image.close();
  });
});

describe("giving up", () => {
  test("a call, before and while it is under way, leaves the others alone", async () => {
    const image = await openImageAsync(fixture("linux.qcow2"), { workers: 1 });
    const controller = new AbortController();
    const reason = new Error("enough");
    const calls = Array.from({ length: 20 }, (_, index) =>
      image.readAt(index * 4096, 4096, index % 2 === 1 ? { signal: controller.signal } : {}),
    );
    controller.abort(reason);
    const outcomes = await Promise.allSettled(calls);
    for (const [index, outcome] of outcomes.entries()) {
      expect(outcome).toMatchObject(index % 2 === 1 ? { status: "rejected", reason } : { status: "fulfilled" });
    }
    await expect(image.readAt(0, 1, { signal: controller.signal })).rejects.toBe(reason);
    expect(await image.readAt(0, 1)).toHaveLength(1);
    await image.close();
  });

  test("opening", async () => {
    const packed = join(directory, "large.gz");
    run("sh", ["-c", `head -c 300000000 /dev/zero | gzip -1 > "$1"`, "sh", packed]);
    const controller = new AbortController();
    let steps = 0;
    const progress = () => {
      steps += 1;
      controller.abort();
    };
    await expect(openImageAsync(packed, { progress, signal: controller.signal })).rejects.toMatchObject({ name: "AbortError" });
    expect(steps).toBeGreaterThan(0);
    await expect(openImageAsync(packed, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    expect(descriptorsOf("large.gz")).toBe(0);
  });

  test("a stream", async () => {
    const image = await openImageAsync(fixture("linux.qcow2"));
    for await (const piece of image.createReadStream({ highWaterMark: 1000 })) {
      expect(piece).toHaveLength(1000);
      break;
    }
    expect(await image.readAt(0, 10)).toHaveLength(10);
    await image.close();
  });
});

describe("closing", () => {
  test("rejects what is under way and everything after it, and closes every file", async () => {
    const image = await openImageAsync(fixture("overlay.qcow2"), { workers: 2 });
    await Promise.all(Array.from({ length: 4 }, (_, index) => image.readAt(index * 512, 512)));
    expect(descriptorsOf("overlay.qcow2")).toBeGreaterThan(0);
    const calls = Array.from({ length: 10 }, () => image.readAt(0, image.size));
    const closing = image.close();
    for (const outcome of await Promise.allSettled(calls))
      expect(outcome).toMatchObject({ status: "rejected", reason: { name: "ClosedError" } });
    await closing;
    expect([descriptorsOf("overlay.qcow2"), descriptorsOf("base.qcow2")]).toEqual([0, 0]);
    await image.close();
    for (const call of [
      image.readAt(0, 1),
      image.tree.list(),
      image.tree.stat("disk.raw"),
      image.check(),
      buffer(image.createReadStream()),
    ]) {
      await expect(call).rejects.toBeInstanceOf(ClosedError);
    }
  });

  test("is not needed for a program to end", () => {
    const text = `const image = await openImageAsync(${JSON.stringify(fixture("overlay.qcow2"))}); await image.readAt(0, 512); console.log("done");`;
    expect(program(text)).toBe("done\n");
  });

  test("is waited for, and so is opening", () => {
    const path = JSON.stringify(fixture("overlay.qcow2"));
    expect(program(`await openImageAsync("/nowhere").catch(({ code }) => console.log(code));`)).toBe("UNREADABLE\n");
    expect(program(`const image = await openImageAsync(${path}); await image.close(); console.log("closed");`)).toBe("closed\n");
  });
});

describe("a program that imports the package", () => {
  test("is not touched by it: nothing is printed, listened to or kept", () => {
    const text = `
      const before = [process.eventNames().length, Object.keys(globalThis).length, process.exitCode, process.umask()].join();
      const image = await openImageAsync(${JSON.stringify(fixture("linux.qcow2"))});
      await image.check();
      await image.close();
      const after = [process.eventNames().length, Object.keys(globalThis).length, process.exitCode, process.umask()].join();
      process.stdout.write(before === after ? "same" : before + " " + after);`;
    expect(program(text)).toBe("same");
  });

  test("may be CommonJS", () => {
    const text = `const { openImage } = require(${JSON.stringify(entry)}); process.stdout.write(String(openImage(${JSON.stringify(fixture("linux.qcow2"))}).size));`;
    expect(execFileSync(process.execPath, ["-e", text], { encoding: "utf8" })).toBe("67108864");
  });
});

describe.skipIf(!requireProgram("xorriso"))("a disc over workers", () => {
  beforeAll(() => {
    mkdirSync(join(directory, "disc/a/b"), { recursive: true });
    for (const name of ["a/one", "a/b/two", "three"]) writeFileSync(join(directory, "disc", name), noise(name.length, 5000));
    run("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", join(directory, "disc.iso"), join(directory, "disc")]);
  });

  test("lists, tells and reads its files", async () => {
    const image = await openImageAsync(join(directory, "disc.iso"));
    const found = await collect(image.tree.walk("files/a"));
    expect(found.map(({ path }) => path).toSorted()).toEqual(["b", "b/two", "one"]);
    const file = await image.tree.open("files/a/b/two");
    expect((await file.readAt(0, file.size)).equals(noise(7, 5000))).toBe(true);
    expect(await image.tree.stat("files/three")).toMatchObject({ kind: "file", size: 5000 });
    expect((await image.tree.lstat("files/a")).modified).toBeInstanceOf(Date);
    await image.close();
  });
});
