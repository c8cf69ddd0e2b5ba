// What is mounted, and what it must show: images made by other programs.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Shown A file of a mount.
 * @property {string} path Below the mount point.
 * @property {string} truth The file that it must be the same as.
 * @property {number} size Bytes.
 */
/**
 * @typedef {object} Soaked One mount.
 * @property {string} name
 * @property {string} image
 * @property {readonly string[]} options
 * @property {readonly Shown[]} files
 * @property {boolean} stays It is never taken away: what grows, grows there.
 */

const MIB = 2 ** 20;
/** Bytes of the disk. */
const SIZE = 96 * MIB;
const FILES = 60;

/** @returns {readonly Soaked[]} */
export function makeImages(/** @type {string} */ folder, /** @type {number} */ seed) {
  const raw = join(folder, "truth.raw");
  makeContent(raw, SIZE, seed);
  const qemu = (/** @type {string} */ name, /** @type {readonly string[]} */ options) => {
    const file = join(folder, name);
    execFileSync("qemu-img", ["convert", "-q", ...options, raw, file]);
    return file;
  };
  const disk = [{ path: "disk.raw", truth: raw, size: SIZE }];
  const files = makeTree(join(folder, "tree"), seed);
  const iso = join(folder, "tree.iso");
  execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", iso, join(folder, "tree")], { stdio: "ignore" });
  const tar = join(folder, "tree.tar.gz");
  execFileSync("tar", ["czf", tar, "-C", join(folder, "tree"), "."]);
  const plain = qemu("plain.qcow2", ["-O", "qcow2"]);
  return [
    { name: "qcow2", image: plain, options: [], files: disk, stays: true },
    { name: "qcow2 served", image: plain, options: ["--no-passthrough"], files: disk, stays: true },
    { name: "zlib", image: qemu("zlib.qcow2", ["-O", "qcow2", "-c"]), options: [], files: disk, stays: true },
    {
      name: "zstd",
      image: qemu("zstd.qcow2", ["-O", "qcow2", "-c", "-o", "compression_type=zstd"]),
      options: [],
      files: disk,
      stays: false,
    },
    { name: "chain", image: makeChain(folder, plain), options: ["--no-passthrough"], files: disk, stays: false },
    { name: "vmdk", image: qemu("stream.vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]), options: [], files: disk, stays: false },
    { name: "vhdx", image: qemu("disk.vhdx", ["-O", "vhdx"]), options: ["--transport", "libfuse"], files: disk, stays: false },
    { name: "iso", image: iso, options: [], files, stays: true },
    { name: "tar.gz", image: tar, options: [], files, stays: false },
  ];
}

/** Noise, text and holes in turns. */
function makeContent(/** @type {string} */ file, /** @type {number} */ size, /** @type {number} */ seed) {
  const fd = openSync(file, "w");
  for (let at = 0; at < size; at += MIB) {
    const part = Math.min(MIB, size - at);
    const kind = (at / MIB) % 3;
    if (kind === 0) writeSync(fd, noise(`${seed}:${at}`, part), 0, part, at);
    if (kind === 1) writeSync(fd, Buffer.alloc(part, `line ${at} of a text that can be made smaller\n`), 0, part, at);
  }
  closeSync(fd);
  truncateSync(file, size);
}

/** @returns {Buffer} */
function noise(/** @type {string} */ seed, /** @type {number} */ size) {
  return createHash("shake256", { outputLength: size }).update(seed).digest();
}

/** Files of many sizes. @returns {readonly Shown[]} */
function makeTree(/** @type {string} */ folder, /** @type {number} */ seed) {
  return Array.from({ length: FILES }, (_, index) => {
    const directory = `d${index % 7}`;
    mkdirSync(join(folder, directory), { recursive: true });
    const size = Math.floor(1.25 ** index) + index;
    const truth = join(folder, directory, `f${index}`);
    writeFileSync(truth, noise(`${seed}:file ${index}`, size));
    return { path: `files/${directory}/f${index}`, truth, size };
  });
}

/** Seven empty differences above `base`. */
function makeChain(/** @type {string} */ folder, /** @type {string} */ base) {
  let below = base;
  for (let layer = 1; layer < 8; layer += 1) {
    const file = join(folder, `chain-${layer}.qcow2`);
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2", file]);
    below = file;
  }
  return below;
}
