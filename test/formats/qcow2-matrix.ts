// Images of every kind that QEMU writes, each with a name and the way to make it. Made with seeds: the same ones on every run.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { activity } from "../support/activity.js";
import { mixed, noise, text } from "../support/content.js";
import { change, createImage, qemuImg, type Step } from "../support/qemu.js";
import {
  all,
  chain,
  converted,
  forgetBackingFormat,
  kept,
  type Link,
  type MatrixImage,
  MIB,
  unpacked,
  used,
  withDataFile,
} from "../support/qemu-images.js";

export type { MatrixImage } from "../support/qemu-images.js";

/** Compresses every cluster of an empty disk. (`qemu-img convert -c` into version 1 does it and then fails for no reason, at least in 7.2.) */
function everyCluster(size: number, cluster: number): Step[] {
  return Array.from({ length: size / cluster }, (_, index) => ({ kind: "packed", at: index * cluster, content: text(index, cluster) }));
}

const diskLike = (size: number) => () =>
  Buffer.concat([mixed(1, size >> 1), Buffer.alloc(size >> 3), text(2, size >> 3), mixed(3, size - (size >> 1) - 2 * (size >> 3))]);

const plain = [
  ...[512, 1024, 4096, 65_536].map((cluster) =>
    used(`version 2, clusters of ${cluster}`, { cluster, options: { compat: "0.10" }, also: all }),
  ),
  ...[512, 1024, 4096, 65_536].map((cluster) => used(`version 3, clusters of ${cluster}`, { cluster, also: all })),
  ...["0.10", "1.1"].map((compat) =>
    used(`compat ${compat}, clusters of 2 MiB`, { cluster: 2 * MIB, size: 8 * MIB + 512, options: { compat }, also: all }),
  ),
  ...[1, 2, 4, 8, 32, 64].map((refcount_bits, index) =>
    used(`reference counts of ${refcount_bits} bits`, { cluster: 512 << (index + 1), options: { refcount_bits }, also: all }),
  ),
  used("lazy reference counts", { options: { lazy_refcounts: "on" }, also: all }),
  used("left dirty by a writer that died", { options: { lazy_refcounts: "on" }, also: unpacked, after: [{ kind: "abort" }] }),
  used("no bytes at all", { size: 0 }),
  used("one sector", { size: 512, before: [{ kind: "write", at: 3, content: noise(1, 500) }] }),
  used("one cluster less a sector", { size: 65_024, also: unpacked }),
  used("one cluster and a sector", { size: 66_048, also: unpacked }),
  used("nothing written", { size: 5 * MIB + 512, before: [{ kind: "discard", at: 0, length: 4096 }] }),
];

const preallocated = [
  ...["metadata", "falloc", "full"].map((preallocation) =>
    used(`preallocation=${preallocation}`, { options: { preallocation }, also: unpacked }),
  ),
  used("preallocated, clusters of 512", { cluster: 512, options: { preallocation: "metadata" }, also: unpacked }),
  used("preallocated, then all zeroed", { options: { preallocation: "full" }, after: [{ kind: "zero", at: 0, length: MIB }] }),
  used("zero clusters without storage", { also: ["zero-unmap"], after: [{ kind: "zero-unmap", at: 131_072, length: 262_144 }] }),
];

const compressed = [
  ...["512", "4k", "64k", "2M"].flatMap((cluster) =>
    ["zlib", "zstd"].map((type) =>
      converted(
        `convert -c, ${type}, clusters of ${cluster}`,
        ["-c", "-O", "qcow2", "-o", `cluster_size=${cluster},compression_type=${type}`],
        diskLike(cluster === "2M" ? 9 * MIB + 512 : 2 * MIB + 512),
      ),
    ),
  ),
  converted("convert -c, version 2", ["-c", "-O", "qcow2", "-o", "compat=0.10"], diskLike(2 * MIB + 1024)),
  converted("convert, many writers out of order", ["-W", "-m", "16", "-O", "qcow2"], diskLike(8 * MIB)),
  converted("convert, 64 MiB", ["-O", "qcow2"], () => Buffer.concat([diskLike(24 * MIB)(), Buffer.alloc(30 * MIB), diskLike(10 * MIB)()])),
  converted("convert -c, 64 MiB", ["-c", "-O", "qcow2"], () =>
    Buffer.concat([Buffer.alloc(30 * MIB), diskLike(6 * MIB)(), Buffer.alloc(28 * MIB)]),
  ),
  used("partly zstd", { cluster: 16_384, options: { compression_type: "zstd" }, also: all }),
  used("the last stream ends the file", { size: MIB, before: [{ kind: "packed", at: 65_536, content: text(5, 65_536) }], also: [] }),
  {
    name: "one compressed cluster, no sector padding",
    build(directory: string) {
      const image = join(directory, "disk.img");
      createImage(image, MIB);
      change(image, [{ kind: "packed", at: 131_072, content: text(9, 65_536) }]);
      return { image };
    },
  },
];

