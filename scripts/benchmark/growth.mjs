// How cost grows: with the size of a disk, and with the number of readers.
import { memoryOf } from "./processes.mjs";
import { random, readers, takeMemory } from "./measures.mjs";
import { openView } from "./views.mjs";

/**
 * @typedef {object} Growth
 * @property {string} name Of the plot's file.
 * @property {string} title
 * @property {string} unit
 * @property {readonly string[]} steps
 * @property {Record<string, number[][]>} peers By program: for each step, its samples.
 */

/** Reads before the memory is looked at: so many that the tables in use are all wanted. */
const READS = 20_000;

const STEPS = [1, 2, 4, 8, 16];

/**
 * Time to the first byte, and memory after random reads, of disks of several sizes.
 * @param {readonly import("./images.mjs").Case[]} disks By size.
 * @param {readonly import("./peers.mjs").Peer[]} chosen
 * @param {number} samples
 * @returns {Promise<Growth[]>}
 */
export async function growthWithSize(disks, chosen, samples) {
  const steps = disks.map(({ title }) => title);
  const able = chosen.filter(
    ({ command, formats, tree, mountpoint }) => command && (!formats || formats.includes("qcow2")) && (tree || mountpoint),
  );
  /** @type {Growth} */
  const firstByte = { name: "size-first-byte", title: "Mount to first byte, sparse qcow2", unit: "ms", steps, peers: {} };
  /** @type {Growth} */
  const memory = { name: "size-memory", title: `Resident memory after ${READS} random reads, sparse qcow2`, unit: "MiB", steps, peers: {} };
  for (const growth of [firstByte, memory]) for (const { name } of able) growth.peers[name] = steps.map(() => []);
  for (let sample = 1; sample <= samples; sample += 1) {
    for (const [step, disk] of disks.entries()) {
      for (const peer of able) {
        process.stderr.write(`growth with size, ${disk.title}: ${sample}/${samples} ${peer.name}\n`);
        const view = await openView(peer, disk);
        try {
          await random(view.file, disk.size, 4, 60, READS);
          firstByte.peers[peer.name]?.[step]?.push(view.firstByte);
          memory.peers[peer.name]?.[step]?.push(memoryOf(view.mark).now / 2 ** 20);
        } finally {
          await view.stop();
        }
      }
    }
  }
  return [firstByte, memory];
}

/**
 * Rate of a cold sequential read, all readers together.
 * @param {import("./images.mjs").Case} disk With its flat file.
 * @param {readonly import("./peers.mjs").Peer[]} chosen
 * @param {number} samples
 * @returns {Promise<Growth>}
 */
export async function growthWithReaders(disk, chosen, samples) {
  const able = chosen.filter(({ command, formats }) => command && (!formats || formats.includes(disk.format)));
  /** @type {Growth} */
  const growth = {
    name: `readers-${disk.name}`,
    title: `Cold sequential reads by several readers, ${disk.title}`,
    unit: "MB/s",
    steps: STEPS.map(String),
    peers: Object.fromEntries(able.map(({ name }) => [name, STEPS.map(() => [])])),
  };
  for (let sample = 1; sample <= samples; sample += 1) {
    for (const [step, count] of STEPS.entries()) {
      for (const peer of able) {
        process.stderr.write(`growth with readers, ${disk.name}, ${count}: ${sample}/${samples} ${peer.name}\n`);
        const view = await openView(peer, disk);
        try {
          await takeMemory(disk.size);
          growth.peers[peer.name]?.[step]?.push(await readers(view.file, disk.size, count));
        } finally {
          await view.stop();
        }
      }
    }
  }
  return growth;
}
