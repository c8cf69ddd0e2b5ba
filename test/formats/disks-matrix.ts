// Images of the other formats that QEMU writes, each with a name and the way to make it. Made with seeds: the same ones on every run.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { mixed, noise, text } from "../support/content.js";
import type { QemuFormat } from "../support/qemu.js";
import { chain, converted, type Link, type MatrixImage, MIB, used } from "../support/qemu-images.js";

const diskLike = (size: number) => () =>
  Buffer.concat([mixed(1, size >> 1), Buffer.alloc(size >> 3), text(2, size >> 3), mixed(3, size - (size >> 1) - 2 * (size >> 3))]);

/** Sizes of disks: less than a block, a sector more than one, no multiple of anything. */
const sizes = [512, 65_536, 3 * MIB + 512, 5 * MIB + 7 * 512];

const options = (list: Readonly<Record<string, string | number>>): readonly string[] => {
  const joined = Object.entries(list).map(([key, value]) => `${key}=${value}`);
  return joined.length > 0 ? ["-o", joined.join(",")] : [];
};

/** One variant, used for a while, and written at once in every size. */
function variant(name: string, format: QemuFormat, list: Readonly<Record<string, string | number>> = {}, block = 65_536): MatrixImage[] {
  return [
    used(`${name}, used`, { format, options: list, cluster: block, size: 6 * MIB, also: [] }),
    ...sizes.map((size) => converted(`${name}, ${size} bytes`, ["-O", format, ...options(list)], diskLike(size))),
  ];
}

const vmdk = [
  ...variant("vmdk, monolithicSparse", "vmdk", { subformat: "monolithicSparse" }),
  ...variant("vmdk, monolithicFlat", "vmdk", { subformat: "monolithicFlat" }),
  ...variant("vmdk, twoGbMaxExtentSparse", "vmdk", { subformat: "twoGbMaxExtentSparse" }),
  ...variant("vmdk, twoGbMaxExtentFlat", "vmdk", { subformat: "twoGbMaxExtentFlat" }),
  ...sizes.map((size) =>
    converted(`vmdk, streamOptimized, ${size} bytes`, ["-O", "vmdk", "-o", "subformat=streamOptimized"], diskLike(size)),
  ),
  converted("vmdk, streamOptimized, mostly empty", ["-O", "vmdk", "-o", "subformat=streamOptimized"], () =>
    Buffer.concat([Buffer.alloc(17 * MIB), diskLike(MIB)(), Buffer.alloc(23 * MIB), noise(3, 70_144)]),
  ),
  used("vmdk, zeroed grains", {
    format: "vmdk",
    options: { subformat: "monolithicSparse", zeroed_grain: "on" },
    size: 4 * MIB,
    after: [{ kind: "zero", at: 655_360, length: 1_310_720 }],
  }),
  used("vmdk, hardware version 4, lsilogic", { format: "vmdk", options: { hwversion: 4, adapter_type: "lsilogic" }, size: 4 * MIB }),
];

/** QEMU looks for a VHD at the beginning of the file only. */
const told = ({ name, build }: MatrixImage): MatrixImage => ({ name, build: (directory) => ({ ...build(directory), format: "vpc" }) });

const vhd = [
  ...variant("vhd, dynamic", "vpc", { subformat: "dynamic" }, 2 * MIB),
  ...variant("vhd, dynamic, exact size", "vpc", { subformat: "dynamic", force_size: "on" }, 2 * MIB),
  ...variant("vhd, fixed", "vpc", { subformat: "fixed" }).map(told),
  ...variant("vhd, fixed, exact size", "vpc", { subformat: "fixed", force_size: "on" }).map(told),
];

const vhdx = [
  ...variant("vhdx, dynamic, blocks of 1 MiB", "vhdx", { subformat: "dynamic", block_size: MIB }, MIB),
  ...variant("vhdx, dynamic, blocks of 8 MiB", "vhdx", { subformat: "dynamic", block_size: 8 * MIB }, MIB),
  ...variant("vhdx, fixed", "vhdx", { subformat: "fixed", block_size: MIB }, MIB),
  ...variant("vhdx, without zero blocks", "vhdx", { block_state_zero: "off", block_size: MIB }, MIB),
  used("vhdx, 100 MiB with blocks of 32 MiB", { format: "vhdx", options: { block_size: 32 * MIB }, size: 100 * MIB, cluster: MIB }),
];

const vdi = [...variant("vdi, normal", "vdi", {}, MIB), ...variant("vdi, fixed", "vdi", { static: "on" }, MIB)];

const qed = [
  ...variant("qed", "qed", { cluster_size: 65_536 }),
  ...[4096, 16_384, MIB].map((cluster) =>
    used(`qed, clusters of ${cluster}`, { format: "qed", options: { cluster_size: cluster, table_size: 2 }, cluster, size: 3 * MIB + 512 }),
  ),
];

const parallels = [
  ...variant("parallels", "parallels", {}, MIB),
  used("parallels, clusters of 64 KiB", { format: "parallels", options: { cluster_size: 65_536 }, size: 3 * MIB }),
];

const levels = (format: QemuFormat, depth: number): Link[] =>
  Array.from({ length: depth }, (_, index) => ({ file: `level${index}.img`, format, size: 2 * MIB }));

const chains = [
  ...[2, 3, 8].map((depth) => chain(`vmdk, ${depth} images`, levels("vmdk", depth))),
  ...[2, 5].map((depth) => chain(`qed, ${depth} images`, levels("qed", depth))),
  chain("vmdk over a shorter one", [
    { file: "base.vmdk", format: "vmdk", size: MIB },
    { file: "top.vmdk", format: "vmdk", size: 3 * MIB },
  ]),
  chain("qed over raw", [
    { file: "base.bin", format: "raw", size: MIB },
    { file: "top.img", format: "qed", size: MIB },
  ]),
  ...(["vmdk", "vpc", "vhdx", "vdi", "qed", "parallels"] as const).map((format) =>
    chain(`qcow2 over ${format}`, [
      { file: "base.img", format, size: 2 * MIB },
      { file: "top.img", size: 2 * MIB, options: { cluster_size: 4096 } },
    ]),
  ),
];

/** The bytes of an image cut in parts, as split(1) and forensic programs number them. */
const split = (["numbers from 1", "letters"] as const).flatMap((kind) =>
  (["raw", "qcow2", "vhdx"] as const).map(
    (format): MatrixImage => ({
      name: `${format} in parts, ${kind}`,
      build(directory) {
        const { image } = converted("", ["-O", format], diskLike(3 * MIB + 512)).build(directory);
        const style = kind === "letters" ? ["-a", "2"] : ["--numeric-suffixes=1", "-a", "3"];
        execFileSync("split", ["-b", "700001", ...style, image, join(directory, "part.")]);
        return { image: join(directory, kind === "letters" ? "part.aa" : "part.001"), whole: image };
      },
    }),
  ),
);

export const disksMatrix: readonly MatrixImage[] = [...vmdk, ...vhd, ...vhdx, ...vdi, ...qed, ...parallels, ...chains, ...split];
