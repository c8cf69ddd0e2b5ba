import type { PackedDriver } from "./driver.js";

/** The ways to compress a file that are known. */
export const packedDrivers: readonly PackedDriver[] = [];

/** The driver whose signature `head` begins with. */
export function packedDriverOf(head: Uint8Array): PackedDriver | undefined {
  return packedDrivers.find((driver) => driver.probe(head));
}
