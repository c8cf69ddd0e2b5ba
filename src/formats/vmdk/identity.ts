// How VMDKs of a chain know each other: content ids (VMware), UUIDs (VirtualBox).
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Identity, Layer, Opener, ParentWish } from "../driver.js";
import type { Descriptor } from "./descriptor.js";

/** "no parent". VirtualBox writes it into its differencing images, too: there ddb.uuid.parent tells. */
const NO_CID = "ffffffff";

/** What every image has whose content was never changed: it tells that a parent is not the right one, but not which one is. */
const FRESH_CID = "fffffffe";

type Values = Descriptor["values"];

/** What children may know the image by. Of `ddb.longContentID`, children record only what the CID is: the last 32 of its 128 bits. */
export function identitiesOf({ values }: Descriptor): readonly Identity[] {
  const cid = contentId(values, "cid");
  const uuid = uuidOf(values, "ddb.uuid.image");
  return [
    ...(cid === undefined ? [] : [{ kind: "CID", value: cid } as const]),
    ...(uuid === undefined ? [] : [{ kind: "UUID", value: uuid } as const]),
  ];
}

/** Layers of this format by their CID. */
const contentIds = new WeakMap<Layer, string | undefined>();

/** Lets children that open `layer` know its CID. */
export function rememberId(layer: Layer, descriptor: Descriptor | undefined): Layer {
  contentIds.set(layer, descriptor && contentId(descriptor.values, "cid"));
  return layer;
}

/** Opens the parent that the image of `file` names; undefined if it is none's child. Throws if there is no such parent, or it cannot be told. */
export function openParent(descriptor: Descriptor, file: string, opener: Opener): Layer | undefined {
  const wish = parentWish(descriptor, file);
  const parent = wish && opener.parent(wish);
  if (!parent || wish.identities || !contentIds.has(parent) || contentId(descriptor.values, "parentcid") !== FRESH_CID) return parent;
  const cid = contentIds.get(parent);
  if (cid === FRESH_CID) return parent;
  parent.close();
  throw new ImageError(
    "PART_MISSING",
    `its parent is missing: ${quote(parent.name)} is another image, or was changed since (its CID is ${cid ?? "missing"}, not ${FRESH_CID})`,
    { file, hint: "Name the parent as it was when this image was made, with --parent FILE." },
  );
}

/** Throws if it cannot be told whether there is a parent: what the image lacks is not zeros then. */
function parentWish({ values, parentNames: names }: Descriptor, file: string): ParentWish | undefined {
  const recorded = values.get("parentcid");
  const cid = contentId(values, "parentcid");
  const uuid = uuidOf(values, "ddb.uuid.parent");
  if (recorded !== undefined && cid === undefined) {
    throw new ImageError("CORRUPT", `the parentCID is ${quote(recorded)}, not a number of up to 8 hexadecimal digits`, { file });
  }
  if (uuid !== undefined && (cid === undefined || cid === NO_CID || cid === FRESH_CID)) {
    // VirtualBox makes them over images of any format.
    return { names, identities: [{ kind: "UUID", value: uuid }] };
  }
  if (cid === NO_CID || (cid === undefined && names.length === 0)) return undefined;
  return { names, format: "vmdk", ...(cid !== undefined && cid !== FRESH_CID && { identities: [{ kind: "CID", value: cid }] as const }) };
}

/** In 8 digits of lower case. */
function contentId(values: Values, key: string): string | undefined {
  return /^(?:0x)?([0-9a-f]{1,8})$/i
    .exec(values.get(key) ?? "")?.[1]
    ?.toLowerCase()
    .padStart(8, "0");
}

/** In lower case; undefined for the one that is all zeros. */
function uuidOf(values: Values, key: string): string | undefined {
  const uuid = values.get(key)?.toLowerCase();
  return uuid !== undefined && /^(?=.*[1-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) ? uuid : undefined;
}
