import { readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import type { FileEnds } from "../driver.js";
import { encrypted, footer, SIGNATURE, VERSION } from "./layout.js";

/** What the footer says, checked. Positions are in the file. */
export interface DmgFooter {
  readonly atStart: boolean;
  readonly dataForkPosition: number;
  readonly dataForkSize: number;
  readonly resourceForkPosition: number;
  readonly resourceForkSize: number;
  readonly plistPosition: number;
  readonly plistSize: number;
  readonly sectorCount: number;
}

type Fields = ReturnType<typeof footer.decode>;

/** Whether these are the ends of a UDIF image, or of an encrypted one: what stands in the file's last bytes may be a guest's, so all of it must fit. */
export function isDmg({ head, tail, size }: FileEnds): boolean {
  return (
    isEncrypted(head, tail) ||
    (tail.length === footer.size && fits(tail, size, size - footer.size)) ||
    (head.length > footer.size && fits(head, size, 0))
  );
}

function isEncrypted(head: Uint8Array, tail: Uint8Array): boolean {
  return textAt(head, 0, 8) === encrypted.head || textAt(tail, tail.length - 8, 8) === encrypted.tail;
}

function textAt(content: Uint8Array, at: number, length: number): string {
  return at < 0 ? "" : Buffer.from(content.subarray(at, at + length)).toString("latin1");
}

function fits(content: Uint8Array, size: number, position: number): boolean {
  if (textAt(content, 0, 4) !== SIGNATURE) return false;
  try {
    return problem(footer.decode(content), size, position) === undefined;
  } catch (error) {
    if (error instanceof ImageError) return false;
    throw error;
  }
}

/** What is wrong with a footer at `position` of a file of `size` bytes, and where in the footer. */
function problem(fields: Fields, size: number, position: number): readonly [at: number, message: string] | undefined {
  if (fields.signature !== SIGNATURE) return [0, "there is no UDIF footer"];
  if (fields.version !== VERSION) return [4, `the version is ${fields.version}; version ${VERSION} is read here`];
  if (fields.size !== footer.size) return [8, `the footer says that it has ${fields.size} bytes, not ${footer.size}`];
  // In front of everything else it is only taken for what it is if the data follows it.
  if (position === 0 && size > footer.size && fields.dataForkPosition !== footer.size) return [24, "the data does not follow the footer"];
  const parts = [
    [24, "data fork", fields.dataForkPosition, fields.dataForkSize],
    [40, "resource fork", fields.resourceForkPosition, fields.resourceForkSize],
    [216, "property list", fields.plistPosition, fields.plistSize],
  ] as const;
  for (const [at, name, start, length] of parts) {
    if (start + length > size) return [at, `the ${name}, ${length} bytes at ${start}, leaves the file of ${size} bytes`];
  }
  return undefined;
}

/** Reads the footer; throws for everything that is no whole, plain UDIF image. */
export function readFooter(source: Source): DmgFooter {
  const { size } = source;
  const fail = (code: ErrorCode, position: number, message: string, hint?: string) =>
    new ImageError(code, message, { file: source.name, position, hint });
  refuseEncrypted(source);
  if (size < footer.size) throw fail("WRONG_FORMAT", 0, `a UDIF image has at least ${footer.size} bytes, this file has ${size}`);

  const atEnd = readSignature(source, size - footer.size) === SIGNATURE;
  if (!atEnd && readSignature(source, 0) !== SIGNATURE) {
    throw fail("WRONG_FORMAT", size - footer.size, "there is no UDIF footer, neither at the end nor at the start of the file");
  }
  const position = atEnd ? size - footer.size : 0;
  const fields = readStruct(source, position, footer);
  const wrong = problem(fields, size, position);
  if (wrong) throw fail("CORRUPT", position + wrong[0], wrong[1]);
  if (fields.segmentCount > 1) {
    throw fail(
      "UNSUPPORTED",
      position + 56,
      `this is segment ${fields.segmentNumber} of ${fields.segmentCount}; segmented images are not read`,
      'Join the segments first, with "hdiutil convert" on a Mac.',
    );
  }
  return { ...fields, atStart: !atEnd };
}

function readSignature(source: Source, position: number): string {
  const content = Buffer.alloc(4);
  source.read(content, position);
  return content.toString("latin1");
}

function refuseEncrypted(source: Source): void {
  const head = Buffer.alloc(Math.min(8, source.size));
  const tail = Buffer.alloc(head.length);
  source.read(head, 0);
  source.read(tail, source.size - tail.length);
  if (!isEncrypted(head, tail)) return;
  throw new ImageError("KEY_NEEDED", "the image is encrypted; reading encrypted disk images is not supported yet", {
    file: source.name,
    position: 0,
    hint: 'Decrypt a copy first, for example with "hdiutil convert" on a Mac.',
  });
}
