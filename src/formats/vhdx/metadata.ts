// Section 2.6: what the disk is like.
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { mixedGuid } from "../../util/guid.js";
import type { Struct } from "../../util/struct.js";
import { hex, quote } from "../../util/text.js";
import {
  fileParameters,
  itemFlags,
  itemGuids,
  limits,
  METADATA_SIGNATURE,
  METADATA_TABLE_SIZE,
  metadataEntry,
  metadataTable,
  parameterFlags,
  sectorSize,
  virtualDiskId,
  virtualDiskSize,
} from "./layout.js";
import { plainGuid } from "./header.js";
import { type ParentLocator, readLocator } from "./locator.js";
import type { Region } from "./regions.js";

export interface VhdxMetadata {
  /** Bytes of a payload block. */
  readonly blockSize: number;
  /** All blocks stay allocated: what is called a fixed disk. */
  readonly fixed: boolean;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number | undefined;
  readonly diskId: string | undefined;
  /** Of a differencing disk. */
  readonly parent: ParentLocator | undefined;
}

interface Item {
  readonly position: number;
  readonly length: number;
}

/** Reads and checks the metadata; throws for an item that has to be known and is not. */
export function readMetadata(source: Source, region: Region): VhdxMetadata {
  const items = readItems(source, region);
  const fail = (position: number, message: string) => new ImageError("CORRUPT", message, { file: source.name, position });
  const optional = <T>(guid: string, layout: Struct<T>): T | undefined => {
    const item = items.get(guid);
    if (!item) return undefined;
    if (item.length < layout.size) throw fail(item.position, `the ${layout.name} has ${item.length} bytes and needs ${layout.size}`);
    return readStruct(source, item.position, layout);
  };
  const required = <T>(guid: string, layout: Struct<T>): T => {
    const value = optional(guid, layout);
    if (value === undefined) throw fail(region.position, `its metadata lacks the ${layout.name}`);
    return value;
  };
  const at = (guid: string) => items.get(guid)?.position ?? region.position;

  const { blockSize, flags } = required(itemGuids.fileParameters, fileParameters);
  const [least, most] = limits.blockSize;
  if (blockSize < least || blockSize > most || !Number.isInteger(Math.log2(blockSize))) {
    throw fail(at(itemGuids.fileParameters), `the block size is ${blockSize}, not a power of two from 1 MiB to 256 MiB`);
  }
  const logicalSectorSize = required(itemGuids.logicalSectorSize, sectorSize).size;
  if (logicalSectorSize !== 512 && logicalSectorSize !== 4096) {
    throw fail(at(itemGuids.logicalSectorSize), `the logical sector size is ${logicalSectorSize}; 512 and 4096 are possible`);
  }
  const { size } = required(itemGuids.virtualDiskSize, virtualDiskSize);
  if (size > limits.diskSize) throw fail(at(itemGuids.virtualDiskSize), `the disk has ${size} bytes; 64 TiB are the limit`);
  if (size % logicalSectorSize !== 0) {
    throw fail(at(itemGuids.virtualDiskSize), `the disk has ${size} bytes, which are not whole sectors of ${logicalSectorSize}`);
  }
  const differencing = (flags & parameterFlags.hasParent) !== 0;
  const locator = items.get(itemGuids.parentLocator);
  if (differencing && !locator) throw fail(region.position, "it is a differencing disk and does not tell which its parent is");
  const id = optional(itemGuids.virtualDiskId, virtualDiskId)?.id;
  return {
    blockSize,
    fixed: (flags & parameterFlags.leaveBlockAllocated) !== 0,
    size,
    logicalSectorSize,
    physicalSectorSize: optional(itemGuids.physicalSectorSize, sectorSize)?.size,
    diskId: id && plainGuid(id),
    parent:
      differencing && locator ? readLocator(source, locator.position, readBytes(source, locator.position, locator.length)) : undefined,
  };
}

/** The known items by their GUID, all of them inside the region and the file. */
function readItems(source: Source, region: Region): ReadonlyMap<string, Item> {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const { signature, entryCount } = readStruct(source, region.position, metadataTable);
  if (signature !== METADATA_SIGNATURE) {
    throw fail("CORRUPT", region.position, `its metadata begins with ${quote(signature)} instead of "${METADATA_SIGNATURE}"`);
  }
  if (entryCount > limits.entries) {
    throw fail("CORRUPT", region.position + 10, `its metadata table has ${entryCount} entries; ${limits.entries} are the limit`);
  }
  const known = new Set<string>(Object.values(itemGuids));
  const items = new Map<string, Item>();
  for (let index = 0; index < entryCount; index += 1) {
    const position = region.position + metadataTable.size + index * metadataEntry.size;
    const { itemId, offset, length, flags } = readStruct(source, position, metadataEntry);
    const guid = mixedGuid(itemId);
    const user = (flags & itemFlags.isUser) !== 0;
    if (user || !known.has(guid)) {
      if ((flags & itemFlags.isRequired) === 0) continue;
      const what = `the ${user ? "user " : ""}metadata item ${guid}`;
      throw fail("UNSUPPORTED", position, `it has ${what}, which must be understood to read the file and is not known here`);
    }
    if (items.has(guid)) throw fail("CORRUPT", position, `its metadata has the item ${guid} twice`);
    if (offset < METADATA_TABLE_SIZE || offset + length > region.length || length > limits.itemLength) {
      throw fail("CORRUPT", position, `the metadata item ${guid}, ${length} bytes at ${hex(offset)}, does not lie in the metadata region`);
    }
    if (region.position + offset + length > source.size) {
      throw fail("TRUNCATED", position, `the metadata item ${guid} is behind the end of the file, which has ${source.size} bytes`);
    }
    items.set(guid, { position: region.position + offset, length });
  }
  return items;
}
