import { posix } from "node:path";

/** Bytes of a name, with room for what tells it from another one. */
const NAME_LIMIT = 200;

const extensions = /(?:\.(?:vmdk|vhdx?|vdi|qcow2?|qed|img|raw|iso|dmg|flp|vfd|gz|bz2|xz|zst|lz4|\d{9}))+$/i;

/** What the disk in the file at `path` is called, without the extensions of its format. */
export function diskNameOf(path: string): string {
  const name = posix.basename(path);
  return safeName(name.replace(extensions, "") || name);
}

/** `name` as one name of a directory: no slash, no NUL, not too long. */
export function safeName(name: string): string {
  let safe = name.toWellFormed().replace(/[/\0]/g, "_");
  if (Buffer.byteLength(safe) > NAME_LIMIT)
    safe = Buffer.from(safe)
      .subarray(0, NAME_LIMIT)
      .toString()
      .replace(/\ufffd+$/, "");
  return safe === "" || safe === "." || safe === ".." ? "disk" : safe;
}

/** `name`, or, if that is in `taken`, with a number behind it. It is taken then. */
export function freeName(name: string, taken: Set<string>): string {
  let free = name;
  for (let count = 2; taken.has(free); count += 1) free = `${name}-${count}`;
  taken.add(free);
  return free;
}
