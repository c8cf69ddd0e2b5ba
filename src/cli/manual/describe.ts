import type { CommandUnknownOpts } from "@commander-js/extra-typings";

/** What a command declares, as plain data: what manual pages and completions are made from, so that they cannot tell anything else than `--help`. */
export interface CommandFacts {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly operands: readonly OperandFacts[];
  readonly options: readonly OptionFacts[];
  /** What `--help` prints below the options: sections with titles that end in a colon, and paragraphs. */
  readonly notes: string;
}

export interface OperandFacts {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly variadic: boolean;
}

export interface OptionFacts {
  /** Such as `-f` and `--format`. */
  readonly short: string | undefined;
  readonly long: string | undefined;
  readonly description: string;
  /** Of its value, such as `file`; undefined if it takes none. */
  readonly value: string | undefined;
  /** The only values it takes, if there are so few. */
  readonly choices: readonly string[] | undefined;
}

/** Reads what `command` declares. */
export function describeCommand(command: CommandUnknownOpts): CommandFacts {
  return {
    name: command.name(),
    aliases: command.aliases(),
    summary: command.summary(),
    description: command.description(),
    operands: command.registeredArguments.map((each) => ({
      name: each.name(),
      description: each.description,
      required: each.required,
      variadic: each.variadic,
    })),
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map(({ short, long, description, flags, argChoices }) => ({
        short,
        long,
        description,
        value: /<([^>]+)>/.exec(flags)?.[1]?.replace(/\.\.\.$/, ""),
        choices: argChoices,
      })),
    notes: notesOf(command),
  };
}

/** Commander keeps such text as something that is called when help is printed. */
function notesOf(command: CommandUnknownOpts): string {
  let printed = "";
  const before = command.configureOutput();
  command.configureOutput({ writeOut: (text) => (printed += text) });
  command.outputHelp();
  command.configureOutput(before);
  return printed.slice(printed.indexOf(command.helpInformation()) + command.helpInformation().length).trim();
}
