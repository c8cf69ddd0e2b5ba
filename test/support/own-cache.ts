// Run once around all tests: what commands keep for later goes into a folder of its own, not into that of whoever runs the tests.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "flatmount-cache-"));
  // Some commands run as an ordinary user.
  chmodSync(folder, 0o777);
  process.env["XDG_CACHE_HOME"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
