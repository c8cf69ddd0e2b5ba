import { bashCompletion } from "../completions/bash.js";
import { fishCompletion } from "../completions/fish.js";
import { zshCompletion } from "../completions/zsh.js";
import { standardIo } from "../output.js";
import { everyCommand } from "../program.js";
import { describeCommand } from "./describe.js";
import { commandPage, programPage } from "./page.js";

/** Files that packages hold beside the program, by path: manual pages and completions. `date` as YYYY-MM-DD. */
export async function documentationFiles(version: string, date: string): Promise<ReadonlyMap<string, string>> {
  const commands = (await everyCommand(standardIo())).map(describeCommand);
  return new Map([
    ["man/flatmount.1", programPage(commands, version, date)],
    ...commands.map((facts) => [`man/flatmount-${facts.name}.1`, commandPage(facts, version, date)] as const),
    ["completions/flatmount.bash", bashCompletion(commands)],
    ["completions/_flatmount", zshCompletion(commands)],
    ["completions/flatmount.fish", fishCompletion(commands)],
  ]);
}
