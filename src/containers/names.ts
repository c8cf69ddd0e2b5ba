// Names that can stand in a directory, whatever a container says.

/** Bytes of one name, as Linux has it. */
const NAME_LIMIT = 255;

/** Bytes at the end of a name that is cut which are kept, if there is an extension. */
const EXTENSION_LIMIT = 16;

/** Gives every name one that can stand in a directory, and each only once: what is there already gets a number. */
export function nameGiver(): (name: string) => string {
  const given = new Set<string>();
  const numbers = new Map<string, number>();
  return (name) => {
    const legal = legalName(name);
    let result = legal;
    for (let number = numbers.get(legal) ?? 2; given.has(result); number += 1) {
      const mark = `~${number}`;
      result = `${cut(legal, NAME_LIMIT - mark.length)}${mark}`;
      numbers.set(legal, number + 1);
    }
    given.add(result);
    return result;
  };
}

/** The name itself nearly always; without what no name holds, and cut in front of its extension if it is too long. Never empty. */
export function legalName(name: string): string {
  const clean = name.toWellFormed().replaceAll("/", "_").replaceAll("\0", "");
  if (clean === "" || clean === "." || clean === "..") return "_".repeat(Math.max(1, clean.length));
  if (clean.length * 3 <= NAME_LIMIT || Buffer.byteLength(clean) <= NAME_LIMIT) return clean;
  const dot = clean.lastIndexOf(".");
  const extension = dot > 0 && Buffer.byteLength(clean.slice(dot)) <= EXTENSION_LIMIT ? clean.slice(dot) : "";
  return cut(clean.slice(0, clean.length - extension.length), NAME_LIMIT - Buffer.byteLength(extension)) + extension;
}

/** As many whole characters of `name` as fit into `limit` bytes of UTF-8. */
function cut(name: string, limit: number): string {
  const content = Buffer.from(name);
  if (content.length <= limit) return name;
  let end = limit;
  while (end > 0 && ((content[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return content.toString("utf8", 0, end);
}
