import { readBytes, type Source } from "../../source/source.js";
import type { FileEnds } from "../driver.js";
import {
  CHECKSUM_POSITION,
  COOKIE,
  DYNAMIC_COOKIE,
  diskTypes,
  footer as footerLayout,
  limits,
  POISONED_COOKIE,
  SHORT_FOOTER_SIZE,
  VERSION,
} from "./layout.js";
import { cookieBeforeZeros, type ReadAt } from "./padded.js";

export type FooterFields = ReturnType<typeof footerLayout.decode>;

/** A footer, or the copy that dynamic and differencing disks have at the beginning. */
export interface FoundFooter {
  readonly fields: FooterFields;
  readonly place: "end" | "beginning";
  /** Bytes from the start of the file. */
  readonly position: number;
  /** Bytes it takes: 512 or 511. */
  readonly size: number;
  /** Whether its checksum fits. */
  readonly valid: boolean;
}

/** What there is that may be a footer, best first. Both ends may be longer than a footer. */
function candidates({ head, tail, size, readAt }: FileEnds): readonly FoundFooter[] {
  const whole = footerLayout.size;
  const found = [
    ...footerIn(tail.subarray(-whole), whole, "end", size - whole),
    ...footerIn(tail.subarray(-SHORT_FOOTER_SIZE), SHORT_FOOTER_SIZE, "end", size - SHORT_FOOTER_SIZE),
    // Fixed disks have no copy: what begins them is the guest's to write.
    ...(size > whole ? footerIn(head.subarray(0, whole), whole, "beginning", 0) : []).filter(
      ({ fields }) => fields.diskType !== diskTypes.fixed,
    ),
  ];
  return found.length > 0 || !readAt || tail.length === 0 ? found : padded(size, readAt);
}

/** The footer of a fixed disk that has zeros behind it. Whatever the guest wrote there may look like one, so all of it must fit. */
function padded(size: number, readAt: ReadAt): readonly FoundFooter[] {
  const at = cookieBeforeZeros(size, readAt);
  const behind = size - (at ?? size) - footerLayout.size;
  if (at === undefined || behind < 0 || behind > limits.padding) return [];
  return footerIn(readAt(at, footerLayout.size), footerLayout.size, "end", at).filter(
    ({ fields, valid }) => valid && fields.diskType === diskTypes.fixed && fields.currentSize === BigInt(at),
  );
}

function footerIn(stored: Uint8Array, size: number, place: FoundFooter["place"], position: number): readonly FoundFooter[] {
  if (stored.length < size) return [];
  const bytes = Buffer.alloc(footerLayout.size);
  bytes.set(stored);
  const fields = footerLayout.decode(bytes);
  if (fields.cookie !== COOKIE && fields.cookie !== POISONED_COOKIE) return [];
  return [{ fields, place, position, size, valid: footerChecksum(bytes) === fields.checksum || earlyXen(bytes, fields) }];
}

function footerChecksum(bytes: Uint8Array): number {
  return checksumOf(bytes, CHECKSUM_POSITION.footer);
}

/** One's complement of the sum of all bytes but the four of the checksum itself, at `at`. */
export function checksumOf(bytes: Uint8Array, at: number): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 1) if (index < at || index >= at + 4) sum += bytes[index] ?? 0;
  return ~sum >>> 0;
}

/** Early tapdisks hid an image without a new checksum. */
function earlyXen(bytes: Uint8Array, fields: FooterFields): boolean {
  if (fields.hidden === 0 || !isTapdisk(fields) || ![0x00000001, 0x00010001].includes(fields.creatorVersion)) return false;
  return (footerChecksum(bytes) + fields.hidden) >>> 0 === fields.checksum;
}

export function isTapdisk({ creatorApplication }: FooterFields): boolean {
  return Buffer.from(creatorApplication).toString("latin1").startsWith("tap");
}

function isPlausible({ fileFormatVersion, diskType, currentSize }: FooterFields): boolean {
  return fileFormatVersion === VERSION && Object.values(diskTypes).some((type) => type === diskType) && currentSize > 0n;
}

/** The footer to go by: one whose checksum fits, the one at the end first; else one that makes sense. And all that were found. */
export function findFooter(source: Source): { readonly footer: FoundFooter | undefined; readonly all: readonly FoundFooter[] } {
  const size = Math.min(source.size, footerLayout.size);
  const readAt: ReadAt = (position, length) => readBytes(source, position, length);
  const all = candidates({ head: readAt(0, size), tail: readAt(source.size - size, size), size: source.size, readAt });
  return { footer: all.find(({ valid }) => valid) ?? all.find(({ fields }) => isPlausible(fields)), all };
}

/**
 * Whether a file with these ends is a VHD. Asked before any other format, so the bare word is not enough: what a footer says has to fit the rest of the file,
 * or the last sector of some other image could be taken for one.
 */
export function isVhd(ends: FileEnds): boolean {
  const all = candidates(ends);
  return all.some((found) => {
    const { fields, place, position, size, valid } = found;
    if (!valid && !isPlausible(fields)) return false;
    if (fields.diskType === diskTypes.fixed) {
      const behind = position - Number(fields.currentSize);
      return behind >= -size && behind <= limits.padding;
    }
    const at = Number(fields.dataOffset);
    const inHead = at + DYNAMIC_COOKIE.length <= ends.head.length;
    if (inHead && startsWith(ends.head.subarray(at), DYNAMIC_COOKIE)) return true;
    // Damaged there, or too far behind to be seen: two footers that agree will do, or a good one.
    return valid && (inHead ? place === "end" && all.some((other) => other.place === "beginning") : at < ends.size);
  });
}

function startsWith(bytes: Uint8Array, word: string): boolean {
  return Buffer.from(bytes.subarray(0, word.length)).toString("latin1") === word;
}
