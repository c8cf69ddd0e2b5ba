import { hasSync, kinds, RAW, type SectorKind, type SectorLayout } from "../cd/sectors.js";

/** Bytes of a whole sector with nothing, half and all of its subchannels. */
const rawStrides = [RAW, RAW + 16, RAW + 96] as const;
/** Sectors without sync patterns, which the first volume descriptor gives away. */
const others: readonly SectorLayout[] = [
  { kind: "subheader", stride: 2336 },
  { kind: "short subheader", stride: 2332 },
  { kind: "form 2", stride: 2324 },
  { kind: "user", stride: 2048 + 96 },
];
/** ECMA-119, 8.1: a volume descriptor in sector 16. */
const DESCRIPTOR = Buffer.from("\x01CD001\x01", "latin1");

/** How the sectors stand in a file that begins with `head`; undefined if there are none that can be told from a disk. `size`: of the whole file. */
export function layoutOf(head: Uint8Array, size: number): SectorLayout | undefined {
  if (hasSync(head, 0) && (head[15]! & 3) < 3) {
    const stride = rawStrides.find((each) => hasSync(head, each)) ?? (size < 2 * RAW ? RAW : undefined);
    if (stride !== undefined && size >= RAW) return { kind: "raw", stride };
  }
  return others.find(({ kind, stride }) => {
    const at = 16 * stride;
    const data = at + kinds[kind].data;
    if (data + DESCRIPTOR.length > head.length || !DESCRIPTOR.equals(head.subarray(data, data + DESCRIPTOR.length))) return false;
    return kinds[kind].data === 0 || [0, at].every((sector) => hasSubheader(head, sector, kind));
  });
}

/** Twice the same four bytes. */
function hasSubheader(head: Uint8Array, at: number, kind: SectorKind): boolean {
  return kinds[kind].data === 8 && Buffer.compare(head.subarray(at, at + 4), head.subarray(at + 4, at + 8)) === 0;
}
