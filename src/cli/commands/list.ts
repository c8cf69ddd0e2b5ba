import { Command } from "@commander-js/extra-typings";
import { cleanUp, type Leftover } from "../../daemon/clean.js";
import { isMounted } from "../../daemon/devices.js";
import { canonical } from "../../daemon/mountpoint.js";
import { listRecords, type MountRecord } from "../../daemon/state.js";
import { UserError } from "../../util/errors.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { jsonOption } from "../reading-options.js";
import { alignColumns } from "../table.js";

export function listCommand(io: Io) {
  return new Command("list")
    .summary(summaries.list)
    .description("Shows what is mounted now. What killed daemons left behind is cleared away.")
    .argument("[mountpoint...]", "with --clean: look nowhere else")
    .option("--clean", "tell what was cleared away instead; look also for dead mounts that are not recorded")
    .addOption(jsonOption())
    .action((mountpoints, { json, clean = false }) => {
      if (clean) {
        const leftovers = cleanUp(mountpoints.length === 0 ? undefined : mountpoints.map(canonical));
        if (json) writeJson(io, leftovers);
        else writeLines(io, leftovers.map(tell));
        if (leftovers.some(({ done }) => done === "stays")) throw new UserError("not everything could be cleared away");
        return;
      }
      if (mountpoints.length > 0) throw new UserError("mount points are for --clean only");
      const records = listRecords();
      if (json) writeJson(io, records);
      else writeLines(io, table(records));
    });
}

function tell({ mountpoint, image, done, reason }: Leftover): string {
  const what = printable(`${mountpoint}${image === undefined ? "" : ` (${image})`}`);
  if (done === "unmounted") return `${what}: the mount was dead, and is gone now`;
  if (done === "forgotten") return `${what}: it was recorded, but its daemon is gone`;
  return `${what}: the mount is dead, and stays: ${printable(reason ?? "")}`;
}

function table(records: readonly MountRecord[]): readonly string[] {
  if (records.length === 0) return [];
  const rows = records.flatMap((record) => {
    const { image, format, transport, pid, since } = record;
    const tail = [transport, pid === 0 ? "-" : String(pid), since.slice(0, 19).replace("T", " ")];
    return placesOf(record).map((place) => [image, format, ...place, ...tail].map(printable));
  });
  return alignColumns([["IMAGE", "FORMAT", "MOUNTPOINT", "DEVICE", "TRANSPORT", "PID", "SINCE (UTC)"], ...rows]);
}

type Place = readonly [mountpoint: string, device: string];

/** Where it is in sight: of what was attached that is its devices, and what flatmount mounted from them. */
function placesOf({ mountpoint, attached }: MountRecord): readonly Place[] {
  if (!attached) return [[mountpoint, "-"]];
  const mounts = attached.mounts.filter(isMounted).map((mount): Place => [mount.mountpoint, mount.device]);
  const devices = attached.device === undefined ? attached.parts.flatMap(({ device = [] }) => device) : [attached.device];
  const unmounted = devices.filter((device) => !mounts.some(([, other]) => other === device)).map((device): Place => ["-", device]);
  const places = [...unmounted, ...mounts];
  return places.length > 0 ? places : [["-", "-"]];
}
