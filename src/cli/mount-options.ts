import { InvalidArgumentError } from "@commander-js/extra-typings";
import { countArgument, namesArgument, type ReadingOptions, sectorArgument, sizeArgument } from "./reading-options.js";

/** What the options of `mount`, or the `-o` list of mount(8), may say. */
export interface MountOptions extends ReadingOptions {
  readonly transport?: string;
  readonly allowOther: boolean;
  readonly passthrough: boolean;
  readonly nonempty: boolean;
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
  readonly cache?: number;
}

/**
 * Options of mount(8) that say nothing to us: what they ask for is always so, is for somebody else, or is said by mount(8) unasked, as `rw,suid,dev` is.
 * The mount is read-only, nosuid and nodev whatever they say.
 */
const indifferent =
  /^(?:ro|rw|dev|nodev|suid|nosuid|defaults|auto|noauto|user|users|nouser|owner|group|nofail|_netdev|noexec|exec|relatime|noatime|async|loud|silent|comment=.*|x-.*)$/;

/** Reads a list such as `ro,allow_other,uid=1000`, on top of those `before`. Throws `InvalidArgumentError` for what it does not know. */
export function parseMountOptions(list: string, before: Partial<MountOptions> = {}): Partial<MountOptions> {
  const found: { -readonly [K in keyof MountOptions]?: MountOptions[K] } = { ...before };
  const lists = {
    allow: [...(before.allow ?? [])],
    parent: [...(before.parent ?? [])],
    search: [...(before.search ?? [])],
    part: [...(before.part ?? [])],
    passwordFile: [...(before.passwordFile ?? [])],
  };
  for (const option of list.split(",").filter((each) => each !== "")) {
    const [name = "", value = ""] = splitOnce(option);
    if (name === "allow_other") found.allowOther = true;
    else if (name === "no_passthrough") found.passthrough = false;
    else if (name === "nonempty") found.nonempty = true;
    else if (name === "format") found.format = value;
    else if (name === "snapshot") found.snapshot = value;
    else if (name === "transport") found.transport = value;
    else if (name === "disk") found.disk = value;
    else if (name === "degraded") found.degraded = true;
    else if (name === "swab") found.swab = true;
    else if (name === "offset") found.offset = sizeArgument(value);
    else if (name === "size") found.size = sizeArgument(value);
    else if (name === "sector_size") found.sectorSize = sectorArgument(value);
    else if (name === "allow" || name === "parent" || name === "search" || name === "part") lists[name].push(value);
    else if (name === "password_file") lists.passwordFile.push(value);
    else if (name === "key_file") found.keyFile = value;
    else if (name === "names") found.names = namesArgument(value);
    else if (name === "session") found.session = countArgument(value);
    else if (name === "uid") found.uid = parseId(value);
    else if (name === "gid") found.gid = parseId(value);
    else if (name === "mode") found.mode = parseMode(value);
    else if (name === "cache") found.cache = sizeArgument(value);
    else if (!indifferent.test(option)) throw new InvalidArgumentError(`The option ${option} is not known.`);
  }
  return { ...found, ...Object.fromEntries(Object.entries(lists).filter(([, values]) => values.length > 0)) };
}

function splitOnce(option: string): readonly string[] {
  const at = option.indexOf("=");
  return at < 0 ? [option] : [option.slice(0, at), option.slice(at + 1)];
}

/** A user or group by number. */
export function parseId(text: string): number {
  const id = Number(text);
  if (/^\d+$/.test(text) && id < 2 ** 32) return id;
  throw new InvalidArgumentError("It is not a user or group number.");
}

/** Permission bits in octal; nothing can be written or run, so only the read bits count. */
export function parseMode(text: string): number {
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8) & 0o444;
  throw new InvalidArgumentError("It is not a mode such as 0444.");
}
