// What one execution is given: a few files, of which only what is not zeros is kept. An image of many MiB is a few KiB here, and cheap to change and to open.
import { gunzipSync, gzipSync } from "node:zlib";

/** `length` bytes of the input's data from `at` on stand at `position` of the file. */
export interface Piece {
  readonly position: number;
  readonly at: number;
  readonly length: number;
}

export interface InputFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** In the order of their positions, apart from each other; all of them in the file. Everything else is zeros. */
  readonly pieces: readonly Piece[];
}

export interface Input {
  /** The first is what is opened, the others stand beside it. */
  readonly files: readonly InputFile[];
  readonly data: Uint8Array;
}

/** Zeros that are not worth a piece of their own. */
const SHORT_GAP = 96;

/** An input from whole files. */
export function inputOf(files: Readonly<Record<string, Uint8Array | string>>): Input {
  const chunks: Uint8Array[] = [];
  let at = 0;
  const list = Object.entries(files).map(([name, whole]): InputFile => {
    const content = typeof whole === "string" ? Buffer.from(whole, "latin1") : whole;
    const pieces: Piece[] = [];
    for (const [position, end] of filled(content)) {
      pieces.push({ position, at, length: end - position });
      chunks.push(content.subarray(position, end));
      at += end - position;
    }
    return { name, size: content.length, pieces };
  });
  return { files: list, data: Buffer.concat(chunks) };
}

function* filled(content: Uint8Array): Generator<readonly [start: number, end: number]> {
  let start = -1;
  let zeros = 0;
  for (let at = 0; at < content.length; at += 1) {
    if (content[at] !== 0) {
      if (start < 0) start = Math.max(0, at - Math.min(zeros, at % 16));
      zeros = 0;
      continue;
    }
    zeros += 1;
    if (start >= 0 && zeros > SHORT_GAP) {
      yield [start, at + 1 - zeros + 16];
      start = -1;
    }
  }
  if (start >= 0) yield [start, content.length];
}

/** Fills `target` with the bytes of `file` from `position` on; the range lies in the file. */
export function readInput({ data }: Input, { pieces }: InputFile, target: Uint8Array, position: number): void {
  const end = position + target.length;
  target.fill(0);
  for (let index = firstBehind(pieces, position); index < pieces.length; index += 1) {
    const piece = pieces[index]!;
    if (piece.position >= end) return;
    const from = Math.max(position, piece.position);
    const to = Math.min(end, piece.position + piece.length);
    const at = piece.at + from - piece.position;
    target.set(data.subarray(at, at + to - from), from - position);
  }
}

/** Writes what of `content` lies in pieces; what would stand among zeros is left out. */
export function writeInput({ data }: Input, { pieces }: InputFile, content: Uint8Array, position: number): void {
  const end = position + content.length;
  for (let index = firstBehind(pieces, position); index < pieces.length; index += 1) {
    const piece = pieces[index]!;
    if (piece.position >= end) return;
    const from = Math.max(position, piece.position);
    const to = Math.min(end, piece.position + piece.length);
    data.set(content.subarray(from - position, to - position), piece.at + from - piece.position);
  }
}

/** The first piece that ends behind `position`. */
export function firstBehind(pieces: readonly Piece[], position: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const piece = pieces[middle]!;
    if (piece.position + piece.length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

const headers = new WeakMap<readonly InputFile[], Buffer>();

/** What `files` are like, as one line of JSON; inputs that differ in their data alone share it. */
function headerOf(files: readonly InputFile[]): Buffer {
  const known = headers.get(files);
  if (known) return known;
  const plain = files.map(({ name, size, pieces }) => ({ name, size, pieces: pieces.map(({ position, length }) => [position, length]) }));
  const header = Buffer.from(`${JSON.stringify(plain)}\n`);
  headers.set(files, header);
  return header;
}

/** Parts that, one behind the other, are the input. */
export function partsOf({ files, data }: Input): readonly [header: Buffer, data: Uint8Array] {
  return [headerOf(files), data];
}

export function parseInput(bytes: Uint8Array): Input {
  const end = bytes.indexOf(10);
  const plain = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString()) as {
    name: string;
    size: number;
    pieces: [position: number, length: number][];
  }[];
  let at = 0;
  const files = plain.map(({ name, size, pieces }) => ({
    name,
    size,
    pieces: pieces.map(([position, length]) => {
      at += length;
      return { position, length, at: at - length };
    }),
  }));
  return { files, data: Buffer.from(bytes.subarray(end + 1, end + 1 + at)) };
}

/** As inputs are kept in files. */
export function packInput(input: Input): Buffer {
  return gzipSync(Buffer.concat(partsOf(input)), { level: 9 });
}

export function unpackInput(bytes: Uint8Array): Input {
  return parseInput(gunzipSync(bytes));
}
