import { Command, type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { listRecords } from "../../daemon/state.js";
import { openDisk } from "../../disk/open.js";
import { formatNames } from "../../formats/names.js";
import { UserError } from "../../util/errors.js";
import { printable, quote } from "../../util/text.js";
import { commandNames, summaries } from "../command-names.js";
import { bashCompletion } from "../completions/bash.js";
import { fishCompletion } from "../completions/fish.js";
import { zshCompletion } from "../completions/zsh.js";
import type { Io } from "../io.js";
import { describeCommand } from "../manual/describe.js";
import { writeLines } from "../output.js";

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
const shellNames = ["bash", "zsh", "fish"] as const;
const isShell = (word: string): word is keyof typeof shells => Object.hasOwn(shells, word);

/** What the scripts ask for while somebody types. */
const candidates = {
  mountpoint: () => listRecords().map(({ mountpoint }) => mountpoint),
  snapshot: (image: string | undefined) => (image === undefined ? [] : snapshotsOf(image)),
  format: () => formatNames,
  command: () => commandNames,
  shell: () => shellNames,
} as const;
const candidateNames = ["mountpoint", "snapshot", "format", "command", "shell"] as const;

const help = `
Examples:
  eval "$(flatmount completion bash)"
  flatmount completion zsh >/usr/local/share/zsh/site-functions/_flatmount
  flatmount completion fish >~/.config/fish/completions/flatmount.fish
`;

/** `everyCommand`: all commands of the program, which are loaded for a script only. */
export function completionCommand(io: Io, everyCommand: () => Promise<readonly CommandUnknownOpts[]>) {
  return new Command("completion")
    .summary(summaries.completion)
    .description("Prints a script for a shell with which it completes commands, options, files, mount points and snapshots.")
    .argument("[shell]", "bash, zsh or fish")
    .addOption(new Option("--candidates <kind>", "what a word may be, a line each").choices(candidateNames).hideHelp())
    .addHelpText("after", help)
    .action(async (word, { candidates: kind }) => {
      if (kind !== undefined) {
        // The word is an image here.
        writeLines(io, candidates[kind](word));
        return;
      }
      if (word === undefined || !isShell(word)) {
        const what = word === undefined ? "which shell?" : `${quote(word)} is no shell that is known`;
        throw new UserError(what, `There are ${shellNames.join(", ")}.`);
      }
      io.out(shells[word]((await everyCommand()).map(describeCommand)));
    });
}

/** Names of snapshots; ids of those without. Who types a name wants no complaint about the image. */
function snapshotsOf(image: string): readonly string[] {
  try {
    const disk = openDisk(image, {});
    try {
      return (disk.layer.facts().snapshots ?? []).map(({ id, name }) => printable(name === "" ? id : name));
    } finally {
      disk.close();
    }
  } catch {
    return [];
  }
}
