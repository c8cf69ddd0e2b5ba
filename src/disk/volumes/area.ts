import type { PartitionTable } from "../partitions/partition.js";
import type { Scan } from "../partitions/scan.js";
import type { FoundVolume } from "./volume.js";

/** A run of the disk in which volumes are looked for. */
export interface Area {
  /** For notes: `partition 2`, `the disk`. */
  readonly label: string;
  /** What names of volumes in it begin with: `2.`, or nothing for the whole disk. */
  readonly prefix: string;
  /** Byte on the disk. */
  readonly start: number;
  /** Bytes, all on the disk. */
  readonly size: number;
  /** Bytes that it should have; more than `size` where the disk was cut short. */
  readonly declared: number;
  /** As in the partition table; absent for the whole disk. */
  readonly type?: string;
  /** What begins in its first bytes: `HEAD_SIZE` of them, or as many as it has. */
  readonly head: Buffer;
}

/** From here to the mark of ZFS that lies furthest in. */
const HEAD_SIZE = 16 * 1024 + 512;
/** More would only make a hostile table slow. Linux numbers 256 partitions of a disk. */
const AREA_LIMIT = 256;

/** The partitions of the disk, or the disk where it has none. Those that cannot be read, or are empty, are left out. */
export function areasOf(scan: Scan, table: PartitionTable | undefined): Area[] {
  if (!table || table.partitions.length === 0) {
    const whole = toArea(scan, { label: "the disk", prefix: "", start: 0, declared: scan.size });
    return whole ? [whole] : [];
  }
  if (table.partitions.length > AREA_LIMIT) scan.note(`volumes are looked for in the first ${AREA_LIMIT} partitions only`);
  return table.partitions.slice(0, AREA_LIMIT).flatMap(({ number, start, size, type }) => {
    return toArea(scan, { label: `partition ${number}`, prefix: `${number}.`, start, declared: size, type }) ?? [];
  });
}

/** Volumes that are one piece, as places for other volumes. */
export function areasIn(scan: Scan, volumes: readonly FoundVolume[]): Area[] {
  return volumes.slice(0, AREA_LIMIT).flatMap(({ name, pieces }) => {
    const [piece] = pieces;
    if (!piece || pieces.length > 1) return [];
    return toArea(scan, { label: `the volume ${name}`, prefix: `${name}.`, start: piece.start, declared: piece.size }) ?? [];
  });
}

function toArea(scan: Scan, area: Omit<Area, "size" | "head" | "type"> & { readonly type?: string }): Area | undefined {
  const size = Math.min(area.declared, scan.size - area.start);
  if (size < 512) return undefined;
  const head = scan.bytes(area.start, Math.min(size, HEAD_SIZE));
  return head && { ...area, size, head };
}

/** `length` bytes at `offset` of the area; undefined where they leave it, or, with a note, cannot be read. */
export function areaBytes(scan: Scan, area: Area, offset: number, length: number): Buffer | undefined {
  if (offset < 0 || length < 1 || offset + length > area.size) return undefined;
  if (offset + length <= area.head.length) return Buffer.from(area.head.subarray(offset, offset + length));
  return scan.bytes(area.start + offset, length);
}
