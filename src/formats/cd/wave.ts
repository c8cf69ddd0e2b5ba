// Files of sound that discs are made from: RIFF WAVE (IBM and Microsoft, 1991) and AIFF 1.3 (Apple, 1989), uncompressed.
import { readBytes, type Source } from "../../source/source.js";
import { quote } from "../../util/text.js";

/** Where the samples of a file are: 16 bits, 44.1 kHz, stereo. */
export interface Samples {
  readonly position: number;
  /** Bytes. */
  readonly size: number;
  readonly bigEndian: boolean;
}

/** Chunks looked at before the samples are given up. */
const CHUNK_LIMIT = 1000;
const PCM = 1;
const EXTENSIBLE = 0xfffe;
/** 44,100 as an 80-bit number, its first four bytes; the rest is 0. */
const RATE_80 = 0x400eac44;

/** The samples of a WAV or AIFF file; why they are none of a disc, in words that follow "it"; undefined if it is another kind of file. */
export function readSamples(source: Source): Samples | string | undefined {
  if (source.size < 12) return undefined;
  const head = readBytes(source, 0, 12).toString("latin1");
  if (/^RIFF....WAVE/s.test(head)) return readWave(source);
  return /^FORM....AIF[FC]/s.test(head) ? readAiff(source) : undefined;
}

interface Chunk {
  readonly id: string;
  /** Of its content. */
  readonly position: number;
  readonly size: number;
}

function* chunksOf(source: Source, bigEndian: boolean): Generator<Chunk> {
  let position = 12;
  for (let count = 0; count < CHUNK_LIMIT && position + 8 <= source.size; count += 1) {
    const header = readBytes(source, position, 8);
    const size = bigEndian ? header.readUInt32BE(4) : header.readUInt32LE(4);
    yield { id: header.toString("latin1", 0, 4), position: position + 8, size };
    position += 8 + size + (size % 2);
  }
}

/** The first bytes of a chunk, zeros where it is shorter. */
function content(source: Source, { position, size }: Chunk, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  source.read(bytes.subarray(0, Math.max(0, Math.min(length, size, source.size - position))), position);
  return bytes;
}

function readWave(source: Source): Samples | string {
  let known = false;
  for (const chunk of chunksOf(source, false)) {
    if (chunk.id === "fmt ") {
      const format = content(source, chunk, 26);
      const tag = format.readUInt16LE(0);
      const code = tag === EXTENSIBLE ? format.readUInt16LE(24) : tag;
      const [channels, rate, bits] = [format.readUInt16LE(2), format.readUInt32LE(4), format.readUInt16LE(14)];
      if (code !== PCM) return `is compressed (format ${code})`;
      if (channels !== 2 || rate !== 44_100 || bits !== 16) return `has ${channels} channels of ${bits} bits, ${rate} Hz`;
      known = true;
    }
    if (chunk.id === "data") {
      if (!known) return "has its samples before its format";
      // What was written into a pipe has no size, or the largest.
      const open = chunk.size === 0 || chunk.size >= 0xffffff00;
      return { position: chunk.position, size: whole(open ? source.size - chunk.position : chunk.size), bigEndian: false };
    }
  }
  return "has no samples";
}

function readAiff(source: Source): Samples | string {
  let bigEndian: boolean | undefined;
  for (const chunk of chunksOf(source, true)) {
    if (chunk.id === "COMM") {
      const common = content(source, chunk, 22);
      const code = chunk.size >= 22 ? common.toString("latin1", 18, 22) : "NONE";
      if (code !== "NONE" && code !== "sowt" && code !== "twos") return `is compressed (${quote(code)})`;
      const [channels, bits, rate] = [common.readUInt16BE(0), common.readUInt16BE(6), common.readUInt32BE(8)];
      if (channels !== 2 || bits !== 16 || rate !== RATE_80)
        return `has ${channels} channels of ${bits} bits, or another rate than 44,100 Hz`;
      bigEndian = code !== "sowt";
    }
    if (chunk.id === "SSND") {
      if (bigEndian === undefined) return "has its samples before its format";
      const skip = content(source, chunk, 4).readUInt32BE(0) + 8;
      if (skip > chunk.size) return "has its samples behind their end";
      return { position: chunk.position + skip, size: whole(chunk.size - skip), bigEndian };
    }
  }
  return "has no samples";
}

/** A sample of both channels has 4 bytes. */
export function whole(bytes: number): number {
  return bytes - (bytes % 4);
}
