import { type Attachment, isMounted } from "../../daemon/devices.js";
import type { MountStatus } from "../../daemon/status.js";
import type { Stats } from "../../fuse/counters.js";
import { formatSize } from "../../util/size.js";
import { printable } from "../../util/text.js";
import { alignColumns } from "../table.js";

type Row = readonly [label: string, value: string];

/** How a mount fares, for people. */
export function statusLines({ record, state, stats }: MountStatus): readonly string[] {
  const { image, format, size, mountpoint, transport, pid, since, paths, attached } = record;
  const who = state === "kernel" ? "the kernel alone" : `process ${pid}`;
  const facts: readonly Row[] = [
    ["image", `${image} (${format}, ${formatSize(size)})`],
    attached ? ["attached as", devicesOf(attached)] : ["mount point", mountpoint],
    ["served by", `${who} (${transport}), since ${since.slice(0, 19).replace("T", " ")} UTC`],
    ...(stats && paths?.length === 0 ? [["reads", ways.server] as const] : []),
    ...(stats ? countRows(stats) : [["counters", reasonOf(state)] as const]),
  ];
  const files = stats
    ? (paths ?? []).map(({ file, path, reason }) => [file, reason === undefined ? ways[path] : `${ways[path]}: ${reason}`])
    : [];
  const lines = alignColumns(facts.map(([label, value]) => [`${label}:`, value]));
  return [...lines, ...(files.length > 0 ? ["", "Reads of:", ...alignColumns(files).map((line) => `  ${line}`)] : [])].map(printable);
}

/** What is attached is out of sight itself. */
function devicesOf({ device, parts, mounts }: Attachment): string {
  const devices = device === undefined ? parts.flatMap((part) => part.device ?? []) : [device];
  return [...devices, ...mounts.filter(isMounted).map((mount) => `${mount.device} at ${mount.mountpoint}`)].join(", ");
}

/** By `path` of a file. */
const ways = {
  image: "by the kernel from the image; counted by the kernel, not here",
  index: "by the kernel through an index; counted by the kernel, not here",
  server: "answered by the daemon",
} as const;

function reasonOf(state: MountStatus["state"]): string {
  if (state === "kernel") return "none: the kernel serves this mount, and there is no process that could count";
  return state === "gone" ? "none: its daemon has ended without unmounting" : "none: its daemon does not answer";
}

function countRows({ requests, readBytes, errors, cache, opens, passedFiles }: Stats): readonly Row[] {
  // A name that is not there, or a request that is not supported, is daily business.
  const { io, refused, other } = errors;
  const looked = cache.hits + cache.misses;
  const blocks =
    looked === 0 ? "none were needed" : `${cache.hits} of ${looked} reads found theirs in the cache, ${bytes(cache.decodedBytes)} decoded`;
  return [
    ["requests", listed(requests)],
    ["bytes read", bytes(readBytes)],
    ["errors", listed({ io, refused, other })],
    ["decoded blocks", blocks],
    ...(opens ? [["opened", listed(opens)] as const] : []),
    ...(passedFiles === 0
      ? []
      : [["not counted", `what the kernel reads itself of ${passedFiles === 1 ? "1 file" : `${passedFiles} files`}`] as const]),
  ];
}

function bytes(count: number): string {
  return count < 1024 ? formatSize(count) : `${formatSize(count)} (${count} bytes)`;
}

/** `12: read 10, lookup 2`: the sum, and what it is made of. */
function listed(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  return total === 0 ? "none" : `${total}: ${parts.map(([name, count]) => `${words[name] ?? name} ${count}`).join(", ")}`;
}

/** Names of counters that are not plain words. */
const words: Readonly<Record<string, string>> = {
  io: "I/O error",
  image: "from the image",
  index: "through an index",
  server: "by the daemon",
};
