import type { Layer, LayerFacts, SnapshotFacts } from "../formats/driver.js";
import type { Container, ContainerFacts } from "../containers/container.js";
import type { ImageError } from "../util/errors.js";
import type { OpenedDisk } from "./open.js";
import type { Finding } from "./parents.js";
import type { Partition, PartitionTable } from "./partitions/read.js";
import { snapshotNames } from "./snapshot-names.js";
import type { VolumeScan } from "./volumes/volume.js";

/** What `info --json` prints and `info.json` in a mount holds. Sizes and positions in bytes. */
export interface DiskDescription {
  readonly image: string;
  readonly format: string;
  readonly variant?: string;
  /** How the image's file is compressed, outermost first; absent if it is not. */
  readonly compression?: readonly string[];
  /** Size of the virtual disk; of a package of files, its own. */
  readonly size: number;
  /** Bytes that the image's files take on their file systems. */
  readonly allocated: number;
  readonly details: LayerFacts["details"];
  /** With the disk's name in a mount, of those that can be had beside the current state. */
  readonly snapshots: readonly (SnapshotFacts & { readonly file?: string })[];
  /** The image itself first, then what it is a difference to. */
  readonly chain: readonly {
    readonly file: string;
    readonly format: string;
    readonly size: number;
    /** How it was found and recognised as the parent of the one before it; absent for the image itself. */
    readonly found?: string;
  }[];
  /** Every file that was opened for it. */
  readonly files: readonly { readonly path: string; readonly size: number; readonly allocated: number }[];
  /** The file system or archive that the whole disk is, where its files are shown. */
  readonly contents?: { readonly format: string; readonly variant?: string; readonly details: ContainerFacts["details"] };
  /** The disks in it, where it is a package of files. */
  readonly disks?: readonly MemberDescription[];
  readonly partitionTable?: { readonly scheme: string; readonly sectorSize: number; readonly id?: string };
  readonly partitions: readonly (Partition & { readonly file: string })[];
  /** What lies on the disk in other ways than partitions: BSD slices, logical volumes, members of arrays. */
  readonly volumes?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly typeName: string;
    readonly size: number;
    readonly file: string;
    readonly uuid?: string;
  }[];
  /** What is stored beside the disk. */
  readonly tracks?: readonly { readonly file: string; readonly size: number }[];
  /** What is unusual, one sentence each. */
  readonly notes: readonly string[];
}

/** A disk in a container, and all that is to be told of it. */
export interface MemberDescription extends DiskDescription {
  /** Of its directory below disks/. */
  readonly name: string;
  /** Of its file below files/. */
  readonly path: string;
  readonly role?: string;
}

/** What was found on the disk. */
export interface Found {
  readonly table?: PartitionTable | undefined;
  readonly volumes?: VolumeScan | undefined;
  readonly container?: Container;
  /** Why there is no container. */
  readonly failure?: ImageError;
  readonly disks?: readonly MemberDescription[];
  /** Why disks of a container are not shown, one sentence each. */
  readonly failures?: readonly string[];
}

/** What is described: an image that was opened. */
export type Described = Pick<OpenedDisk, "layer" | "findings" | "unpacked"> & { readonly files?: OpenedDisk["files"] };

export function describeDisk({ layer, files = [], findings, unpacked }: Described, found: Found = {}): DiskDescription {
  const { table, volumes, container, failure, disks = [], failures = [] } = found;
  const held = container?.facts();
  const chain = chainOf(layer);
  const { variant, details, snapshots } = layer.facts();
  const [image] = files;
  return {
    image: image?.path ?? layer.name,
    format: layer.format,
    ...(variant !== undefined && { variant }),
    ...(unpacked.packings.length > 0 && { compression: unpacked.packings }),
    size: layer.size,
    allocated: image ? files.reduce((sum, file) => sum + file.allocated, 0) : layer.size,
    details,
    snapshots: layer.snapshot ? withFiles(snapshots ?? []) : (snapshots ?? []),
    chain: chain.filter(isThere).map((each) => {
      const finding = findings.get(each);
      return { file: each.name, format: each.format, size: each.size, ...(finding && { found: wordsOf(finding) }) };
    }),
    files: files.map(({ path, size, allocated }) => ({ path, size, allocated })),
    ...(container &&
      held && {
        contents: { format: container.format, details: held.details, ...(held.variant !== undefined && { variant: held.variant }) },
      }),
    ...(disks.length > 0 && { disks }),
    ...(table && {
      partitionTable: { scheme: table.scheme, sectorSize: table.sectorSize, ...(table.id !== undefined && { id: table.id }) },
    }),
    partitions: (table?.partitions ?? []).map((partition) => ({ ...partition, file: `partitions/${partition.number}.raw` })),
    ...(volumes &&
      volumes.volumes.length > 0 && {
        volumes: volumes.volumes.map(({ name, kind, typeName, size, uuid }) => {
          return { name, kind, typeName, size, file: `volumes/${name}.raw`, ...(uuid !== undefined && { uuid }) };
        }),
      }),
    ...(layer.tracks && { tracks: layer.tracks.map(({ name, size }) => ({ file: `tracks/${name}`, size })) }),
    notes: [
      ...unpacked.notes,
      ...chain.flatMap((each) => each.facts().notes.map((note) => (each === layer || !isThere(each) ? note : `${each.name}: ${note}`))),
      ...(table?.notes ?? []),
      ...(volumes?.notes ?? []),
      ...(held?.notes ?? []),
      ...(failure ? [`Its files cannot be shown: ${failure.message}.`] : []),
      ...failures,
    ],
  };
}

function withFiles(snapshots: readonly SnapshotFacts[]): DiskDescription["snapshots"] {
  const names = snapshotNames(snapshots);
  return snapshots.map((each, index) => ({ ...each, file: `snapshots/${names[index] ?? ""}/disk.raw` }));
}

/** False for what stands for a parent that could not be had. */
function isThere({ format }: Layer): boolean {
  return format !== "missing";
}

const places: Readonly<Record<Finding["place"], string>> = {
  declared: "where the image says",
  beside: "by its name, beside the image",
  search: "by its name, in a folder of --search",
  identity: "by what is written in it",
  given: "given with --parent",
};

function wordsOf({ place, identity, matches }: Finding): string {
  if (!identity) return place === "declared" ? places[place] : `${places[place]}; the image does not tell what else it must be`;
  return `${places[place]}; ${identity.kind} ${identity.value} ${matches ? "matches" : "DOES NOT MATCH"}`;
}

function chainOf(layer: Layer): readonly Layer[] {
  return layer.parent ? [layer, ...chainOf(layer.parent)] : [layer];
}
