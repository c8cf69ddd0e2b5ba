// What tells metadata from grains in a stream. Reference: VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents".
import { readBytes, type Source } from "../../../source/source.js";
import { marker, SECTOR } from "./layout.js";

/** Whether the sector before `position` is a marker for metadata of this type. */
export function markedAs(source: Source, position: number, type: number): boolean {
  if (position < SECTOR || position > source.size || position % SECTOR !== 0) return false;
  const found = marker.decode(readBytes(source, position - SECTOR, marker.size));
  return found.size === 0 && found.type === type;
}
