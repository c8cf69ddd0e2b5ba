// What is measured. Every view is a fresh mount, so the kernel has none of its pages: "cold". The image itself is in the page cache.
import { readFileSync, rmSync } from "node:fs";
import { memoryOf, run } from "./processes.mjs";
import { openView } from "./views.mjs";

/**
 * @typedef {import("./peers.mjs").Peer} Peer
 * @typedef {import("./images.mjs").Case} Case
 * @typedef {{ readonly name: string, readonly unit: string, readonly moreIsBetter: boolean }} Measure
 * @typedef {Partial<Record<keyof typeof measures, number>>} Values
 */

/** In the order of the report. */
export const measures = /** @satisfies {Readonly<Record<string, Measure>>} */ ({
  sequentialCold: { name: "sequential, cold", unit: "MB/s", moreIsBetter: true },
  sequentialWarm: { name: "sequential, warm", unit: "MB/s", moreIsBetter: true },
  readers8: { name: "sequential, cold, 8 readers together", unit: "MB/s", moreIsBetter: true },
  random1: { name: "random 4 KiB, depth 1", unit: "IOPS", moreIsBetter: true },
  random16: { name: "random 4 KiB, depth 16", unit: "IOPS", moreIsBetter: true },
  convert: { name: "convert to a raw file, on disk", unit: "s", moreIsBetter: false },
  find: { name: "find, cold", unit: "entries/s", moreIsBetter: true },
  findAgain: { name: "find, again", unit: "entries/s", moreIsBetter: true },
  tar: { name: "tar c", unit: "entries/s", moreIsBetter: true },
  firstByte: { name: "mount to first byte", unit: "ms", moreIsBetter: false },
  info: { name: "info", unit: "ms", moreIsBetter: false },
  memory: { name: "resident memory", unit: "MiB", moreIsBetter: false },
  memoryPeak: { name: "resident memory, peak", unit: "MiB", moreIsBetter: false },
});

/** Bytes. A run during which more than this came from disks measured a disk, not a program: the kernel had dropped pages of the image. */
const DISK_LIMIT = 16 * 2 ** 20;

const FIND = 'find "$1" | wc -l';
const TAR = 'tar -cf - -C "$1" . | cat >/dev/null';

/** Seconds. A program that takes longer for a tree is not measured. */
const TREE_LIMIT = 300;

/** Memory used before a run, as a part of its disk: other things take some of it meanwhile. */
const MEMORY_PART = 1.5;

/** How often such a run is taken again before it counts as it is. */
const REPEATS = 2;

/**
 * One sample of everything.
 * @param {Peer} peer
 * @param {Case} sample
 * @param {number} seconds How long each random run may take.
 * @returns {Promise<Partial<Record<keyof typeof measures, number[]>>>}
 */
export async function takeSample(peer, sample, seconds) {
  /** @type {Partial<Record<keyof typeof measures, number[]>>} */
  const values = {};
  /** Takes the values `use` gives in a fresh view; again, if disks were read meanwhile. */
  const inView = async (/** @type {(view: import("./views.mjs").View) => Promise<Values>} */ use) => {
    for (let repeats = REPEATS; ; repeats -= 1) {
      await run(["dd", `if=${peer.command ? sample.image : (sample.flat ?? sample.image)}`, "of=/dev/null", "bs=1M"]);
      const before = readFromDisks();
      const view = await openView(peer, sample);
      try {
        await takeMemory(sample.flat ? sample.size : 0);
        const taken = { firstByte: view.firstByte, ...(await use(view)) };
        const { now, peak } = memoryOf(view.mark);
        if (readFromDisks() - before > DISK_LIMIT && repeats > 0) continue;
        add(values, peer.command ? { ...taken, memory: now / 2 ** 20, memoryPeak: peak / 2 ** 20 } : taken);
        return;
      } finally {
        await view.stop();
      }
    }
  };

  if (peer.convert && sample.flat) add(values, { convert: await convert(peer.convert, sample) });
  if (peer.info) add(values, { info: await milliseconds(peer.info(sample.image)) });
  const { tree } = sample;
  if (tree) {
    const rate = async (/** @type {string} */ script, /** @type {string} */ root) => {
      const begin = performance.now();
      // Through a pipe: tar reads no content for /dev/null.
      await run(["bash", "-c", script, "bash", root], { seconds: TREE_LIMIT });
      return tree.entries / ((performance.now() - begin) / 1000);
    };
    await inView(async ({ root }) => ({ find: await rate(FIND, root), findAgain: await rate(FIND, root) }));
    await inView(async ({ root }) => ({ tar: await rate(TAR, root) }));
    return values;
  }
  if (!sample.flat) {
    // So many that every table of a large disk is wanted at some time.
    await inView(async ({ file }) => ({ random16: await random(file, sample.size, 16, 60, 100_000) }));
    return values;
  }
  await inView(async ({ file }) => ({ sequentialCold: await sequential(file), sequentialWarm: await sequential(file) }));
  await inView(async ({ file }) => ({ readers8: await readers(file, sample.size, 8) }));
  await inView(async ({ file }) => ({ random1: await random(file, sample.size, 1, seconds) }));
  // Last, so that the memory noted is that after the heaviest run.
  delete values.memory;
  delete values.memoryPeak;
  await inView(async ({ file }) => ({ random16: await random(file, sample.size, 16, seconds) }));
  return values;
}

