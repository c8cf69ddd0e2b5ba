import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { header, limits, SIGNATURE, UZIP_MARK, versions } from "./layout.js";

export interface CloopHeader {
  readonly version: string;
  /** Whether the table tells how each block is stored. */
  readonly methods: boolean;
  /** Made by FreeBSD's mkuzip. */
  readonly uzip: boolean;
  readonly blockSize: number;
  readonly blockCount: number;
  /** Where the table is, which has one entry more than there are blocks. */
  readonly tablePosition: number;
}

/** Whether a header stands in the first or the last 136 bytes. */
export function isCloop(head: Uint8Array, tail: Uint8Array): boolean {
  return [head.subarray(0, header.size), tail.subarray(-header.size)].some(
    (content) => content.length === header.size && isSignature(Buffer.from(content.subarray(0, 24)).toString("latin1")),
  );
}

/** A version that is known, or says of itself what it is. */
function isSignature(script: string): boolean {
  const [signature = "", version = ""] = SIGNATURE.exec(script) ?? [];
  return version in versions || (version !== "" && script.startsWith(" Format", signature.length));
}

/** Reads the header; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): CloopHeader {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const first = readStruct(source, 0, header);
  const atStart = SIGNATURE.test(first.script);
  const position = atStart ? 0 : source.size - header.size;
  const { script, blockSize, blockCount } = atStart ? first : readStruct(source, position, header);
  const signature = SIGNATURE.exec(script)?.[1];
  if (signature === undefined) throw fail("WRONG_FORMAT", position, "it is no compressed loop image");
  const version = versions[signature];
  if (!version) throw fail("UNSUPPORTED", position + 11, `the version is ${quote(signature)}, which is not known`);
  if (version.refused !== undefined) throw fail("UNSUPPORTED", position + 11, `it is ${version.refused}, which is not read`);
  if (blockSize === 0 || blockSize % 512 !== 0 || blockSize > limits.block) {
    throw fail("CORRUPT", position + 128, `the block size is ${blockSize}, not a multiple of 512 up to ${limits.block}`);
  }
  const tableSize = (blockCount + 1) * 8;
  if (tableSize > limits.table)
    throw fail("CORRUPT", position + 132, `there are ${blockCount} blocks; ${limits.table / 8 - 1} are the limit`);
  const tablePosition = atStart ? header.size : position - tableSize;
  if (tablePosition < 0 || tablePosition + tableSize > source.size) {
    throw fail("TRUNCATED", position + 132, `the table of ${blockCount} blocks leaves the file of ${source.size} bytes`);
  }
  const uzip = readBytes(source, position, 128).includes(UZIP_MARK);
  return { version: version.name, methods: version.methods, uzip, blockSize, blockCount, tablePosition };
}
