import { Command } from "@commander-js/extra-typings";
import { listRecords, type MountRecord } from "../../daemon/state.js";
import { printable } from "../../util/text.js";

export function listCommand() {
  return new Command("list")
    .summary("show the mounts")
    .description("Shows what is mounted now. What killed daemons left behind is cleared away.")
    .option("--json", "print them as JSON", false)
    .action(({ json }) => {
      const records = listRecords();
      process.stdout.write(json ? `${JSON.stringify(records, undefined, 2)}\n` : table(records));
    });
}

function table(records: readonly MountRecord[]): string {
  const rows = [
    ["IMAGE", "FORMAT", "MOUNTPOINT", "TRANSPORT", "PID", "SINCE"],
    ...records.map(({ image, format, mountpoint, transport, pid, since }) => [image, format, mountpoint, transport, String(pid), since.slice(0, 19).replace("T", " ")]),
  ].map((row) => row.map(printable));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
  return records.length === 0 ? "" : `${lines.join("\n")}\n`;
}
