// One line of the extent description: VMware, "Virtual Disk Format 5.0", section "The Extents"; fields 6 and 7 are in libyal's documentation only.
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";

/** Bytes of a sector, in which extents are counted. */
const SECTOR = 512;

/** Characters of a line that are shown. */
const SHOWN = 120;

export interface ExtentLine {
  readonly access: "RW" | "RDONLY" | "NOACCESS";
  /** Bytes. */
  readonly size: number;
  /** Upper case, such as FLAT or SPARSE. */
  readonly type: string;
  /** What the name of its file may be, best first; none if it has no file. */
  readonly names: readonly string[];
  /** Bytes: where in the file the extent begins. */
  readonly start: number;
  /** As it stands there, for messages. */
  readonly text: string;
}

interface LineContext {
  /** The descriptor, for errors. */
  readonly file: string;
  /** What a text of the line may mean, best first. */
  readonly readings: (raw: string) => readonly string[];
  /** Whether a line end follows: without one, the line may be cut. */
  readonly ended: boolean;
}

/**
 * `RW 4192256 SPARSE "disk-s001.vmdk"`: access, sectors, type, then, depending on that, file, start sector, partition UUID, device identifier.
 * Undefined for a line that is a key and a value, and for one that has no sectors; throws for whatever else cannot be read.
 */
export function readExtentLine(line: string, { file, readings, ended }: LineContext): ExtentLine | undefined {
  const text = readings(line.length > SHOWN ? `${line.slice(0, SHOWN)}...` : line)[0] ?? line;
  const fail = (why: string) => new ImageError("CORRUPT", `the line ${quote(text)} of the descriptor cannot be read: ${why}`, { file });
  const word = /^[^\s=]*/.exec(line)?.[0].toUpperCase() ?? "";
  if (word !== "RW" && word !== "RDONLY" && word !== "NOACCESS") {
    if (!line.includes("=")) throw fail("it is neither an extent nor a key with a value");
    if (/^[^\s=]+[ \t]+\d+[ \t]/.test(line)) throw fail("an extent has the access RW, RDONLY or NOACCESS");
    return undefined;
  }
  const [, sectors = "", kind = "", rest = ""] = /^\S+[ \t]+(\d+)[ \t]+([A-Za-z0-9]+)(?:[ \t]+(.*))?$/.exec(line) ?? [];
  if (kind === "") throw fail("it should give a number of sectors and a type");
  const type = kind.toUpperCase();
  // VirtualBox leaves this where no extent was made.
  if (type === "ZERO" && /^0+$/.test(sectors)) return undefined;
  const size = Number(sectors) * SECTOR;
  if (!Number.isSafeInteger(size) || size === 0) throw fail(`${sectors} sectors cannot be`);
  if (type === "ZERO") return { access: word, size, type, names: [], start: 0, text };

  const [, quoted, plain, after = ""] = /^(?:"(.*?)"(?=[ \t]|$)|([^"\s]\S*))(.*)$/.exec(rest) ?? [];
  const name = quoted ?? plain ?? "";
  if (name === "") throw fail(rest === "" ? "it names no file" : "the name of its file has no end");
  const first = after.trim().split(/[ \t]/, 1)[0] ?? "";
  if (first === "" && type === "FLAT" && !ended) throw fail("the descriptor ends before the sector of the file at which it starts");
  if (!/^\d*$/.test(first)) throw fail(`it starts at sector ${quote(first)} of its file`);
  const start = Number(first) * SECTOR;
  if (!Number.isSafeInteger(start + size)) throw fail(`the start at sector ${first} cannot be`);
  return { access: word, size, type, names: readings(name), start, text };
}
