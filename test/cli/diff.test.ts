import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { catCommand } from "../../src/cli/commands/cat.js";
import { type DiffElement, diffCommand } from "../../src/cli/commands/diff.js";
import { infoCommand } from "../../src/cli/commands/info.js";
import { lsCommand } from "../../src/cli/commands/ls.js";
import type { DiskDifference } from "../../src/disk/difference.js";
import { changeOf, surveyChanges } from "../../src/picture/changes.js";
import { drawChangesPage } from "../../src/picture/changes-page.js";
import { type ChangesPicture, drawChanges } from "../../src/picture/changes-svg.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildQcow2, type Clusters, type SnapshotRecipe } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { failureOf, fakeIo, outputOf, run } from "./fake-io.js";

const CLUSTER = 4096;
const SIZE = 20 * CLUSTER;
const disks = builtDisks();
const schema = JSON.parse(readFileSync(fileURLToPath(new URL("../../docs/schemas/diff.schema.json", import.meta.url)), "utf8")) as object;
const validate = new Ajv2020({ strict: true }).compile(schema);

function stored(seed: number, ...numbers: readonly number[]): Clusters {
  return new Map(numbers.map((number): [number, Cluster] => [number, { kind: "data", content: noise(seed * 100 + number, CLUSTER) }]));
}

const before: SnapshotRecipe = { id: "1", name: "before", size: SIZE, clusters: stored(1, 0, 3, 9), seconds: 1_600_000_000 };
const later: SnapshotRecipe = { id: "2", name: "a/b", size: 10 * CLUSTER, clusters: stored(1, 0, 3), seconds: 1_700_000_000 };

/** The same bytes as in "before" in cluster 3, at another place. */
const clusters: Clusters = new Map([...stored(2, 0), ...stored(1, 3), [9, { kind: "zero" }]]);

function image(): string {
  return disks.write({
    "disk.qcow2": { size: SIZE, clusters, backing: { name: "base.raw", format: "raw" }, snapshots: [before, later] },
    "base.raw": noise(7, 2 * CLUSTER),
  });
}

async function diffOf(...words: readonly string[]): Promise<DiffElement[]> {
  const found = JSON.parse(await outputOf(diffCommand, "--json", ...words)) as DiffElement[];
  validate(found);
  expect(validate.errors ?? []).toEqual([]);
  return found;
}

const range = (start: number, length: number, from: string, to: string) => ({
  start: start * CLUSTER,
  length: length * CLUSTER,
  before: from,
  after: to,
});

describe("diff", () => {
  test("as text, against the snapshot that was made last", async () => {
    expect((await outputOf(diffCommand, image())).split("\n")).toEqual([
      'before: snapshot 2 "a/b", 40 KiB; after: current, 80 KiB',
      "OFFSET  LENGTH  BEFORE      AFTER",
      "     0    4096  data        data",
      " 12288    4096  data        data",
      " 40960   40960  outside     absent",
      "3 ranges, 48 KiB",
      "",
    ]);
  });

  test("two states, either way round", async () => {
    const path = image();
    expect(await diffOf(path, "before")).toEqual([range(0, 1, "data", "data"), range(3, 1, "data", "data"), range(9, 1, "data", "zero")]);
    expect(await diffOf(path, "current", "before")).toEqual([
      range(0, 1, "data", "data"),
      range(3, 1, "data", "data"),
      range(9, 1, "zero", "data"),
    ]);
    expect((await diffOf(path, "1", "2")).at(-1)).toEqual(range(10, 10, "absent", "outside"));
    expect(await outputOf(diffCommand, path, "before", "1")).toContain("\nno differences\n");
    expect(await diffOf(path, "1", "before")).toEqual([]);
  });

  test("--compare leaves out what is the same", async () => {
    expect(await diffOf("--compare", image(), "before")).toEqual([range(0, 1, "data", "data"), range(9, 1, "data", "zero")]);
  });

  test("against its parent, by depth and by name", async () => {
    const path = image();
    const expected = [
      range(0, 1, "data", "data"),
      range(2, 1, "outside", "absent"),
      range(3, 1, "outside", "data"),
      range(4, 5, "outside", "absent"),
    ];
    for (const name of ["@1", "base.raw", join(dirname(path), "base.raw")])
      expect((await diffOf(path, name)).slice(0, 4)).toEqual(expected);
  });

  test("another image, by content", async () => {
    const path = image();
    const flat = expectedDisk({ size: SIZE, clusters }, noise(7, 2 * CLUSTER));
    flat.writeUInt8(flat.readUInt8(5) ^ 1, 5);
    const other = disks.write({ "other.raw": flat });
    const expected = { start: 0, length: 512, before: "data", after: "data" };
    expect(await diffOf(path, other)).toEqual([expected]);
    expect(await diffOf(other, path)).toEqual([expected]);
    expect(await diffOf(path, other, "current")).toEqual([expected]);
    expect(await outputOf(diffCommand, path, other)).toContain(`before: "${path}", 80 KiB; after: "${other}", 80 KiB`);
  });

  test("what cannot be read is told with the reason", async () => {
    const { bytes, l2 } = buildQcow2({ size: SIZE, clusters: stored(2, 0), snapshots: [before] });
    // A cluster of the current state at a place that no cluster can have.
    bytes.writeBigUInt64BE(513n << 9n, l2.get(0) ?? 0);
    const path = disks.write({ "disk.qcow2": bytes });
    const [first] = await diffOf(path);
    expect(first).toMatchObject({ start: 0, length: CLUSTER, before: "data", after: "damaged" });
    expect(first?.error).toContain("not a multiple");
    expect(await outputOf(diffCommand, path)).toMatch(/data +damaged\n {2}.*not a multiple/);
  });

  test("what is not there is refused, and what is there named", async () => {
    expect(await failureOf(diffCommand, image(), "yesterday")).toMatchObject({
      message: 'there is no state "yesterday" in the image, and no such file',
      hint: 'There are: current, @1 "base.raw", snapshot 1 "before", snapshot 2 "a/b".',
    });
    const alone = disks.write({ "alone.raw": noise(1, 4096) });
    expect(await failureOf(diffCommand, alone)).toMatchObject({ message: "the image has no snapshots and is no difference to another" });
  });

  test("drawings: into files that are not there yet, never over the image", async () => {
    const path = image();
    const [svg, html] = [join(dirname(path), "d.svg"), join(dirname(path), "d.html")];
    await outputOf(diffCommand, "--svg", svg, "--html", html, path, "before");
    expect(readFileSync(svg, "utf8")).toContain("written: 8 KiB");
    expect(readFileSync(html, "utf8")).toContain("<td>zero</td>");
    await expect(run(diffCommand(fakeIo()), ["--svg", svg, path])).rejects.toThrow("exists already");
    await outputOf(diffCommand, "--svg", svg, "--force", path);
    await expect(run(diffCommand(fakeIo()), ["--svg", path, "--force", path])).rejects.toThrow("belongs to the image");
    expect(await outputOf(diffCommand, "--svg", "-", path)).toMatch(/^<svg /);
    expect(existsSync(path)).toBe(true);
  });
});

