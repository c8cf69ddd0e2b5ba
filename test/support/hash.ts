import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** What every regular file below `directory` holds: a path relative to it, its length and its SHA-256 per line. */
export function fingerprint(directory: string): string {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const lines = files.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const content = readFileSync(path);
    return `${path.slice(directory.length + 1)} ${content.length} ${sha256(content)}`;
  });
  return lines.toSorted().join("\n");
}
