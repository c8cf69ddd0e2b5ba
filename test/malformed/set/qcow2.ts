// QEMU's qcow2 with damage. Positions: docs/interop/qcow2.rst in the QEMU sources.
import { mixed, text } from "../../support/content.js";
import { deflated } from "../../support/packing.js";
import { buildQcow2, type Clusters, type Recipe } from "../../support/qcow2-builder.js";
import type { Cluster } from "../../support/qcow2-entries.js";
import { expectedDisk } from "../../support/qcow2-expected.js";
import { cut, damaged, type Range, samplesOf, SECRET_NAME } from "../sample.js";

const CLUSTER = 4096;
const SIZE = 2 ** 22;
/** Clusters that one L2 table tells of. */
const PER_TABLE = CLUSTER / 8;

const clusters: Clusters = new Map<number, Cluster>([
  ...Array.from({ length: 24 }, (_, index) => [index, { kind: "data" as const, content: mixed(index + 1, CLUSTER) }] as const),
  [30, { kind: "packed" as const, content: text(7, CLUSTER), stored: deflated(text(7, CLUSTER)) }],
  [31, { kind: "packed" as const, content: text(8, CLUSTER), stored: deflated(text(8, CLUSTER)) }],
  ...Array.from({ length: 8 }, (_, index) => [PER_TABLE + index, { kind: "data" as const, content: mixed(index + 90, CLUSTER) }] as const),
]);
const recipe: Recipe = { size: SIZE, clusters, seed: 0 };

const at = (number: number): Range => [number * CLUSTER, (number + 1) * CLUSTER];

/** What only a backing file could tell. */
function absent(): Range[] {
  return Array.from({ length: SIZE / CLUSTER }, (_, number) => number)
    .filter((number) => !clusters.has(number))
    .map(at);
}

export function qcow2Samples() {
  const built = buildQcow2(recipe);
  const image = built.bytes;
  const { samples, known, lost } = samplesOf("qcow2", "disk.qcow2", expectedDisk(recipe));
  const l2 = built.l2.get(0) ?? 0;
  const entry = (number: number) => l2 + number * 8;
  const change = (position: number, value: bigint) => damaged(image, (copy) => copy.writeBigUInt64BE(value, position));
  const change32 = (position: number, value: number) => damaged(image, (copy) => copy.writeUInt32BE(value, position));
  const COPIED = 1n << 63n;
  const PACKED = 1n << 62n;

  known("nothing damaged", image);
  const zeroed = { ...recipe, clusters: new Map<number, Cluster>([...clusters, [24, { kind: "zero" }]]) };
  known("nothing damaged, a cluster with the zero flag", buildQcow2(zeroed).bytes);
  for (const share of [0.5, 0.9]) {
    const rest = cut(image, share);
    const gone = [...built.data].filter(([, position]) => position + CLUSTER > rest.length).map(([number]) => at(number));
    const gonePacked = [...built.packed]
      .filter(([, { position, length }]) => position + length > rest.length)
      .map(([number]) => at(number));
    known(`cut at ${share * 100} %`, rest, [...gone, ...gonePacked]);
  }
  known("an L2 entry behind the end", change(entry(3), COPIED | (2n ** 40n)), [at(3)]);
  known("an L2 entry that is misaligned", change(entry(3), COPIED | BigInt((built.data.get(3) ?? 0) + 512)), [at(3)]);
  const twice = Buffer.from(expectedDisk(recipe));
  twice.copy(twice, 3 * CLUSTER, 4 * CLUSTER, 5 * CLUSTER);
  known("two L2 entries for one cluster", change(entry(3), image.readBigUInt64BE(entry(4))), [], undefined, twice);
  const half: Range = [PER_TABLE * CLUSTER, SIZE];
  known("an L1 entry behind the end", change(built.l1 + 8, COPIED | (2n ** 40n)), [half]);
  known("an L1 entry that is misaligned", change(built.l1 + 8, image.readBigUInt64BE(built.l1 + 8) + 512n), [half]);
  known(
    "a packed cluster that is no deflate stream",
    damaged(image, (copy) => copy.fill(0xff, built.packed.get(30)?.position ?? 0, (built.packed.get(30)?.position ?? 0) + 8)),
    [at(30)],
  );
  known("a packed cluster behind the end", change(entry(30), PACKED | (2n ** 40n)), [at(30)]);
  known("refcount table behind the end", change(48, 2n ** 40n));
  known("refcount table lost (position 0)", change(48, 0n));
  known(
    "snapshot table behind the end",
    damaged(image, (copy) => {
      copy.writeUInt32BE(1, 60);
      copy.writeBigUInt64BE(2n ** 40n, 64);
    }),
  );
  known("marked as dirty", change(72, 1n));
  known("marked as corrupt", change(72, 2n));
  known(
    "a header extension longer than the file",
    damaged(image, (copy) => {
      copy.writeUInt32BE(0x12345678, copy.readUInt32BE(100));
      copy.writeUInt32BE(0x7fffffff, copy.readUInt32BE(100) + 4);
    }),
  );
  lost("an incompatible feature nobody knows", change(72, 1n << 40n));
  lost("L1 table without entries", change32(36, 0));
  lost("L1 table of 2^31 entries", change32(36, 0x80000000));
  lost("L1 table behind the end", change(40, 2n ** 40n));
  lost("size of 2^62", change(24, 2n ** 62n));
  lost("cluster bits 63", change32(20, 63));
  lost("version 99", change32(4, 99));
  lost("magic destroyed", change32(0, 0));
  lost("cut in its header", Buffer.from(image.subarray(0, 60)));
  const child = (name: string, format = "qcow2") => buildQcow2({ ...recipe, backing: { name, format } }).bytes;
  known("backing file missing", child("missing.qcow2"), absent());
  known("backing file is itself", child("disk.qcow2"), absent());
  known("two backing files in a ring", child("other.qcow2"), absent(), { "other.qcow2": child("disk.qcow2") });
  known("backing file outside its folder", child(SECRET_NAME, "raw"), absent());
  known(
    "backing file named by json:",
    buildQcow2({ ...recipe, backing: { name: `json:{"driver":"raw","file":{"driver":"file","filename":"${SECRET_NAME}"}}` } }).bytes,
    absent(),
  );
  const plain: Clusters = new Map([...clusters].filter(([, { kind }]) => kind === "data"));
  lost("data file outside its folder", buildQcow2({ ...recipe, clusters: plain, dataFile: SECRET_NAME }).bytes);
  return samples;
}
