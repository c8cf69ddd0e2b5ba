import { printable } from "../../util/text.js";
import type { Scan } from "../partitions/scan.js";
import type { Area } from "./area.js";
import { dmRaidSuper } from "./layout.js";
import { listIn, numberIn, type Section, sectionIn, sectionsOf, textIn } from "./lvm-text.js";
import { join, maxPieces, part, Refusal, type Run, toPieces } from "./runs.js";
import type { Piece } from "./volume.js";

/** A volume group, as far as it tells where bytes are. */
export interface Group {
  /** Bytes. */
  readonly extentSize: number;
  /** Names by UUID. */
  readonly physicalVolumes: ReadonlyMap<string, string>;
  readonly places: ReadonlyMap<string, Place>;
  readonly volumes: ReadonlyMap<string, Section>;
}

export interface Place {
  readonly id: string;
  /** Where extent 0 is, bytes from the start of the physical volume. */
  readonly start: number;
  readonly extents: number;
  /** Absent: it is not on this disk. */
  readonly area?: Area;
}

/** What the volumes of a disk may take, in runs looked at: a hostile one is made of itself a million times over. */
export interface Budget {
  left: number;
}

export function createBudget(): Budget {
  return { left: 2 ** 19 };
}

/** Volumes made of volumes: a raid of mirrors of moved volumes is four deep. */
const maxDepth = 8;
/** The number that marks a leg of dm-raid, "DmRd". */
const raidMagic = 0x64526d44;
const maxSegments = 65_536;
const maxLegs = 64;

interface Mapped {
  readonly pieces: readonly Piece[];
  readonly type: string;
}

/** Says where the bytes of a logical volume are; throws `Refusal`, or `CORRUPT` for what is not metadata. `stores` is of `snapshotsOf`. */
export function createMapper(scan: Scan, group: Group, budget: Budget, stores: ReadonlyMap<string, string>): (name: string) => Mapped {
  const known = new Map<string, readonly Run[] | Refusal>();
  const { extentSize } = group;

  const spend = (count: number): void => {
    budget.left -= count;
    if (budget.left < 0) throw new Refusal("the volumes of this disk are in too many pieces");
  };

  const runsOf = (name: string, depth: number): readonly Run[] => {
    const before = known.get(name);
    if (before instanceof Refusal) throw before;
    if (before) return before;
    if (depth > maxDepth) throw new Refusal(`it is made of volumes more than ${maxDepth} deep`);
    // Until it is known, asking for it again means that it is made of itself.
    known.set(name, new Refusal("it is made of itself"));
    try {
      const runs = join(segmentsOf(group, name).flatMap((segment) => runsOfSegment(segment, depth)));
      known.set(name, runs);
      return runs;
    } catch (error) {
      if (error instanceof Refusal) known.set(name, error);
      else known.delete(name);
      throw error;
    }
  };

  const runsOfSegment = (segment: Section, depth: number): readonly Run[] => {
    spend(1);
    const type = textIn(segment, "type") ?? "";
    const count = numberIn(segment, "extent_count", 1);
    switch (type) {
      case "linear":
      case "striped":
        return striped(segment, listIn(segment, "stripes"), count, depth);
      case "raid0":
      case "raid0_meta":
        return striped(
          segment,
          legsOf(segment).flatMap(({ image }) => [image, 0]),
          count,
          depth,
        );
      case "mirror": {
        const [name, from] = listIn(segment, "mirrors");
        return area(name, from, count, depth);
      }
      case "raid1":
        return area(bestLeg(segment, depth), 0, count, depth);
      default:
        throw new Refusal(refusalOf(type));
    }
  };

  /** `count` extents of a physical or of another logical volume from its extent `from` on. */
  const area = (name: unknown, from: unknown, count: number, depth: number): readonly Run[] => {
    if (typeof name !== "string" || typeof from !== "number" || !Number.isSafeInteger(from) || from < 0)
      throw new Refusal("it names no place");
    const place = group.places.get(name);
    if (!place) {
      const runs = runsOf(name, depth + 1);
      spend(runs.length);
      return part(runs, from * extentSize, count * extentSize);
    }
    if (!place.area) throw new Refusal(`it needs the physical volume ${place.id}, which is not on this disk`);
    const start = place.start + from * extentSize;
    const size = count * extentSize;
    if (from + count > place.extents || start + size > place.area.size) throw new Refusal(`it leaves ${place.area.label}`);
    return [{ start: place.area.start + start, size }];
  };

  const striped = (segment: Section, list: readonly (number | string)[], count: number, depth: number): readonly Run[] => {
    const columns = list.length / 2;
    if (columns < 1 || list.length % 2 !== 0 || numberIn(segment, "stripe_count", 1) !== columns || count % columns !== 0) {
      throw new Refusal(`its ${count} extents do not fit its ${columns} stripes`);
    }
    const places = Array.from({ length: columns }, (_, index) => area(list[index * 2], list[index * 2 + 1], count / columns, depth));
    if (columns === 1) return places[0] ?? [];
    const stripe = numberIn(segment, "stripe_size", 1) * 512;
    const length = (count / columns) * extentSize;
    if (length % stripe !== 0) throw new Refusal(`its stripes of ${stripe} bytes do not fill its extents`);
    if ((length / stripe) * columns > maxPieces) throw new Refusal(`it has more than ${maxPieces} stripes on the one disk`);
    for (const place of places) spend(place.length * (length / stripe));
    return Array.from({ length: (length / stripe) * columns }, (_, index) => {
      const column = places[index % columns] ?? [];
      return part(column, Math.floor(index / columns) * stripe, stripe);
    }).flat();
  };

  /** The image of the leg that was written last. Without dm-raid's own record, which activation writes, that is the first. */
  const bestLeg = (segment: Section, depth: number): string => {
    let refusal = new Refusal("all of its legs are being rebuilt");
    const usable = legsOf(segment).flatMap((leg) => {
      if (hasStatus(group, leg.image, "REBUILD")) return [];
      try {
        runsOf(leg.image, depth + 1);
        return { ...leg, super: leg.meta === undefined ? undefined : superOf(leg.meta, depth) };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusal = error;
        return [];
      }
    });
    if (usable.length === 0) throw refusal;
    const records = usable.flatMap((leg) => leg.super ?? []);
    const events = records.reduce((most, each) => (each.events > most ? each.events : most), 0n);
    const failed = records.reduce((all, each) => (each.events === events ? all | each.failed_devices : all), 0n);
    const good = usable.find(({ super: own }) => {
      if (records.length === 0) return true;
      if (!own || own.events < events || own.disk_recovery_offset !== 2n ** 64n - 1n) return false;
      return (failed & (1n << BigInt(own.array_position % maxLegs))) === 0n;
    });
    if (!good) throw new Refusal("none of its legs is known to be whole");
    return good.image;
  };

  const superOf = (meta: string, depth: number): ReturnType<typeof dmRaidSuper.decode> | undefined => {
    const [run] = runsOf(meta, depth + 1);
    const raw = run && scan.bytes(run.start, dmRaidSuper.size);
    const fields = raw && dmRaidSuper.decode(raw);
    return fields?.magic === raidMagic ? fields : undefined;
  };

  return (name) => {
    const snapshot = stores.get(name);
    if (snapshot !== undefined) throw new Refusal(snapshot);
    const types = new Set(segmentsOf(group, name).map((segment) => wordFor(segment)));
    return { pieces: toPieces(runsOf(name, 0)), type: [...types].join(", ") };
  };
}

