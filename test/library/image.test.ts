// The package's own face, in the caller's thread.
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { infoCommand } from "../../src/cli/commands/info.js";
import { lsCommand } from "../../src/cli/commands/ls.js";
import { type MapElement, mapCommand } from "../../src/cli/commands/map.js";
import { ClosedError, type Image, ImageError, openImage, PathError, UserError } from "../../src/library/index.js";
import { outputOf } from "../cli/fake-io.js";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers } from "../support/content.js";
import { sha256 } from "../support/hash.js";
import { buildOvf, buildTar } from "../support/ovf-builder.js";
import { bootRecord } from "../support/partition-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, flatOf } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
const fixtures = ["base.qcow2", "linux.qcow2", "mbr-logical.raw", "overlay.qcow2", "version1.qcow", "version2.qcow2", "zstd.qcow2"];
const descriptors = () => readdirSync("/proc/self/fd").length;
const disks = builtDisks();

function using<T>(image: Image, use: (image: Image) => T): T {
  try {
    return use(image);
  } finally {
    image.close();
  }
}

function errorOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("an image", () => {
  test.each(fixtures)("%s reads as the disk that is in it, anywhere", (name) => {
    const expected = flatOf(fixture(name));
    const random = randomNumbers(7);
    using(openImage(fixture(name)), (image) => {
      expect(image.size).toBe(expected.length);
      for (let round = 0; round < 200; round += 1) {
        const offset = between(random, 0, image.size);
        const length = between(random, 0, Math.min(100_000, image.size - offset));
        const target = new Uint8Array(length).fill(0xee);
        image.read(target, offset);
        expect(difference(target, expected.subarray(offset, offset + length))).toBeUndefined();
      }
      expect(difference(image.readAt(0, image.size), expected)).toBeUndefined();
    });
  });

  test.each(fixtures)("%s is described as info --json does, and mapped as map --json does", async (name) => {
    const path = fixture(name);
    const described: unknown = JSON.parse(await outputOf(infoCommand, "--json", path));
    const mapped = JSON.parse(await outputOf(mapCommand, "--json", path)) as MapElement[];
    using(openImage(path), (image) => {
      expect(image.description).toEqual(described);
      const extents = [...image.extents()];
      expect(extents.map(({ start, length, depth, file, position }) => ({ start, length, depth, file, offset: position }))).toEqual(
        mapped.map(({ start, length, depth, file, offset }) => ({ start, length, depth, file, offset })),
      );
      expect(extents.map(({ kind }) => kind === "zero" || kind === "absent")).toEqual(mapped.map(({ zero }) => zero));
      expect(extents.map(({ kind }) => kind === "compressed")).toEqual(mapped.map(({ compressed }) => compressed));
    });
  });

  test("maps clusters that do not stand in order as map --json does, from any byte on", async () => {
    const clusters = new Map<number, Cluster>(
      Array.from({ length: 40 }, (_, index) => [index, { kind: "data", content: noise(index, 4096) }]),
    );
    const path = disks.write({ "disk.qcow2": { size: 40 * 4096, clusters, seed: 5 } });
    const mapped = JSON.parse(await outputOf(mapCommand, "--json", path)) as MapElement[];
    using(openImage(path), (image) => {
      const found = [...image.extents()];
      expect(found.map(({ start, length, position }) => ({ start, length, offset: position }))).toEqual(
        mapped.map(({ start, length, offset }) => ({ start, length, offset })),
      );
      expect(found.length).toBeGreaterThan(10);
      const [first] = image.extents({ start: 5000, end: 5009 });
      const whole = found.find(({ start, length }) => start <= 5000 && start + length > 5000);
      expect(first).toMatchObject({ start: 5000, length: 10, position: (whole?.position ?? 0) + 5000 - (whole?.start ?? 0) });
    });
  });

  test("opens by a URL, and with the options of the command line", () => {
    using(openImage(pathToFileURL(fixture("linux.qcow2"))), ({ size }) => expect(size).toBe(64 * 2 ** 20));
    using(openImage(fixture("linux.qcow2"), { format: "raw" }), ({ size, format }) => expect([size, format]).toEqual([1_218_560, "raw"]));
    const raw = fixture("mbr-logical.raw");
    const expected = flatOf(raw).subarray(32_768, 32_768 + 262_144);
    using(openImage(raw, { offset: 32_768, size: 262_144 }), (image) => expect(image.readAt(0, image.size)).toEqual(expected));
  });

  test("gives its partitions as parts of the disk, and as the tree does", () => {
    const disk = flatOf(fixture("mbr-logical.raw"));
    using(openImage(fixture("mbr-logical.raw")), (image) => {
      expect(image.partitions.map(({ number }) => number)).toEqual([1, 5, 6]);
      for (const { number, info, size, readAt } of image.partitions) {
        expect(size).toBe(info.size);
        expect(readAt(0, size).equals(disk.subarray(info.start, info.start + size))).toBe(true);
        expect(image.tree.open(`partitions/${number}.raw`).readAt(0, size).equals(readAt(0, size))).toBe(true);
      }
    });
  });

  test("ends a partition where the disk ends, and leaves out one behind it", () => {
    const table = bootRecord([
      { type: 0x83, start: 4, count: 100 },
      { type: 0x83, start: 200, count: 10 },
    ]);
    const disk = Buffer.concat([table, noise(1, 16 * 512)]);
    using(openImage(disks.write({ "disk.raw": disk })), (image) => {
      const [first] = image.partitions;
      expect(first?.info.size).toBe(51_200);
      expect(first?.size).toBe(disk.length - 2048);
      expect(image.partitions.map(({ number }) => number)).toEqual(
        image.tree.list("partitions").map(({ name }) => Number.parseInt(name, 10)),
      );
    });
  });

  test("leaves nothing open, neither when it is closed nor when it cannot be opened", () => {
    const before = descriptors();
    const image = openImage(fixture("overlay.qcow2"));
    expect(descriptors()).toBe(before + 2);
    image.close();
    image.close();
    expect(descriptors()).toBe(before);
    expect(errorOf(() => openImage(fixture("overlay.qcow2"), { snapshot: "none" }))).toBeInstanceOf(ImageError);
    expect(descriptors()).toBe(before);
    openImage(fixture("overlay.qcow2"))[Symbol.dispose]();
    expect(descriptors()).toBe(before);
  });

  test("throws a ClosedError for everything once it is closed", async () => {
    const image = openImage(fixture("linux.qcow2"));
    const file = image.tree.open("info.json");
    const extents = image.extents();
    const walk = image.tree.walk();
    extents.next();
    const stream = image.createReadStream();
    image.close();
    const { tree, partitions } = image;
    for (const action of [
      () => image.readAt(0, 1),
      () => image.read(Buffer.alloc(1), 0),
      () => image.extents(),
      () => extents.next(),
      () => walk.next(),
      () => image.createReadStream(),
      () => image.check(),
      () => tree.list(),
      () => tree.stat("disk.raw"),
      () => tree.lstat("disk.raw"),
      () => tree.open("disk.raw"),
      () => tree.walk(),
      () => file.readAt(0, 1),
      () => partitions[0]?.readAt(0, 1),
    ]) {
      expect(errorOf(action)).toBeInstanceOf(ClosedError);
    }
    await expect(buffer(stream)).rejects.toBeInstanceOf(ClosedError);
  });

  test("checks ranges and numbers", () => {
    using(openImage(fixture("version2.qcow2")), (image) => {
      const { size } = image;
      for (const [offset, length] of [
        [0, size + 1],
        [size, 1],
        [size + 1, 0],
        [-1, 1],
        [0, -1],
        [0.5, 1],
        [0, 1.5],
        [Number.NaN, 1],
        [0, Number.POSITIVE_INFINITY],
        [2 ** 53, 1],
      ] as const) {
        expect(
          errorOf(() => image.readAt(offset, length)),
          `${offset} ${length}`,
        ).toBeInstanceOf(RangeError);
      }
      for (const range of [{ start: -1 }, { start: size + 1 }, { end: size }, { start: 10, end: 8 }, { start: 1.5 }, { end: Number.NaN }]) {
        expect(
          errorOf(() => image.extents(range)),
          JSON.stringify(range),
        ).toBeInstanceOf(RangeError);
        expect(
          errorOf(() => image.createReadStream(range)),
          JSON.stringify(range),
        ).toBeInstanceOf(RangeError);
      }
      expect(image.readAt(size, 0)).toHaveLength(0);
      expect([...image.extents({ start: 10, end: 9 })]).toEqual([]);
      expect(errorOf(() => image.createReadStream({ highWaterMark: 0 }))).toBeInstanceOf(RangeError);
    });
    for (const options of [{ cacheSize: -1 }, { offset: 0.5 }, { size: -3 }, { session: 0 }, { sectorSize: 511 }]) {
      expect(
        errorOf(() => openImage(fixture("base.qcow2"), options)),
        JSON.stringify(options),
      ).toBeInstanceOf(RangeError);
    }
  });

  test("tells what is wrong as the command line does: code, file, position, hint", () => {
    expect(errorOf(() => openImage("/nowhere/disk.raw"))).toMatchObject({
      name: "ImageError",
      code: "UNREADABLE",
      file: "/nowhere/disk.raw",
      message: "cannot be read: there is no such file",
    });
    const image = disks.write({ "top.qcow2": { size: 4096, clusters: new Map(), backing: { name: "gone.raw" } } });
    expect(errorOf(() => openImage(image))).toMatchObject({
      code: "PART_MISSING",
      file: image,
      hint: expect.stringContaining("--search") as string,
    });
    expect(errorOf(() => openImage(fixture("base.qcow2"), { parents: ["/nowhere"] }))).toBeInstanceOf(UserError);
  });

  test("keeps nothing, but in the folder that it is given", () => {
    const cacheFolder = join(directory, "cache");
    const packed = disks.write({ "disk.raw.gz": noise(3, 10) });
    run("sh", ["-c", `head -c 3000000 /dev/zero | gzip > "$1"`, "sh", packed]);
    const steps: number[] = [];
    const kept = process.env["XDG_CACHE_HOME"];
    const before = kept === undefined ? [] : readdirSync(kept, { recursive: true });
    using(openImage(packed, { progress: ({ done }) => steps.push(done) }), ({ size }) => expect(size).toBe(3_000_000));
    expect(steps.length).toBeGreaterThan(0);
    if (kept !== undefined) expect(readdirSync(kept, { recursive: true })).toEqual(before);
    using(openImage(packed, { cacheFolder }), ({ size, description }) => {
      expect(size).toBe(3_000_000);
      expect(description.compression).toEqual(["gzip"]);
    });
    expect(readdirSync(cacheFolder)).toHaveLength(1);
  });

  test("checks itself as the command does", () => {
    using(openImage(fixture("linux.qcow2")), (image) => expect(image.check().filter(({ severity }) => severity === "error")).toEqual([]));
    using(openImage(damaged().path), (image) => {
      expect(image.check()).toContainEqual(expect.objectContaining({ kind: "damaged range", severity: "error" }));
    });
  });
});

