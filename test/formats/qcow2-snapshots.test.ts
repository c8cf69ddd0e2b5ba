// Internal snapshots of qcow2, built by hand.
import { describe, expect, test } from "vitest";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildQcow2, type Clusters, type Recipe, type SnapshotRecipe } from "../support/qcow2-builder.js";
import { type Cluster, COPIED } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { checkImage, flat, requireProgram } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange, withDisk } from "../support/reading.js";

const CLUSTER = 4096;
const { write } = builtDisks();
const qemu = requireProgram("qemu-img");

function stored(seed: number, ...numbers: readonly number[]): Clusters {
  return new Map(numbers.map((number): [number, Cluster] => [number, { kind: "data", content: noise(seed * 100 + number, CLUSTER) }]));
}

function snapshot(id: string, more: Partial<SnapshotRecipe> = {}): SnapshotRecipe {
  return { id, name: `name of ${id}`, size: 20 * CLUSTER, clusters: stored(Number(id) || 77, 0, 3, 9), ...more };
}

const base: Recipe = { size: 20 * CLUSTER, clusters: stored(50, 1, 3, 7), seed: 3 };

function expectSnapshot(path: string, selected: string, expected: SnapshotRecipe): void {
  expect(difference(flatOf(path, { snapshot: selected }), expectedDisk(expected))).toBeUndefined();
}

