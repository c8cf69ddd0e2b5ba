import { ImageError } from "../../util/errors.js";
import { printable } from "../../util/text.js";
import type { Scan } from "../partitions/scan.js";
import type { Area } from "./area.js";
import { createTextStore, type PhysicalVolume, readPhysicalVolume } from "./lvm-label.js";
import { type Budget, createBudget, createMapper, type Group, snapshotsOf } from "./lvm-map.js";
import { listIn, numberIn, parseLvmText, type Section, sectionIn, sectionsOf, textIn } from "./lvm-text.js";
import { Refusal } from "./runs.js";
import type { FoundVolume } from "./volume.js";

/** device-mapper has room for far fewer. */
const maxVolumes = 4096;

/** The logical volumes of LVM2 whose data lie on this disk as they are. Others are named in notes. */
export function readLvm(scan: Scan, areas: readonly Area[]): FoundVolume[] {
  const store = createTextStore();
  const found = areas.flatMap((area) => readPhysicalVolume(scan, area, store) ?? []);
  for (const [index, { area, uuid }] of found.entries()) {
    const first = found.findIndex((other) => other.uuid === uuid);
    if (first < index) scan.note(`${area.label} is the same LVM physical volume as ${found[first]?.area.label}, which is used`);
  }
  const groups = latestGroups(scan, found);
  for (const { area, uuid } of found) {
    if (!groups.some(({ physicalVolumes }) => physicalVolumes.has(uuid))) {
      scan.note(`${area.label} is an LVM physical volume that no volume group on this disk names`);
    }
  }
  const budget = createBudget();
  return groups.flatMap((group) => toVolumes(scan, group, budget));
}

interface Candidate {
  readonly name: string;
  readonly id: string;
  /** Grows with each change. */
  readonly sequence: number;
  readonly section: Section;
}

/** Each group as its latest metadata tells. */
function latestGroups(scan: Scan, found: readonly PhysicalVolume[]): (Group & { readonly name: string })[] {
  const latest = new Map<string, Candidate>();
  for (const text of new Set(found.flatMap(({ texts }) => texts))) {
    const candidate = trying(scan, "LVM metadata", () => toCandidate(text));
    const known = candidate && latest.get(candidate.id);
    if (candidate && (!known || known.sequence < candidate.sequence)) latest.set(candidate.id, candidate);
  }
  return [...latest.values()].flatMap((candidate) => {
    return trying(scan, `the LVM volume group ${printable(candidate.name)}`, () => toGroup(candidate, found)) ?? [];
  });
}

function toCandidate(text: string): Candidate {
  const [first] = sectionsOf(parseLvmText(text));
  if (!first) throw new ImageError("CORRUPT", "there is no volume group in it");
  const [name, section] = first;
  return { name, section, id: textIn(section, "id") ?? "", sequence: numberIn(section, "seqno") };
}

function toGroup({ name, section }: Candidate, found: readonly PhysicalVolume[]): Group & { readonly name: string } {
  const declared = sectionsOf(sectionIn(section, "physical_volumes") ?? new Map());
  const names = new Map(declared.map(([each, values]) => [(textIn(values, "id") ?? "").replaceAll("-", ""), each] as const));
  return {
    name,
    extentSize: numberIn(section, "extent_size", 1) * 512,
    physicalVolumes: names,
    places: new Map(declared.map(([each, values]) => [each, placeOf(values, found)] as const)),
    volumes: new Map(sectionsOf(sectionIn(section, "logical_volumes") ?? new Map())),
  };
}

function placeOf(section: Section, found: readonly PhysicalVolume[]): Group["places"] extends ReadonlyMap<string, infer P> ? P : never {
  const id = textIn(section, "id") ?? "";
  const volume = found.find(({ uuid }) => uuid === id.replaceAll("-", ""));
  // A volume that was away while its group changed holds what is out of date.
  const missing = !volume || listIn(section, "flags").includes("MISSING");
  return {
    id,
    start: numberIn(section, "pe_start") * 512,
    extents: numberIn(section, "pe_count"),
    ...(!missing && { area: volume.area }),
  };
}

function toVolumes(scan: Scan, group: Group & { readonly name: string }, budget: Budget): FoundVolume[] {
  const stores = snapshotsOf(group);
  const mapper = createMapper(scan, group, budget, stores);
  const volumes: FoundVolume[] = [];
  for (const [name, section] of group.volumes) {
    // A snapshot's store is not marked as visible, and is what the user sees as the snapshot.
    if (!listIn(section, "status").includes("VISIBLE") && !stores.has(name)) continue;
    const label = `${printable(group.name)}/${printable(name)}`;
    if (volumes.length === maxVolumes) {
      scan.note(`the LVM volume ${label} and those behind it are not shown: there are more than ${maxVolumes}`);
      break;
    }
    const mapped = trying(scan, `the LVM volume ${label}`, () => mapper(name));
    if (!mapped) continue;
    const uuid = textIn(section, "id");
    volumes.push({
      // As device-mapper writes it, so that no two volumes have the same name.
      name: `${group.name.replaceAll("-", "--")}-${name.replaceAll("-", "--")}`,
      kind: "LVM",
      pieces: mapped.pieces,
      typeName: mapped.type,
      ...(uuid !== undefined && { uuid }),
    });
  }
  return volumes;
}

/** What `use` gives, or undefined with a note why not. */
function trying<T>(scan: Scan, what: string, use: () => T): T | undefined {
  try {
    return use();
  } catch (error) {
    if (error instanceof Refusal) scan.note(`${what} is not shown: ${error.message}`);
    else if (error instanceof ImageError) scan.note(`${what} cannot be used: ${printable(error.message)}`);
    else throw error;
    return undefined;
  }
}
