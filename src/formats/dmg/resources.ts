// The binary resource fork that images before Mac OS X 10.2 have instead of a property list.
// Reference: "Inside Macintosh: More Macintosh Toolbox", chapter "Resource Manager Reference", "Resource File Format".
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { limits, resourceHeader, resourceMap, resourceReference, resourceType } from "./layout.js";
import type { TableData } from "./plist.js";

/** The resources of type `blkx`, in their order. Throws `CORRUPT` if the fork is damaged. */
export function readResources(source: Source, position: number, size: number): TableData[] {
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position });
  if (size > limits.resourceFork) throw fail(`the resource fork has ${size} bytes; ${limits.resourceFork} are the limit`);
  const fork = readBytes(source, position, size);
  try {
    return tablesOf(fork);
  } catch (error) {
    // A `Buffer` throws a RangeError for what leaves it, a structure an ImageError.
    if (!(error instanceof RangeError) && !(error instanceof ImageError)) throw error;
    throw fail(`the resource fork cannot be understood: ${error.message}`);
  }
}

function tablesOf(fork: Buffer): TableData[] {
  const { dataOffset, mapOffset } = resourceHeader.decode(fork);
  const { typesOffset, namesOffset } = resourceMap.decode(fork, mapOffset);
  const types = mapOffset + typesOffset;
  const names = mapOffset + namesOffset;
  const tables: TableData[] = [];
  for (let index = 0; index < countAt(fork, types); index += 1) {
    const { type, lastReference, referencesOffset } = resourceType.decode(fork, types + 2 + index * resourceType.size);
    if (type !== "blkx") continue;
    for (let each = 0; each < (lastReference + 1) % 65536; each += 1) {
      const reference = resourceReference.decode(fork, types + referencesOffset + each * resourceReference.size);
      const at = dataOffset + (reference.dataOffset & 0xffffff);
      const length = fork.readUInt32BE(at);
      if (at + 4 + length > fork.length) throw new RangeError(`a resource of ${length} bytes leaves it`);
      tables.push({ name: nameAt(fork, names, reference.nameOffset), content: fork.subarray(at + 4, at + 4 + length) });
    }
  }
  return tables;
}

/** Counts are stored less one; all ones are none. */
function countAt(fork: Buffer, at: number): number {
  return (fork.readUInt16BE(at) + 1) % 65536;
}

function nameAt(fork: Buffer, names: number, offset: number): string {
  if (offset === 0xffff || names + offset >= fork.length) return "";
  const at = names + offset;
  return fork.subarray(at + 1, at + 1 + fork.readUInt8(at)).toString("latin1");
}