/** @param {Partial<Record<keyof typeof measures, number[]>>} values @param {Values} taken */
function add(values, taken) {
  for (const [measure, value] of Object.entries(taken)) {
    const key = /** @type {keyof typeof measures} */ (measure);
    if (Number.isFinite(value)) values[key] = [...(values[key] ?? []), value];
  }
}

/**
 * Uses so much memory that the kernel has the pages of a view at hand. A virtual machine gives free memory back to its host (free page reporting),
 * and asking for it again is slower than any program here: some 500 MB/s.
 * @param {number} size Bytes of the view.
 */
export async function takeMemory(size) {
  const bytes = Math.floor(size * MEMORY_PART);
  if (bytes > 0) await run([process.execPath, "-e", "Buffer.alloc(Number(process.argv[1]), 1)", String(bytes)]);
}

/** Bytes that came from block devices since the machine was started (proc(5), /proc/vmstat). What FUSE answers is not among them. */
function readFromDisks() {
  return 1024 * Number(/^pgpgin (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1]);
}

/**
 * Fails if `peer` shows anything but the disk.
 * @param {Peer} peer
 * @param {Case} sample
 */
export async function verify(peer, sample) {
  if (!sample.flat || !peer.command) return;
  const view = await openView(peer, sample);
  try {
    await run(["cmp", view.file, sample.flat]);
  } finally {
    await view.stop();
  }
}

/** MB/s of one dd. */
async function sequential(/** @type {string} */ file) {
  const { stderr } = await run(["dd", `if=${file}`, "of=/dev/null", "bs=1M"]);
  const [, bytes, seconds] = /^(\d+) bytes.* copied, ([\d.e+-]+) s/m.exec(stderr) ?? [];
  return Number(bytes) / Number(seconds) / 1e6;
}

/**
 * MB/s of so many readers at once, each of a part of its own.
 * @param {string} file
 * @param {number} size
 * @param {number} count
 */
export async function readers(file, size, count) {
  const part = Math.ceil(size / count);
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      run(["dd", `if=${file}`, "of=/dev/null", "bs=1M", "iflag=skip_bytes,count_bytes", `skip=${index * part}`, `count=${part}`]),
    ),
  );
  return size / (performance.now() - begin) / 1000;
}

/**
 * Seconds until the flat disk is a file and on the disk. Beside the image: on the same file system.
 * @param {(image: string, out: string, format: string) => readonly string[]} command
 * @param {Case} sample
 */
async function convert(command, { image, format, size }) {
  const out = `${image}.converted`;
  try {
    await run(["dd", `if=${image}`, "of=/dev/null", "bs=1M"]);
    await run(["sync"]);
    await takeMemory(size);
    const begin = performance.now();
    await run(command(image, out, format));
    return (performance.now() - begin) / 1000;
  } finally {
    rmSync(out, { force: true });
  }
}

/**
 * Reads per second. Each job has a part of the disk to itself and reads no block twice, so no read is answered by the kernel's cache, and a fast
 * program gets no more hits than a slow one.
 */
export async function random(
  /** @type {string} */ file,
  /** @type {number} */ size,
  /** @type {number} */ jobs,
  /** @type {number} */ seconds,
  reads = 0,
) {
  const part = Math.floor(size / jobs / 4096) * 4096;
  const { stdout } = await run([
    "fio",
    ...["--name=random", `--filename=${file}`, "--readonly", "--rw=randread", "--bs=4k", "--ioengine=psync", "--thread"],
    ...[`--numjobs=${jobs}`, `--size=${part}`, `--offset_increment=${part}`, `--runtime=${seconds}`],
    ...(reads > 0 ? [`--number_ios=${Math.ceil(reads / jobs)}`] : []),
    ...["--randseed=1", "--invalidate=0", "--group_reporting", "--output-format=json"],
  ]);
  return JSON.parse(stdout).jobs[0].read.iops;
}

async function milliseconds(/** @type {readonly string[]} */ command) {
  const begin = performance.now();
  // A command that is not there, or cannot read the image, has no time.
  return run(command).then(
    () => performance.now() - begin,
    () => Number.NaN,
  );
}
