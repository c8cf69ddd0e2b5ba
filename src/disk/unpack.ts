import type { KeyMemory } from "../formats/driver.js";
import { raw } from "../formats/raw/index.js";
import { detect } from "../formats/registry.js";
import { packedDriverOf, packedDrivers } from "../source/packed/registry.js";
import { readBytes, type Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";
import { readEnds } from "./choose.js";
import type { IndexStore } from "./index-store.js";

/** Told while a compressed file is read through, which may take minutes. */
export type Progress = (step: { readonly file: string; readonly done: number; readonly size: number }) => void;

/** A file that was compressed. */
export interface Unpacked {
  /** The decoded bytes. Closing it closes the file. */
  readonly source: Source;
  /** How it was compressed, outermost first; none if it was not. */
  readonly packings: readonly string[];
  /** What is unusual about it, one sentence each. */
  readonly notes: readonly string[];
}

/** Opens what is compressed. */
export interface Unpacker {
  /** Where drivers remember keys. */
  readonly keys: KeyMemory;
  /** `key` names the stream in one state of it: restart points are kept under it. Takes over `source`, unless it throws. */
  unpack(source: Source, key: string): Unpacked;
}

/** A compressed file in a compressed file in a compressed file; more is a trap. */
const DEPTH_LIMIT = 4;
const SIGNATURE_SIZE = 64;

export function createUnpacker(
  indexes: IndexStore,
  { degraded, progress }: { readonly degraded: boolean; readonly progress?: Progress | undefined },
): Unpacker {
  return {
    keys: {
      get: (name) => indexes.shared[`key ${name}`],
      put: (name, key) => indexes.put(`key ${name}`, key, { lasting: false }),
    },
    unpack(source, key) {
      let current = source;
      const packings: string[] = [];
      const notes: string[] = [];
      for (;;) {
        const driver = packedDriverOf(readBytes(current, 0, Math.min(current.size, SIGNATURE_SIZE)));
        if (!driver || isImage(current)) return { source: current, packings, notes };
        if (packings.length === DEPTH_LIMIT) {
          throw new ImageError("UNSUPPORTED", `it is compressed more than ${DEPTH_LIMIT} times over`, { file: source.name });
        }
        packings.push(driver.name);
        const step = indexed(driver, current, [key, ...packings].join(" "));
        current = step.source;
        notes.push(...step.notes);
      }
    },
  };

  function indexed(driver: (typeof packedDrivers)[number], source: Source, key: string): { source: Source; notes: readonly string[] } {
    const name = degraded ? `${key} degraded` : key;
    const kept = decode(indexes.get(name));
    const known = kept && driver.open(source, kept.index);
    if (known) return { source: known, notes: [...kept.notes, ...noteOf(known)] };
    const notes: string[] = [];
    const index = hinting(() =>
      driver.index(source, {
        degraded,
        damage: (message) => notes.push(message),
        progress: (done) => progress?.({ file: source.name, done, size: source.size }),
      }),
    );
    indexes.put(name, encode(index, notes), { lasting: true });
    const opened = driver.open(source, index);
    if (!opened) throw new Error(`${driver.name} does not understand its own index`);
    return { source: opened, notes: [...notes, ...noteOf(opened)] };
  }
}

/** Some images begin with what they store and end with what they are: a DMG with its first chunk, which may be a stream of bzip2 or xz. */
function isImage(source: Source): boolean {
  return detect(readEnds(source)) !== raw;
}

/** What can be done about a stream that is damaged. */
function hinting<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof ImageError) || error.hint !== undefined || !/^(?:TRUNCATED|CORRUPT)$/.test(error.code)) throw error;
    const { code, message, file, position } = error;
    const hint = "With --degraded, what can be unpacked up to there is shown.";
    throw new ImageError(code, message, { file, position, hint, cause: error });
  }
}

function noteOf(source: Source & { readonly note?: string }): readonly string[] {
  return source.note === undefined ? [] : [source.note];
}

/** What was noticed on the way is kept, too: a length, JSON, the index. */
function encode(index: Uint8Array, notes: readonly string[]): Uint8Array {
  const text = Buffer.from(JSON.stringify(notes));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, index]);
}

function decode(kept: Uint8Array | undefined): { notes: readonly string[]; index: Uint8Array } | undefined {
  if (!kept || kept.length < 4) return undefined;
  const end = 4 + Buffer.from(kept.buffer, kept.byteOffset, kept.length).readUInt32LE(0);
  if (end > kept.length) return undefined;
  try {
    const notes: unknown = JSON.parse(Buffer.from(kept.subarray(4, end)).toString());
    if (Array.isArray(notes) && notes.every((note) => typeof note === "string")) return { notes, index: kept.subarray(end) };
  } catch {
    // Not what was kept: made anew.
  }
  return undefined;
}

/** A file's name without what tells of its compression. */
export function innerName(name: string): string {
  const extension = packedDrivers.flatMap(({ extensions }) => extensions).find((each) => name.toLowerCase().endsWith(each));
  return extension === undefined ? name : name.slice(0, -extension.length);
}
