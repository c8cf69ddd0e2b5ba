// Runs that fail in the middle, and those that go on with what they have left.
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Converted, type ConvertWish, convert } from "../../src/convert/convert.js";
import type { Source } from "../../src/source/source.js";
import { type FileNode, nodeAt } from "../../src/tree/node.js";
import { openView, type ViewRequest } from "../../src/tree/view.js";
import { ImageError } from "../../src/util/errors.js";
import { noise } from "../support/content.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const PIECE = 4 * MIB;
const SIZE = 14 * MIB;
const content = noise(1, SIZE);

function withoutFile({ name, size, read, close }: Source): Source {
  return { name, size, read, close };
}

describe("runs that fail", () => {
  const directory = tempDirectory();

  interface Trouble extends Partial<Pick<ConvertWish, "force" | "resume" | "verify" | "keepGoing" | "name">> {
    /** Where reading fails: the image is bad there, or something else is. */
    readonly badAt?: number;
    readonly failsAt?: number;
    readonly options?: ViewRequest["options"];
    /** Between opening and reading. */
    readonly meanwhile?: () => void;
  }

  /** A folder with an image. */
  function imageIn(): { readonly image: string; readonly out: string; readonly folder: string } {
    const folder = subdirectory(directory);
    const image = join(folder, "image.raw");
    writeFileSync(image, content);
    return { image, out: join(folder, "out"), folder };
  }

  /** Converts, and tells which pieces were read. */
  async function attempt(image: string, out: string, trouble: Trouble): Promise<Converted & { readonly read: readonly number[] }> {
    const { badAt = -1, failsAt = -1, options = {}, meanwhile, ...wish } = trouble;
    const request: ViewRequest = { image, options, root: "directory", mode: 0o444, cacheLimit: MIB };
    const view = openView(request);
    const node = nodeAt(view.tree, "disk.raw") as FileNode;
    const read = new Set<number>();
    const file: FileNode["file"] = {
      ...node.file,
      read(target, offset) {
        read.add(Math.floor(offset / PIECE));
        const has = (at: number) => at >= offset && at < offset + target.length;
        if (has(failsAt)) throw new Error("broken");
        if (has(badAt)) throw new ImageError("CORRUPT", "it is bad");
        node.file.read(target, offset);
      },
      // Without a file of its own it is neither shared nor copied by the kernel.
      locate(offset, length) {
        const located = node.file.locate(offset, length);
        if (located.extent.kind !== "data") return located;
        return { ...located, extent: { ...located.extent, source: withoutFile(located.extent.source) } };
      },
    };
    meanwhile?.();
    try {
      const done = await convert({
        ...{ view, request, out, name: "disk.raw", force: false, resume: false, verify: false, keepGoing: false },
        ...{ node: { ...node, file }, progress: () => undefined, warn: () => undefined, signal: new AbortController().signal },
        ...wish,
      });
      return { ...done, read: [...read] };
    } finally {
      view.close();
    }
  }

  test("without --resume nothing is left", async () => {
    const { image, out, folder } = imageIn();
    await expect(attempt(image, out, { failsAt: 9 * MIB })).rejects.toThrow("broken");
    expect(readdirSync(folder)).toEqual(["image.raw"]);
  });

  test("with --resume what is done is not done again", async () => {
    const { image, out, folder } = imageIn();
    await expect(attempt(image, out, { resume: true, failsAt: 9 * MIB })).rejects.toThrow("broken");
    expect(readdirSync(folder).toSorted()).toEqual(["image.raw", "out.partial", "out.partial.json"]);
    expect((await attempt(image, out, { resume: true })).read).toEqual([2, 3]);
    expect(readFileSync(out).equals(content)).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(["image.raw", "out"]);
  });

  test("what an earlier run could not read is told by the one that goes on, or stops it", async () => {
    const { image, out } = imageIn();
    await expect(attempt(image, out, { resume: true, keepGoing: true, badAt: 5000, failsAt: 9 * MIB })).rejects.toThrow("broken");
    await expect(attempt(image, out, { resume: true })).rejects.toThrow(/bytes 4096 to 8191 of disk.raw cannot be read: it is bad/);
    const { lost, read } = await attempt(image, out, { resume: true, keepGoing: true, verify: true });
    expect(lost).toEqual([{ start: 4096, end: 8192, reason: "it is bad" }]);
    expect(read).toContain(3);
    const expected = Buffer.from(content).fill(0, 4096, 8192);
    expect(readFileSync(out).equals(expected)).toBe(true);
  });

  test("a range that cannot be read does not count as done", async () => {
    const { image, out } = imageIn();
    await expect(attempt(image, out, { resume: true, badAt: 5 * MIB })).rejects.toThrow(/cannot be read: it is bad/);
    expect((await attempt(image, out, { resume: true })).read).toEqual([1, 2, 3]);
    expect(readFileSync(out).equals(content)).toBe(true);
  });

  test.each([
    ["the image has changed", (image: string) => utimesSync(image, 5, 5), {}],
    ["another file of the view", () => undefined, { name: "partitions/1.raw" }],
    ["opened in another way", () => undefined, { options: { sectorSize: 4096 } }],
    ["another snapshot", () => undefined, { options: { snapshot: "1" } }],
  ])("nothing is gone on with that is of something else: %s", async (_name, change, other: Trouble) => {
    const { image, out } = imageIn();
    await expect(attempt(image, out, { resume: true, failsAt: 9 * MIB })).rejects.toThrow("broken");
    change(image);
    await expect(attempt(image, out, { resume: true, ...other })).rejects.toThrow(/out.partial: there is such a file already|snapshot/);
    if (!other.options?.snapshot) {
      const again = await attempt(image, out, { resume: true, force: true, ...other });
      expect(again.read).toEqual([0, 1, 2, 3]);
    }
  });

  test("other pieces: begins anew, and nothing of before stays", async () => {
    const { image, out } = imageIn();
    await expect(attempt(image, out, { resume: true, failsAt: 9 * MIB })).rejects.toThrow("broken");
    const journal = `${out}.partial.json`;
    const kept = JSON.parse(readFileSync(journal, "utf8")) as { plan: string };
    writeFileSync(journal, JSON.stringify({ ...kept, plan: "other" }));
    writeFileSync(`${out}.partial`, noise(7, SIZE));
    expect((await attempt(image, out, { resume: true, keepGoing: true, badAt: 5000 })).read).toEqual([0, 1, 2, 3]);
    expect(readFileSync(out).equals(Buffer.from(content).fill(0, 4096, 8192))).toBe(true);
  });

  test.each(["", "{", "[]", '{"version":1}', '{"version":1,"done":-1}', "null"])("a journal of %j is none", async (text) => {
    const { image, out } = imageIn();
    await expect(attempt(image, out, { resume: true, failsAt: 9 * MIB })).rejects.toThrow("broken");
    writeFileSync(`${out}.partial.json`, text);
    await expect(attempt(image, out, { resume: true })).rejects.toThrow(/--force begins anew|there is such a file already/);
  });

  test("a file that is called like an unfinished one is nobody's to remove", async () => {
    const { image, out, folder } = imageIn();
    writeFileSync(`${out}.partial`, "precious");
    for (const resume of [false, true]) await expect(attempt(image, out, { resume })).rejects.toThrow(/there is such a file already/);
    expect(readFileSync(`${out}.partial`, "utf8")).toBe("precious");
    await attempt(image, out, { force: true });
    expect(readdirSync(folder).toSorted()).toEqual(["image.raw", "out"]);
  });

  test("another run that took the name is not taken for this one", async () => {
    const { image, out } = imageIn();
    const partial = `${out}.partial`;
    const taken = attempt(image, out, { verify: true });
    // It has opened its file by now, and gone no further.
    rmSync(partial);
    writeFileSync(partial, "another's");
    await expect(taken).rejects.toThrow(/something else has taken its place/);
    expect(existsSync(out)).toBe(false);
    expect(readFileSync(partial, "utf8")).toBe("another's");
  });

  test("a file that has appeared since is not overwritten", async () => {
    const { image, out, folder } = imageIn();
    const late = attempt(image, out, {});
    writeFileSync(out, "precious");
    await expect(late).rejects.toThrow(/there is such a file by now/);
    expect(readFileSync(out, "utf8")).toBe("precious");
    expect(readdirSync(folder).toSorted()).toEqual(["image.raw", "out"]);
  });

  test("an image that is written meanwhile is no image of one moment", async () => {
    const { image, out, folder } = imageIn();
    const change = () => utimesSync(image, new Date(), new Date(1e12));
    await expect(attempt(image, out, { resume: true, meanwhile: change })).rejects.toThrow(/image.raw: it was changed while it was read/);
    expect(readdirSync(folder)).toEqual(["image.raw"]);
  });

  test("a link is written through; one that leads nowhere is refused", async () => {
    const { image, out, folder } = imageIn();
    symlinkSync("target", out);
    await expect(attempt(image, out, { force: true })).rejects.toThrow(/leads nowhere/);
    writeFileSync(join(folder, "target"), "old");
    await attempt(image, out, { force: true });
    expect(readlinkSync(out)).toBe("target");
    expect(readFileSync(join(folder, "target")).equals(content)).toBe(true);
  });

  test("storage that gives back something else is found, and nothing of it is kept", async () => {
    const { image, out, folder } = imageIn();
    const partial = `${out}.partial`;
    const options = { resume: true, verify: true };
    await expect(attempt(image, out, { ...options, failsAt: 9 * MIB })).rejects.toThrow("broken");
    const kept = readFileSync(partial);
    writeFileSync(partial, kept.fill(0xff, 77, 78));
    await expect(attempt(image, out, options)).rejects.toThrow(/what was written differs from the disk at byte 77/);
    expect(readdirSync(folder)).toEqual(["image.raw"]);
  });
});
