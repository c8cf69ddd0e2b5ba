// The images in fixtures/ are what their manifest says, and our reader gets out of them what QEMU does.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sha256 } from "../support/hash.js";
import { flatOf } from "../support/reading.js";

interface Fixture {
  readonly file: string;
  readonly description: string;
  /** Programs and their versions. */
  readonly madeBy: string;
  readonly size: number;
  readonly sha256: string;
  /** Of the flat disk, as "qemu-img convert -O raw" writes it. */
  readonly diskSize: number;
  readonly diskSha256: string;
}

const folder = new URL("../../fixtures/", import.meta.url).pathname;
const { images } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as { readonly images: readonly Fixture[] };

test("the manifest lists every image", () => {
  const listed = images.map(({ file }) => file);
  expect(readdirSync(folder).toSorted()).toEqual([...listed, "manifest.json"].toSorted());
});

describe.each(images)("$file", ({ file, description, madeBy, size, diskSize, ...sums }) => {
  test("is the file that was made", () => {
    const content = readFileSync(join(folder, file));
    expect([content.length, sha256(content)]).toEqual([size, sums.sha256]);
  });

  test("has the disk that QEMU reads", () => {
    const disk = flatOf(join(folder, file));
    expect([disk.length, sha256(disk)]).toEqual([diskSize, sums.diskSha256]);
  });

  test("tells what it is, and which programs made it", () => {
    expect(description).not.toBe("");
    expect(madeBy).toMatch(/^\w[\w-]* \d[\d.]*(, \w[\w-]* \d[\d.]*)*$/);
  });
});
