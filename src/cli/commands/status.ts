import { Command } from "@commander-js/extra-typings";
import { type MountStatus, statusOf, statusOfAll } from "../../daemon/status.js";
import { UserError } from "../../util/errors.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { jsonOption } from "../reading-options.js";
import { statusLines } from "../status/lines.js";
import { prometheusText } from "../status/prometheus.js";

export function statusCommand(io: Io) {
  return new Command("status")
    .summary(summaries.status)
    .description(
      "Tells what a mount, or each of your mounts, has been asked for: requests, bytes, errors, decoded blocks, and how each file is read.",
    )
    .argument("[mountpoint]", "where something is mounted (default: every mount)")
    .option("--prometheus", "print metrics for Prometheus")
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action(async (mountpoint, { json, prometheus }) => {
      if (json && prometheus) throw new UserError("--json and --prometheus are two ways to print the same", "Leave one of them out.");
      const mounts = mountpoint === undefined ? await statusOfAll() : [await statusOf(mountpoint)];
      // There a daemon that does not answer is a metric, and no reason to tell nothing of the others.
      if (prometheus) io.out(prometheusText(mounts));
      else {
        if (json) writeJson(io, mounts.map(jsonOf));
        else writeLines(io, linesOf(mounts));
        complain(mounts);
      }
    });
}

const help = `
Counted is what the kernel asks for since the mount was made. What it has in its page cache, or reads past flatmount, it does not ask for.
In a mount, stats.json holds the counters. docs/monitoring.md tells how to watch them.

Examples:
  flatmount status /mnt/disk
  flatmount status --json | jq '.[].stats.readBytes'
  flatmount status --prometheus
`;

function linesOf(mounts: readonly MountStatus[]): readonly string[] {
  return mounts.flatMap((mount, index) => [...(index === 0 ? [] : [""]), ...statusLines(mount)]);
}

function jsonOf({ record, state, stats }: MountStatus) {
  const { image, format, size, mountpoint, transport, pid, since, paths } = record;
  return { mountpoint, image, format, size, transport, pid, since, state, ...(paths && { paths }), ...(stats && { stats }) };
}

/** Throws what is wrong with the first that does not answer. */
function complain(mounts: readonly MountStatus[]): void {
  const bad = mounts.find(({ state }) => state === "silent" || state === "gone");
  if (!bad) return;
  const { mountpoint, pid, log } = bad.record;
  if (bad.state === "gone") {
    throw new UserError(
      `${mountpoint}: its daemon (process ${pid}) has ended without unmounting`,
      '"flatmount list --clean" clears away what it left.',
    );
  }
  throw new UserError(
    `${mountpoint}: its daemon (process ${pid}) does not answer`,
    `It may be stopped or overloaded. Its log: ${log ?? "on its terminal"}`,
  );
}
