/** One partition of a table. */
export interface Partition {
  /** As Linux numbers it: `sda3` is 3. Numbers may have gaps. */
  readonly number: number;
  /** Byte offset on the disk; always inside it. */
  readonly start: number;
  /** Bytes, as declared, at least 1; a note tells if that leaves the disk. */
  readonly size: number;
  /** GPT: the type GUID in upper case. MBR: the type byte, as `0x83`. Apple: the type's text. */
  readonly type: string;
  /** The type in words, such as `Linux filesystem`. */
  readonly typeName: string;
  /** The label (GPT, Apple) as stored: it may hold any character. */
  readonly name?: string;
  /** What Linux calls PARTUUID. */
  readonly uuid?: string;
  readonly bootable?: boolean;
}

/** What a disk's partition table says. */
export interface PartitionTable {
  readonly scheme: "mbr" | "gpt" | "hybrid" | "apm";
  /** The bytes that the table counts in. */
  readonly sectorSize: number;
  /** The disk's GUID, or its MBR signature as `0x0123abcd`. */
  readonly id?: string;
  /** In the order of their numbers. */
  readonly partitions: readonly Partition[];
  /** What is unusual, one clause each. */
  readonly notes: readonly string[];
}

/** What is partitioned. */
export interface PartitionedDisk {
  /** Bytes. */
  readonly size: number;
  /** Bytes of a logical sector, if the image tells. An MBR and a GPT count in these; without it a GPT is searched at every usual size, an MBR counts in 512. */
  readonly sectorSize?: number;
  /** Fills `target` from `offset` on; the range lies in the disk. */
  read(target: Uint8Array, offset: number): void;
}
