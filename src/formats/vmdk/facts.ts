import type { LayerFacts } from "../driver.js";
import type { Descriptor } from "./descriptor.js";
import type { OpenedExtent } from "./extents.js";

/** What is told of a disk, and the keys of the descriptor that tell it. */
const told = [
  ["CID", "cid"],
  ["parent CID", "parentcid"],
  ["parent", "parentfilenamehint"],
  ["long content id", "ddb.longcontentid"],
  ["UUID", "ddb.uuid.image"],
  ["parent UUID", "ddb.uuid.parent"],
  ["adapter", "ddb.adaptertype"],
  ["hardware version", "ddb.virtualhwversion"],
  ["encoding", "encoding"],
] as const;

/** `extents` in order; `notes` that neither the descriptor nor an extent has. */
export function factsOf(descriptor: Descriptor | undefined, extents: readonly OpenedExtent[], notes: readonly string[]): LayerFacts {
  const values: Descriptor["values"] = descriptor?.values ?? new Map();
  const type = values.get("createtype") ?? "";
  const sparse = extents.find((extent) => extent.sparse)?.sparse;
  const variant = type === "" ? sparse?.kind : type;
  const { cylinders, heads, sectors } = geometryOf(values);
  return {
    ...(variant !== undefined && { variant }),
    details: {
      ...sparse?.details,
      extents: extents.length,
      ...Object.fromEntries(told.flatMap(([label, key]) => (values.has(key) ? [[label, values.get(key) ?? ""]] : []))),
      ...(cylinders !== undefined && { "cylinders/heads/sectors": `${cylinders}/${heads ?? ""}/${sectors ?? ""}` }),
      ...(values.get("ddb.thinprovisioned") === "1" && { "thin provisioned": true }),
      ...(values.has("changetrackpath") && { "change tracking": true }),
    },
    notes: [...(descriptor?.notes ?? []), ...notes, ...new Set(extents.flatMap((extent) => extent.notes))],
  };
}

function geometryOf(values: Descriptor["values"]) {
  const of = (name: string) => values.get(`ddb.geometry.${name}`);
  return { cylinders: of("cylinders"), heads: of("heads"), sectors: of("sectors") };
}
