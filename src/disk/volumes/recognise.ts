import type { Area } from "./area.js";

/** Where in a partition what leaves which mark. ZFS: the pool's name-value list in the first of its labels, XDR, begins with its version. */
const marks: readonly (readonly [at: number, mark: string, owner: string])[] = [
  [0, "LUKS\xba\xbe\0\x01", "encrypted with LUKS 1"],
  [0, "LUKS\xba\xbe\0\x02", "encrypted with LUKS 2"],
  [3, "-FVE-FS-", "encrypted with BitLocker"],
  [0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "a part of a bcache"],
  [0x4014, "\0\0\0\x07version\0", "a part of a ZFS pool"],
];

/** What an area holds that is shown as it is stored, if it is something of which a volume would be expected. */
export function recognise({ head }: Area): string | undefined {
  return marks.find(([at, mark]) => head.toString("latin1", at, at + mark.length) === mark)?.[2];
}
