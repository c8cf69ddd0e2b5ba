// Internal snapshots. Reference: docs/interop/qcow2.rst, section "Snapshots".
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { SnapshotFacts } from "../driver.js";
import type { Qcow2Header } from "./header.js";
import { limits, snapshotExtra, snapshotHead } from "./layout.js";

export interface Snapshot extends SnapshotFacts {
  readonly l1TableOffset: number;
  readonly l1Size: number;
}

/** All entries of the snapshot table, in its order. */
export function readSnapshots(source: Source, header: Qcow2Header): readonly Snapshot[] {
  const { snapshotCount: count, snapshotsOffset } = header;
  if (count > limits.snapshots) {
    throw new ImageError("CORRUPT", `the image has ${count} snapshots; ${limits.snapshots} are the limit`, {
      file: source.name,
      position: 60,
    });
  }
  const snapshots: Snapshot[] = [];
  let position = snapshotsOffset;
  for (let index = 0; index < count; index += 1) {
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
    snapshots.push(decodeSnapshot(readBytes(source, position, size), head, header));
    position += Math.ceil(size / 8) * 8;
  }
  return snapshots;
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
export function findSnapshot(source: Source, header: Qcow2Header, wanted: string): Snapshot {
  const all = readSnapshots(source, header);
  const found = all.find(({ id }) => id === wanted) ?? all.find(({ name }) => name === wanted);
  if (found) return found;
  throw new ImageError("PART_MISSING", `there is no snapshot with the id or name ${quote(wanted)}`, {
    file: source.name,
    hint:
      all.length === 0 ? "The image has no snapshots." : `Its snapshots: ${all.map(({ id, name }) => `${id} ${quote(name)}`).join(", ")}.`,
  });
}
