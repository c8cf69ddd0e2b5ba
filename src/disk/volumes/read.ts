import type { PartitionedDisk, PartitionTable } from "../partitions/partition.js";
import { createScan, type Scan } from "../partitions/scan.js";
import { type Area, areasIn, areasOf } from "./area.js";
import { readDisklabel } from "./disklabel.js";
import { readLdm } from "./ldm.js";
import { readLvm } from "./lvm.js";
import { readMd } from "./md.js";
import { recognise } from "./recognise.js";
import { readSunLabel } from "./sun.js";
import type { FoundVolume, Volume, VolumeScan } from "./volume.js";

export type { Volume, VolumeScan } from "./volume.js";

/** Bytes of a name: 255 with what is put behind it. */
const maxName = 200;

/**
 * The volumes on a disk beside its partitions: those of BSD disklabels, Solaris and Sun labels, LVM2, Linux md and Windows dynamic disks.
 * A few reads at known places of each partition. Damage, reads that fail and what is not supported give notes; nothing of that is thrown.
 *
 * Volumes lie in each other as they are used: LVM and md in slices of a label, LVM in md.
 */
export function readVolumes(disk: PartitionedDisk, table: PartitionTable | undefined): VolumeScan {
  const scan = createScan(disk);
  const slices: FoundVolume[] = [];
  const unsliced = areasOf(scan, table).filter((area) => {
    const found = [...readDisklabel(scan, area, table), ...readSunLabel(scan, area)];
    slices.push(...found);
    // At the end of the last slice is what seems to be at the end of the whole.
    return found.length === 0;
  });
  const areas = [...unsliced, ...areasIn(scan, slices)];
  const md = readMd(scan, areas);
  const arrays = areasIn(scan, md.volumes);
  // What a member holds is the array's: a PV seen there would have the wrong size, or be one stripe of it.
  const places = [...areas.filter((area) => !md.members.has(area)), ...arrays];
  const logical = readLvm(scan, places);
  const found = [...slices, ...md.volumes, ...logical, ...readLdm(scan, table)];
  noteContents(scan, [...places, ...areasIn(scan, logical)]);
  return { volumes: withNames(found), notes: scan.notes };
}

function noteContents(scan: Scan, areas: readonly Area[]): void {
  for (const area of areas) {
    const content = recognise(area);
    if (content !== undefined) scan.note(`${area.label} is ${content}; it is shown as it is stored`);
  }
}

/** Names that files can have, each once; all else is in them as it was. */
function withNames(found: readonly FoundVolume[]): Volume[] {
  const used = new Set<string>();
  return found.map((volume) => {
    const wanted = safeName(volume.name);
    let name = wanted;
    for (let copy = 2; used.has(name); copy += 1) name = `${wanted}~${copy}`;
    used.add(name);
    return { ...volume, name, size: volume.pieces.reduce((sum, { size }) => sum + size, 0) };
  });
}

function safeName(name: string): string {
  const clean = name.toWellFormed().replace(/[/\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "_");
  // A character that the cut went through is left out.
  const short = Buffer.from(clean)
    .subarray(0, maxName)
    .toString("utf8")
    .replace(/\ufffd+$/, "");
  return short === "" || short === "." || short === ".." ? `_${short}` : short;
}
