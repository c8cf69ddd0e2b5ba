// EWF: the images of EnCase, FTK Imager, SMART, X-Ways, Guymager and libewf.
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver, LayerFacts } from "../driver.js";
import { auditEwf } from "./audit.js";
import { type EwfImage, openImage } from "./image.js";
import { others } from "./layout.js";
import { createMap, sizeByChunks } from "./map.js";
import { firstNames } from "./names.js";
import { type Segment, segmentNumber } from "./segment.js";
import { type ChunkIndex, createIndex } from "./tables.js";
import { caseFacts, digestsOf, unreadSectors } from "./text.js";
import { ewfVariants } from "./variants.js";

export const ewf: FormatDriver = {
  name: "ewf",
  variants: ewfVariants,
  extensions: [".e01", ".s01"],
  probe: ({ head }) => segmentNumber(head) !== undefined || otherIn(head) !== undefined,
  open(source, opener, { snapshot, disk }) {
    const head = Buffer.alloc(Math.min(source.size, 16));
    source.read(head, 0);
    const other = otherIn(head);
    if (other !== undefined) throw new ImageError("UNSUPPORTED", other, { file: source.name });
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `an EWF image has no ${asked}`, { file: source.name });
    const image = openImage(source, opener);
    const close = () => {
      for (const segment of image.segments.slice(1)) segment.source.close();
    };
    try {
      return layerOf(source, image, close);
    } catch (error) {
      close();
      throw error;
    }
  },
  partOf(name, { head }) {
    const number = segmentNumber(head);
    return number === undefined || number === 1 ? [] : firstNames(name);
  },
};

function otherIn(head: Uint8Array): string | undefined {
  const start = Buffer.from(head.subarray(0, 8)).toString("latin1");
  return others.find(({ signature }) => start.startsWith(signature))?.what;
}

function layerOf(source: Source, image: EwfImage, closeOthers: () => void) {
  const { segments, chunkSize, sectorSize } = image;
  const index = createIndex(segments.flatMap(({ tables }) => tables));
  const size = image.size ?? sizeByChunks(index, chunkSize);
  if (size === 0) throw new ImageError("CORRUPT", "it holds no chunk, and does not tell the size of the disk", { file: source.name });
  const lost =
    image.lost ?? new ImageError("CORRUPT", `its tables tell of ${index.count} chunks, the disk has more`, { file: source.name });
  return {
    format: "ewf",
    name: source.name,
    size,
    sectorSize: sectorSize === 4096 ? sectorSize : 512,
    map: createMap(index, size, chunkSize, lost),
    facts: () => factsOf(image, index, size),
    audit: (audit: Parameters<typeof auditEwf>[1]) => auditEwf({ image, index, size }, audit),
    close() {
      closeOthers();
      source.close();
    },
  };
}

function factsOf(image: EwfImage, index: ChunkIndex, size: number): LayerFacts {
  const { segments, chunkSize, sectorSize, medium } = image;
  const { MD5, SHA1 } = digestsOf(segments);
  return {
    variant: medium,
    details: {
      segments: segments.length,
      "chunk size": chunkSize,
      "sector size": sectorSize,
      ...caseFacts(segments[0] as Segment),
      ...(MD5 !== undefined && { MD5 }),
      ...(SHA1 !== undefined && { SHA1 }),
    },
    notes: notesOf(image, index, size),
  };
}

function notesOf({ segments, size: told, chunkSize, lost }: EwfImage, { count }: ChunkIndex, size: number): readonly string[] {
  const unread = unreadSectors(segments);
  const chunks = Math.ceil(size / chunkSize);
  return [
    ...(told === undefined
      ? ["It does not tell the size of the disk, which was taken from its chunks: it may not have been finished."]
      : []),
    ...(unread > 0 ? [`${unread} sectors could not be read when it was made; they are stored as zeros.`] : []),
    ...(count < chunks
      ? [`It is cut or damaged: ${count} of ${chunks} chunks are there. ${lost ? `${lost.file ?? ""}: ${lost.message}.` : ""}`.trim()]
      : []),
    ...(count > chunks ? [`It has ${count - chunks} chunks more than the disk; they are not shown.`] : []),
  ];
}