describe("qcow2 snapshots", () => {
  test.each([
    { name: "16 bytes of extra data", extraSize: 16 },
    { name: "24 bytes, with the instruction count", extraSize: 24 },
    { name: "more than is known, of odd length", extraSize: 45 },
    { name: "version 2 with none", extraSize: 0, version: 2 },
    { name: "version 2 with only the state's size", extraSize: 8, version: 2 },
  ] satisfies { name: string; extraSize: number; version?: 2 }[])(
    "$name",
    ({ extraSize, version = 3 }: { extraSize: number; version?: 2 | 3 }) => {
      const snapshots = ["1", "22", "333"].map((id) => snapshot(id, { extraSize, name: "x".repeat(id.length * 3) + id }));
      const path = write({ "disk.qcow2": { ...base, version, snapshots } });
      for (const one of snapshots) {
        expectSnapshot(path, one.id, one);
        expectSnapshot(path, one.name, one);
        if (qemu) expect(difference(flat(path, { snapshot: one.id }), expectedDisk(one))).toBeUndefined();
      }
      expect(difference(flatOf(path), expectedDisk(base))).toBeUndefined();
      if (qemu) checkImage(path);
    },
  );

  test.each([7 * CLUSTER, 20 * CLUSTER - 512, 1500 * CLUSTER])("the disk had %i bytes then", (size) => {
    const one = snapshot("1", { size });
    const path = write({ "disk.qcow2": { ...base, snapshots: [one] } });
    withDisk(path, { snapshot: "1" }, (layer) => expect(layer.size).toBe(size));
    expectSnapshot(path, "1", one);
    if (qemu) expect(difference(flat(path, { snapshot: "1" }), expectedDisk(one))).toBeUndefined();
  });

  test("an L1 table smaller than its disk: what is behind is unallocated", () => {
    const one = snapshot("1", { size: 1600 * CLUSTER, l1Entries: 1 });
    const parent = noise(8, 1600 * CLUSTER);
    const path = write({ "disk.qcow2": { ...base, backing: { name: "base.bin", format: "raw" }, snapshots: [one] }, "base.bin": parent });
    expect(difference(flatOf(path, { snapshot: "1" }), expectedDisk(one, parent))).toBeUndefined();
  });

  test("an empty L1 table", () => {
    const one = snapshot("1", { l1Entries: 0, clusters: new Map() });
    expectSnapshot(write({ "disk.qcow2": { ...base, snapshots: [one] } }), "1", one);
  });

  test("the machine's state behind the disk is not shown", () => {
    const clusters = new Map([...stored(1, 0, 3), ...stored(2, 512, 513, 600)]);
    const one = snapshot("1", { clusters, l1Entries: 2, stateSize: 80 * CLUSTER });
    expectSnapshot(write({ "disk.qcow2": { ...base, snapshots: [one] } }), "1", one);
  });

  test("an id comes before a name that looks like it", () => {
    const snapshots = [snapshot("1", { name: "2" }), snapshot("2", { name: "1" }), snapshot("3", { name: "4" })];
    const path = write({ "disk.qcow2": { ...base, snapshots } });
    const [first, second, third] = snapshots as [SnapshotRecipe, SnapshotRecipe, SnapshotRecipe];
    expectSnapshot(path, "1", first);
    expectSnapshot(path, "2", second);
    expectSnapshot(path, "4", third);
  });

  test("names beyond ASCII, and the empty one", () => {
    const snapshots = [snapshot("1", { name: "vor dem Umbau – größer 💾" }), snapshot("2", { name: "" })];
    const path = write({ "disk.qcow2": { ...base, snapshots } });
    expectSnapshot(path, snapshots[0]?.name ?? "", snapshots[0] as SnapshotRecipe);
    expectSnapshot(path, "2", snapshots[1] as SnapshotRecipe);
  });

  test("300 of them, in a table of several clusters", () => {
    const snapshots = Array.from({ length: 300 }, (_, index) =>
      snapshot(`${index + 1}`, { clusters: stored(index, 2), name: `n${"o".repeat(index % 50)}` }),
    );
    const path = write({ "disk.qcow2": { ...base, snapshots } });
    for (const index of [0, 1, 150, 299]) expectSnapshot(path, `${index + 1}`, snapshots[index] as SnapshotRecipe);
  });

  test("without COPIED, and with one cluster in two states", () => {
    const recipe: Recipe = { ...base, snapshots: [snapshot("1")] };
    const { bytes, data, l2, l1 } = buildQcow2(recipe);
    // As after taking a snapshot: the active tables lose the bit too.
    bytes.writeBigUInt64BE(bytes.readBigUInt64BE(l1) & ~COPIED, l1);
    const position = data.get(3) ?? 0;
    bytes.writeBigUInt64BE(BigInt(position), (l2.get(0) ?? 0) + 3 * 8);
    expect(difference(flatOf(write({ "disk.qcow2": bytes })), expectedDisk(base))).toBeUndefined();
  });

  test("are told with name, size, time and state", () => {
    const snapshots = [snapshot("1", { seconds: 1_500_000_000, stateSize: 12_345 }), snapshot("2", { size: 7 * CLUSTER })];
    const facts = withDisk(write({ "disk.qcow2": { ...base, snapshots } }), {}, (layer) => layer.facts());
    expect(facts.snapshots).toHaveLength(2);
    expect(facts.snapshots?.[0]).toMatchObject({ id: "1", name: "name of 1", size: 20 * CLUSTER, stateSize: 12_345 });
    expect(new Date(facts.snapshots?.[0]?.created ?? "").getTime()).toBe(1_500_000_000_000);
    expect(facts.snapshots?.[1]).toMatchObject({ id: "2", size: 7 * CLUSTER, stateSize: 0 });
  });

  test("one that is not there is refused, and those that are get named", () => {
    const path = write({ "disk.qcow2": { ...base, snapshots: [snapshot("1"), snapshot("2")] } });
    const refused = () => flatOf(path, { snapshot: "yesterday" });
    expect(refused).toThrow(/yesterday/);
    let error: unknown;
    try {
      refused();
    } catch (thrown) {
      error = thrown;
    }
    expect(JSON.stringify(error, ["message", "hint"]) + String(error)).toContain("name of 2");
    expect(() => flatOf(write({ "disk.qcow2": base }), { snapshot: "1" })).toThrow();
  });

  test("a damaged table of one leaves the others and the current state readable", () => {
    const recipe: Recipe = { ...base, snapshots: [snapshot("1"), snapshot("2")] };
    const { bytes, snapshotTable } = buildQcow2(recipe);
    bytes.writeBigUInt64BE(2n ** 40n, snapshotTable);
    const path = write({ "disk.qcow2": bytes });
    expect(imageErrorOf(() => flatOf(path, { snapshot: "1" }))).toBeDefined();
    expectSnapshot(path, "2", recipe.snapshots?.[1] as SnapshotRecipe);
    expect(
      difference(
        withDisk(path, {}, (layer) => readRange(layer, 0, base.size)),
        expectedDisk(base),
      ),
    ).toBeUndefined();
  });

  test.each([
    { name: "more than there is room for", at: 60, value: 65_000 },
    { name: "more than QEMU allows", at: 60, value: 70_000 },
    { name: "an unaligned table", at: 68, value: 4097 },
  ])("$name: no crash, and never wrong bytes", ({ at, value }) => {
    const recipe: Recipe = { ...base, snapshots: [snapshot("1")] };
    const { bytes } = buildQcow2(recipe);
    bytes.writeUInt32BE(value, at);
    const path = write({ "disk.qcow2": bytes });
    imageErrorOf(() => expect(difference(flatOf(path), expectedDisk(base))).toBeUndefined());
    imageErrorOf(() =>
      expect(difference(flatOf(path, { snapshot: "1" }), expectedDisk(recipe.snapshots?.[0] as SnapshotRecipe))).toBeUndefined(),
    );
  });
});
