// The mapfile of GNU ddrescue, for the programs that read it. Reference: its manual, section "Mapfile structure".
import type { DiskSalvage } from "./salvage.js";

/** `+` finished, `-` bad sector; what is doubtful counts as not tried, since ddrescue has no word for it. */
const statuses = { unreadable: "-", doubtful: "?" } as const;

export function* mapfileLines({ size, ranges }: Pick<DiskSalvage, "size" | "ranges">): Generator<string> {
  yield "# Mapfile. Created by flatmount salvage";
  yield "# current_pos  current_status  current_pass";
  yield `${hexadecimal(size)}     +               1`;
  yield "#      pos        size  status";
  let end = 0;
  for (const { start, length, state } of ranges) {
    if (start > end) yield line(end, start - end, "+");
    yield line(start, length, statuses[state]);
    end = start + length;
  }
  if (end < size) yield line(end, size - end, "+");
}

function line(position: number, length: number, status: string): string {
  return `${hexadecimal(position)}  ${hexadecimal(length)}  ${status}`;
}

function hexadecimal(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(8, "0")}`;
}
