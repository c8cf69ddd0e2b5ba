import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../src/containers/container.js";
import { type IsoOptions, openIso } from "../../src/containers/iso9660/index.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { noise } from "../support/content.js";
import { tempDirectory } from "../support/temp.js";
import { contentOf } from "../support/trees.js";

const SECTOR = 2048;

/** Names at the top of the disc, and the container for more. */
function opened(image: string, options: IsoOptions = {}): { readonly names: readonly string[]; readonly container: Container } {
  const container = openIso(fileSource(openFile(image, { devices: false })), options);
  return { names: [...container.list(container.root.id).keys()].sort(), container };
}

function bytesOf(container: Container, folder: string, name: string): Buffer {
  const directory = container.list(container.root.id).get(folder);
  const file = container.list(directory?.id ?? 0).get(name);
  return contentOf(container, file?.id ?? 0);
}

const directory = tempDirectory();
const contents = [noise(1, 300_001), noise(2, 100_000), noise(3, 5)];

beforeAll(() => {
  for (const [index, content] of contents.entries()) {
    mkdirSync(join(directory, `tree${index + 1}`, `d${index + 1}`), { recursive: true });
    writeFileSync(join(directory, `tree${index + 1}`, `d${index + 1}`, "file"), content);
  }
});

describe("written by xorriso on media without sessions", () => {
  const image = join(directory, "grown.iso");
  beforeAll(() => {
    for (const number of [1, 2, 3]) {
      execFileSync("xorriso", ["-dev", image, "-map", join(directory, `tree${number}`), "/", "-commit"], { stdio: "ignore" });
    }
  });

  test("the last session is shown, which holds all", () => {
    const { names, container } = opened(image);
    expect(names).toEqual(["d1", "d2", "d3"]);
    for (const [index, content] of contents.entries()) expect(bytesOf(container, `d${index + 1}`, "file").equals(content)).toBe(true);
    expect(container.facts().details["session"]).toBe("3 of 3");
  });

  test.each([
    [1, ["d1"]],
    [2, ["d1", "d2"]],
    [3, ["d1", "d2", "d3"]],
  ])("session %i", (session, expected) => {
    expect(opened(image, { session }).names).toEqual(expected);
  });

  test("a session that is not there is refused", () => {
    expect(() => opened(image, { session: 4 })).toThrow("the disc has no session 4, it has 3");
  });
});

describe("written by genisoimage for a CD", () => {
  const first = join(directory, "first.iso");
  const second = join(directory, "second.iso");
  const disc = join(directory, "disc.iso");
  let start = 0;

  beforeAll(() => {
    execFileSync("genisoimage", ["-quiet", "-R", "-o", first, join(directory, "tree1")], { stdio: "ignore" });
    start = statSync(first).size / SECTOR + 11_400;
    const options = ["-quiet", "-R", "-C", `0,${start}`, "-M", first, "-o", second];
    execFileSync("genisoimage", [...options, join(directory, "tree2")], { stdio: "ignore" });
    writeFileSync(disc, readFileSync(first));
    truncateSync(disc, start * SECTOR);
    appendFileSync(disc, readFileSync(second));
  });

  test("the last session is shown, and older files in it", () => {
    const { names, container } = opened(disc);
    expect(names).toEqual(["d1", "d2"]);
    expect(bytesOf(container, "d1", "file").equals(contents[0] ?? Buffer.alloc(0))).toBe(true);
    expect(bytesOf(container, "d2", "file").equals(contents[1] ?? Buffer.alloc(0))).toBe(true);
  });

  test("session 1 alone", () => {
    expect(opened(disc, { session: 1 }).names).toEqual(["d1"]);
  });

  test("where the image's own table tells where sessions begin", () => {
    expect(opened(disc, { sessions: [0] }).names).toEqual(["d1"]);
    expect(opened(disc, { sessions: [0, start * SECTOR] }).names).toEqual(["d1", "d2"]);
  });

  test("the second session as a file of its own: what the first holds is an error, the rest is there", () => {
    const { names, container } = opened(second);
    expect(names).toEqual(["d1", "d2"]);
    expect(bytesOf(container, "d2", "file").equals(contents[1] ?? Buffer.alloc(0))).toBe(true);
    expect(() => bytesOf(container, "d1", "file")).toThrow();
    expect(container.facts().notes.join()).toMatch(/later session/);
  });

  test("the second session as a file of its own, where the first holds the ends of long names", () => {
    const old = join(directory, "old");
    const [one, two] = [join(directory, "one.iso"), join(directory, "two.iso")];
    mkdirSync(old);
    writeFileSync(join(old, "n".repeat(230)), "old");
    execFileSync("genisoimage", ["-quiet", "-R", "-o", one, old], { stdio: "ignore" });
    const options = ["-quiet", "-R", "-C", `0,${statSync(one).size / SECTOR + 11_400}`, "-M", one, "-o", two];
    execFileSync("genisoimage", [...options, join(directory, "tree2")], { stdio: "ignore" });
    const { names, container } = opened(two);
    expect(names).toEqual(["d2", expect.stringMatching(/^n{100,230}$/)]);
    expect(bytesOf(container, "d2", "file").equals(contents[1] ?? Buffer.alloc(0))).toBe(true);
  });
});
