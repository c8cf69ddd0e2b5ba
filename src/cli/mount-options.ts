import { InvalidArgumentError } from "@commander-js/extra-typings";
import { countArgument, namesArgument, type ReadingOptions, sectorArgument, sizeArgument } from "./reading-options.js";

/** What the options of `mount`, or the `-o` list of mount(8), may say. */
export interface MountOptions extends ReadingOptions {
  readonly transport?: string;
  readonly allowOther: boolean;
  readonly passthrough: boolean;
  readonly autoUnmount: boolean;
  readonly confine: boolean;
  /** `USER[:GROUP]`. */
  readonly runAs?: string;
  /** Milliseconds. */
  readonly idleTimeout?: number;
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
const indifferent = new RegExp(
  `^(?:${[
    "ro|rw|dev|nodev|suid|nosuid|exec|noexec|async|sync|dirsync|loud|silent|defaults|auto|noauto|nofail|_netdev|_rnetdev",
    "user|user=.*|users|nouser|nousers|owner|noowner|group|nogroup|helper=.*|uhelper=.*|comment=.*|x-.*|X-.*",
    "atime|noatime|diratime|nodiratime|relatime|norelatime|strictatime|nostrictatime|lazytime|nolazytime|iversion|noiversion|mand|nomand",
    "fsname=.*|subtype=.*|auto_unmount",
  ].join("|")})$`,
);

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
    else if (name === "no_auto_unmount") found.autoUnmount = false;
    else if (name === "no_confine") found.confine = false;
    else if (name === "run_as") found.runAs = value;
    else if (name === "idle_timeout") found.idleTimeout = parseDuration(value);
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

const MILLISECONDS = { "": 1000, ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time such as `90`, `90s`, `10m` or `1.5h`, from a tenth of a second to a year, in milliseconds. */
export function parseDuration(text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)?$/.exec(text) ?? [];
  const duration = Number(number) * MILLISECONDS[unit as keyof typeof MILLISECONDS];
  if (number !== "" && duration >= 100 && duration <= 366 * MILLISECONDS.d) return Math.round(duration);
  throw new InvalidArgumentError("It is not a time such as 90s, 10m or 1h, from 0.1s to 366d.");
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
