// The images to read: made once from files of this machine, kept in a cache folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "./processes.mjs";

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {number} size Bytes of the disk.
 * @property {string} format As QEMU calls it.
 * @property {string} image
 * @property {string | undefined} flat The same disk as a plain file; undefined where it would be too large.
 * @property {{ readonly entries: number, readonly probe: string }} [tree] Of a container whose files are shown: how many there are, and one of `size` bytes.
 */

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

/**
 * How each image is made: format and options for qemu-img, and which part of the size its disk has, since packed ones take longer.
 * @type {Readonly<Record<string, { format: string, options: readonly string[], part: number, title: string }>>}
 */
const kinds = {
  uncompressed: { format: "qcow2", options: [], part: 1, title: "qcow2, uncompressed, clusters of 64 KiB" },
  zlib: { format: "qcow2", options: ["-c", "-o", "compression_type=zlib"], part: 0.5, title: "qcow2, zlib, clusters of 64 KiB" },
  zstd: { format: "qcow2", options: ["-c", "-o", "compression_type=zstd"], part: 0.5, title: "qcow2, zstd, clusters of 64 KiB" },
  vmdk: { format: "vmdk", options: ["-o", "subformat=monolithicSparse"], part: 1, title: "VMDK, monolithicSparse, grains of 64 KiB" },
  stream: {
    format: "vmdk",
    options: ["-o", "subformat=streamOptimized"],
    part: 0.5,
    title: "VMDK, streamOptimized (zlib), grains of 64 KiB",
  },
  vhd: { format: "vpc", options: ["-o", "subformat=dynamic,force_size=on"], part: 1, title: "VHD, dynamic, blocks of 2 MiB" },
  vhdx: { format: "vhdx", options: ["-o", "subformat=dynamic"], part: 1, title: "VHDX, dynamic" },
  vdi: { format: "vdi", options: [], part: 1, title: "VDI, blocks of 1 MiB" },
};

/**
 * Disks in a chain of images, each of which holds every n-th cluster.
 * @type {Readonly<Record<string, { layers: number, part: number, title: string }>>}
 */
const chains = {
  chain: { layers: 8, part: 0.5, title: "qcow2, a chain of 8 images, clusters of 64 KiB in turn" },
};

/**
 * Disks that almost nothing was ever written to: what counts is how long it takes to get there, and the memory that takes.
 * @type {Readonly<Record<string, { format: string, options: readonly string[], size: number, title: string }>>}
 */
const sparse = {
  sparse: { format: "qcow2", options: [], size: 16 * TIB, title: "qcow2, sparse, 16 TiB" },
  "sparse-vmdk": { format: "vmdk", options: [], size: 2 * TIB - 64 * 1024, title: "VMDK, sparse, 2 TiB" },
  "sparse-vhd": { format: "vpc", options: ["-o", "force_size=on"], size: 2040 * GIB, title: "VHD, sparse, 2040 GiB" },
  "sparse-vhdx": { format: "vhdx", options: [], size: 64 * TIB, title: "VHDX, sparse, 64 TiB" },
};

/**
 * Containers with very many files: format for the peers, and what makes them from a folder.
 * @type {Readonly<Record<string, { format: string, title: string, make: (folder: string, path: string) => readonly string[] }>>}
 */
const trees = {
  "iso-tree": {
    format: "iso",
    title: "ISO 9660 with Rock Ridge and Joliet, 100 000 files",
    make: (folder, path) => ["genisoimage", "-quiet", "-R", "-J", "-o", path, folder],
  },
  "tar-tree": { format: "tar", title: "tar, 100 000 files", make: (folder, path) => ["tar", "-cf", path, "-C", folder, "."] },
};

/** Bytes of a cluster in the chain: what qemu-img takes by itself. */
const CLUSTER = 65536;

const FOLDERS = 100;
const FILES = 1000;

export const caseNames = [...Object.keys(kinds), ...Object.keys(chains), ...Object.keys(sparse), ...Object.keys(trees)];

/**
 * Makes what is missing.
 * @param {string} cache
 * @param {{ quick: boolean, size: number | undefined, only: readonly string[] }} options `size` of the uncompressed disk; compressed ones have half of it.
 * @returns {Promise<Case[]>}
 */
export async function prepareCases(cache, { quick, size = quick ? 256 * MIB : 2 * GIB, only }) {
  mkdirSync(cache, { recursive: true });
  /** @type {Case[]} */
  const cases = [];
  for (const name of only) {
    const thin = sparse[name];
    const tree = trees[name];
    const chain = chains[name];
    if (chain) cases.push(await chainCase(cache, name, chain, size));
    else if (tree) cases.push(await treeCase(cache, name, tree));
    else if (thin) cases.push(await sparseCase(cache, name, thin));
    else cases.push(await contentCase(cache, name, size));
  }
  return cases;
}

/**
 * @param {string} cache
 * @param {string} name
 * @param {number} full
 * @returns {Promise<Case>}
 */
async function contentCase(cache, name, full) {
  const kind = kinds[name];
  if (!kind) throw new Error(`there is no case ${name}`);
  const { format, options, part, title } = kind;
  const size = full * part;
  const flat = await once(join(cache, `content-${size / MIB}M.raw`), (path) => writeContent(path, size));
  const image = await once(join(cache, `${name}-${size / MIB}M.${format}`), (path) =>
    run(["qemu-img", "convert", "-f", "raw", "-O", format, ...options, flat, path], { seconds: 1800 }),
  );
  return { name, title: `${title}, ${size / MIB} MiB`, size, format, image, flat };
}

