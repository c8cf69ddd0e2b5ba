import { drivers } from "../formats/registry.js";
import type { FormatName } from "../formats/names.js";

/** A format that can be read. */
export interface FormatDescription {
  readonly name: FormatName;
  /** Usual endings of file names, each with its dot. */
  readonly extensions: readonly string[];
  /** What there is of that format: what can be read, and what is recognised and refused. */
  readonly variants: readonly VariantDescription[];
}

/** One kind of a format. */
export interface VariantDescription {
  /** In the field's own terms. */
  readonly name: string;
  readonly support: "read" | "refused";
  /** What a user should know. */
  readonly remark?: string;
}

/** The formats that can be read, in the order in which they look at a file. */
export function formats(): readonly FormatDescription[] {
  return drivers.map(({ name, extensions, variants }) => ({
    name: name as FormatName,
    extensions,
    variants: variants.map(({ name: kind, support, remark }) => ({ name: kind, support, ...(remark !== undefined && { remark }) })),
  }));
}