describe("snapshots in other commands", () => {
  test("ls, cat and info", async () => {
    const path = image();
    expect(await outputOf(lsCommand, path, "snapshots")).toBe("before/\na_b/\n");
    expect(await outputOf(lsCommand, "-R", path, "snapshots")).toBe("before/\nbefore/disk.raw\na_b/\na_b/disk.raw\n");
    const io = fakeIo();
    await run(catCommand(io), [path, "snapshots/a_b/disk.raw"], io);
    expect(io.bytes().equals(expectedDisk(later, noise(7, 2 * CLUSTER)))).toBe(true);
    const info = JSON.parse(await outputOf(infoCommand, "--json", path)) as { snapshots: { file: string }[] };
    expect(info.snapshots.map(({ file }) => file)).toEqual(["snapshots/before/disk.raw", "snapshots/a_b/disk.raw"]);
  });
});

describe("drawings of changes", () => {
  const difference = (start: number, length: number, from: DiskDifference["before"], to: DiskDifference["after"], error?: Error) => {
    return { start, length, before: from, after: to, error };
  };

  function pictureOf(size: number, differences: Iterable<DiskDifference>, name = "disk.qcow2"): ChangesPicture {
    return { name, before: name, after: name, changes: surveyChanges(size, differences), areas: { lanes: [], omitted: 0 } };
  }

  test("each kind of change", () => {
    expect(changeOf(difference(0, 1, "absent", "data"))).toBe("written");
    expect(changeOf(difference(0, 1, "data", "compressed"))).toBe("written");
    expect(changeOf(difference(0, 1, "data", "absent"))).toBe("cleared");
    expect(changeOf(difference(0, 1, "outside", "zero"))).toBe("resized");
    expect(changeOf(difference(0, 1, "data", "outside"))).toBe("resized");
    expect(changeOf(difference(0, 1, "data", "data", new Error("lost")))).toBe("unknown");
  });

  test("a million ranges of 16 TiB: every byte is counted, and the drawing is small", () => {
    const size = 2 ** 44;
    const count = 2 ** 20;
    function* many(): Generator<DiskDifference> {
      for (let index = 0; index < count; index += 1) yield difference(index * 2 ** 24 + 7, 3000, "data", "data");
    }
    const picture = pictureOf(size, many());
    const { columns, totals, ranges, first, step } = picture.changes;
    expect({ ranges, written: totals.written }).toEqual({ ranges: count, written: count * 3000 });
    expect(columns.written.reduce((sum, bytes) => sum + bytes, 0)).toBe(totals.written);
    expect(Math.max(...columns.written)).toBeLessThanOrEqual(step);
    expect(first.length).toBeLessThan(1000);
    expect(drawChanges(picture).length).toBeLessThan(2 ** 19);
    expect(drawChangesPage(picture).length).toBeLessThan(2 ** 20);
  });

  test("no differences, and an empty disk", () => {
    for (const size of [0, 1, 4096]) expect(drawChanges(pictureOf(size, []))).toContain("no differences");
    expect(drawChangesPage(pictureOf(0, []))).not.toContain("<table");
  });

  test("hostile names stay text, and nothing is asked for", () => {
    const hostile = '"><script>alert(1)</script><img src=x onerror=y>';
    const picture = pictureOf(4096, [difference(0, 512, "data", "damaged", new Error(hostile))], hostile);
    for (const drawn of [drawChanges(picture), drawChangesPage(picture)]) {
      expect(drawn).not.toMatch(/<script|<img/);
      expect(drawn.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:/);
    }
  });
});
