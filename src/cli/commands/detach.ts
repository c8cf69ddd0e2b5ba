import { Command } from "@commander-js/extra-typings";
import { detach } from "../../attach/detach.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";

const help = `
What is gone already is passed over, so that it may be said twice.

Examples:
  flatmount detach /mnt/root
  flatmount detach /dev/loop0
  flatmount detach disk.qcow2
`;

export function detachCommand(io: Io) {
  return new Command("detach")
    .summary(summaries.detach)
    .description("Unmounts what attach mounted, lets its devices go, and waits until the daemon has ended.")
    .argument("<target...>", "a device, where it is mounted, or the image: then all that is attached of it")
    .option("-l, --lazy", "take it out of sight now, even if it is in use")
    .addHelpText("after", help)
    .action(async (targets, { lazy = false }) => {
      for (const target of targets) {
        for (const line of await detach(target, { lazy })) io.err(`flatmount: ${printable(line)}\n`);
      }
    });
}
