import type { LayerFacts } from "../driver.js";
import type { VhdHeader } from "./header.js";
import { EPOCH } from "./layout.js";
import { hasReversedBitmaps } from "./map.js";
import { type ParentNames, uuid } from "./parent.js";

const typeNames = { 2: "fixed", 3: "dynamic", 4: "differencing" } as const;

/** What "creator application" stands for. */
const creators: Readonly<Record<string, string>> = {
  "vpc ": "Virtual PC",
  "vs  ": "Virtual Server",
  "win ": "Windows or Hyper-V",
  "d2v ": "Disk2vhd",
  "wa\0\0": "Azure",
  qemu: "QEMU",
  qem2: "QEMU",
  vbox: "VirtualBox",
  "tap\0": "Xen tapdisk",
  CTXS: "XenConvert",
};
const systems: Readonly<Record<string, string>> = { Wi2k: "Windows", "Mac ": "Macintosh" };

/** `parentModified`: when the parent's file was last changed, milliseconds since 1970, where that is known. */
export function factsOf(header: VhdHeader, names: ParentNames | undefined, parentModified: number | undefined): LayerFacts {
  const { type, footer, rule, size, otherSize, dynamic } = header;
  const id = uuid(footer.uniqueId);
  const parentId = dynamic && uuid(dynamic.parentUniqueId);
  const notes = [...header.notes, ...(names?.notes ?? [])];
  if (id === undefined) notes.push("It has no UUID, so no other image can be a difference to it.");
  if (!names && parentId !== undefined) notes.push(`It names a parent (UUID ${parentId}), but by its type it is complete without one.`);
  const changed = names && dynamic && timeDifference(dynamic.parentTimeStamp, parentModified);
  if (changed !== undefined) notes.push(changed);
  return {
    variant: typeNames[type],
    details: {
      ...(dynamic && { "block size": dynamic.blockSize }),
      ...(size !== otherSize && { "size taken from": rule }),
      "cylinders/heads/sectors": `${footer.cylinders}/${footer.heads}/${footer.sectors}`,
      "creator application": creatorOf(header),
      "creator host OS": systems[footer.creatorHostOs] ?? footer.creatorHostOs,
      created: dateOf(footer.timeStamp),
      ...(id !== undefined && { UUID: id }),
      ...(parentId !== undefined && { "parent UUID": parentId }),
      ...(names && {
        "parent names": names.wish.names.join(", "),
        "parent locators": names.codes.join(", "),
        "parent time stamp": dynamic && dynamic.parentTimeStamp > 0 ? dateOf(dynamic.parentTimeStamp) : "none",
      }),
      ...(hasReversedBitmaps(header) && { "sector bitmaps": "least significant bit first" }),
      ...(footer.hidden !== 0 && { hidden: true }),
      ...(footer.savedState !== 0 && { "saved state": true }),
    },
    notes,
  };
}

function creatorOf({ footer: { creatorApplication, creatorVersion } }: VhdHeader): string {
  const code = Buffer.from(creatorApplication).toString("latin1");
  const name = creators[code];
  const version = `${creatorVersion >>> 16}.${creatorVersion & 0xffff}`;
  return `${code.replace(/[\0 ]+$/, "")} ${version}${name === undefined ? "" : ` (${name})`}`;
}

function dateOf(timeStamp: number): string {
  return new Date((EPOCH + timeStamp) * 1000).toISOString();
}

/** Field "Parent Time Stamp": when the parent's file was last changed, as of then. File systems round to two seconds. */
function timeDifference(recorded: number, modified: number | undefined): string | undefined {
  if (recorded === 0 || modified === undefined || Math.abs(modified / 1000 - EPOCH - recorded) <= 2) return undefined;
  const times = `(${new Date(modified).toISOString()}, not ${dateOf(recorded)})`;
  return `Its parent's file has another date than when this image was made ${times}: it was copied, or changed since. If changed, what both show together may be wrong.`;
}
