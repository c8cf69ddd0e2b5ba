// Internal snapshots. Reference: docs/interop/qcow2.rst, section "Snapshots".
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { SnapshotFacts } from "../driver.js";
import type { Qcow2Header } from "./header.js";
import { limits, snapshotExtra, snapshotHead } from "./layout.js";

export interface Snapshot extends SnapshotFacts {
  readonly created: string;
  readonly l1TableOffset: number;
  readonly l1Size: number;
}

/** The snapshot table as far as it can be read. */
export interface SnapshotList {
  readonly snapshots: readonly Snapshot[];
  /** Why those behind the last of them cannot be told. */
  readonly failure?: ImageError;
}

/** All entries of the snapshot table, in its order; up to the first that is damaged. */
export function readSnapshots(source: Source, header: Qcow2Header): SnapshotList {
  const { snapshotCount: count, snapshotsOffset } = header;
  const snapshots: Snapshot[] = [];
  try {
    if (count > limits.snapshots) {
      throw new ImageError("CORRUPT", `the image has ${count} snapshots; ${limits.snapshots} are the limit`, {
        file: source.name,
        position: 60,
      });
    }
    let position = snapshotsOffset;
    for (let index = 0; index < count; index += 1) {
      const { snapshot, size } = readSnapshot(source, header, index, position);
      snapshots.push(snapshot);
      position += Math.ceil(size / 8) * 8;
    }
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { snapshots, failure: error };
  }
  return { snapshots };
}

/** One entry, and its bytes without the padding behind it. */
function readSnapshot(source: Source, header: Qcow2Header, index: number, position: number): { snapshot: Snapshot; size: number } {
  const head = readStruct(source, position, snapshotHead);
  const { extraSize, idLength, nameLength } = head;
  if (extraSize > limits.snapshotExtra) {
    throw new ImageError("CORRUPT", `snapshot ${index} has ${extraSize} bytes of extra data; ${limits.snapshotExtra} are the limit`, {
      file: source.name,
      position: position + 36,
    });
  }
  const size = snapshotHead.size + extraSize + idLength + nameLength;
  if (position + size > source.size) {
    throw new ImageError("TRUNCATED", `snapshot ${index} leaves the file of ${source.size} bytes`, { file: source.name, position });
  }
  return { snapshot: decodeSnapshot(readBytes(source, position, size), head, header), size };
}

function decodeSnapshot(entry: Buffer, head: ReturnType<typeof snapshotHead.decode>, header: Qcow2Header): Snapshot {
  const { extraSize, idLength, nameLength, seconds, nanoseconds, l1TableOffset, l1Size } = head;
  const extra = extraSize >= snapshotExtra.size ? snapshotExtra.decode(entry, snapshotHead.size) : undefined;
  const idAt = snapshotHead.size + extraSize;
  return {
    id: entry.toString("utf8", idAt, idAt + idLength),
    name: entry.toString("utf8", idAt + idLength, idAt + idLength + nameLength),
    size: extra?.diskSize ?? header.size,
    created: new Date(seconds * 1000 + Math.floor(nanoseconds / 1e6)).toISOString(),
    stateSize: extra?.stateSize ?? head.stateSize,
    l1TableOffset,
    l1Size,
  };
}

/** The snapshot with that id, or else with that name. */
export function findSnapshot(source: Source, { snapshots: all, failure }: SnapshotList, wanted: string): Snapshot {
  const found = all.find(({ id }) => id === wanted) ?? all.find(({ name }) => name === wanted);
  if (found) return found;
  if (failure) throw failure;
  throw new ImageError("PART_MISSING", `there is no snapshot with the id or name ${quote(wanted)}`, {
    file: source.name,
    hint:
      all.length === 0 ? "The image has no snapshots." : `Its snapshots: ${all.map(({ id, name }) => `${id} ${quote(name)}`).join(", ")}.`,
  });
}

export function snapshotAt(source: Source, { snapshots, failure }: SnapshotList, index: number): Snapshot {
  const found = snapshots[index];
  if (found) return found;
  throw failure ?? new ImageError("PART_MISSING", `it has ${snapshots.length} snapshots, and none at ${index}`, { file: source.name });
}
