import { binding } from "./binding.js";

/** A decoder of one gzip file and where it stands; memory of the addon, about 40 KiB. */
export interface GzipDecoder {
  readonly handle: unique symbol;
}

/** Where a gzip file can be taken up. */
export const kinds = {
  /** Before a member's header, or what stands between members. `extra`: bytes of a member's signature that are seen. */
  member: 0,
  /** Before the header of a deflate block. */
  block: 1,
  /** Inside a compressed block, before a code. `extra`: how many bytes of that code were given before. */
  code: 2,
  /** Inside a stored block. `extra`: how many bytes of it are left. */
  stored: 3,
  /** Behind the last block of a member, where its trailer starts. */
  trailer: 4,
} as const;

/** Why decoding has stopped. */
export const statuses = {
  /** All input is used up. */
  hungry: 0,
  full: 1,
  /** At a member's end, behind its trailer. */
  ended: 2,
  /** Between two blocks. */
  between: 3,
  /** What follows a member is no gzip. `extra` bytes of it are used up, since they begin like a member. */
  garbage: 4,
  damaged: 5,
} as const;

/**
 * What the addon exports for gzip. Bits are counted from the start of the file, the least significant one of a byte first (RFC 1951, 3.1.1).
 * A decoder reads what follows the input it had, whatever follows: several members, and zeros behind one.
 */
export interface GzipBinding {
  /** At the start of a file. */
  gzipDecoder(): GzipDecoder;
  /**
   * Takes a file up at `bit`; the next input has to start with the byte that holds it. `window`: what was decoded before, at most 32 KiB.
   * For `kinds.code` the block's header is at bit `header`, and `start` holds it and starts with the byte that holds that bit.
   * False if there is no such header.
   */
  gzipRestart(
    decoder: GzipDecoder,
    kind: number,
    bit: number,
    header: number,
    extra: number,
    last: boolean,
    window: Uint8Array,
    start: Uint8Array,
  ): boolean;
  /**
   * Decodes from `packed` into `target`; one of `statuses`. `counts` becomes the bytes used and made. It also stops at a member's end once `memberFrom`
   * bytes are made, and between two blocks once `blockFrom` are. Members that are decoded from their start are checked.
   */
  gzipFeed(
    decoder: GzipDecoder,
    packed: Uint8Array,
    target: Uint8Array,
    memberFrom: number,
    blockFrom: number,
    counts: Float64Array,
  ): number;
  /** Where a decoder stands that has stopped for any reason but damage. `mark` becomes: kind, bit, header, extra, last, decoded bytes of the member. */
  gzipMark(decoder: GzipDecoder, mark: Float64Array): void;
  /** What is damaged, in zlib's words. */
  gzipFault(decoder: GzipDecoder): string;
  /** The CRC-32 of `content`; several times as fast as Node's. */
  crc32(content: Uint8Array): number;
  /** The CRC-32 of two pieces, one behind the other, from those of each; `length` of the second. */
  combineCrc32(first: number, second: number, length: number): number;
}

/** Undefined where the addon was not built: Node's own zlib cannot be taken up inside a stream. */
export const gzipBinding = binding as (typeof binding & GzipBinding) | undefined;
