import { fileURLToPath } from "node:url";
import type { ViewRequest } from "../tree/view.js";
import type { OpenImageOptions } from "./options.js";
import { checkCount } from "./ranges.js";

const CACHE_SIZE = 32 * 2 ** 20;
const sectorSizes: readonly number[] = [512, 1024, 2048, 4096];

/** What `openView` takes; plain data. Throws a `RangeError` for numbers that make no sense. */
export function requestOf(path: string | URL, options: OpenImageOptions): ViewRequest {
  const { offset, size, cacheSize = CACHE_SIZE, sectorSize, session } = options;
  for (const [name, value] of Object.entries({ offset, size, cacheSize })) if (value !== undefined) checkCount(name, value);
  if (session !== undefined) checkCount("session", session, 1);
  if (sectorSize !== undefined && !sectorSizes.includes(sectorSize)) {
    throw new RangeError(`sectorSize: ${sectorSize} is not one of ${sectorSizes.join(", ")}`);
  }
  const { format, snapshot, disk, passwords, privateKey, allow, parents, search, parts, degraded, swab, names, cacheFolder } = options;
  return {
    image: typeof path === "string" ? path : fileURLToPath(path),
    options: {
      ...{
        format,
        snapshot,
        disk,
        passwords,
        privateKey,
        allow,
        parents,
        search,
        parts,
        degraded,
        swab,
        names,
        cacheFolder,
        sectorSize,
        session,
      },
      ...((offset !== undefined || size !== undefined) && { window: { offset: offset ?? 0, size } }),
    },
    root: "directory",
    mode: 0o444,
    cacheLimit: cacheSize,
  };
}
