import { Command } from "@commander-js/extra-typings";
import { summaries } from "../command-names.js";
import { takeAway } from "../../daemon/take-away.js";

export function umountCommand() {
  return new Command("umount")
    .alias("unmount")
    .summary(summaries.umount)
    .description("Unmounts, and waits until the daemon has ended.")
    .argument("<mountpoint...>", "where something is mounted")
    .option("-l, --lazy", "take it out of sight now, even if it is in use")
    .addHelpText("after", "\nExample:\n  flatmount umount /mnt/disk\n")
    .action(async (mountpoints, { lazy = false }) => {
      for (const mountpoint of mountpoints) await takeAway(mountpoint, { lazy });
    });
}
