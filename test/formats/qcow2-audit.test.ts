// The structure of qcow2 images, damaged in every way there is a name for: the audit counts what "qemu-img check" counts.
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { audited, changedBy, qemuCheck } from "../support/audit.js";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers, text } from "../support/content.js";
import { deflated } from "../support/packing.js";
import { type Built, buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import { type Cluster, COPIED } from "../support/qcow2-entries.js";
import { change, createImage, qemuImg, requireProgram } from "../support/qemu.js";
import { withDisk } from "../support/reading.js";

const { write } = builtDisks();
const CLUSTER = 4096;

function sample(more: Partial<Recipe> = {}): Recipe {
  const size = 2 ** (more.clusterBits ?? 12);
  const stored = (seed: number): Cluster => ({ kind: "data", content: noise(seed, size) });
  const packed = (seed: number): Cluster => ({ kind: "packed", content: text(seed, size), stored: deflated(text(seed, size)) });
  const clusters = new Map<number, Cluster>([
    ...[1, 2, 5, 30].map((number): [number, Cluster] => [number, stored(number)]),
    ...(more.dataFile === undefined ? [7, 8, 9].map((number): [number, Cluster] => [number, packed(number)]) : []),
    [12, { kind: "zero" }],
    ...(more.extended ? [] : [[13, { kind: "zero", stale: noise(13, size) }] as [number, Cluster]]),
  ]);
  return { size: 600 * size, clusters, seed: 3, ...more };
}

/** Without compressed clusters, which share a cluster of the file: a refcount of one bit cannot count that. */
const single = new Map<number, Cluster>([[3, { kind: "data", content: noise(3, CLUSTER) }]]);

const refcountTable = ({ bytes }: Built) => Number(bytes.readBigUInt64BE(48));
const firstBlock = (built: Built) => Number(built.bytes.readBigUInt64BE(refcountTable(built)));
const host = ({ data }: Built, number: number) => data.get(number) ?? 0;
const table = ({ l2 }: Built) => l2.get(0) ?? 0;
const entryAt = (built: Built, number: number) => table(built) + number * 8;

/** Of 16 bits. */
function setRefcount(built: Built, position: number, count: number): void {
  built.bytes.writeUInt16BE(count, firstBlock(built) + (position / built.clusterSize) * 2);
}
function changeEntry(built: Built, number: number, change: (entry: bigint) => bigint): void {
  const at = entryAt(built, number);
  built.bytes.writeBigUInt64BE(BigInt.asUintN(64, change(built.bytes.readBigUInt64BE(at))), at);
}
function changeL1(built: Built, change: (entry: bigint) => bigint): void {
  built.bytes.writeBigUInt64BE(BigInt.asUintN(64, change(built.bytes.readBigUInt64BE(built.l1))), built.l1);
}

interface Damage {
  readonly name: string;
  readonly recipe?: Partial<Recipe>;
  damage(built: Built): unknown;
}

const snapshots = [{ id: "1", name: "one", size: 600 * CLUSTER, clusters: sample().clusters }];

const damages: readonly Damage[] = [
  { name: "nothing", damage: () => undefined },
  { name: "nothing, subclusters", recipe: { extended: true, clusterBits: 16 }, damage: () => undefined },
  { name: "nothing, version 2", recipe: { version: 2 }, damage: () => undefined },
  { name: "nothing, a snapshot", recipe: { snapshots }, damage: () => undefined },
  ...[0, 1, 2, 3, 4, 5, 6].map((refcountOrder) => ({
    name: `nothing, refcounts of order ${refcountOrder}`,
    recipe: {
      refcountOrder,
      ...(refcountOrder === 0 && { clusters: single }),
    },
    damage: () => undefined,
  })),
  { name: "a leaked cluster", damage: (built) => Buffer.concat([built.bytes, leak(built, 1)]) },
  { name: "three leaked clusters", damage: (built) => Buffer.concat([built.bytes, leak(built, 3)]) },
  { name: "a refcount too high", damage: (built) => setRefcount(built, host(built, 1), 2) },
  { name: "a refcount much too high", damage: (built) => setRefcount(built, host(built, 2), 60_000) },
  { name: "a refcount of 0", damage: (built) => setRefcount(built, host(built, 5), 0) },
  { name: "the header's refcount of 0", damage: (built) => setRefcount(built, 0, 0) },
  { name: "the L1 table's refcount of 0", damage: (built) => setRefcount(built, built.l1, 0) },
  { name: "the L2 table's refcount of 0", damage: (built) => setRefcount(built, table(built), 0) },
  { name: "the L2 table's refcount of 2", damage: (built) => setRefcount(built, table(built), 2) },
  { name: "the refcount table's refcount of 0", damage: (built) => setRefcount(built, refcountTable(built), 0) },
  { name: "the refcount block's refcount of 0", damage: (built) => setRefcount(built, firstBlock(built), 0) },
  { name: "a compressed cluster's refcount of 0", damage: (built) => setRefcount(built, packedCluster(built), 0) },
  { name: "two entries for one cluster", damage: (built) => changeEntry(built, 1, () => BigInt(host(built, 2)) | COPIED) },
  {
    name: "two entries for one cluster that is counted twice",
    damage(built) {
      changeEntry(built, 1, () => BigInt(host(built, 2)));
      changeEntry(built, 2, () => BigInt(host(built, 2)));
      setRefcount(built, host(built, 2), 2);
      setRefcount(built, host(built, 1), 0);
    },
  },
  { name: "no COPIED", damage: (built) => changeEntry(built, 1, (entry) => entry & ~COPIED) },
  { name: "no COPIED in the L1 table", damage: (built) => changeL1(built, (entry) => entry & ~COPIED) },
  { name: "COPIED with a refcount of 2", damage: (built) => setRefcount(built, host(built, 30), 2) },
  { name: "no COPIED of a zero cluster with a place", damage: (built) => changeEntry(built, 13, (entry) => entry & ~COPIED) },
  { name: "COPIED of a compressed cluster", damage: (built) => changeEntry(built, 7, (entry) => entry | COPIED) },
  { name: "a reserved bit of an L2 entry", damage: (built) => changeEntry(built, 1, (entry) => entry | 2n) },
  { name: "a high reserved bit of an L2 entry", damage: (built) => changeEntry(built, 2, (entry) => entry | (1n << 60n)) },
  { name: "a reserved bit of an L1 entry", damage: (built) => changeL1(built, (entry) => entry | 4n) },
  { name: "a high reserved bit of an L1 entry", damage: (built) => changeL1(built, (entry) => entry | (1n << 58n)) },
  { name: "a cluster that is not aligned", damage: (built) => changeEntry(built, 1, (entry) => entry + 512n) },
  { name: "a zero cluster's place that is not aligned", damage: (built) => changeEntry(built, 13, (entry) => entry + 1024n) },
  { name: "a cluster behind the end", damage: (built) => changeEntry(built, 1, () => (1n << 40n) | COPIED) },
  { name: "a cluster right behind the end", damage: (built) => changeEntry(built, 1, () => BigInt(built.bytes.length) | COPIED) },
  { name: "an L2 table behind the end", damage: (built) => changeL1(built, () => (1n << 40n) | COPIED) },
  { name: "a cluster over the header", damage: (built) => changeEntry(built, 1, () => 512n) },
  { name: "a cluster over the L1 table", damage: (built) => changeEntry(built, 1, () => BigInt(built.l1) | COPIED) },
  { name: "a cluster over its own L2 table", damage: (built) => changeEntry(built, 1, () => BigInt(table(built)) | COPIED) },
  { name: "a cluster over the refcount table", damage: (built) => changeEntry(built, 1, () => BigInt(refcountTable(built)) | COPIED) },
  { name: "a cluster over a refcount block", damage: (built) => changeEntry(built, 1, () => BigInt(firstBlock(built)) | COPIED) },
  { name: "an entry lost", damage: (built) => changeEntry(built, 1, () => 0n) },
  { name: "the L2 table lost", damage: (built) => changeL1(built, () => 0n) },
  { name: "all entries lost", damage: (built) => void built.bytes.fill(0, table(built), table(built) + CLUSTER) },
  { name: "no refcount block", damage: (built) => void built.bytes.writeBigUInt64BE(0n, refcountTable(built)) },
  {
    name: "a refcount block behind the end",
    damage: (built) => void built.bytes.writeBigUInt64BE(BigInt(built.bytes.length + 16 * CLUSTER), refcountTable(built)),
  },
  {
    name: "the refcount block named twice",
    damage: (built) => void built.bytes.writeBigUInt64BE(BigInt(firstBlock(built)), refcountTable(built) + 8),
  },
  { name: "the file is cut by a cluster", damage: (built) => built.bytes.subarray(0, -CLUSTER) },
  { name: "the file is cut inside a cluster", damage: (built) => built.bytes.subarray(0, -CLUSTER + 700) },
  { name: "the file is cut inside the refcounts", damage: (built) => built.bytes.subarray(0, firstBlock(built) + 20) },
  { name: "the file ends inside the last cluster", recipe: { cutAtEnd: false }, damage: (built) => built.bytes.subarray(0, -100) },
  { name: "an extra cluster that nobody counts", damage: (built) => Buffer.concat([built.bytes, Buffer.alloc(CLUSTER)]) },
  { name: "a snapshot, a refcount too low", recipe: { snapshots }, damage: (built) => setRefcount(built, host(built, 1), 0) },
  { name: "a snapshot, its table counted 0 times", recipe: { snapshots }, damage: (built) => setRefcount(built, built.snapshotTable, 0) },
  { name: "a snapshot without its extra data", recipe: { snapshots: [{ ...snapshots[0]!, extraSize: 0 }] }, damage: () => undefined },
  {
    name: "a snapshot whose L1 table is not aligned",
    recipe: { snapshots },
    damage: (built) => void built.bytes.writeBigUInt64BE(built.bytes.readBigUInt64BE(built.snapshotTable) + 8n, built.snapshotTable),
  },
  { name: "the dirty bit", damage: (built) => void (built.bytes[79] = built.bytes[79]! | 1) },
  {
    name: "a subcluster both allocated and zero",
    recipe: { extended: true, clusterBits: 16 },
    damage: (built) => bitmap(built, 1, 1n << 32n),
  },
  {
    name: "subclusters of a cluster without a place",
    recipe: { extended: true, clusterBits: 16 },
    damage: (built) => bitmap(built, 3, 1n),
  },
  { name: "a bitmap of a compressed cluster", recipe: { extended: true, clusterBits: 16 }, damage: (built) => bitmap(built, 7, 1n) },
  ...[0, 1, 2, 3, 5, 6].map((refcountOrder) => ({
    name: `a byte of the refcounts is 0, order ${refcountOrder}`,
    recipe: {
      refcountOrder,
      ...(refcountOrder === 0 && { clusters: single }),
    },
    damage: (built: Built) => void (built.bytes[firstBlock(built) + (refcountOrder > 3 ? 2 ** (refcountOrder - 3) * 3 - 1 : 0)] = 0),
  })),
];

function leak(built: Built, count: number): Buffer {
  for (let index = 0; index < count; index += 1) setRefcount(built, built.bytes.length + index * CLUSTER, 1);
  return Buffer.alloc(count * CLUSTER);
}
function packedCluster({ packed }: Built): number {
  return Math.floor((packed.get(8)?.position ?? 0) / CLUSTER) * CLUSTER;
}
/** Sets bits in the bitmap of an extended entry. */
function bitmap(built: Built, number: number, bits: bigint): void {
  const at = table(built) + number * 16 + 8;
  built.bytes.writeBigUInt64BE(built.bytes.readBigUInt64BE(at) | bits, at);
}

/** What QEMU has no word for. */
function likeQemu({ errors, kinds }: ReturnType<typeof audited>): number {
  return errors - (kinds["overlap"] ?? 0);
}

describe.skipIf(!requireProgram("qemu-img"))("like qemu-img check", () => {
  test.each(damages)("$name", ({ recipe = {}, damage }) => {
    const built = buildQcow2(sample(recipe));
    const path = write({ "disk.qcow2": changedBy(built.bytes, damage(built)) });
    const own = withDisk(path, { format: "qcow2" }, audited);
    const theirs = qemuCheck(path, "qcow2");
    expect({ corruptions: likeQemu(own), leaks: own.kinds["leaked cluster"] ?? 0, own: own.problems, said: theirs.stderr }).toMatchObject({
      corruptions: theirs.corruptions,
      leaks: theirs.leaks,
    });
  });

  test("entries and refcounts changed at random", { timeout: 20_000 }, () => {
    const random = randomNumbers(77);
    const pick = (...values: readonly bigint[]) => values[between(random, 0, values.length - 1)] ?? 0n;
    for (let round = 0; round < 50; round += 1) {
      const built = buildQcow2(sample(round % 3 === 0 ? { snapshots } : {}));
      const { bytes } = built;
      const last = bytes.length / CLUSTER;
      for (let change = 0; change < 6; change += 1) {
        const cluster = between(random, 0, last + 2);
        const entry = BigInt(cluster * CLUSTER) | pick(0n, COPIED) | pick(0n, 0n, 1n) | pick(0n, 0n, 0n, 512n, 2n);
        if (change % 2 === 0) changeEntry(built, between(random, 0, 40), () => entry);
        else setRefcount(built, cluster * CLUSTER, between(random, 0, 3));
      }
      const path = write({ "disk.qcow2": bytes });
      const own = withDisk(path, { format: "qcow2" }, audited);
      const theirs = qemuCheck(path, "qcow2");
      expect({ round, corruptions: likeQemu(own), leaks: own.kinds["leaked cluster"] ?? 0, said: theirs.stderr }).toMatchObject({
        corruptions: theirs.corruptions,
        leaks: theirs.leaks,
      });
    }
  });

  test.each<[string, (path: string) => void]>([
    ["bitmaps", (path) => void [1, 2].map((number) => qemuImg("bitmap", "--add", "-f", "qcow2", path, `b${number}`))],
    [
      "snapshots",
      (path) => {
        for (const name of ["one", "two"]) {
          qemuImg("snapshot", "-c", name, path);
          change(path, [{ kind: "write", at: 65_536, content: noise(9, 69_632) }]);
        }
      },
    ],
    ["a writer that died", (path) => change(path, [{ kind: "write", at: 0, content: noise(4, 512) }, { kind: "abort" }])],
  ])("images of QEMU's own: %s", (_, use) => {
    const path = write({ "disk.qcow2": Buffer.alloc(0) });
    createImage(path, 8 * 2 ** 20, { options: { lazy_refcounts: "on", compat: "1.1" } });
    change(path, [{ kind: "write", at: 0, content: noise(1, 200_192) }]);
    use(path);
    // Asked after us: QEMU may repair what it opens.
    const own = withDisk(path, {}, audited);
    const theirs = qemuCheck(path, "qcow2");
    expect({ corruptions: likeQemu(own), leaks: own.kinds["leaked cluster"] ?? 0 }).toEqual({
      corruptions: theirs.corruptions,
      leaks: theirs.leaks,
    });
  });

  test("bitmaps whose clusters are counted too low or not at all", () => {
    const path = write({ "disk.qcow2": Buffer.alloc(0) });
    createImage(path, 8 * 2 ** 20);
    qemuImg("bitmap", "--add", "-f", "qcow2", path, "b1");
    const content = readFileSync(path);
    const block = Number(content.readBigUInt64BE(Number(content.readBigUInt64BE(48))));
    for (let cluster = 4; cluster < content.length / 65_536; cluster += 1) {
      for (const count of [0, 2]) {
        const copy = Buffer.from(content);
        copy.writeUInt16BE(count, block + 2 * cluster);
        const changed = write({ "disk.qcow2": copy });
        const own = withDisk(changed, {}, audited);
        const theirs = qemuCheck(changed, "qcow2");
        expect({ corruptions: likeQemu(own), leaks: own.kinds["leaked cluster"] ?? 0 }).toEqual({
          corruptions: theirs.corruptions,
          leaks: theirs.leaks,
        });
      }
    }
  });

  test("an external data file: entries lie in it, and are counted nowhere", () => {
    const home = write({ "disk.qcow2": Buffer.alloc(0) });
    createImage(home, 2 ** 20, { options: { data_file: `${home}.data` } });
    change(home, [{ kind: "write", at: 0, content: noise(1, 200_192) }]);
    expect(withDisk(home, {}, audited).kinds).toEqual({});
    const content = readFileSync(home);
    const l2 = Number(content.readBigUInt64BE(Number(content.readBigUInt64BE(40))) & 0xfffffffffffe00n);
    content.writeBigUInt64BE(content.readBigUInt64BE(l2 + 8) & ~COPIED, l2 + 8);
    writeFileSync(home, content);
    expect(likeQemu(withDisk(home, {}, audited))).toBe(qemuCheck(home, "qcow2").corruptions);
  });
});

test("clusters that lie over tables, and share a place, are doubtful", () => {
  const built = buildQcow2(sample());
  changeEntry(built, 1, () => BigInt(built.l1) | COPIED);
  changeEntry(built, 30, () => BigInt(host(built, 5)) | COPIED);
  const { doubtful } = withDisk(write({ "disk.qcow2": built.bytes }), { format: "qcow2" }, audited);
  expect(doubtful).toEqual([1, 5, 30].map((number) => ({ start: number * CLUSTER, length: CLUSTER })));
});
