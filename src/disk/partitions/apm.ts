import { driverDescriptorMap, partitionMapEntry } from "./layout.js";
import type { Partition, PartitionTable } from "./partition.js";
import { insideDisk, type Scan } from "./scan.js";
import { apmTypeName } from "./types.js";

/** "ER", in the first block. */
const driverSignature = 0x4552;
/** "PM", in every block of the map. */
const mapSignature = 0x504d;

/** Linux numbers 256 partitions of a disk. */
const maxEntries = 256;

/** The Apple partition map, if the disk has one. All its entries are listed, as Linux does: the map itself and free space keep their numbers. */
export function readApm(scan: Scan): PartitionTable | undefined {
  const blockSize = findBlockSize(scan);
  if (blockSize === undefined) return undefined;
  return { scheme: "apm", sectorSize: blockSize, partitions: insideDisk(scan, readMap(scan, blockSize)), notes: scan.notes };
}

/** Whether the disk has an Apple partition map. */
export function hasApm(scan: Scan): boolean {
  return findBlockSize(scan) !== undefined;
}

/**
 * What the map counts in: the block size in the driver descriptor, unless the map stands elsewhere, as on some hybrid CDs.
 * A map of 512-byte blocks has its fourth entry where one of 2048-byte blocks has its first, so a map that is whole goes first.
 */
function findBlockSize(scan: Scan): number | undefined {
  const first = scan.bytes(0, driverDescriptorMap.size);
  if (!first) return undefined;
  const { sbSig, sbBlkSize } = driverDescriptorMap.decode(first);
  if (sbSig !== driverSignature) return undefined;
  const candidates = [sbBlkSize, 512, 2048].filter(
    (size) => size >= 512 && size % 512 === 0 && readEntry(scan, size, 1)?.pmSig === mapSignature,
  );
  return candidates.find((size) => isWhole(scan, size)) ?? candidates[0];
}

function isWhole(scan: Scan, blockSize: number): boolean {
  const count = Math.min(readEntry(scan, blockSize, 1)?.pmMapBlkCnt ?? 0, maxEntries);
  for (let number = 1; number <= count; number += 1) {
    if (readEntry(scan, blockSize, number)?.pmSig !== mapSignature) return false;
  }
  return true;
}

function readEntry(scan: Scan, blockSize: number, index: number) {
  const block = scan.bytes(index * blockSize, partitionMapEntry.size);
  return block && partitionMapEntry.decode(block);
}

function readMap(scan: Scan, blockSize: number): Partition[] {
  const partitions: Partition[] = [];
  let count = 1;
  for (let number = 1; number <= count; number += 1) {
    const entry = readEntry(scan, blockSize, number);
    if (entry?.pmSig !== mapSignature) {
      scan.note(`the partition map declares ${count} entries, and entry ${number} at byte ${number * blockSize} is not one`);
      break;
    }
    if (number === 1) count = boundedCount(scan, entry.pmMapBlkCnt);
    if (entry.pmPartBlkCnt === 0) continue;
    partitions.push({
      number,
      start: entry.pmPyPartStart * blockSize,
      size: entry.pmPartBlkCnt * blockSize,
      type: entry.pmParType,
      typeName: apmTypeName(entry.pmParType),
      ...(entry.pmPartName !== "" && { name: entry.pmPartName }),
    });
  }
  return partitions;
}

function boundedCount(scan: Scan, declared: number): number {
  if (declared > maxEntries) scan.note(`the partition map declares ${declared} entries; only the first ${maxEntries} are listed`);
  return Math.min(declared, maxEntries);
}