const directory = tempDirectory();

/** A disk of 8 clusters of 4096 bytes, the fourth of which leads nowhere. */
function damaged(): { path: string; content: Buffer } {
  const content = noise(4, 8 * 4096);
  const clusters = new Map<number, Cluster>(
    Array.from({ length: 8 }, (_, index) => [index, { kind: "data", content: content.subarray(index * 4096, (index + 1) * 4096) }]),
  );
  clusters.set(3, { kind: "entry", entry: 0x8000_0001_0000_0000n });
  const path = disks.write({
    "disk.qcow2": { size: content.length, clusters: clusters },
  });
  return { path, content };
}

describe("damage", () => {
  test("fails for exactly the range that is hit", () => {
    const { path, content } = damaged();
    using(openImage(path), (image) => {
      expect(image.readAt(0, 3 * 4096).equals(content.subarray(0, 3 * 4096))).toBe(true);
      expect(image.readAt(4 * 4096, 4 * 4096).equals(content.subarray(4 * 4096))).toBe(true);
      for (const [offset, length] of [
        [3 * 4096, 1],
        [3 * 4096 - 1, 2],
        [0, content.length],
      ] as const) {
        expect(errorOf(() => image.readAt(offset, length))).toBeInstanceOf(ImageError);
      }
      expect([...image.extents()].find(({ kind }) => kind === "damaged")).toMatchObject({
        start: 3 * 4096,
        length: 4096,
        error: { name: "ImageError" },
      });
    });
  });

  test.each([1000, 4096, 2 ** 20])(
    "ends a stream with the error, after every byte before it (pieces of %i bytes)",
    async (highWaterMark) => {
      const { path, content } = damaged();
      const image = openImage(path);
      const pieces: Buffer[] = [];
      const stream = image.createReadStream({ start: 5, highWaterMark });
      stream.on("data", (piece: Buffer) => pieces.push(piece));
      await expect(finished(stream)).rejects.toBeInstanceOf(ImageError);
      expect(Buffer.concat(pieces).equals(content.subarray(5, 3 * 4096))).toBe(true);
      image.close();
    },
  );
});

