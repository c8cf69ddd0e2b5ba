import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";
import type { FormatDriver } from "./driver.js";
import { type FormatName, formatNames } from "./names.js";
import { qcow } from "./qcow/index.js";
import { qcow2 } from "./qcow2/index.js";
import { raw } from "./raw/index.js";

const byName: Readonly<Record<FormatName, FormatDriver>> = { qcow2, qcow, raw };
const drivers = formatNames.map((name) => byName[name]);

/** The driver called `name`; throws `UNSUPPORTED` for a format nobody here reads. */
export function driverNamed(name: string): FormatDriver {
  const driver = drivers.find((candidate) => candidate.name === name);
  if (driver) return driver;
  throw new ImageError("UNSUPPORTED", `the format ${quote(name)} is not known`, { hint: `Known formats: ${formatNames.join(", ")}.` });
}

/** The driver whose signature is in the file's first 64 KiB or last 512 bytes. */
export function detect(ends: { readonly head: Uint8Array; readonly tail: Uint8Array }): FormatDriver {
  return drivers.find((driver) => driver.probe(ends)) ?? raw;
}