/** Volumes that hold changes and not data, and those that changes are being merged into; why each is refused. */
export function snapshotsOf({ volumes }: Group): Map<string, string> {
  const refusals = new Map<string, string>();
  for (const section of volumes.values()) {
    for (const [, segment] of sectionsOf(section)) {
      if (textIn(segment, "type") !== "snapshot") continue;
      const origin = textIn(segment, "origin") ?? "";
      const store = textIn(segment, "cow_store");
      if (store !== undefined) refusals.set(store, `it is a snapshot of ${printable(origin)}, which is not supported`);
      else refusals.set(origin, "a snapshot is being merged into it, which is not supported");
    }
  }
  return refusals;
}

/** The segments in order; they follow each other from extent 0 on. */
function segmentsOf({ volumes }: Group, name: string): Section[] {
  const volume = volumes.get(name);
  if (!volume) throw new Refusal(`there is no volume ${printable(name)}`);
  const count = numberIn(volume, "segment_count", 1);
  if (count > maxSegments) throw new Refusal(`it has ${count} segments, more than ${maxSegments}`);
  let next = 0;
  return Array.from({ length: count }, (_, index) => {
    const segment = sectionIn(volume, `segment${index + 1}`);
    if (!segment || numberIn(segment, "start_extent") !== next) throw new Refusal(`its segment ${index + 1} is missing or misplaced`);
    next += numberIn(segment, "extent_count", 1);
    return segment;
  });
}

interface Leg {
  readonly image: string;
  readonly meta?: string;
}

/** raid0 lists images; the others have the name of a leg's metadata before each. */
function legsOf(segment: Section): Leg[] {
  const images = listIn(segment, "raid0_lvs");
  if (images.length > 0) return images.map((image) => ({ image: String(image) }));
  const legs: Leg[] = [];
  let meta: string | undefined;
  for (const value of listIn(segment, "raids")) {
    const name = String(value);
    if (meta === undefined && name.includes("_rmeta_")) meta = name;
    else {
      legs.push({ image: name, ...(meta !== undefined && { meta }) });
      meta = undefined;
    }
  }
  if (legs.length === 0 || legs.length > maxLegs) throw new Refusal(`it has ${legs.length} legs`);
  return legs;
}

function hasStatus({ volumes }: Group, name: string, status: string): boolean {
  const section = volumes.get(name);
  return section !== undefined && (listIn(section, "status").includes(status) || listIn(section, "flags").includes(status));
}

function wordFor(segment: Section): string {
  const type = textIn(segment, "type") ?? "";
  return type === "striped" && numberIn(segment, "stripe_count", 1) === 1 ? "linear" : type;
}

function refusalOf(type: string): string {
  if (type.startsWith("thin")) return `it is thinly provisioned ("${printable(type)}"), which is not supported`;
  if (type.startsWith("cache") || type === "writecache") return `it has a cache ("${printable(type)}"), which is not supported`;
  return `it has segments of the type "${printable(type)}", which is not supported`;
}
