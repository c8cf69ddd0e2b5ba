import { Command } from "@commander-js/extra-typings";
import { listRecords, type MountRecord } from "../../daemon/state.js";
import { printable } from "../../util/text.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { jsonOption } from "../reading-options.js";
import { alignColumns } from "../table.js";

export function listCommand(io: Io) {
  return new Command("list")
    .summary("show the mounts")
    .description("Shows what is mounted now. What killed daemons left behind is cleared away.")
    .addOption(jsonOption())
    .action(({ json }) => {
      const records = listRecords();
      if (json) writeJson(io, records);
      else writeLines(io, table(records));
    });
}

function table(records: readonly MountRecord[]): readonly string[] {
  if (records.length === 0) return [];
  const rows = records.map(({ image, format, mountpoint, transport, pid, since }) => {
    return [image, format, mountpoint, transport, pid === 0 ? "-" : String(pid), since.slice(0, 19).replace("T", " ")].map(printable);
  });
  return alignColumns([["IMAGE", "FORMAT", "MOUNTPOINT", "TRANSPORT", "PID", "SINCE (UTC)"], ...rows]);
}
