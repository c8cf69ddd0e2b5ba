import { readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { mixedGuid } from "../../util/guid.js";
import { readChecked } from "./checksum.js";
import { FILE_SIGNATURE, fileIdentifier, HEADER_SIZE, header, headerPositions } from "./layout.js";

/** The header that counts, checked. */
export interface VhdxHeader {
  /** The program that made the file, as it calls itself; may be empty. */
  readonly creator: string;
  /** Changes with every change of the disk; children know their parent by it. Lower case, without braces. */
  readonly dataWriteGuid: string;
  /** The log to replay, if there is one. */
  readonly log: { readonly position: number; readonly length: number; readonly guid: Uint8Array; readonly dirty: boolean };
  readonly notes: readonly string[];
}

/** A GUID the way children record it. */
export function plainGuid(bytes: Uint8Array): string {
  return mixedGuid(bytes).toLowerCase();
}

/** Reads the file identifier and the current header; throws if there is none, or it is of another version. */
export function readHeader(source: Source): VhdxHeader {
  const identifier = readStruct(source, 0, fileIdentifier);
  if (identifier.signature !== FILE_SIGNATURE) {
    throw new ImageError("WRONG_FORMAT", `it does not begin with "${FILE_SIGNATURE}"`, { file: source.name, position: 0 });
  }
  const { position, notes } = currentHeader(source);
  const fail = (at: number, message: string) => new ImageError("UNSUPPORTED", message, { file: source.name, position: position + at });
  const { dataWriteGuid, logGuid, logVersion, version, logLength, logOffset } = readStruct(source, position, header);
  const dirty = logGuid.some((byte) => byte !== 0);
  if (version !== 1) throw fail(66, `VHDX version ${version} is not known; version 1 is read here`);
  if (dirty && logVersion !== 0) throw fail(64, `its log has to be replayed and is of version ${logVersion}; version 0 is known here`);
  return {
    creator: textOf(identifier.creator),
    dataWriteGuid: plainGuid(dataWriteGuid),
    log: { position: logOffset, length: logLength, guid: logGuid, dirty },
    notes,
  };
}

/** The valid copy with the larger sequence number. */
function currentHeader(source: Source): { readonly position: number; readonly notes: readonly string[] } {
  const [first, second] = headerPositions;
  const one = readChecked(source, first, HEADER_SIZE, "head");
  const two = readChecked(source, second, HEADER_SIZE, "head");
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position: first });
  if (!one && !two) throw fail("both of its headers are damaged: neither has the right checksum");
  if (!one) return { position: second, notes: ["Its first header is damaged; the second one was used."] };
  if (!two) return { position: first, notes: ["Its second header is damaged; the first one was used."] };
  const [before, after] = headerPositions.map((position) => readStruct(source, position, header).sequenceNumber) as [bigint, bigint];
  // Disk2vhd writes the same header twice.
  if (before === after && !one.equals(two)) throw fail("its two headers differ and have the same sequence number");
  return { position: before < after ? second : first, notes: [] };
}

function textOf(utf16: Uint8Array): string {
  const text = Buffer.from(utf16).toString("utf16le");
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
