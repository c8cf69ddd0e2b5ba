import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { ImageError, reasonOf, systemCode } from "../util/errors.js";
import { quote } from "../util/text.js";
import type { DiskFiles } from "./files.js";
import { candidatesFor, foldersOf } from "./places.js";

/** Where the file is that `image` calls `name`. Throws if there is none that may be opened. */
export function findPart(files: Pick<DiskFiles, "reach">, image: string, name: string): string {
  for (const { path: candidate } of candidatesFor(image, name)) {
    const reached = files.reach(candidate, image);
    // Another file of that name may be anything.
    if (reached instanceof ImageError) throw reached;
    if (reached) return candidate;
  }
  const other = otherSpelling(image, name);
  const reached = other !== undefined && files.reach(other, image);
  if (reached instanceof ImageError) throw reached;
  if (other !== undefined && reached) return other;
  throw new ImageError("PART_MISSING", `${quote(name)}, which belongs to it, is missing`, {
    file: image,
    hint: "Put it next to the image.",
  });
}

/** The one file beside the image whose name is `name` in another spelling. */
function otherSpelling(image: string, name: string): string | undefined {
  const wanted = spellingOf(basename(name.replaceAll("\\", "/")));
  for (const folder of foldersOf(image)) {
    try {
      const found = readdirSync(folder).filter((each) => spellingOf(each) === wanted);
      if (found.length === 1) return join(folder, found[0] ?? "");
    } catch {
      // It is not there, then, as far as can be told.
    }
  }
  return undefined;
}

/**
 * Equal for names that programs and systems on the way may have made of one another: upper and lower case, which systems that write images do not tell apart;
 * composed and decomposed letters (macOS); escapes as in URLs, of whatever was downloaded.
 */
function spellingOf(name: string): string {
  const plain = name.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    const bytes = Buffer.from(escapes.replaceAll("%", ""), "hex");
    const text = bytes.toString("utf8");
    return text.includes("\ufffd") ? bytes.toString("latin1") : text;
  });
  return plain.normalize("NFC").toLowerCase();
}

/** The names of the files in the folder called `folder` in the first of `places` that has it. */
export function filesIn(places: readonly string[], folder: string, image: string): readonly string[] {
  for (const place of places) {
    try {
      return readdirSync(join(place, folder), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]));
    } catch (cause) {
      if (systemCode(cause) === "ENOENT") continue;
      throw new ImageError("UNREADABLE", `the folder ${quote(folder)}, which belongs to it, cannot be read: ${reasonOf(cause)}`, {
        file: image,
        cause,
      });
    }
  }
  throw new ImageError("PART_MISSING", `the folder ${quote(folder)}, which belongs to it, is missing`, { file: image });
}
