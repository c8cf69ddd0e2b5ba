// What /proc tells about other processes. Reference: proc(5).
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process that can be told from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly started: number;
}

/** The identity of process `pid`, or undefined if there is none (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold anything; state is the first field behind it, the start time the twentieth.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return { pid, started: Number(fields[19]) };
}

export function isAlive({ pid, started }: ProcessIdentity): boolean {
  return identify(pid)?.started === started;
}

/** `dd (4711)` for every other process, of those that we may look into, that has a file or folder below `mountpoint` open or mapped; `/dev/loop0` for loop devices. */
export function holdersOf(mountpoint: string): readonly string[] {
  const below = (path: string | undefined) => path === mountpoint || path?.startsWith(`${mountpoint}/`);
  const processes = readNames("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      const links = ["cwd", "root", "exe", ...readNames(`/proc/${pid}/fd`).map((fd) => `fd/${fd}`)];
      return links.some((link) => below(readLink(`/proc/${pid}/${link}`))) || mappedFiles(pid).some(below);
    })
    .map((pid) => `${readText(`/proc/${pid}/comm`).trim()} (${pid})`);
  const loops = readNames("/sys/block").filter((name) => below(readText(`/sys/block/${name}/loop/backing_file`).trim()));
  return [...processes, ...loops.map((name) => `/dev/${name}`)];
}

function mappedFiles(pid: string): readonly string[] {
  return readText(`/proc/${pid}/maps`)
    .split("\n")
    .map((line) => line.slice(line.indexOf("/")));
}

function readNames(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
