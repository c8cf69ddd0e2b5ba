// What a UDF disc says twice, compared, and the tags of its descriptors. Clauses are those of ECMA-167.
import { readBytes } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Finding } from "../../util/finding.js";
import { type Address, anchor, type SectorExtent, tags } from "./layout.js";
import { readDescriptors, readIntegrity } from "./sequence.js";
import { blockPosition, sectorPosition, type Space } from "./space.js";
import { coveredLength, isIntact, tagOf } from "./tag.js";

/** Wrong locations that are told: a disc that was moved has them everywhere. */
const EACH_LIMIT = 100;
/** Sectors of one sequence; real ones have 16 or 32. */
const SEQUENCE_LIMIT = 256;

const names = new Map<number, string>(
  Object.entries(tags).map(([name, id]) => [id, name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)]),
);

type Tell = (severity: Finding["severity"], kind: string, message: string, position: number) => void;

/** Anchors and both sequences of volume descriptors. */
export function checkVolume(space: Space): readonly Finding[] {
  const findings: Finding[] = [];
  const tell: Tell = (severity, kind, message, position) => findings.push({ file: "UDF", kind, severity, message, position });
  const anchors = checkAnchors(space, tell);
  const [first] = anchors;
  if (!first) return findings;
  const quiet = { ...space, note: () => undefined };
  const integrityAt = readDescriptors(quiet, first)?.logicalVolume.integrity;
  // Discs that are written once have none that is kept up.
  if (integrityAt && readIntegrity(quiet, integrityAt)?.open === true && !space.partitions.some(({ kind }) => kind === "virtual")) {
    const message = "The volume was not closed after the last change: what was changed then may be incomplete";
    tell("warning", "not closed", message, Math.max(0, sectorPosition(space, integrityAt.sector)));
  }
  const main = sequenceOf(space, first.main, "main", tell);
  const reserve = sequenceOf(space, first.reserve, "reserve", tell);
  for (const [key, content] of main) {
    const other = reserve.get(key);
    if (!other)
      tell("error", "copies differ", `the ${key} descriptor is missing in the reserve volume descriptor sequence`, content.position);
    else if (!content.body.equals(other.body)) {
      tell(
        "error",
        "copies differ",
        `the ${key} descriptors of the main and the reserve volume descriptor sequence differ`,
        other.position,
      );
    }
  }
  for (const [key, { position }] of reserve) {
    if (!main.has(key)) tell("error", "copies differ", `the ${key} descriptor is missing in the main volume descriptor sequence`, position);
  }
  return findings;
}

/** 3/8.4.2.1 and UDF 2.2.3: at two of three places at least; of a disc that is written on until it is closed, at one, which may be another. */
function checkAnchors(
  { disk, sectorSize, missing, partitions }: Space,
  tell: Tell,
): readonly { readonly main: SectorExtent; readonly reserve: SectorExtent }[] {
  const sectors = Math.floor((disk.size + missing) / sectorSize);
  const isOpen = partitions.some(({ kind }) => kind === "virtual");
  const places = [256, ...(isOpen ? [512] : []), sectors - 257, sectors - 1].filter((sector) => sector >= 256);
  const found: { main: SectorExtent; reserve: SectorExtent }[] = [];
  for (const sector of new Set(places)) {
    const position = sector * sectorSize - missing;
    if (position < 0 || position + 512 > disk.size) continue;
    const content = readBytes(disk, position, 512);
    if (content.readUInt16LE(0) !== tags.anchor) continue;
    const { location, main, reserve } = anchor.decode(content);
    if (tagOf(content) !== tags.anchor || !isIntact(content)) {
      // Only where it says that it belongs there it is one, and not what a file holds.
      if (location === sector) tell("error", "tag", `the anchor in sector ${sector} is damaged`, position);
    } else if (location !== sector) {
      tell("warning", "tag location", `the anchor in sector ${sector} says that it is in sector ${location}`, position + 12);
      found.push({ main, reserve });
    } else {
      found.push({ main, reserve });
    }
  }
  const [first] = found;
  const wanted = isOpen ? 1 : 2;
  if (found.length < wanted)
    tell(
      "warning",
      "anchor missing",
      `there ${found.length === 1 ? "is one anchor" : "are no anchors"}, and ${wanted === 1 ? "one is" : "two are"} required`,
      256 * sectorSize,
    );
  for (const other of found.slice(1)) {
    if (JSON.stringify(other) !== JSON.stringify(first))
      tell("error", "copies differ", "the anchors lead to different places", 256 * sectorSize);
  }
  return found;
}

/** The descriptors of one sequence, by what they are. */
function sequenceOf(
  space: Space,
  { sector: first, length }: SectorExtent,
  which: string,
  tell: Tell,
): ReadonlyMap<string, { readonly body: Buffer; readonly position: number }> {
  const { disk, sectorSize } = space;
  const found = new Map<string, { body: Buffer; position: number }>();
  const count = Math.min(SEQUENCE_LIMIT, Math.floor(length / sectorSize));
  for (let index = 0; index < count; index += 1) {
    const position = sectorPosition(space, first + index);
    const where = `sector ${first + index}, in the ${which} volume descriptor sequence`;
    if (position < 0 || position + sectorSize > disk.size) {
      tell("error", "behind the end", `${where}, is behind the end of the disc`, Math.max(0, position));
      break;
    }
    const content = readBytes(disk, position, sectorSize);
    if (content.subarray(0, 16).every((byte) => byte === 0)) break;
    const id = tagOf(content);
    if (id === undefined) {
      tell("error", "tag", `the tag in ${where}, has a wrong checksum`, position + 4);
      continue;
    }
    const whole =
      coveredLength(content) > sectorSize ? readBytes(disk, position, Math.min(coveredLength(content), disk.size - position)) : content;
    const name = names.get(id) ?? `type ${id}`;
    if (!isIntact(whole)) tell("error", "tag", `the CRC of the ${name} descriptor in ${where}, is wrong`, position + 8);
    const location = content.readUInt32LE(12);
    if (location !== first + index)
      tell("warning", "tag location", `the ${name} descriptor in ${where}, says that it is in sector ${location}`, position + 12);
    if (id === tags.terminating) break;
    const body = Buffer.from(whole.subarray(16));
    // genisoimage makes up a volume set identifier for each.
    if (id === tags.primary) body.fill(0, 72 - 16, 200 - 16);
    found.set(id === tags.partition ? `${name} ${content.readUInt16LE(22)}` : name, { body, position });
    if (whole !== content) index += Math.ceil(whole.length / sectorSize) - 1;
  }
  return found;
}

/** Whether the entries in these blocks say that they are there (4/7.2.8). What is damaged otherwise shows when it is read. */
export function checkLocations(space: Space, addresses: Iterable<Address>): readonly Finding[] {
  const findings: Finding[] = [];
  for (const address of addresses) {
    try {
      const position = blockPosition(space, address);
      const location = readBytes(space.disk, position, 16).readUInt32LE(12);
      if (location === address.block) continue;
      const message = `the entry in block ${address.block} says that it is in block ${location}`;
      if (findings.length < EACH_LIMIT)
        findings.push({ file: "UDF", kind: "tag location", severity: "warning", message, position: position + 12 });
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return findings;
}
