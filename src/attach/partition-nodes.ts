// /dev/loopNpM. The kernel makes them where it knows the partition table and devtmpfs is mounted, or udev runs; else addpart(8) can, if somebody shows the nodes.
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { debug } from "../util/debug.js";
import type { Part } from "./parts.js";

const log = debug("attach");

/** How long udev may take, in milliseconds. */
const PATIENCE_MS = 2000;
/** The kernel counts in these, whatever the sectors of the disk. */
const SECTOR = 512;

/** The nodes of the loop device's partitions by their ids, as far as they are there and lie where the table says. */
export async function partitionNodes(loop: number, parts: readonly Part[]): Promise<ReadonlyMap<string, string>> {
  const wanted = parts.filter((part) => part.start !== undefined && /^\d+$/.test(part.id));
  for (const part of wanted) if (!placeOf(loop, part)) add(loop, part);
  const known = wanted.filter((part) => isRight(loop, part));
  const deadline = Date.now() + PATIENCE_MS;
  while (known.some((part) => !hasNode(loop, part)) && Date.now() < deadline) await sleep(20);
  return new Map(known.filter((part) => hasNode(loop, part)).map((part) => [part.id, nodeOf(loop, part)]));
}

function nodeOf(loop: number, { id }: Part): string {
  return `/dev/loop${loop}p${id}`;
}

/** Where the kernel has the partition. */
function placeOf(loop: number, { id }: Part): { readonly start: number; readonly size: number; readonly device: string } | undefined {
  const folder = `/sys/block/loop${loop}/loop${loop}p${id}`;
  try {
    const [start, size, device] = ["start", "size", "dev"].map((name) => readFileSync(`${folder}/${name}`, "utf8").trim());
    return { start: Number(start) * SECTOR, size: Number(size) * SECTOR, device: device ?? "" };
  } catch {
    return undefined;
  }
}

function isRight(loop: number, part: Part): boolean {
  const place = placeOf(loop, part);
  return place?.start === part.start && place?.size === part.size;
}

function hasNode(loop: number, part: Part): boolean {
  const stat = statSync(nodeOf(loop, part), { throwIfNoEntry: false });
  if (!stat?.isBlockDevice()) return false;
  // linux/kdev_t.h: twelve bits of major number around twenty of minor number.
  const minor = (stat.rdev & 0xff) | (Math.floor(stat.rdev / 0x1000) & 0xfff00);
  const major = Math.floor(stat.rdev / 0x100) & 0xfff;
  return placeOf(loop, part)?.device === `${major}:${minor}`;
}

function add(loop: number, { id, start = 0, size }: Part): void {
  if (start % SECTOR !== 0 || size % SECTOR !== 0) return;
  const { status, error, stderr } = spawnSync("addpart", [`/dev/loop${loop}`, id, String(start / SECTOR), String(size / SECTOR)], {
    encoding: "utf8",
  });
  if (status !== 0) log("partition %s of loop%d: %s", id, loop, error?.message ?? stderr);
}
