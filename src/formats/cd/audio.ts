// Audio tracks as files: RIFF, "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991), chapter "Waveform Audio File Format".
import type { Source } from "../../source/source.js";
import { memorySource } from "../../source/memory.js";
import type { ImageError } from "../../util/errors.js";
import type { Track } from "../driver.js";
import { mapOfPieces, type Piece } from "../pieces.js";
import { storedExtent } from "../stored.js";
import { type Gathering, gatheredMap } from "./gather.js";
import { RAW } from "./sectors.js";

/** A run of sound: 16 bits, 44.1 kHz, stereo. */
export interface Sound {
  /** Bytes that are heard, a multiple of 4. */
  readonly size: number;
  /** Where it is; nowhere, for silence that the sheet asks for. */
  readonly stored?: StoredSound | undefined;
  /** Why it cannot be had. */
  readonly error?: ImageError | undefined;
}

export interface StoredSound {
  readonly source: Source;
  readonly position: number;
  /** Bytes from one sector to the next; 2352 where nothing stands between them. */
  readonly stride: number;
  /** The high byte of every sample comes first. */
  readonly bigEndian: boolean;
}

const HEADER = 44;

/** `sounds`, one behind the other, as a WAV file. */
export function wavTrack(name: string, sounds: readonly Sound[]): Track {
  const filled = sounds.filter(({ size }) => size > 0);
  const bytes = bytesOf(filled);
  const header = memorySource(name, wavHeader(bytes));
  const head: Piece = { size: HEADER, map: (offset, length) => storedExtent(header, offset, Math.min(length, HEADER - offset)) };
  return { name, size: HEADER + bytes, map: mapOfPieces([head, ...filled.map(pieceOf)]) };
}

export function bytesOf(sounds: readonly Sound[]): number {
  return sounds.reduce((sum, { size }) => sum + size, 0);
}

function pieceOf({ size, stored, error }: Sound): Piece {
  if (error) return { size, map: (offset, length) => ({ kind: "damaged", length: Math.min(length, size - offset), error }) };
  if (!stored) return { size, map: (offset, length) => ({ kind: "zero", length: Math.min(length, size - offset) }) };
  const { source, position, stride, bigEndian } = stored;
  if (stride === RAW && !bigEndian) {
    return { size, map: (offset, length) => storedExtent(source, position + offset, Math.min(length, size - offset)) };
  }
  // What stands as one run need not end with a sector.
  const end = size % RAW;
  const whole = size - end;
  const map = gatheredMap({ source, position, stride, main: RAW, unit: RAW, take: copySound(bigEndian, RAW) });
  if (end === 0) return { size, map: (offset, length) => map(offset, Math.min(length, size - offset)) };
  const rest = gatheredMap({
    source,
    position: position + (whole / RAW) * stride,
    stride: end,
    main: end,
    unit: end,
    take: copySound(bigEndian, end),
  });
  const pieces =
    whole > 0
      ? [
          { size: whole, map },
          { size: end, map: rest },
        ]
      : [{ size: end, map: rest }];
  return { size, map: mapOfPieces(pieces) };
}

function copySound(bigEndian: boolean, length: number): Gathering["take"] {
  if (!bigEndian) return (stored, at, target, to) => void stored.copy(target, to, at, at + length);
  return (stored, at, target, to) => {
    for (let index = 0; index < length; index += 2) {
      target[to + index] = stored[at + index + 1]!;
      target[to + index + 1] = stored[at + index]!;
    }
  };
}

/** Sizes over 4 GiB, which no disc has, are told as the largest there is: players then go by the file's. */
function wavHeader(bytes: number): Buffer {
  const header = Buffer.alloc(HEADER);
  header.write("RIFF", 0, "latin1");
  header.writeUInt32LE(Math.min(HEADER - 8 + bytes, 0xffffffff), 4);
  header.write("WAVEfmt ", 8, "latin1");
  header.writeUInt32LE(16, 16);
  // PCM, two channels.
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(44_100, 24);
  header.writeUInt32LE(176_400, 28);
  header.writeUInt16LE(4, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36, "latin1");
  header.writeUInt32LE(Math.min(bytes, 0xffffffff), 40);
  return header;
}
