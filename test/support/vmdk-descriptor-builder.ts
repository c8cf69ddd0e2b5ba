// Descriptors of VMDK, from VMware's "Virtual Disk Format 5.0" alone.

export interface DescriptorShape {
  /** Extent lines, Latin-1. */
  readonly lines: readonly string[];
  readonly createType?: string;
  /** Lines of the header, before the extents. */
  readonly keys?: readonly string[];
  /** Lines of the disk data base. */
  readonly ddb?: readonly string[];
  readonly first?: string;
  readonly cid?: string;
  /** `null` leaves the line out. */
  readonly parentCid?: string | null;
  readonly newline?: string;
}

/** The bytes of one; the last line is ended. */
export function descriptor(shape: DescriptorShape): Buffer {
  const { lines, createType = "custom", keys = [], ddb = [], first = "# Disk DescriptorFile" } = shape;
  const { cid = "12345678", parentCid = "ffffffff", newline = "\n" } = shape;
  const text = [
    first,
    "version=1",
    `CID=${cid}`,
    ...(parentCid === null ? [] : [`parentCID=${parentCid}`]),
    `createType="${createType}"`,
    ...keys,
    "",
    "# Extent description",
    ...lines,
    "",
    "# The Disk Data Base",
    "#DDB",
    "",
    'ddb.adapterType = "lsilogic"',
    ...ddb,
    "",
  ].join(newline);
  return Buffer.from(text, "utf8");
}