const subclusters = [
  ...[16_384, 65_536, 2 * MIB].map((cluster) =>
    used(`subclusters, clusters of ${cluster}`, {
      cluster,
      size: cluster > MIB ? 8 * MIB + 512 : MIB + 1536,
      options: { extended_l2: "on" },
      also: all,
    }),
  ),
  used("subclusters, zstd", { cluster: 32_768, options: { extended_l2: "on", compression_type: "zstd" }, also: all }),
  used("subclusters, preallocated", { options: { extended_l2: "on", preallocation: "metadata" }, also: unpacked }),
  used("subclusters, the last one ends the file", { size: 131_072, options: { extended_l2: "on" }, also: [] }),
  converted("convert into subclusters, disk of odd size", ["-O", "qcow2", "-o", "extended_l2=on,cluster_size=128k"], diskLike(MIB + 512)),
  chain("subclusters over subclusters over raw", [
    { file: "base.bin", format: "raw", size: MIB },
    { file: "middle.img", options: { extended_l2: "on", cluster_size: 16_384 }, also: all },
    { file: "top.img", options: { extended_l2: "on", cluster_size: 65_536 }, also: all },
  ]),
];

const raw: Link = { file: "base.bin", format: "raw" };
const stack = (depth: number): Link[] =>
  Array.from({ length: depth }, (_, index) => ({
    file: `level${index}.img`,
    options: { cluster_size: 4096 << (index % 5), compat: index % 3 === 1 ? "0.10" : "1.1" },
    also: all,
  }));

const chains = [
  chain("over raw", [raw, { file: "top.img", also: all }]),
  chain("over raw of 700 bytes", [
    { ...raw, size: 700 },
    { file: "top.img", size: 4096, options: { cluster_size: 512 }, steps: [{ kind: "write", at: 1500, content: noise(1, 900) }] },
  ]),
  chain("over raw that ends inside a cluster", [
    { ...raw, size: 300_333 },
    { file: "top.img", size: MIB, also: all },
  ]),
  ...[2, 3, 5, 8].map((depth) => chain(`${depth} images`, stack(depth))),
  chain("over a shorter image", [
    { file: "base.img", size: 524_288 + 512 },
    { file: "top.img", size: 2 * MIB, also: all },
  ]),
  chain("over a longer image", [
    { file: "base.img", size: 3 * MIB },
    { file: "top.img", size: 524_288 + 512, also: all },
  ]),
  chain("long over short over long", [
    { ...raw, size: 2 * MIB },
    { file: "middle.img", size: 400_384, steps: [] },
    { file: "top.img", size: 2 * MIB, also: ["discard"] },
  ]),
  chain("by an absolute name", [
    { ...raw, as: (directory) => join(directory, "base.bin") },
    { file: "top.img", also: all },
  ]),
  chain("in a folder below", [
    { ...raw, file: "bases/base.bin" },
    { file: "top.img", also: all },
  ]),
  chain("a name with blanks, % and letters beyond ASCII", [
    { ...raw, file: "über 100% base.bin" },
    { file: "top.img", also: all },
  ]),
  chain(
    "over qcow2, format not recorded",
    [
      { file: "base.img", size: MIB },
      { file: "top.img", also: all },
    ],
    forgetBackingFormat,
  ),
  chain("over raw, format not recorded", [raw, { file: "top.img", also: all }], forgetBackingFormat),
  chain("over a version 1 image", [
    { file: "base.qcow", format: "qcow", also: [] },
    { file: "top.img", also: all },
  ]),
  chain("over a compressed image", [
    { file: "base.img", also: ["packed"] },
    { file: "top.img", options: { cluster_size: 4096 }, also: unpacked },
  ]),
  chain("zeros over data", [
    raw,
    {
      file: "top.img",
      steps: [
        { kind: "zero", at: 65_536, length: 400_000 },
        { kind: "discard", at: 589_824, length: 131_072 },
      ],
    },
  ]),
  chain("nothing over data", [raw, { file: "top.img", steps: [] }]),
];

