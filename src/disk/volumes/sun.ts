import type { Scan } from "../partitions/scan.js";
import { type Area, areaBytes } from "./area.js";
import { solarisLabel, solarisSlice, sunLabel, sunSlice, sunTag } from "./layout.js";
import { type FoundVolume, onePiece } from "./volume.js";

const sanity = 0x600ddeee;
const labelMagic = 0xdabe;
/** Linux swap has had the same number in the MBR as Solaris. */
const solarisTypes = new Set(["0x82", "0xbf"]);

/** The slice that stands for all of the disk. */
const wholeDisk = 5;
const tags: Readonly<Record<number, string>> = {
  0: "Unassigned",
  1: "Boot",
  2: "Root",
  3: "Swap",
  4: "/usr",
  5: "Whole disk",
  6: "Stand",
  7: "/var",
  8: "/home",
  9: "Alternate sectors",
  10: "Cache",
  11: "Reserved",
  0x82: "Linux swap",
  0x83: "Linux",
  0x8e: "Linux LVM",
  0xfd: "Linux RAID",
};

interface Slice {
  readonly index: number;
  readonly tag: number;
  /** Bytes, from the start of the area. */
  readonly start: number;
  readonly size: number;
}

/** The slices of a Solaris label in a partition of an MBR (x86), or of a Sun label on the bare disk (SPARC). Damage gives a note. */
export function readSunLabel(scan: Scan, area: Area): FoundVolume[] {
  if (area.type === undefined) return area.start === 0 ? readSparc(scan, area) : [];
  return solarisTypes.has(area.type) ? readX86(scan, area) : [];
}

function readX86(scan: Scan, area: Area): FoundVolume[] {
  const raw = areaBytes(scan, area, 512, solarisLabel.size);
  const label = raw && solarisLabel.decode(raw);
  if (label?.v_sanity !== sanity) return [];
  const problem = x86Problem(raw as Buffer, label);
  if (problem !== undefined) {
    scan.note(`the Solaris label at byte ${area.start + 512} ${problem}: its slices are not shown`);
    return [];
  }
  const sectorSize = label.v_sectorsz || 512;
  // Old ones say 0, and have room for 16 all the same.
  const slices = Array.from({ length: label.v_nparts || 16 }, (_, index) => {
    const { p_tag, p_start, p_size } = solarisSlice.decode(label.v_part, index * solarisSlice.size);
    return { index, tag: p_tag, start: p_start * sectorSize, size: p_size * sectorSize };
  });
  return toVolumes(scan, area, "Solaris", slices);
}

function x86Problem(raw: Buffer, label: ReturnType<typeof solarisLabel.decode>): string | undefined {
  if (label.v_version !== 1) return `has version ${label.v_version}, not 1`;
  if (label.dkl_magic !== labelMagic || xorWords(raw) !== 0) return "has a wrong checksum";
  if (label.v_nparts > 16) return `has ${label.v_nparts} slices, more than 16`;
  if (label.v_sectorsz % 512 !== 0) return `counts in sectors of ${label.v_sectorsz} bytes`;
  return undefined;
}

function readSparc(scan: Scan, area: Area): FoundVolume[] {
  const raw = areaBytes(scan, area, 0, sunLabel.size);
  const label = raw && sunLabel.decode(raw);
  if (label?.dkl_magic !== labelMagic || xorWords(raw as Buffer) !== 0) return [];
  const { v_version, v_sanity, v_nparts, v_part, dkl_nhead, dkl_nsect, dkl_map } = label;
  const cylinder = dkl_nhead * dkl_nsect * 512;
  if (cylinder === 0) {
    scan.note("the Sun label has cylinders without sectors: its slices are not shown");
    return [];
  }
  // SunOS 4 has no table of tags.
  const hasTags = v_sanity === sanity && v_version === 1 && v_nparts <= 8;
  const slices = Array.from({ length: 8 }, (_, index) => {
    const { dkl_cylno, dkl_nblk } = sunSlice.decode(dkl_map, index * sunSlice.size);
    const tag = hasTags ? sunTag.decode(v_part, index * sunTag.size).p_tag : index === 2 && dkl_cylno === 0 ? wholeDisk : 0;
    return { index, tag, start: dkl_cylno * cylinder, size: dkl_nblk * 512 };
  });
  return toVolumes(scan, area, "Sun", slices);
}

function toVolumes(scan: Scan, area: Area, kind: "Solaris" | "Sun", slices: readonly Slice[]): FoundVolume[] {
  return slices.flatMap(({ index, tag, start, size }) => {
    const name = `${area.prefix}s${index}`;
    if (size === 0 || tag === wholeDisk) return [];
    if (start + size > area.declared && area.type !== undefined) {
      scan.note(`${name} is not shown: ${size} bytes at byte ${area.start + start} are not inside ${area.label}`);
      return [];
    }
    const shown = Math.min(size, area.size - start);
    if (shown < 1) {
      scan.note(`${name} is not shown: it starts at byte ${area.start + start}, and the disk ends at ${scan.size}`);
      return [];
    }
    if (shown < size) scan.note(`${name} ends ${size - shown} bytes past the disk`);
    return { name, kind, pieces: onePiece(area.start + start, shown), typeName: tags[tag] ?? "Unknown type" };
  });
}

/** 0 for a whole label: its last word makes it so. */
function xorWords(raw: Buffer): number {
  let sum = 0;
  for (let at = 0; at < 512; at += 2) sum ^= raw.readUInt16LE(at);
  return sum;
}
