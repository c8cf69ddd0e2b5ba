import { hasApm, readApm } from "./apm.js";
import { bootSectorOwner } from "./foreign.js";
import { hasGpt, readGpt } from "./gpt.js";
import { isProtective, readBootRecord, readMbr } from "./mbr.js";
import type { PartitionedDisk, PartitionTable } from "./partition.js";
import { createScan, type Scan } from "./scan.js";

export type { Partition, PartitionedDisk, PartitionTable } from "./partition.js";

/**
 * The partition table of a disk; undefined: there is none, such as where one file system takes the whole disk.
 * Damage, and reads that fail, give notes beside what could be read; nothing of that is thrown.
 *
 * A disk may hold several tables: hybrid CDs carry an MBR, a GPT and an Apple map. What Linux would use is used, so that numbers mean the
 * same: a GPT that the MBR announces with an entry of type 0xee, then the MBR's own entries, then an Apple map. A GPT that no MBR speaks for
 * comes last: with a filled MBR beside it, it is a leftover or meant for other firmware.
 */
export function readPartitions(disk: PartitionedDisk): PartitionTable | undefined {
  const scan = createScan(disk);
  const sector = scan.bytes(0, 512);
  const record = sector && readBootRecord(scan, sector);
  if (record?.entries.some(isProtective)) {
    if (hasApm(scan)) scan.note("there is an Apple partition map, too; the GPT is used");
    return readGpt(scan, record);
  }
  if (record && record.entries.length > 0) {
    noteUnusedTables(scan);
    return readMbr(scan, record);
  }
  const apm = readApm(scan);
  if (apm) return apm;
  if (sector && bootSectorOwner(scan, sector)) return undefined;
  const gpt = readGpt(scan, undefined);
  if (gpt) return gpt;
  if (record) return readMbr(scan, record);
  // Not "no partition table": where one would be told from none could not be read.
  return sector || disk.size < 512 ? undefined : { scheme: "mbr", sectorSize: scan.sectorSize, partitions: [], notes: scan.notes };
}

function noteUnusedTables(scan: Scan): void {
  if (hasGpt(scan)) scan.note("there is a GPT, too, but the MBR does not announce it; the MBR is used, as Linux does");
  if (hasApm(scan)) scan.note("there is an Apple partition map, too; the MBR is used, as Linux does");
}