describe("streams", () => {
  test("give any range, in pieces of the size that was asked for", async () => {
    const expected = flatOf(fixture("overlay.qcow2"));
    const image = openImage(fixture("overlay.qcow2"));
    const random = randomNumbers(3);
    for (let round = 0; round < 30; round += 1) {
      const start = between(random, 0, image.size);
      const end = between(random, start - 1, image.size - 1);
      const found = await buffer(image.createReadStream({ start, end, highWaterMark: between(random, 1000, 70_000) }));
      expect(difference(found, expected.subarray(start, end + 1))).toBeUndefined();
    }
    image.close();
  });

  test("read no more than somebody takes, and let others have their turn", async () => {
    const image = openImage(fixture("linux.qcow2"));
    const stream = image.createReadStream({ highWaterMark: 4096 });
    stream.read(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(stream.readableLength).toBeLessThanOrEqual(2 * 4096);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    for await (const piece of stream) if (turns > 3 || !piece) break;
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    expect(stream.destroyed).toBe(true);
    image.close();
  });

  test("end when their signal is aborted", async () => {
    const image = openImage(fixture("linux.qcow2"));
    const controller = new AbortController();
    const stream = image.createReadStream({ signal: controller.signal });
    const end = finished(stream);
    controller.abort();
    await expect(end).rejects.toMatchObject({ name: "AbortError" });
    image.close();
  });
});

describe.skipIf(!requireProgram("xorriso"))("the tree", () => {
  const home = join(directory, "disc");
  const content = noise(8, 70_001);
  let path = "";
  beforeAll(() => {
    mkdirSync(join(home, "a/b"), { recursive: true });
    writeFileSync(join(home, "a/b/noise.bin"), content);
    writeFileSync(join(home, "empty"), "");
    symlinkSync("a/b/noise.bin", join(home, "link"));
    symlinkSync("loop", join(home, "loop"));
    symlinkSync("/etc/passwd", join(home, "out"));
    symlinkSync("../../../..", join(home, "up"));
    path = join(directory, "disc.iso");
    run("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", path, home]);
  });

  test("is what ls lists", async () => {
    const listed = JSON.parse(await outputOf(lsCommand, "-R", "--json", path)) as {
      path: string;
      kind: string;
      size?: number;
      mode: number;
    }[];
    using(openImage(path), ({ tree }) => {
      const walked = [...tree.walk()].map(({ path: way, kind, size, mode }) => ({ path: way, kind, size, mode }));
      expect(walked).toEqual(listed.map(({ path: way, kind, size = 0, mode }) => ({ path: way, kind, size, mode })));
    });
  });

  test("reads, and follows links that stay within", () => {
    using(openImage(path), ({ tree }) => {
      for (const way of ["files/a/b/noise.bin", "/files//a/./b/noise.bin", "files/a/../link", "files/link", "files/up/files/link"]) {
        const file = tree.open(way);
        expect(sha256(file.readAt(0, file.size)), way).toBe(sha256(content));
      }
      expect(tree.lstat("files/link")).toMatchObject({ kind: "symlink", size: 0, target: "a/b/noise.bin" });
      expect(tree.stat("files/link")).toMatchObject({ kind: "file", size: content.length });
      expect(tree.stat("files/a").modified).toBeInstanceOf(Date);
      expect(tree.open("files/empty").readAt(0, 0)).toHaveLength(0);
      expect([...tree.open("files/a/b/noise.bin").extents()]).toMatchObject([{ start: 0, length: content.length, kind: "data" }]);
      expect([...tree.walk("files/a")].map(({ path: way }) => way)).toEqual(["b", "b/noise.bin"]);
      expect(
        tree
          .list("files")
          .map(({ name }) => name)
          .toSorted(),
      ).toEqual(["a", "empty", "link", "loop", "out", "up"]);
    });
  });

  test.each([
    { way: "files/none", code: "ENOENT" },
    { way: "files/out", code: "ENOENT" },
    { way: "files/loop", code: "ELOOP" },
    { way: "files/empty/x", code: "ENOTDIR" },
    { way: "files/a", code: "EISDIR" },
  ])("refuses to open $way with $code", ({ way, code }) => {
    using(openImage(path), ({ tree }) => {
      const error = errorOf(() => tree.open(way));
      expect(error).toBeInstanceOf(PathError);
      expect(error).toMatchObject({ code, path: way });
    });
  });
});

