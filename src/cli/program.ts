import { readFileSync } from "node:fs";
import { Command } from "@commander-js/extra-typings";
import { listCommand } from "./commands/list.js";
import { mountCommand } from "./commands/mount.js";
import { umountCommand } from "./commands/umount.js";

/** The whole command line. */
export function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const program = new Command("flatmount")
    .description("Shows a disk image as one flat raw file. The image is only ever read.")
    .version(version)
    .showHelpAfterError("(see flatmount --help)")
    .exitOverride((error) => {
      // Status 2 for wrong usage; help and version are no errors.
      process.exit(error.exitCode === 0 ? 0 : 2);
    })
    .addHelpText("after", "\nflatmount IMAGE MOUNTPOINT is short for flatmount mount IMAGE MOUNTPOINT.\n");
  program.addCommand(mountCommand(), { isDefault: true });
  program.addCommand(umountCommand());
  program.addCommand(listCommand());
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}
