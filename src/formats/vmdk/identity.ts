// How VMDKs of a chain know each other: content ids (VMware), UUIDs (VirtualBox).
import type { Identity, ParentWish } from "../driver.js";
import type { Descriptor } from "./descriptor.js";

/** "no parent". */
const NO_CID = "ffffffff";

/** "see ddb.longContentID": what a fresh image has, so that it tells nothing. */
const LONG_CID = "fffffffe";

const contentId = (text: string | undefined): string | undefined =>
  text !== undefined && /^[0-9a-f]{1,8}$/i.test(text) ? text.toLowerCase().padStart(8, "0") : undefined;

/** What children may know the image by. */
export function identitiesOf({ values }: Descriptor): readonly Identity[] {
  const cid = contentId(values.get("cid"));
  const long = values.get("ddb.longcontentid")?.toLowerCase();
  const uuid = values.get("ddb.uuid.image")?.toLowerCase();
  return [
    ...(cid === undefined ? [] : [{ kind: "CID", value: cid } as const]),
    ...(long === undefined ? [] : [{ kind: "content id", value: long } as const]),
    ...(uuid === undefined ? [] : [{ kind: "UUID", value: uuid } as const]),
  ];
}

/** The parent that the image names; undefined if it is none's child. */
export function parentWish({ values }: Descriptor): ParentWish | undefined {
  const cid = contentId(values.get("parentcid"));
  const hint = values.get("parentfilenamehint");
  if (cid === NO_CID || (cid === undefined && hint === undefined)) return undefined;
  const identity = identityOfParent(cid, values);
  return { names: hint === undefined || hint === "" ? [] : [hint], format: "vmdk", ...(identity && { identity }) };
}

/** The children of a fresh image all record the same CID; VirtualBox' UUID tells more where it is. */
function identityOfParent(cid: string | undefined, values: ReadonlyMap<string, string>): Identity | undefined {
  const uuid = values.get("ddb.uuid.parent")?.toLowerCase();
  if (cid === LONG_CID && uuid !== undefined && /[1-9a-f]/.test(uuid)) return { kind: "UUID", value: uuid };
  return cid === undefined ? undefined : { kind: "CID", value: cid };
}
