// The entries of qcow2's L2 tables, for the builder.
// Reference: docs/interop/qcow2.rst in the QEMU sources, "Cluster mapping" and "Extended L2 Entries".

/** What stands behind one guest cluster. */
export type Cluster =
  /** Stored as it is. `bits` are set in the entry besides the offset and COPIED. */
  | { readonly kind: "data"; readonly content: Uint8Array; readonly bits?: bigint }
  /** Reads as zeros; with `stale`, a host cluster that must not be read stays behind it. */
  | { readonly kind: "zero"; readonly stale?: Uint8Array }
  /**
   * Stored compressed: `stored` decodes to `content`. Streams follow each other in the file, `gap` bytes apart (1 if not given).
   * `sectors` is written as the number of additional sectors instead of the right one.
   */
  | { readonly kind: "packed"; readonly content: Uint8Array; readonly stored: Uint8Array; readonly gap?: number; readonly sectors?: number }
  /** With extended L2 entries: bit i of `allocated` and of `zero` is subcluster i. */
  | { readonly kind: "parts"; readonly content: Uint8Array; readonly allocated: number; readonly zero: number }
  /** The entry, and the bitmap of an extended one, as they are. */
  | { readonly kind: "entry"; readonly entry: bigint; readonly bitmap?: bigint };

export const COPIED = 1n << 63n;
const PACKED = 1n << 62n;
const ZERO = 1n;

/** The bytes of a cluster's own host cluster, if it has one. */
export function contentOf(cluster: Cluster): Uint8Array | undefined {
  if (cluster.kind === "data" || cluster.kind === "parts") return cluster.content;
  return cluster.kind === "zero" ? cluster.stale : undefined;
}

interface EntryPlaces {
  readonly host: number;
  readonly copied: bigint;
  readonly stream: number;
  readonly clusterSize: number;
  readonly extended: boolean;
}

export function entryOf(cluster: Cluster, { host, copied, stream, clusterSize, extended }: EntryPlaces): bigint {
  const zeroFlag = extended ? 0n : ZERO;
  switch (cluster.kind) {
    case "data":
      return BigInt(host) | copied | (cluster.bits ?? 0n);
    case "parts":
      return BigInt(host) | copied;
    case "zero":
      return cluster.stale ? BigInt(host) | copied | zeroFlag : zeroFlag;
    case "packed":
      return (
        PACKED |
        BigInt(stream) |
        (BigInt(cluster.sectors ?? extraSectors(stream, cluster.stored.length)) << BigInt(62 - (Math.log2(clusterSize) - 8)))
      );
    case "entry":
      return cluster.entry;
  }
}

/** Sectors of 512 bytes that a stream needs beyond its first. */
export function extraSectors(position: number, length: number): number {
  return Math.ceil(((position % 512) + length) / 512) - 1;
}

export function bitmapOf(cluster: Cluster): bigint {
  switch (cluster.kind) {
    case "data":
      return 0xffff_ffffn;
    case "zero":
      return 0xffff_ffffn << 32n;
    case "parts":
      return (BigInt(cluster.zero >>> 0) << 32n) | BigInt(cluster.allocated >>> 0);
    case "packed":
      return 0n;
    case "entry":
      return cluster.bitmap ?? 0n;
  }
}
