// The images to read: made once from files of this machine, kept in a cache folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "./processes.mjs";

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {number} size Bytes of the disk.
 * @property {string} image
 * @property {string | undefined} flat The same disk as a plain file; undefined where it would be too large.
 */

const MIB = 2 ** 20;
const GIB = 2 ** 30;

export const caseNames = /** @type {const} */ (["uncompressed", "zlib", "zstd", "sparse"]);

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
    if (name === "sparse") cases.push(await sparseCase(cache));
    else cases.push(await contentCase(cache, name, name === "uncompressed" ? size : size / 2));
  }
  return cases;
}

/**
 * @param {string} cache
 * @param {string} name
 * @param {number} size
 * @returns {Promise<Case>}
 */
async function contentCase(cache, name, size) {
  const flat = await once(join(cache, `content-${size / MIB}M.raw`), (path) => writeContent(path, size));
  const packed = name === "uncompressed" ? [] : ["-c", "-o", `compression_type=${name}`];
  const image = await once(join(cache, `${name}-${size / MIB}M.qcow2`), (path) =>
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", ...packed, flat, path], { seconds: 1800 }),
  );
  return { name, title: `qcow2, ${name}, ${size / MIB} MiB, clusters of 64 KiB`, size, image, flat };
}

/** A disk that almost nothing was ever written to: what counts is how long it takes to get there. */
async function sparseCase(/** @type {string} */ cache) {
  const size = 16 * 2 ** 40;
  const image = await once(join(cache, "sparse-16T.qcow2"), async (path) => {
    await run(["qemu-img", "create", "-q", "-f", "qcow2", path, String(size)]);
    const writes = Array.from({ length: 64 }, (_, index) => ["-c", `write -q -P ${index + 1} ${Math.floor((size / 64) * index)} 1M`]);
    await run(["qemu-io", "-f", "qcow2", ...writes.flat(), path]);
  });
  return { name: "sparse", title: "qcow2, sparse, 16 TiB, 64 MiB of it written", size, image, flat: undefined };
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
  const unfinished = `${path}.unfinished`;
  try {
    await make(unfinished);
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { force: true });
  }
  return path;
}
