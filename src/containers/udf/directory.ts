// ECMA-167, 4/14.4: file identifiers, of which directories are made.
import type { Content } from "../container.js";
import type { Entry } from "./entry.js";
import { type Address, characteristics, fileIdentifier, fileTypes, tags } from "./layout.js";
import { decodeCs0 } from "./names.js";
import { blockName, damagedUdf, mappedBytes, type Space } from "./space.js";
import { coveredLength, isIntact, tagOf } from "./tag.js";

/** One name in a directory. */
export interface Identifier {
  /** Not yet one that can stand in a directory. */
  readonly name: string;
  readonly icb: Address;
  readonly isDirectory: boolean;
  readonly isHidden: boolean;
  /** The directory that this one is in. */
  readonly isParent: boolean;
  /** Of a stream: of use to an implementation only. */
  readonly isMetadata: boolean;
}

/** Bytes of one directory: some millions of entries. */
const DIRECTORY_LIMIT = 512 * 2 ** 20;

/** Bytes read at once; those of one identifier are less: 38, implementation use of 65535, a name of 255, and 3 to fill up. */
const WINDOW = 128 * 1024;

/** What is in the directory, without what was deleted. Throws where it is damaged. */
export function* identifiersOf(space: Space, entry: Entry, content: Content): Generator<Identifier> {
  const where = blockName(entry.address);
  if (entry.fileType !== fileTypes.directory && entry.fileType !== fileTypes.streamDirectory) {
    throw damagedUdf(space, `${where} holds no directory, but a file of type ${entry.fileType}`);
  }
  const { size } = content;
  if (size > DIRECTORY_LIMIT || size > space.disk.size) throw damagedUdf(space, `the directory of ${where} cannot have ${size} bytes`);
  let start = 0;
  let window: Buffer = Buffer.alloc(0);
  for (let offset = 0; offset < size; ) {
    const rest = start + window.length - offset;
    if (rest < WINDOW / 2 && start + window.length < size) {
      window = mappedBytes(content, offset, Math.min(WINDOW, size - offset));
      start = offset;
    }
    const at = offset - start;
    // What is left over behind the last one is less than a tag.
    if (window.length - at < fileIdentifier.size && window.subarray(at).every((byte) => byte === 0)) return;
    const length = lengthOf(window, at);
    if (length === undefined) throw damagedUdf(space, `the directory of ${where} is damaged ${offset} bytes after its start`);
    const found = decode(window, at);
    if (found) yield found;
    offset += length;
  }
}

/** Of the identifier at `at`, filled up to a multiple of 4; undefined if there is none that is intact. */
function lengthOf(window: Buffer, at: number): number | undefined {
  if (at + fileIdentifier.size > window.length || tagOf(window, at) !== tags.fileIdentifier) return undefined;
  const used = fileIdentifier.size + window.readUInt16LE(at + 36) + nameLengthOf(window, at);
  if (at + used > window.length) return undefined;
  // The CRC may speak for less than all, and does not always for what fills up.
  return at + coveredLength(window, at) <= window.length && isIntact(window, at) ? (used + 3) & ~3 : undefined;
}

/** genisoimage gives names of 255 bytes, with the compression id in front, the length 0: 256 does not fit. What its CRC covers tells them. */
function nameLengthOf(window: Buffer, at: number): number {
  const told = window[at + 19] ?? 0;
  if (told !== 0 || ((window[at + 18] ?? 0) & characteristics.parent) !== 0) return told;
  return coveredLength(window, at) >= fileIdentifier.size + window.readUInt16LE(at + 36) + 256 ? 256 : 0;
}

function decode(window: Buffer, at: number): Identifier | undefined {
  const { characteristics: bits, icb, implementationLength } = fileIdentifier.decode(window, at);
  const nameLength = nameLengthOf(window, at);
  if ((bits & characteristics.deleted) !== 0) return undefined;
  const start = at + fileIdentifier.size + implementationLength;
  return {
    name: decodeCs0(window.subarray(start, start + nameLength)),
    icb: { partition: icb.partition, block: icb.block },
    isDirectory: (bits & characteristics.directory) !== 0,
    isHidden: (bits & characteristics.hidden) !== 0,
    isParent: (bits & characteristics.parent) !== 0,
    isMetadata: (bits & characteristics.metadata) !== 0,
  };
}
