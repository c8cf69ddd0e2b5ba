// The grain directory and its tables, with the second copy of both that hosted sparse extents keep.
import type { Source } from "../../../source/source.js";
import type { GrainTables } from "./grains.js";
import type { HostedHeader } from "./hosted-header.js";
import { directoryEntries, type DirectoryShape, readDirectory, type WordTables, wordTables } from "./words.js";

/**
 * The tables that the primary directory names. The redundant ones stand in where the primary ones do not lie in the file or cannot be read,
 * and never otherwise. Throws if neither directory can be had.
 */
export function redundantTables(source: Source, header: HostedHeader, shape: DirectoryShape, notes: string[]): GrainTables {
  const { directory, redundant, zeroedGrains } = header;
  const open = (what: string, position: number) =>
    wordTables(source, readDirectory(source, what, position, shape), position, zeroedGrains, shape);
  const second = redundant === undefined ? undefined : once(() => open("redundant grain directory", redundant));

  let first: WordTables;
  try {
    first = open("grain directory", directory ?? 0);
  } catch (error) {
    const instead = second?.();
    if (!instead) throw error;
    notes.push("The grain directory cannot be read; the redundant one is used instead.");
    return instead;
  }
  if (!second) return first;

  const outside = countOutside(first, directoryEntries(shape));
  if (outside > 0)
    notes.push(`The grain directory is damaged: ${outside} of its grain tables are not in the file; the redundant ones are used.`);
  let noted = outside > 0;
  return {
    ...first,
    load(index) {
      try {
        return first.load(index);
      } catch (error) {
        const instead = second();
        // An absent table there says nothing: here there is one.
        if (!instead || instead.whole(index) !== undefined) throw error;
        const table = loadInstead(instead, index, error);
        if (!noted) notes.push("A grain table cannot be read; the redundant one is used instead.");
        noted = true;
        return table;
      }
    },
  };
}

function loadInstead(tables: WordTables, index: number, reason: unknown): Uint32Array {
  try {
    return tables.load(index);
  } catch {
    throw reason;
  }
}

function countOutside(tables: WordTables, entries: number): number {
  let outside = 0;
  for (let index = 0; index < entries; index += 1) {
    if (tables.whole(index) === undefined && !tables.lies(index)) outside += 1;
  }
  return outside;
}

/** What `make` gives, asked once; undefined if it throws because the image is damaged. */
function once<T>(make: () => T): () => T | undefined {
  let made: { readonly value: T | undefined } | undefined;
  return () => {
    if (!made) {
      try {
        made = { value: make() };
      } catch {
        made = { value: undefined };
      }
    }
    return made.value;
  };
}
