import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex, quote } from "../../util/text.js";
import type { FormatDriver, Layer, LayerFacts, Opener } from "../driver.js";
import { auditVhdx } from "./audit.js";
import { readHeader, type VhdxHeader } from "./header.js";
import { FILE_SIGNATURE } from "./layout.js";
import type { ParentLocator } from "./locator.js";
import { readLog, type Replay } from "./log.js";
import { batEntries, createMap } from "./map.js";
import { readMetadata, type VhdxMetadata } from "./metadata.js";
import { readRegions, regionNotes } from "./regions.js";
import { plainStore, replayedStore, type Store } from "./store.js";
import { vhdxVariants } from "./variants.js";

export const vhdx: FormatDriver = {
  name: "vhdx",
  variants: vhdxVariants,
  extensions: [".vhdx", ".avhdx"],
  probe: ({ head }) => Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1", 0, 8) === FILE_SIGNATURE,
  identities: (source) => [{ kind: "DataWriteGuid", value: readHeader(source).dataWriteGuid }],
  open(source, opener, { snapshot }) {
    refuse(source, snapshot, opener);
    const header = readHeader(source);
    // Before anything else but the headers: all that follows may be as the log leaves it.
    const replay = header.log.dirty ? readLog(source, header) : undefined;
    const store = replay ? replayedStore(source, replay) : plainStore(source);
    const regions = readRegions(store.source, header);
    const metadata = readMetadata(store.source, regions.metadata);
    const needed = batEntries(metadata) * 8;
    if (needed > regions.bat.length) {
      const { position, length } = regions.bat;
      throw new ImageError("CORRUPT", `the BAT at ${hex(position)} has ${length} bytes, the disk needs ${needed}`, {
        file: source.name,
        position,
      });
    }
    const map = createMap(store, metadata, regions);
    const parent = metadata.parent && openParent(opener, metadata.parent);
    return {
      format: "vhdx",
      name: source.name,
      size: metadata.size,
      ...(parent && { parent }),
      sectorSize: metadata.logicalSectorSize,
      map,
      facts: () => factsOf(store, header, metadata, replay),
      audit: (audit) => auditVhdx({ file: source, source: store.source, header, regions, metadata }, audit),
      close() {
        parent?.close();
        source.close();
      },
    };
  },
};

function refuse(source: Source, snapshot: string | undefined, opener: Opener): void {
  if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "a VHDX image has no snapshots", { file: source.name });
  if (/\.vhds$/i.test(source.name)) {
    throw new ImageError("UNSUPPORTED", "it is the index of a VHD Set, which holds no disk itself", {
      file: source.name,
      hint: hintOfSet(source, opener),
    });
  }
}

/** Hyper-V calls the disks of `disk.vhds` `disk_GUID.avhdx`: one, and one more for each checkpoint. */
function hintOfSet(source: Source, opener: Opener): string {
  const stem = /([^/]*)\.vhds$/i.exec(source.name)?.[1]?.toLowerCase() ?? "";
  const own = namesBeside(opener).filter((name) => {
    const [, base, guid] = /^(.*)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.avhdx$/i.exec(name) ?? [];
    return guid !== undefined && base?.toLowerCase() === stem;
  });
  const [first] = own.toSorted();
  if (first === undefined) return "Open the .avhdx file beside it instead.";
  if (own.length === 1) return `Open ${quote(first)} beside it instead.`;
  return `Open one of its ${own.length} .avhdx files beside it instead: the one that is not the parent of another has the latest state. The first is ${quote(first)}.`;
}

function namesBeside(opener: Opener): readonly string[] {
  try {
    return opener.names?.(".") ?? [];
  } catch (error) {
    if (error instanceof ImageError) return [];
    throw error;
  }
}

/** The parent by either identity that it is recorded to have: while a child is being merged into it, it may have the second one. */
function openParent(opener: Opener, { names, linkages }: ParentLocator): Layer {
  const [first, ...others] = linkages.map((value) => ({ kind: "DataWriteGuid", value }) as const);
  if (!first) throw new Error("a parent locator without a linkage has been refused");
  return opener.parent({ names, format: "vhdx", identities: [first, ...others] });
}

function factsOf({ source }: Store, header: VhdxHeader, metadata: VhdxMetadata, replay: Replay | undefined): LayerFacts {
  const { parent } = metadata;
  return {
    variant: parent ? "differencing" : metadata.fixed ? "fixed" : "dynamic",
    details: {
      ...(header.creator !== "" && { creator: header.creator }),
      "block size": metadata.blockSize,
      "logical sector size": metadata.logicalSectorSize,
      ...(metadata.physicalSectorSize !== undefined && { "physical sector size": metadata.physicalSectorSize }),
      ...(metadata.diskId !== undefined && { "virtual disk id": metadata.diskId }),
      DataWriteGuid: header.dataWriteGuid,
      ...(parent && { "parent DataWriteGuid": parent.linkages.join(", ") }),
      ...(parent?.names[0] !== undefined && { parent: parent.names[0] }),
      ...(replay && { "log entries": replay.entries }),
    },
    notes: [
      ...header.notes,
      ...(replay ? ["It was not closed properly. Its log was replayed in memory; the file is unchanged."] : []),
      ...regionNotes(source),
    ],
  };
}
