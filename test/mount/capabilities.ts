import { test } from "vitest";
import type { TransportName } from "../../src/fuse/transport.js";

/** Where transports may differ. */
export interface Capabilities {
  readonly transport: TransportName;
  /** Options for every mount, and what they are for. */
  readonly always?: { readonly title: string; readonly options: readonly string[] };
  /** Readers can ask where holes are. libfuse 2 has no such operation. */
  readonly seeksHoles: boolean;
  /** The mount point may be a regular file. fuse-native refuses that. */
  readonly mountsOnFiles: boolean;
  /** Nanoseconds that times are told in steps of. fuse-native has milliseconds. */
  readonly timeStep: number;
}

/** A test that is there only where it means something: one that is skipped counts as a mount that was not tested. */
export function testWhere(applies: boolean): (name: string, body: () => unknown) => void {
  return applies ? (name, body) => test(name, () => body() as Promise<void>) : () => undefined;
}
