/** Bytes that follow each other both in a volume and on the disk. */
export interface Piece {
  /** Byte in the volume; the end of the piece before it. */
  readonly offset: number;
  /** Byte on the disk. */
  readonly start: number;
  /** Bytes, at least 1. */
  readonly size: number;
}

/** What a volume manager or a disklabel makes of a part of the disk. */
export interface Volume {
  /** Safe as a file's name, and no other volume of the disk has it: `vg0-root`, `2.a` for partition a in slice 2, `md0`. */
  readonly name: string;
  readonly kind: "BSD disklabel" | "Solaris" | "Sun" | "LVM" | "md" | "LDM";
  /** Bytes, at least 1. */
  readonly size: number;
  /** In order, without a gap, all inside the disk. */
  readonly pieces: readonly Piece[];
  /** What it is in words, such as `linear` or `4.2BSD`. */
  readonly typeName: string;
  /** As the tools of its kind write it. */
  readonly uuid?: string;
}

export interface VolumeScan {
  readonly volumes: readonly Volume[];
  /** What is not shown and why, and what is unusual, one clause each. */
  readonly notes: readonly string[];
}

/** A volume before it has its final name. */
export type FoundVolume = Omit<Volume, "size">;

/** The one piece of a volume that is not scattered. */
export function onePiece(start: number, size: number): readonly Piece[] {
  return [{ offset: 0, start, size }];
}
