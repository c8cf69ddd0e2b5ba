// VMDK: a descriptor, alone or embedded, and the extents it lists. Reference: VMware, "Virtual Disk Format 5.0".
import { basename } from "node:path";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { FormatDriver, Layer, LayerFacts, Opener } from "../driver.js";
import { mapOfPieces } from "../pieces.js";
import { DESCRIPTOR_LIMIT, type Descriptor, isDescriptor, parseDescriptor } from "./descriptor.js";
import { isSparseFile, openExtent, type OpenedExtent, sparseExtent } from "./extents.js";
import { identitiesOf, parentWish } from "./identity.js";
import { isSparse, openSparse, type SparseExtent } from "./sparse/index.js";
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
    if (!isSparseFile(source)) return openDescribed(source, readDescriptor(source), opener);
    const sparse = openSparse(source);
    if (!sparse.descriptor) return openAlone(source, undefined, opener);
    const descriptor = parseDescriptor(sparse.descriptor, source.name);
    return sparse.size === 0 || descriptor.extents.length > 1
      ? openDescribed(source, descriptor, opener)
      : openAlone(source, descriptor, opener);
  },
  identities(source) {
    const descriptor = isSparseFile(source) ? embedded(source) : readDescriptor(source);
    return descriptor ? identitiesOf(descriptor) : [];
  },
  partOf(name, { head }) {
    if (isDescriptor(head)) return [];
    const { descriptor } = isSparse(head) ? headerOnly(head) : { descriptor: undefined };
    if (descriptor) return [];
    return wholeNames(basename(name), isSparse(head));
  },
};

/** Whether a sparse extent carries a descriptor: its place stands at 28 of a hosted header, in sectors, and its size behind. */
function headerOnly(head: Uint8Array): { readonly descriptor: boolean } {
  const header = Buffer.from(head.buffer, head.byteOffset, head.length);
  const hosted = header.toString("latin1", 0, 4) === "KDMV" && header.length >= 44;
  return { descriptor: hosted && header.readBigUInt64LE(28) !== 0n && header.readBigUInt64LE(36) !== 0n };
}

/** What the descriptor is called, to go by the names that VMware gives extents: `disk-s001`, `disk-f001`, `disk-flat`, `disk-delta`, `disk-sesparse`. */
function wholeNames(name: string, sparse: boolean): readonly string[] {
  const numbered = /^(.+)-([sf])\d{3,}\.vmdk$/i.exec(name)?.[1];
  const suffixed = (sparse ? /^(.+)-(?:delta|sesparse)\.vmdk$/i : /^(.+)-(?:flat|delta|sesparse|pt|rdm|rdmp)\.vmdk$/i).exec(name)?.[1];
  const stem = numbered ?? suffixed;
  return stem === undefined ? [] : [`${stem}.vmdk`];
}

function readDescriptor(source: Source): Descriptor {
  if (source.size > DESCRIPTOR_LIMIT) {
    throw new ImageError("UNSUPPORTED", `a descriptor of ${source.size} bytes is over the limit of ${DESCRIPTOR_LIMIT}`, {
      file: source.name,
    });
  }
  return parseDescriptor(readBytes(source, 0, source.size), source.name);
}

function embedded(source: Source): Descriptor | undefined {
  const { descriptor } = openSparse(source);
  return descriptor && parseDescriptor(descriptor, source.name);
}

/** One extent that is this file itself, whatever the descriptor in it calls it: files are renamed. */
function openAlone(source: Source, descriptor: Descriptor | undefined, opener: Opener): Layer {
  const [line] = descriptor?.extents ?? [];
  checkReadable(source, descriptor);
  const extent = sparseExtent(source, line?.size);
  const notes = descriptor ? [] : ["It has no descriptor: it may be one of several extents of a disk, or a difference to another one."];
  return createLayer(source, descriptor, [extent], opener, notes, () => source.close());
}

function openDescribed(source: Source, descriptor: Descriptor, opener: Opener): Layer {
  checkReadable(source, descriptor);
  if (descriptor.extents.length === 0) throw new ImageError("CORRUPT", "its descriptor lists no extents", { file: source.name });
  const size = descriptor.extents.reduce((sum, extent) => sum + extent.size, 0);
  if (!Number.isSafeInteger(size)) throw new ImageError("CORRUPT", `a disk of ${size} bytes cannot be`, { file: source.name });
  const opened: OpenedExtent[] = [];
  const close = () => {
    for (const extent of opened) extent.close();
  };
  try {
    for (const line of descriptor.extents) opened.push(openExtent(line, source.name, opener));
    return createLayer(source, descriptor, opened, opener, [], () => {
      close();
      source.close();
    });
  } catch (error) {
    close();
    throw error;
  }
}

/** Refuses by name what nobody could read here. */
function checkReadable(source: Source, descriptor: Descriptor | undefined): void {
  const values = descriptor?.values;
  const encrypted =
    values &&
    [...values.keys()].find((key) => /^(?:encryption\.|encryptedkeys|cryptodatabase|ddb\.encoding\.key|displayname\.crypt)/.test(key));
  if (encrypted !== undefined) {
    throw new ImageError("KEY_NEEDED", "the disk is encrypted; encrypted VMDKs cannot be read yet", { file: source.name });
  }
  const type = values?.get("createtype") ?? "";
  if (/^vsanSparse$/i.test(type))
    throw new ImageError("UNSUPPORTED", `a disk of the type ${quote(type)} cannot be read outside vSAN`, { file: source.name });
}

function createLayer(
  source: Source,
  descriptor: Descriptor | undefined,
  extents: readonly OpenedExtent[],
  opener: Opener,
  notes: readonly string[],
  close: () => void,
): Layer {
  const wish = descriptor && parentWish(descriptor);
  const parent = wish && opener.parent(wish);
  return {
    format: "vmdk",
    name: source.name,
    size: extents.reduce((sum, { size }) => sum + size, 0),
    ...(parent && { parent }),
    map: mapOfPieces(extents),
    facts: () => factsOf(descriptor, extents, notes),
    close() {
      parent?.close();
      close();
    },
  };
}

function factsOf(descriptor: Descriptor | undefined, extents: readonly OpenedExtent[], notes: readonly string[]): LayerFacts {
  const values = descriptor?.values ?? new Map<string, string>();
  const type = values.get("createtype");
  const sparse: readonly SparseExtent[] = extents.flatMap((extent) => (extent.sparse ? [extent.sparse] : []));
  const told = (label: string, key: string) => (values.has(key) ? { [label]: values.get(key) ?? "" } : {});
  return {
    ...(type !== undefined && type !== "" ? { variant: type } : sparse[0] && { variant: sparse[0].kind }),
    details: {
      ...sparse[0]?.details,
      extents: extents.length,
      ...told("CID", "cid"),
      ...told("parent CID", "parentcid"),
      ...told("parent", "parentfilenamehint"),
      ...told("adapter", "ddb.adaptertype"),
      ...told("hardware version", "ddb.virtualhwversion"),
      ...(values.has("changetrackpath") && { "change tracking": true }),
    },
    notes: [...(descriptor?.notes ?? []), ...notes, ...new Set(extents.flatMap((extent) => extent.notes))],
  };
}
