import { existsSync, readFileSync } from "node:fs";
import { Command, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { UserError } from "../util/errors.js";
import { quote } from "../util/text.js";
import { aliases, asksForOverview, type CommandName, commandNames, DEFAULT_COMMAND, isCommandName } from "./command-names.js";
import type { Io } from "./io.js";
import { nearest } from "./nearest.js";
import { overview } from "./overview.js";

/** Every command, loaded when it is used: what one needs would only slow down the others. */
const commands: Readonly<Record<CommandName, (io: Io) => Promise<CommandUnknownOpts>>> = {
  mount: async (io) => (await import("./commands/mount.js")).mountCommand(io),
  umount: async () => (await import("./commands/umount.js")).umountCommand(),
  list: async (io) => (await import("./commands/list.js")).listCommand(io),
  status: async (io) => (await import("./commands/status.js")).statusCommand(io),
  attach: async (io) => (await import("./commands/attach.js")).attachCommand(io),
  detach: async (io) => (await import("./commands/detach.js")).detachCommand(io),
  info: async (io) => (await import("./commands/info.js")).infoCommand(io),
  map: async (io) => (await import("./commands/map.js")).mapCommand(io),
  diff: async (io) => (await import("./commands/diff.js")).diffCommand(io),
  ls: async (io) => (await import("./commands/ls.js")).lsCommand(io),
  cat: async (io) => (await import("./commands/cat.js")).catCommand(io),
  convert: async (io) => (await import("./commands/convert.js")).convertCommand(io),
  index: async (io) => (await import("./commands/index-image.js")).indexCommand(io),
  check: async (io) => (await import("./commands/check.js")).checkCommand(io),
  salvage: async (io) => (await import("./commands/salvage.js")).salvageCommand(io),
  formats: async (io) => (await import("./commands/formats.js")).formatsCommand(io),
  doctor: async (io) => (await import("./commands/doctor.js")).doctorCommand(io),
  completion: async (io) => (await import("./commands/completion.js")).completionCommand(io, () => everyCommand(io)),
};

/** Runs the command line `words`: the arguments behind the program's name. Wrong usage ends the process with status 2. */
export async function runProgram(io: Io, words: readonly string[]): Promise<void> {
  const [first = "--help"] = words;
  if (words.length < 2 && /^(?:help|-h|--help)$/.test(first)) {
    io.out(overview());
    return;
  }
  refuseMisspelt(first);
  const program = createProgram();
  for (const name of namesNeeded(words)) {
    const command = await commands[name](io);
    program.addCommand(command.copyInheritedSettings(program), { isDefault: name === DEFAULT_COMMAND });
  }
  program.hook("preAction", (_, command) => {
    if ("jsonProgress" in command.opts()) io.progress = "lines";
  });
  await program.parseAsync(words, { from: "user" });
}

/** Every command, in the order of the help. */
export function everyCommand(io: Io): Promise<readonly CommandUnknownOpts[]> {
  return Promise.all(commandNames.map((name) => commands[name](io)));
}

/** The first word may be an image; one that is neither that nor a command, but nearly one, is not taken for an image that is missing. */
function refuseMisspelt(word: string): void {
  if (word.startsWith("-") || word in aliases || isCommandName(word) || asksForOverview(word) || /[./]/.test(word) || existsSync(word))
    return;
  const meant = nearest(word, [...commandNames, ...Object.keys(aliases), "help"]);
  if (meant !== undefined)
    throw new UserError(`there is no command ${quote(word)}, and no image of that name`, `Did you mean "flatmount ${meant}"?`);
}

/** The command that is called; all of them, where it is not known yet or help is asked for. */
function namesNeeded([first = "--help"]: readonly string[]): readonly CommandName[] {
  if (isCommandName(first)) return [first];
  const meant = aliases[first];
  if (meant !== undefined) return [meant];
  return asksForOverview(first) ? commandNames : [DEFAULT_COMMAND];
}

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return new Command("flatmount")
    .description("Shows a disk image as one flat raw file. The image is only ever read.")
    .version(version)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "flatmount: ")) })
    .showHelpAfterError("(see flatmount --help)")
    .exitOverride((error) => {
      // 0 for help and version; whatever else commander stops at is wrong usage.
      process.exit(error.exitCode === 0 ? 0 : 2);
    });
}
