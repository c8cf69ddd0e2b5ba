import type { SnapshotFacts } from "../formats/driver.js";

/** Bytes of a name, on Linux. */
const NAME_LIMIT = 255;

/**
 * What the directories of snapshots are called, in the order of the list: by name, or by id where there is no name. `/` and what steers a terminal become `_`;
 * `.`, `..` and nothing get one in front; what is longer than 255 bytes is cut between two characters. Of several that are the same, the second gets `~2`, and so on.
 */
export function snapshotNames(list: readonly Pick<SnapshotFacts, "id" | "name">[]): readonly string[] {
  const taken = new Set<string>();
  // Where counting goes on: thousands may be called the same.
  const counts = new Map<string, number>();
  return list.map(({ id, name }) => {
    const wanted = fileName(name === "" ? id : name);
    let free = wanted;
    let count = counts.get(wanted) ?? 2;
    for (; taken.has(free); count += 1) free = `${cut(wanted, NAME_LIMIT - `~${count}`.length)}~${count}`;
    counts.set(wanted, count);
    taken.add(free);
    return free;
  });
}

function fileName(name: string): string {
  const clean = cut(name.toWellFormed().replace(/[/\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "_"), NAME_LIMIT);
  return clean === "" || clean === "." || clean === ".." ? `_${clean}` : clean;
}

/** As many whole characters as have at most `limit` bytes in UTF-8. */
function cut(name: string, limit: number): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= limit) return name;
  let end = limit;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
