import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { mapOfTable, noPlace } from "../block-table.js";
import type { Extent, FormatDriver, Layer, LayerFacts, Opener } from "../driver.js";
import { auditVdi } from "./audit.js";
import { readHeader, type VdiHeader } from "./header.js";
import { blockMap, MAGIC, types } from "./layout.js";
import { vdiVariants } from "./variants.js";

/** Layers of this format by the UUID of their last modification, which a child compares with the one it has noted. */
const modifications = new WeakMap<Layer, string | undefined>();

export const vdi: FormatDriver = {
  name: "vdi",
  variants: vdiVariants,
  extensions: [".vdi"],
  probe({ head }) {
    return head.length >= 72 && new DataView(head.buffer, head.byteOffset, head.length).getUint32(64, true) === MAGIC;
  },
  open(source, opener, { snapshot }) {
    if (snapshot !== undefined) {
      throw new ImageError("UNSUPPORTED", "VDI images have no snapshots inside", {
        file: source.name,
        hint: "VirtualBox keeps each snapshot in a file of its own, in the folder Snapshots: open that one.",
      });
    }
    const header = readHeader(source);
    const parent = parentOf(header, opener);
    const layer: Layer = {
      format: "vdi",
      name: source.name,
      size: header.size,
      ...(parent && { parent }),
      map: createMap(source, header),
      facts: () => factsOf(header, parent),
      audit: (audit) => auditVdi(source, header, audit),
      close() {
        parent?.close();
        source.close();
      },
    };
    modifications.set(layer, header.modification);
    return layer;
  },
  identities(source) {
    const { id } = readHeader(source);
    return id === undefined ? [] : [{ kind: "UUID", value: id }];
  },
};

/** VDI records no name, only what is written in the parent. Whether an image has one is told by its type, as VirtualBox takes it. */
function parentOf({ type, parentId }: VdiHeader, opener: Opener): Layer | undefined {
  if (type !== types.undo && type !== types.difference) return undefined;
  return opener.parent({ names: [], ...(parentId !== undefined && { identities: [{ kind: "UUID", value: parentId }] as const }) });
}

function createMap(source: Source, header: VdiHeader): (offset: number, length: number) => Extent {
  const { size, tablePosition, dataPosition, blockSize, blockExtra } = header;
  const stored = blockExtra + blockSize;
  return mapOfTable({
    source,
    name: "block map",
    position: tablePosition,
    order: "little",
    blockSize,
    size,
    place(entry) {
      // "Free" lets the parent through, "zero" does not.
      if (entry >= blockMap.zero) return entry === blockMap.zero ? noPlace.zero : noPlace.parent;
      return dataPosition + entry * stored + blockExtra;
    },
  });
}

const typeNames = { 1: "dynamic", 2: "fixed", 3: "undo", 4: "differencing" } as const;

function factsOf(header: VdiHeader, parent: Layer | undefined): LayerFacts {
  const { version, type, blockSize, blockExtra, blocksAllocated, id, parentId, comment, geometry } = header;
  return {
    variant: `version ${version}, ${typeNames[type]}`,
    details: {
      "block size": blockSize,
      ...(blockExtra > 0 && { "extra bytes before each block": blockExtra }),
      "allocated blocks": blocksAllocated,
      ...(id !== undefined && { UUID: id }),
      ...(parent && parentId !== undefined && { "parent UUID": parentId }),
      ...(geometry && { "cylinders/heads/sectors": `${geometry.cylinders}/${geometry.heads}/${geometry.sectors}` }),
      ...(comment !== "" && { comment }),
    },
    notes: notesOf(header, parent),
  };
}

function notesOf({ id, size, parentId, parentModification }: VdiHeader, parent: Layer | undefined): readonly string[] {
  const notes: string[] = [];
  if (size % 512 !== 0) notes.push("Its size is not a multiple of 512 bytes: VirtualBox shows only whole sectors.");
  if (id === undefined) notes.push("It has no UUID, so no other image can be a difference to it.");
  if (!parent && parentId !== undefined) notes.push(`It names a parent (UUID ${parentId}), but by its type it is complete without one.`);
  const modification = parent && modifications.get(parent);
  if (parentModification !== undefined && modification !== undefined && modification !== parentModification) {
    notes.push(
      `Its parent was changed after this image was made (modification UUID ${modification}, not ${parentModification}): what both show together may be wrong.`,
    );
  }
  return notes;
}
