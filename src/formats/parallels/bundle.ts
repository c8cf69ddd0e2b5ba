import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Audit } from "../audit.js";
import type { Layer, LayerFacts, Opener } from "../driver.js";
import { mapOfPieces, type Piece } from "../pieces.js";
import { storedExtent } from "../stored.js";
import { auditExpandable } from "./audit.js";
import { type Descriptor, readDescriptor, type Storage, type StoredImage } from "./descriptor.js";
import { type Expandable, openExpandable } from "./expandable.js";
import { shotsOf, topOf } from "./shots.js";

/** Files of one disk: storages times snapshots. Each takes a descriptor of the process. */
const FILES_LIMIT = 512;

/** One image of one storage, opened. */
interface Part {
  readonly piece: Piece;
  readonly source?: Source;
  readonly expandable?: Expandable;
}

/** The disk of a bundle: one layer for each snapshot that the wanted state depends on, each made of one image per storage. */
export function openBundle(source: Source, opener: Opener, snapshot: string | undefined): Layer {
  const descriptor = readDescriptor(source);
  const ids = shotsOf(source, descriptor, snapshot);
  if (ids.length * descriptor.storages.length > FILES_LIMIT) {
    const message = `the disk has ${descriptor.storages.length} storages with ${ids.length} images each; ${FILES_LIMIT} files are the limit`;
    throw new ImageError("UNSUPPORTED", message, { file: source.name });
  }
  const opened: Source[] = [];
  try {
    let layer: Layer | undefined;
    // The oldest first: each is the parent of the next.
    for (const [depth, id] of [...ids.entries()].toReversed()) {
      const root = depth === ids.length - 1;
      const parts = descriptor.storages.map((storage) => openPart(source, opener, storage, imageOf(source, storage, id), root, opened));
      layer = createLayer(source, descriptor, parts, id, depth === 0, layer);
    }
    if (layer) return layer;
    throw new ImageError("CORRUPT", "the descriptor names no image", { file: source.name });
  } catch (error) {
    for (const each of opened) each.close();
    throw error;
  }
}

function imageOf(source: Source, { images, start }: Storage, id: string | undefined): StoredImage {
  const [image, second] = id === undefined ? images : images.filter((each) => each.id === id);
  if (image && !second) return image;
  const what = id === undefined ? "image" : `image of the snapshot {${id}}`;
  throw new ImageError("CORRUPT", `the storage at byte ${start} has ${image ? "more than one" : "no"} ${what}`, { file: source.name });
}

function openPart(source: Source, opener: Opener, { start, end }: Storage, image: StoredImage, root: boolean, opened: Source[]): Part {
  const size = end - start;
  if (image.plain && !root) {
    throw new ImageError("UNSUPPORTED", `${quote(image.file)} is plain, but depends on another image; only expandable ones can`, {
      file: source.name,
    });
  }
  let file: Source;
  try {
    file = opener.part(image.file);
  } catch (error) {
    if (!opener.degraded || !(error instanceof ImageError) || !/^PART_/.test(error.code)) throw error;
    return { piece: damagedPiece(size, error) };
  }
  opened.push(file);
  if (image.plain)
    return { source: file, piece: { size, map: (offset, length) => storedExtent(file, offset, Math.min(length, size - offset)) } };
  const expandable = openExpandable(file);
  return { source: file, expandable, piece: pieceOf(file, expandable, size) };
}

function damagedPiece(size: number, error: ImageError): Piece {
  return { size, map: (offset, length) => ({ kind: "damaged", length: Math.min(length, size - offset), error }) };
}

/** The image's own size is not the storage's where the disk was made larger or smaller since: what it does not reach is in none of its parents. */
function pieceOf(file: Source, expandable: Expandable, size: number): Piece {
  if (expandable.size >= size) return { size, map: (offset, length) => expandable.map(offset, Math.min(length, size - offset)) };
  const message = `the image has ${expandable.size} bytes of a storage of ${size} bytes: the rest cannot be known`;
  const rest = damagedPiece(size, new ImageError("CORRUPT", message, { file: file.name, position: 36 }));
  return { size, map: (offset, length) => (offset < expandable.size ? expandable : rest).map(offset, length) };
}

function createLayer(
  source: Source,
  descriptor: Descriptor,
  parts: readonly Part[],
  id: string | undefined,
  top: boolean,
  parent: Layer | undefined,
): Layer {
  const [only] = parts;
  const file = parts.length === 1 ? only?.source?.name : undefined;
  return {
    format: parts.every(({ expandable }) => !expandable) && !top ? "raw" : "parallels",
    name: top ? source.name : (file ?? `${source.name} {${id ?? ""}}`),
    size: descriptor.size,
    ...(parent && { parent }),
    ...(descriptor.sectorSize !== undefined && { sectorSize: descriptor.sectorSize }),
    map: mapOfPieces(parts.map(({ piece }) => piece)),
    audit: (audit) => auditParts(parts, audit),
    facts: () => factsOf(source, descriptor, parts, top),
    close() {
      parent?.close();
      for (const part of parts) part.source?.close();
      if (top) source.close();
    },
  };
}

/** Every image of the layer; what is doubtful counts from where its storage begins on the disk. */
function auditParts(parts: readonly Part[], audit: Audit): void {
  let before = 0;
  for (const { source, expandable, piece } of parts) {
    const offset = before;
    before += piece.size;
    if (!source || !expandable) continue;
    auditExpandable(source, {
      ...audit,
      found: (problem) => audit.found(parts.length > 1 ? { ...problem, message: `${quote(source.name)}: ${problem.message}` } : problem),
      doubtful: ({ start, length }, reason) => audit.doubtful({ start: start + offset, length }, reason),
    });
  }
}

function factsOf(source: Source, descriptor: Descriptor, parts: readonly Part[], top: boolean): LayerFacts {
  const images = parts.flatMap(({ expandable }) => expandable?.facts() ?? []);
  const notes = [...new Set(images.flatMap((facts) => facts.notes))];
  if (!top) return { ...images[0], details: images[0]?.details ?? {}, notes };
  const { shots, storages, size } = descriptor;
  const current = shots.length > 0 ? currentOf(source, descriptor) : undefined;
  const { end } = storages.at(-1) ?? { end: size };
  if (end > size) notes.push(`Its storages have ${end - size} bytes more than the disk; they are not shown.`);
  return {
    variant: images[0]?.variant === undefined ? "bundle of plain images" : `bundle, ${images[0].variant}`,
    details: { storages: storages.length, ...images[0]?.details },
    // The descriptor does not record when they were made.
    snapshots: shots.filter(({ id }) => id !== current).map(({ id, name }) => ({ id, name, size, stateSize: 0 })),
    notes,
  };
}

function currentOf(source: Source, descriptor: Descriptor): string | undefined {
  try {
    return topOf(source, descriptor);
  } catch {
    return undefined;
  }
}
