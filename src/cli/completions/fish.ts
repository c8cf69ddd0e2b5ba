import type { CommandFacts, OptionFacts } from "../manual/describe.js";
import { kindOfOperand, kindOfValue, type WordKind } from "./kinds.js";

/** What completes a word of each kind, as `complete` takes it. */
const sources: Readonly<Record<WordKind, string>> = {
  file: "-F",
  directory: "-x -a '(__fish_complete_directories)'",
  mountpoint: "-x -a '(__flatmount_candidates mountpoint)'",
  snapshot: "-x -a '(__flatmount_candidates snapshot)'",
  format: "-x -a '(__flatmount_candidates format)'",
  command: "-x -a '(__flatmount_candidates command)'",
  shell: "-x -a '(__flatmount_candidates shell)'",
  nothing: "-x",
};

/** A script for fish(1) that completes the commands. */
export function fishCompletion(commands: readonly CommandFacts[]): string {
  const names = commands.flatMap(({ name, aliases }) => [name, ...aliases]);
  return `# fish completion for flatmount, made from its declarations. To use it: flatmount completion fish | source
function __flatmount_candidates
    # The image is the first word that is a file.
    set -l image
    for word in (commandline -opc)[2..-1]
        if test -f $word
            set image $word
            break
        end
    end
    flatmount completion --candidates $argv[1] $image 2>/dev/null
end

complete -c flatmount -f
complete -c flatmount -n __fish_use_subcommand -F
complete -c flatmount -n __fish_use_subcommand -a help -d 'tell about a command'
${commands.flatMap((command) => linesOf(command, names)).join("\n")}
`;
}

function linesOf(command: CommandFacts, all: readonly string[]): string[] {
  const names = [command.name, ...command.aliases];
  // Without a command it is a mount.
  const seen = `__fish_seen_subcommand_from ${names.join(" ")}`;
  const condition = command.name === "mount" ? `${seen}; or not __fish_seen_subcommand_from ${all.join(" ")}` : seen;
  const start = `complete -c flatmount -n '${condition}'`;
  const kinds = [...new Set(command.operands.map((operand) => kindOfOperand(command, operand)))].filter((kind) => kind !== "nothing");
  return [
    ...names.map((name) => `complete -c flatmount -n __fish_use_subcommand -a ${name} -d ${quoted(command.summary)}`),
    ...kinds.map((kind) => `${start} ${sources[kind].replace(/^-x/, "-f")}`),
    ...command.options.map((option) => `${start} ${optionOf(option)}`),
  ];
}

function optionOf(option: OptionFacts): string {
  const { short, long, description, choices } = option;
  const kind = kindOfValue(option);
  const names = [short && `-s ${short.slice(1)}`, long && `-l ${long.slice(2)}`].filter((name) => name !== undefined);
  const value = kind === undefined ? "" : choices ? `-x -a ${quoted(choices.join(" "))}` : kind === "file" ? "-r -F" : sources[kind];
  return [...names, value, `-d ${quoted(description)}`].filter((part) => part !== "").join(" ");
}

function quoted(words: string): string {
  return `'${words.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
