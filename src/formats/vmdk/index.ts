// VMDK: a descriptor, alone or embedded, and the extents it lists. Reference: VMware, "Virtual Disk Format 5.0".
import { basename } from "node:path";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { FormatDriver, Layer, Opener } from "../driver.js";
import { mapOfPieces } from "../pieces.js";
import { DESCRIPTOR_LIMIT, type Descriptor, isDescriptor, parseDescriptor } from "./descriptor.js";
import { auditExtents } from "./audit.js";
import { forbiddenExtent, openExtent, type OpenedExtent, sparseExtent } from "./extents.js";
import { factsOf } from "./facts.js";
import { identitiesOf, openParent, rememberId } from "./identity.js";
import { descriptorNames } from "./names.js";
import { createParts } from "./parts.js";
import { readDescriptor as readEmbedded, readHostedHeader } from "./sparse/hosted-header.js";
import { isSparse, openSparse, type SparseExtent } from "./sparse/index.js";
import { HOSTED_MAGIC } from "./sparse/layout.js";
import { vmdkVariants } from "./variants.js";

export const vmdk: FormatDriver = {
  name: "vmdk",
  variants: vmdkVariants,
  extensions: [".vmdk"],
  probe: ({ head }) => isSparse(head) || isDescriptor(head),
  open(source, opener, { snapshot }) {
    if (snapshot !== undefined) {
      throw new ImageError("UNSUPPORTED", "a VMDK keeps its snapshots in files of their own", {
        file: source.name,
        hint: "Open the file of the snapshot.",
      });
    }
    if (!isSparse(headOf(source))) return openDescribed(source, readDescriptor(source), opener);
    const inHeader = embeddedDescriptor(source);
    const sparse = openSparse(source, inHeader?.extents[0]?.size);
    const descriptor = inHeader ?? (sparse.descriptor && parseDescriptor(sparse.descriptor, source.name));
    return descriptor && (sparse.size === 0 || descriptor.extents.length > 1)
      ? openDescribed(source, descriptor, opener)
      : openAlone(source, sparse, descriptor, opener);
  },
  identities(source) {
    const descriptor = isSparse(headOf(source)) ? embeddedDescriptor(source) : readDescriptor(source);
    return descriptor ? identitiesOf(descriptor) : [];
  },
  partOf(name, { head }) {
    const sparse = isSparse(head);
    return isDescriptor(head) || (sparse && hasDescriptor(head)) ? [] : descriptorNames(basename(name), sparse);
  },
};

function headOf(source: Source): Buffer {
  return readBytes(source, 0, Math.min(source.size, 512));
}

function isHosted(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 4)).toString("latin1") === HOSTED_MAGIC;
}

/**
 * Whether a sparse extent holds a descriptor: its place and its size stand at 28 and 36 of a hosted header, in sectors. QEMU keeps room for one in every
 * extent of a disk and leaves it empty; a place behind `head` is taken for one that is filled.
 */
function hasDescriptor(head: Uint8Array): boolean {
  const header = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (!isHosted(head) || header.length < 44) return false;
  const sector = header.readBigUInt64LE(28);
  return sector !== 0n && header.readBigUInt64LE(36) !== 0n && header[Number(sector) * 512] !== 0;
}

/** The one that the header tells of; nothing else of the file is looked at. Only hosted extents have one. */
function embeddedDescriptor(source: Source): Descriptor | undefined {
  const content = isHosted(headOf(source)) ? readEmbedded(source, readHostedHeader(source, 0)) : undefined;
  return content && parseDescriptor(content, source.name);
}

function readDescriptor(source: Source): Descriptor {
  if (source.size > DESCRIPTOR_LIMIT) {
    const message = `the descriptor has ${source.size} bytes; ${DESCRIPTOR_LIMIT} are the limit`;
    throw new ImageError("UNSUPPORTED", message, { file: source.name });
  }
  return parseDescriptor(readBytes(source, 0, source.size), source.name);
}

/** One extent that is this file itself, whatever the descriptor in it calls it: files are renamed. */
function openAlone(source: Source, sparse: SparseExtent, descriptor: Descriptor | undefined, opener: Opener): Layer {
  const [line] = descriptor?.extents ?? [];
  refuse(source, descriptor);
  const extent = line?.access === "NOACCESS" ? forbiddenExtent(line, source.name) : sparseExtent(source, sparse, line?.size);
  const notes = descriptor ? [] : ["It has no descriptor: it may be one of several extents of a disk, or a difference to another one."];
  return createLayer(source, descriptor, [extent], opener, notes, () => source.close());
}

function openDescribed(source: Source, descriptor: Descriptor, opener: Opener): Layer {
  refuse(source, descriptor);
  if (descriptor.extents.length === 0) throw new ImageError("CORRUPT", "its descriptor lists no extents", { file: source.name });
  const size = descriptor.extents.reduce((sum, extent) => sum + extent.size, 0);
  if (!Number.isSafeInteger(size)) throw new ImageError("CORRUPT", "its extents have over 2^53 bytes together", { file: source.name });
  const parts = createParts(source.name, opener);
  try {
    const extents = descriptor.extents.map((line) => openExtent(line, source.name, parts, opener));
    return createLayer(source, descriptor, extents, opener, parts.notes, () => {
      parts.close();
      source.close();
    });
  } catch (error) {
    parts.close();
    throw error;
  }
}

/** Refuses by name what is not the disk that the guest sees. */
function refuse(source: Source, descriptor: Descriptor | undefined): void {
  if (!descriptor) return;
  const { values } = descriptor;
  // Workstation's keys, and those of vSphere's encryption, which is a filter in front of plain extents.
  const encrypted =
    [...values.keys()].some((key) => /^(?:encryption\.|encrypt(?:ed|ion)keys?$|cryptodatabase|keyid$)/.test(key)) ||
    /crypt/i.test(values.get("ddb.iofilters") ?? "");
  if (encrypted) throw new ImageError("KEY_NEEDED", "the disk is encrypted; encrypted VMDKs cannot be read yet", { file: source.name });
  const type = values.get("createtype") ?? "";
  if (/^vsanSparse$/i.test(type)) {
    throw new ImageError("UNSUPPORTED", `a disk of the type ${quote(type)} cannot be read outside vSAN`, { file: source.name });
  }
}

function createLayer(
  source: Source,
  descriptor: Descriptor | undefined,
  extents: readonly OpenedExtent[],
  opener: Opener,
  notes: readonly string[],
  close: () => void,
): Layer {
  const parent = descriptor && openParent(descriptor, source.name, opener);
  const layer: Layer = {
    format: "vmdk",
    name: source.name,
    size: extents.reduce((sum, { size }) => sum + size, 0),
    ...(parent && { parent }),
    map: mapOfPieces(extents),
    facts: () => factsOf(descriptor, extents, notes),
    audit: (audit) => auditExtents(extents, audit),
    close() {
      parent?.close();
      close();
    },
  };
  return rememberId(layer, descriptor);
}
