// Run once around all tests. Ordinary users can mount only where /dev/fuse is open to them, as distributions have it; in containers it is often root's alone.
import { chmodSync, existsSync, statSync } from "node:fs";

const DEVICE = "/dev/fuse";

/** Opens the device to all where the tests run as root; what it returns gives back the mode that was found. */
export function setup(): (() => void) | undefined {
  if (process.geteuid?.() !== 0 || !existsSync(DEVICE)) return undefined;
  const mode = statSync(DEVICE).mode & 0o777;
  if (mode === 0o666) return undefined;
  chmodSync(DEVICE, 0o666);
  return () => chmodSync(DEVICE, mode);
}
