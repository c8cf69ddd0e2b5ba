// scripts/malformed, and what flatmount makes of a part of its set.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openImage } from "../../src/library/image.js";
import { ImageError } from "../../src/util/errors.js";
import { judge, type Told } from "../malformed/judge.js";
import { cut, type Range, type Sample, SECRET } from "../malformed/sample.js";
import { diskSets } from "../malformed/set/all.js";
import { requireProgram } from "../support/qemu.js";
import { inTempDirectory } from "../support/temp.js";

const PAGE = 4096;

/** The disk as the library reads it, page by page. */
function ask(sample: Sample): Told {
  return inTempDirectory((base) => {
    const folder = join(base, "images");
    for (const each of [folder, join(base, "outside")]) mkdirSync(each);
    writeFileSync(join(base, "outside/secret.txt"), SECRET);
    for (const [name, content] of Object.entries(sample.files)) writeFileSync(join(folder, name), content);
    try {
      return readDisk(join(folder, sample.image));
    } catch (error) {
      if (error instanceof ImageError) return { kind: "refused", why: error.message };
      throw error;
    }
  });
}

function readDisk(path: string): Told {
  const image = openImage(path);
  try {
    const bytes = Buffer.alloc(image.size);
    const failed: Range[] = [];
    for (let at = 0; at < bytes.length; at += PAGE) {
      const end = Math.min(bytes.length, at + PAGE);
      try {
        image.read(bytes.subarray(at, end), at);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        failed.push([at, end]);
      }
    }
    return { kind: "disk", bytes, failed };
  } finally {
    image.close();
  }
}

const disks = Object.values(diskSets).flatMap((make) => make());

describe("of a damaged disk nothing wrong is told", () => {
  test.each(disks.map((sample) => [`${sample.format}: ${sample.name}`, sample] as const))("%s", (_, sample) => {
    const { outcome, why } = judge(sample, ask(sample));
    expect(["right", "refused"], why).toContain(outcome);
    if (sample.name.startsWith("nothing damaged")) expect(outcome, why).toBe("right");
  });
});

describe("the judge", () => {
  const bytes = Buffer.alloc(3 * PAGE, 7);
  const sample: Sample = { format: "x", name: "x", files: {}, image: "x", truth: { kind: "disk", bytes, unknown: [[PAGE, 2 * PAGE]] } };
  const lost: Sample = { ...sample, truth: { kind: "none" } };

  test.each<readonly [string, Sample, Buffer, readonly Range[], string]>([
    ["an error for what is lost alone is right", sample, bytes, [[PAGE, 2 * PAGE]], "right"],
    ["an error for more is a refusal", sample, bytes, [[0, 2 * PAGE]], "refused"],
    ["bytes of what is lost are wrong", sample, bytes, [], "wrong"],
    ["other bytes are wrong", sample, Buffer.alloc(3 * PAGE, 8), [[PAGE, 2 * PAGE]], "wrong"],
    ["another size is wrong", sample, cut(bytes, 0.5), [[PAGE, 2 * PAGE]], "wrong"],
    ["where nothing is known, bytes are wrong", lost, bytes, [[0, PAGE]], "wrong"],
    ["where nothing is known, errors are a refusal", lost, bytes, [[0, 3 * PAGE]], "refused"],
  ])("%s", (_, what, told, failed, outcome) => {
    expect(judge(what, { kind: "disk", bytes: told, failed }).outcome).toBe(outcome);
  });

  test("a file that is left out is wrong, unless something was said", () => {
    const tree: Sample = { ...sample, truth: { kind: "tree", files: { a: { content: bytes } } } };
    expect(judge(tree, { kind: "tree", files: new Map(), outside: false }).outcome).toBe("wrong");
    expect(judge(tree, { kind: "tree", files: new Map(), outside: false, said: true }).outcome).toBe("refused");
  });
});

const script = fileURLToPath(new URL("../../scripts/malformed", import.meta.url));

test.skipIf(!requireProgram("xz"))("the script writes the page", () => {
  inTempDirectory((folder) => {
    const page = join(folder, "page.md");
    const { status, stderr } = spawnSync(script, ["--only", "xz", "--programs", "xz", "--markdown", page], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(readFileSync(page, "utf8")).toMatch(/^\| xz \| 5 \| 0 \| 0 \| 0 \| 4 \| 1 \|$/m);
  });
});
