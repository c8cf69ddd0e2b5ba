// Hosted sparse extents, plain and stream-optimized. Reference: VMware Virtual Disk Format 5.0.
import type { Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { hex } from "../../../util/text.js";
import type { SparseExtent } from "./extent.js";
import { type Footer, findFooter } from "./footer.js";
import { createGrainMap, type GrainReader, type GrainTables } from "./grains.js";
import { type HostedHeader, readDescriptor, readHostedHeader } from "./hosted-header.js";
import { markerTypes, SECTOR } from "./layout.js";
import { markedAs } from "./markers.js";
import { packedStore } from "./packed.js";
import { redundantTables } from "./redundant.js";
import { type Scan, scanStream, scannedGrains, scannedTables } from "./scan.js";
import { directoryEntries, type DirectoryShape, plainStore, wordGrains } from "./words.js";

/** Where an extent's tables come from. */
interface Found {
  /** What counts: the footer, where there is one. */
  readonly header: HostedHeader;
  /** Instead of the header's directory. */
  readonly scan?: Scan | undefined;
  /** Tables stand behind markers: what was written as a stream has them, what was written at random has none. */
  readonly marked?: boolean | undefined;
}

export function openHosted(source: Source): SparseExtent {
  const first = readHostedHeader(source, 0);
  const notes: string[] = [];
  const { header, scan, marked }: Found = first.directory === undefined ? findEnd(source, first, notes) : { header: first };
  const descriptor = readDescriptor(source, first) ?? readDescriptor(source, header);
  if (first.unclean || header.unclean) notes.push("The file was not closed properly by its last writer.");
  return {
    size: header.size,
    kind: header.compressed ? "streamOptimized" : "hosted",
    descriptor,
    map: header.size === 0 ? (offset, length) => ({ kind: "parent", length, offset }) : mapOf(source, { header, scan, marked }, notes),
    details: detailsOf(header),
    notes,
  };
}

function detailsOf(header: HostedHeader): SparseExtent["details"] {
  return {
    "header version": header.version,
    ...(header.size > 0 && { "grain size": header.grainSize, "grain table entries": header.tableEntries }),
    "redundant grain tables": header.redundant !== undefined,
    "zeroed grains": header.zeroedGrains,
    ...(header.compressed && { compression: "deflate", markers: header.markers }),
  };
}

function mapOf(source: Source, { header, scan, marked = false }: Found, notes: string[]): SparseExtent["map"] {
  const { size, grainSize, tableEntries, zeroedGrains } = header;
  const words = wordGrains(zeroedGrains);
  let tables: GrainTables;
  let grains: GrainReader = words;
  if (scan) {
    tables = scannedTables(scan);
    grains = scannedGrains(words);
  } else {
    const shape: DirectoryShape = { grains: Math.ceil(size / grainSize), tableEntries, reserved: reservedOf(header), marked };
    tables = redundantTables(source, header, shape, notes);
  }
  const lost = (offset: number) =>
    new ImageError("TRUNCATED", `the grain of offset ${hex(offset)} was not found: the file is cut or damaged at ${hex(scan?.end ?? 0)}`, {
      file: source.name,
      position: scan?.end,
    });
  const broken = (position: number, problem: string) => new ImageError("CORRUPT", problem, { file: source.name, position });
  const store = header.compressed ? packedStore(source, header) : plainStore(source);
  return createGrainMap({ source, size, grainSize, tableEntries, tables, grains, store, lost, broken });
}

function reservedOf({ descriptor }: HostedHeader): DirectoryShape["reserved"] {
  const header = { what: "header", start: 0, end: SECTOR };
  return descriptor ? [header, { what: "descriptor", start: descriptor.position, end: descriptor.position + descriptor.length }] : [header];
}

/** What stands at the end of a stream, or else what can be known without it. */
function findEnd(source: Source, first: HostedHeader, notes: string[]): Found {
  const footer = findFooter(source, first.markers);
  if (footer && fits(source, footer)) {
    noteEnd(source, footer, notes);
    return { header: footer.header, marked: footer.header.markers };
  }
  if (first.size === 0 && !first.compressed) return { header: first };
  if (first.size === 0 || !first.markers) {
    throw new ImageError("TRUNCATED", "the footer that tells where the grain directory is is missing: the file is cut or damaged", {
      file: source.name,
      position: source.size,
      hint: "Copy the file again; without a capacity and markers, grains cannot be found by scanning.",
    });
  }
  const scan = scanStream(source, first);
  if (scan.footer && fits(source, scan.footer)) {
    noteEnd(source, scan.footer, notes);
    return { header: scan.footer.header, marked: true };
  }
  if (scan.directory !== undefined) {
    notes.push("The file is cut: it has no footer; its grain directory was found by scanning.");
    return { header: { ...first, directory: scan.directory }, marked: true };
  }
  notes.push(
    `The file is cut or damaged at byte ${scan.end}: ${scan.grains} grains were found by scanning; what else there was cannot be read.`,
  );
  return { header: first, scan };
}

/** Whether the grain directory that the footer names is marked as such and ends before it: after bytes were lost it is elsewhere. */
function fits(source: Source, { header, position }: Footer): boolean {
  const { markers, size, grainSize, tableEntries, directory } = header;
  if (!markers || size === 0) return true;
  const end = directory + directoryEntries({ grains: Math.ceil(size / grainSize), tableEntries }) * 4;
  return end <= position - SECTOR && markedAs(source, directory, markerTypes.grainDirectory);
}

function noteEnd(source: Source, { position }: Footer, notes: string[]): void {
  const rest = source.size - position - 2 * SECTOR;
  if (rest > 0) notes.push(`${rest} bytes follow the end of the stream.`);
  if (rest < 0) notes.push("The end-of-stream marker is missing.");
}
