import type { Database, LdmComponent, LdmDisk, LdmVolume } from "./ldm-records.js";
import type { FoundVolume, Piece } from "./volume.js";

/** How a component puts its partitions together. */
const layouts = { striped: 1, concatenated: 2 } as const;

/** Where a volume's bytes are, or why it cannot be shown. `publicStart`: sectors from the start of the disk to where partitions are counted from. */
export function volumeOf(
  database: Database,
  volume: LdmVolume,
  own: LdmDisk | undefined,
  publicStart: number,
  disk: { readonly sectorSize: number; readonly size: number },
): FoundVolume | string {
  const components = database.components.filter((each) => each.volume === volume.id);
  if (volume.raid5) return "it is a RAID-5 volume, which is not supported";
  if (components.length === 0 || components.length !== volume.components)
    return `${components.length} of its ${volume.components} parts are recorded`;
  if (components.some(({ layout }) => layout === layouts.striped)) return "it is a striped volume, whose data lie on several disks";
  if (components.some(({ layout }) => layout !== layouts.concatenated)) return "it is of an unknown kind";
  let reason: string | undefined;
  for (const component of components) {
    const pieces = piecesOf(database, component, volume, own, publicStart, disk);
    if (typeof pieces !== "string") {
      const typeName = components.length > 1 ? "mirrored" : pieces.length > 1 ? "spanned" : "simple";
      return { name: volume.name, kind: "LDM", pieces, typeName, uuid: volume.guid };
    }
    reason ??= pieces;
  }
  return reason ?? "it has no parts";
}

function piecesOf(
  database: Database,
  component: LdmComponent,
  volume: LdmVolume,
  own: LdmDisk | undefined,
  publicStart: number,
  { sectorSize, size: diskSize }: { readonly sectorSize: number; readonly size: number },
): Piece[] | string {
  // Of a mirror, one side may be out of date.
  if (volume.components > 1 && component.state !== "ACTIVE") return "the side of its mirror on this disk is not up to date";
  const parts = database.partitions.filter((each) => each.component === component.id).toSorted((a, b) => a.offset - b.offset);
  if (parts.length !== component.partitions) return `${parts.length} of its ${component.partitions} partitions are recorded`;
  const pieces: Piece[] = [];
  let offset = 0;
  for (const part of parts) {
    const on = database.disks.find(({ id }) => id === part.disk);
    if (!on || on !== own) return `it needs ${on ? `the disk ${on.name} (${on.guid})` : "an unknown disk"}, which is not this one`;
    const start = (publicStart + part.start) * sectorSize;
    if (part.offset * sectorSize !== offset) return `its partitions do not follow each other at byte ${offset}`;
    // Windows rounds partitions up; the volume ends where it says.
    const size = Math.min(part.size, volume.size - part.offset) * sectorSize;
    if (size <= 0) break;
    if (!(start + size <= diskSize)) return `${size} bytes at byte ${start} are not on the disk, which ends at ${diskSize}`;
    pieces.push({ offset, start, size });
    offset += part.size * sectorSize;
  }
  const last = pieces.at(-1);
  if (!last || last.offset + last.size !== volume.size * sectorSize) return "its partitions are smaller than it";
  return pieces;
}
