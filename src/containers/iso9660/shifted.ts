import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { DirectoryRecord } from "./record.js";
import { SECTOR, type Volume } from "./volume.js";

/** Bytes of a disc: more than any has, and little enough to number what stands on it. */
const DISC_LIMIT = 2 ** 42;

/** The root directory follows the descriptors and path tables. */
const SEARCH_SECTORS = 512;

/**
 * How many bytes of the disc came before `disk`, if it is a later session alone: its positions count from the start of the disc. 0 if nothing speaks for that.
 * The root directory tells: its own record says where it should be.
 */
export function missingBefore(disk: Source, { rootRecord, ...volume }: Volume): number {
  const root = new DirectoryRecord(readBytes(disk, rootRecord, 34), 0, rootRecord, { rootRecord, ...volume }).section;
  const isThere = (position: number) => {
    if (position < 0 || position + 34 > disk.size) return false;
    const content = readBytes(disk, position, 34);
    if ((content[0] ?? 0) < 34 || content[32] !== 1 || content[33] !== 0) return false;
    const self = new DirectoryRecord(content, 0, position, { rootRecord, ...volume }).section;
    return self.position === root.position && self.size === root.size;
  };
  if (isThere(root.position) || root.position > DISC_LIMIT) return 0;
  const first = rootRecord - (rootRecord % SECTOR) + SECTOR;
  for (let position = first; position < first + SEARCH_SECTORS * SECTOR; position += SECTOR) {
    if (isThere(position) && root.position > position) return root.position - position;
  }
  return 0;
}

/** The disc of which `disk` is what follows `missing` bytes. What came before is an error. */
export function shiftedSource(disk: Source, missing: number): Source {
  return {
    name: disk.name,
    size: disk.size + missing,
    read(target, position) {
      if (position < missing) {
        throw new ImageError("PART_MISSING", "this lies in an earlier session of the disc, which the file does not hold", {
          file: disk.name,
        });
      }
      disk.read(target, position - missing);
    },
    close: () => disk.close(),
  };
}

/** Undefined for what lies in a session that the file does not hold. */
export function readThere(disk: Source, position: number, length: number): Buffer | undefined {
  try {
    return readBytes(disk, position, length);
  } catch (error) {
    if (error instanceof ImageError && error.code === "PART_MISSING") return undefined;
    throw error;
  }
}