/**
 * @param {string} cache
 * @param {string} name
 * @param {(typeof chains)[string]} kind
 * @param {number} full
 * @returns {Promise<Case>}
 */
async function chainCase(cache, name, { layers, part, title }, full) {
  const size = full * part;
  const flat = await once(join(cache, `content-${size / MIB}M.raw`), (path) => writeContent(path, size));
  const layerOf = (/** @type {number} */ layer) => `${name}-${size / MIB}M-${layer}.qcow2`;
  for (let layer = 0; layer < layers; layer += 1) {
    await once(join(cache, layerOf(layer)), async (path) => {
      const pieces = `${path}.pieces`;
      mkdirSync(pieces);
      // Written with the names that qemu-io is given below: split counts in the same way.
      await run(["split", "--bytes=64K", "--numeric-suffixes", "--suffix-length=6", flat, join(pieces, "p")]);
      const backing = layer > 0 ? ["-b", join(cache, layerOf(layer - 1)), "-F", "qcow2"] : [];
      await run(["qemu-img", "create", "-q", "-f", "qcow2", ...backing, path, String(size)]);
      const writes = Array.from({ length: Math.ceil(size / CLUSTER) }, (_, index) => index)
        .filter((index) => index % layers === layer)
        .map((index) => `write -q -s ${join(pieces, `p${String(index).padStart(6, "0")}`)} ${index * CLUSTER} ${CLUSTER}`);
      await run(["qemu-io", "-f", "qcow2", ...writes.flatMap((write) => ["-c", write]), path]);
    });
  }
  return { name, title: `${title}, ${size / MIB} MiB`, size, format: "qcow2", image: join(cache, layerOf(layers - 1)), flat };
}

/**
 * @param {string} cache
 * @param {string} name
 * @param {(typeof sparse)[string]} kind
 * @returns {Promise<Case>}
 */
async function sparseCase(cache, name, { format, options, size, title }) {
  const image = await once(join(cache, `${name}.${format}`), async (path) => {
    await run(["qemu-img", "create", "-q", "-f", format, ...options, path, String(size)]);
    const writes = Array.from({ length: 64 }, (_, index) => [
      "-c",
      `write -q -P ${index + 1} ${Math.floor(size / 64 / MIB) * MIB * index} 1M`,
    ]);
    await run(["qemu-io", "-f", format, ...writes.flat(), path]);
  });
  return { name, title: `${title}, 64 MiB of it written`, size, format, image, flat: undefined };
}

/**
 * @param {string} cache
 * @param {string} name
 * @param {(typeof trees)[string]} kind
 * @returns {Promise<Case>}
 */
async function treeCase(cache, name, { format, title, make }) {
  const size = 2000;
  const fileName = (/** @type {number} */ index) => `some-file-name-${String(index).padStart(4, "0")}.txt`;
  const folderName = (/** @type {number} */ index) => `folder-${String(index).padStart(3, "0")}`;
  const image = await once(join(cache, `${name}.${format}`), async (path) => {
    const folder = `${path}.tree`;
    for (let outer = 0; outer < FOLDERS; outer += 1) {
      mkdirSync(join(folder, folderName(outer)), { recursive: true });
      for (let inner = 0; inner < FILES; inner += 1) {
        writeFileSync(join(folder, folderName(outer), fileName(inner)), Buffer.alloc(inner === 0 ? size : (inner * 37) % 4000, "x"));
      }
    }
    await run(make(folder, path), { seconds: 600 });
  });
  const probe = join(folderName(0), fileName(0));
  return { name, title, size, format, image, flat: undefined, tree: { entries: FOLDERS * (FILES + 1) + 1, probe } };
}

/** A tar archive of the machine's own programs and libraries, cut at `size`: neither random nor empty, and compresses like a system disk. */
function writeContent(/** @type {string} */ path, /** @type {number} */ size) {
  const script = 'tar -cf - --sort=name /usr/bin /usr/lib /usr/share 2>/dev/null | head -c "$1" >"$2"';
  spawnSync("bash", ["-c", script, "bash", String(size), path], { stdio: "inherit" });
  if (statSync(path).size < size)
    throw new Error(`the files below /usr fill only ${statSync(path).size} of ${size} bytes: choose a smaller --size`);
}

/**
 * The file at `path`, made by `make` if it is not there. A file that was not finished does not stay.
 * @param {string} path
 * @param {(path: string) => unknown} make
 */
async function once(path, make) {
  if (existsSync(path)) return path;
  process.stderr.write(`making ${path}\n`);
  // Under its own name: that of a VMDK is written into it, and some programs insist on it.
  const folder = `${path}.unfinished`;
  mkdirSync(folder, { recursive: true });
  try {
    await make(join(folder, basename(path)));
    renameSync(join(folder, basename(path)), path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return path;
}

/**
 * Sparse qcow2 disks of growing size.
 * @param {string} cache
 * @returns {Promise<Case[]>}
 */
export async function growingDisks(cache) {
  mkdirSync(cache, { recursive: true });
  const cases = [];
  for (const size of [GIB, 16 * GIB, 256 * GIB, TIB, 4 * TIB, 16 * TIB]) {
    const title = size < TIB ? `${size / GIB} GiB` : `${size / TIB} TiB`;
    cases.push({ ...(await sparseCase(cache, `growing-${size / GIB}G`, { format: "qcow2", options: [], size, title })), title });
  }
  return cases;
}
