// What the segment files of an image are called: .E01 to .E99, then .EAA to .ZZZ; SMART's begin with an s.

/** The extension of a first segment, or of a later one. */
const extension = /^(.*\.)([a-z])(\d\d|[a-z]{2})$/is;

/** What segment `number` is called whose first one is called `first`; undefined if that name is no first segment's, or there are no more. */
export function segmentName(first: string, number: number): string | undefined {
  const [, stem = "", letter = "", digits = ""] = extension.exec(first) ?? [];
  if (digits !== "01") return undefined;
  if (number < 100) return `${stem}${letter}${String(number).padStart(2, "0")}`;
  const index = number - 100;
  const zero = letter >= "a" ? 97 : 65;
  const leading = letter.charCodeAt(0) + Math.floor(index / 676);
  if (leading > zero + 25) return undefined;
  return stem + String.fromCharCode(leading, zero + (Math.floor(index / 26) % 26), zero + (index % 26));
}

/** What the first segment may be called that `name` belongs to as a later one. */
export function firstNames(name: string): readonly string[] {
  const [, stem = "", letter = ""] = extension.exec(name) ?? [];
  if (letter === "") return [];
  // The letter moves on behind .EZZ.
  const usual = letter >= "a" ? ["e", "s"] : ["E", "S"];
  return [...new Set([letter, ...usual])].map((each) => `${stem}${each}01`);
}