const snapshots = [
  kept("three snapshots, now", 3, undefined, { also: all }),
  kept("three snapshots, the first by id", 3, "1", { also: all }),
  kept("three snapshots, the second by name", 3, "state 2", { also: all }),
  kept("three snapshots, the third by id", 3, "3", { also: unpacked, cluster: 4096 }),
  kept("version 2, a snapshot by name", 2, "state 1", { also: all, options: { compat: "0.10" } }),
  kept("a snapshot of when the disk was smaller", 2, "1", { also: all, grow: 700_416 }),
  kept("now, after growing under snapshots", 2, undefined, { also: all, grow: 700_416 }),
  kept("a snapshot of when the disk was larger", 2, "state 1", { also: all, grow: -200_704 }),
  kept("a snapshot with subclusters", 2, "state 2", { also: all, options: { extended_l2: "on" } }),
  kept("a snapshot with clusters of 512", 2, "2", { also: all, cluster: 512 }),
];

const external = [
  withDataFile("external data file", {}),
  withDataFile("external data file, clusters of 4 KiB", { cluster_size: 4096 }),
  withDataFile("external data file with subclusters", { extended_l2: "on" }),
  withDataFile("external raw data file", { data_file_raw: "on" }),
  withDataFile("external raw data file, preallocated", { data_file_raw: "on", preallocation: "full" }),
  {
    name: "external data file over a base",
    build(directory: string) {
      writeFileSync(join(directory, "base.bin"), mixed(4, MIB));
      const image = join(directory, "disk.img");
      createImage(image, MIB, { options: { data_file: join(directory, "disk.data") }, backing: "base.bin" });
      change(image, activity({ size: MIB, clusterSize: 65_536, seed: 77, also: unpacked }));
      return { image };
    },
  },
];

const others = [
  used("version 1", { format: "qcow", cluster: 4096 }),
  used("version 1, partly compressed", { format: "qcow", cluster: 4096, also: ["packed"] }),
  used("version 1, all compressed", { format: "qcow", cluster: 4096, size: 262_144, before: everyCluster(262_144, 4096) }),
  chain("version 1 over raw", [raw, { file: "top.qcow", format: "qcow", options: {} }]),
  {
    name: "with dirty bitmaps",
    build(directory: string) {
      const { image } = used("with dirty bitmaps", { also: all }).build(directory);
      qemuImg("bitmap", "--add", image, "before");
      change(image, activity({ size: MIB, clusterSize: 65_536, seed: 5, also: unpacked }));
      qemuImg("bitmap", "--add", "-g", "1M", image, "after");
      return { image };
    },
  },
  {
    name: "version 2 amended to 3",
    build(directory: string) {
      const { image } = used("amended", { options: { compat: "0.10" }, also: all }).build(directory);
      qemuImg("amend", "-q", "-f", "qcow2", "-o", "compat=1.1", image);
      return { image };
    },
  },
  {
    name: "moved together with its base",
    build(directory: string) {
      const { image } = chain("moved", [raw, { file: "top.img", also: all }]).build(directory);
      const moved = join(directory, "elsewhere");
      mkdirSync(moved);
      for (const file of ["base.bin", "top.img"]) renameSync(join(directory, file), join(moved, file));
      return { image: join(moved, image.slice(directory.length + 1)) };
    },
  },
] satisfies MatrixImage[];

export const qcow2Matrix: readonly MatrixImage[] = [
  ...plain,
  ...preallocated,
  ...compressed,
  ...subclusters,
  ...chains,
  ...snapshots,
  ...external,
  ...others,
];
