import type { CommandFacts, OptionFacts } from "../manual/describe.js";
import { kindOfOperand, kindOfValue, namesOf, type WordKind } from "./kinds.js";

/** What completes a word of each kind, as `_arguments` takes it. */
const actions: Readonly<Record<WordKind, string>> = {
  file: "_files",
  directory: "_files -/",
  mountpoint: "_flatmount_candidates mountpoint",
  snapshot: "_flatmount_candidates snapshot",
  format: "_flatmount_candidates format",
  command: "_flatmount_candidates command",
  shell: "_flatmount_candidates shell",
  nothing: " ",
};

/** A function for zsh's completion system (zshcompsys(1)), to be saved as `_flatmount` in a folder of `$fpath`. */
export function zshCompletion(commands: readonly CommandFacts[]): string {
  const described = commands.flatMap(({ name, aliases, summary }) =>
    [name, ...aliases].map((word) => `    ${quoted(`${word}:${summary}`)}`),
  );
  return `#compdef flatmount
# Made from flatmount's declarations. To use it: flatmount completion zsh >/usr/local/share/zsh/site-functions/_flatmount

_flatmount_candidates() {
  local -a found
  # The image is the first word that is a file.
  local word image=
  for word in \${words[2,-1]}; do
    if [[ -f \${(Q)word} ]]; then image=\${(Q)word}; break; fi
  done
  found=(\${(f)"$(flatmount completion --candidates $argv[-1] \${image:+"$image"} 2>/dev/null)"})
  # What comes before the kind is how they are to be shown.
  compadd "\${(@)argv[1,-2]}" -a found
}

_flatmount_commands() {
  local -a commands=(
${described.join("\n")}
  )
  _describe command commands
}

_flatmount() {
  local curcontext=$curcontext state line
  if (( CURRENT == 2 )); then
    _alternative 'commands:command:_flatmount_commands' 'images:image:_files'
    return
  fi
  case $words[2] in
${commands.map(caseOf).join("\n")}
    *)
      _arguments -s \\
${argumentsOf(commands.find(({ name }) => name === "mount"))}
      ;;
  esac
}

_flatmount "$@"
`;
}

function caseOf(command: CommandFacts): string {
  return `    ${[command.name, ...command.aliases].join("|")})
      shift words; (( CURRENT-- ))
      _arguments -s \\
${argumentsOf(command)}
      ;;`;
}

function argumentsOf(command: CommandFacts | undefined): string {
  if (!command) return "";
  const operands = command.operands.map((operand, index) => {
    const place = operand.variadic ? "*" : String(index + 1);
    return quoted(`${place}:${operand.required ? "" : ":"}${operand.name}:${actions[kindOfOperand(command, operand)]}`);
  });
  return [...command.options.flatMap(specsOf), quoted("(- *)" + "--help[display help]"), ...operands]
    .map((spec) => `        ${spec}`)
    .join(" \\\n");
}

function specsOf(option: OptionFacts): string[] {
  const kind = kindOfValue(option);
  const action = option.choices ? `(${option.choices.join(" ")})` : actions[kind ?? "nothing"];
  const value = kind === undefined ? "" : `:${option.value ?? "value"}:${action}`;
  const repeatable = /repeatable/.test(option.description) ? "*" : "";
  const described = option.description.replaceAll(/[[\]\\:]/g, (sign) => `\\${sign}`);
  return namesOf(option).map((name) => quoted(`${repeatable}${name}[${described}]${value}`));
}

function quoted(words: string): string {
  return `'${words.replaceAll("'", `'\\''`)}'`;
}
