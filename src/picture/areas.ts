import type { PartitionTable } from "../disk/partitions/read.js";
import type { VolumeScan } from "../disk/volumes/volume.js";
import { printable } from "../util/text.js";

/** A named range of the disk: a partition, or a piece of a volume. */
export interface Area {
  /** Bytes; inside the disk. */
  readonly start: number;
  readonly length: number;
  /** Short, such as `1` or `vg0-root`. Safe to print, like the others. */
  readonly name: string;
  /** What it is, such as `EFI System`. */
  readonly type: string;
  /** What it was called by whoever made it. */
  readonly label?: string | undefined;
}

/** What an area is, in words; a label that only repeats the type is left out. */
export function aboutArea({ type, label }: Area): string {
  return label === undefined || label.toLowerCase() === type.toLowerCase() ? type : `${label}, ${type}`;
}

/** Areas that do not overlap: what is drawn in one row. */
export interface Lane {
  readonly title: string;
  readonly areas: readonly Area[];
}

export interface Lanes {
  readonly lanes: readonly Lane[];
  /** How many areas are left out, because there are too many. */
  readonly omitted: number;
}

const LANE_LIMIT = 8;
const AREA_LIMIT = 400;
/** More are not even looked at. */
const SORTED_LIMIT = 4096;

/** What is on a disk of `size` bytes, in rows: partitions first, then volumes, which lie in them. */
export function lanesOf(size: number, table: PartitionTable | undefined, volumes: VolumeScan | undefined): Lanes {
  const partitions = (table?.partitions ?? []).map(({ number, start, size: length, typeName, name }) => ({
    start,
    length,
    name: String(number),
    type: printable(typeName),
    label: name === undefined ? undefined : printable(name),
  }));
  const pieces = (volumes?.volumes ?? []).flatMap(({ name, kind, typeName, pieces: all }) =>
    all.map(({ start, size: length }, index) => ({
      start,
      length,
      name: printable(name),
      type: `${kind} ${printable(typeName)}${all.length > 1 ? `, piece ${index + 1} of ${all.length}` : ""}`,
    })),
  );
  const scheme = table ? `Partitions (${table.scheme.toUpperCase()})` : "Partitions";
  const found = [...inLanes(scheme, inside(partitions, size)), ...inLanes("Volumes", inside(pieces, size))];
  const all = partitions.length + pieces.length;
  const lanes: Lane[] = [];
  let room = AREA_LIMIT;
  for (const { title, areas } of found.slice(0, LANE_LIMIT)) {
    lanes.push({ title, areas: areas.slice(0, room) });
    room -= Math.min(room, areas.length);
  }
  return { lanes: lanes.filter(({ areas }) => areas.length > 0), omitted: all - (AREA_LIMIT - room) };
}

function inside(areas: readonly Area[], size: number): readonly Area[] {
  return areas
    .slice(0, SORTED_LIMIT)
    .filter(({ start, length }) => start < size && length > 0)
    .map((area) => ({ ...area, length: Math.min(area.length, size - area.start) }))
    .sort((a, b) => a.start - b.start || b.length - a.length);
}

/** Each area in the first row where it overlaps none. `areas` in the order of their starts. */
function inLanes(title: string, areas: readonly Area[]): readonly Lane[] {
  const lanes: Area[][] = [];
  for (const area of areas) {
    const lane = lanes.find((each) => endOf(each.at(-1)) <= area.start);
    if (lane) lane.push(area);
    else lanes.push([area]);
  }
  return lanes.map((each) => ({ title, areas: each }));
}

function endOf(area: Area | undefined): number {
  return area ? area.start + area.length : 0;
}