describe("a package", () => {
  const content = [noise(1, 4096), noise(2, 8192)] as const;
  let path = "";
  beforeAll(() => {
    const files = ["first.raw", "second.raw"].map((href, index) => ({ id: `f${index}`, href }));
    const machine = buildOvf({
      files,
      disks: content.map(({ length }, index) => ({ id: `d${index}`, file: `f${index}`, capacity: `${length}` })),
    });
    path = join(directory, "machine.ova");
    const [first, second] = content;
    writeFileSync(
      path,
      buildTar([
        { name: "machine.ovf", content: machine },
        { name: "first.raw", content: first },
        { name: "second.raw", content: second },
      ]),
    );
  });

  test("of several disks has each as if it had been opened alone, and none itself", () => {
    using(openImage(path), (image) => {
      expect(image.disk).toBeUndefined();
      expect(image.size).toBe(0);
      for (const action of [() => image.readAt(0, 0), () => image.extents(), () => image.createReadStream()]) {
        expect(errorOf(action)).toMatchObject({ name: "ImageError", code: "WRONG_FORMAT", file: path, hint: "Read one of `disks`." });
      }
      expect(image.disks.map(({ path: way }) => way)).toEqual(["first.raw", "second.raw"]);
      for (const [index, disk] of image.disks.entries()) {
        const expected = content[index] ?? Buffer.alloc(0);
        expect(disk.readAt(0, disk.size).equals(expected)).toBe(true);
        expect(disk.tree.open("disk.raw").readAt(0, disk.size).equals(expected)).toBe(true);
        expect(image.tree.open(`disks/${disk.name}/disk.raw`).readAt(0, disk.size).equals(expected)).toBe(true);
        expect(disk.description).toEqual(
          image.description.disks?.[index] && expect.objectContaining({ format: "raw", size: expected.length }),
        );
      }
    });
  });
});
