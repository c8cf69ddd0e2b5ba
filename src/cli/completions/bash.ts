import type { CommandFacts } from "../manual/describe.js";
import { kindOfOperand, kindOfValue, namesOf } from "./kinds.js";

// Plain bash: nothing of the package bash-completion is called, so it works where that is not installed.

/** A script for bash(1) that completes the commands. */
export function bashCompletion(commands: readonly CommandFacts[]): string {
  const names = commands.flatMap(({ name, aliases }) => [name, ...aliases]);
  return `# bash completion for flatmount, made from its declarations. To use it: eval "$(flatmount completion bash)"
_flatmount_kind() {
  # Of operand number $2 of command $1, or of the value of option $2.
  case "$1 $2" in
${commands.flatMap(kindsOf).join("\n")}
    *) echo nothing ;;
  esac
}

_flatmount_options() {
  case "$1" in
${commands.map((command) => `    ${[command.name, ...command.aliases].join("|")}) echo "${[...command.options.flatMap(namesOf), "-h", "--help"].join(" ")}" ;;`).join("\n")}
  esac
}

_flatmount() {
  local current=\${COMP_WORDS[COMP_CWORD]} command= image= word index operands=0 value= kind
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if [ -n "$value" ]; then
      value=
    elif [[ $word == -* ]]; then
      # Whether its value is the next word.
      if [[ $word != *=* && $(_flatmount_kind "\${command:-mount}" "$word") != nothing:none ]]; then value=$word; fi
    elif [ -z "$command" ] && [[ " ${names.join(" ")} help " == *" $word "* ]]; then
      command=$word
    else
      [ -n "$image" ] || image=$word
      : "\${command:=mount}"
      operands=$((operands + 1))
    fi
  done
  if [ -n "$value" ]; then
    kind=$(_flatmount_kind "\${command:-mount}" "$value")
  elif [[ $current == -* ]]; then
    if [ -z "$command" ]; then
      COMPREPLY=($(compgen -W "$(_flatmount_options mount) --version" -- "$current"))
    else
      COMPREPLY=($(compgen -W "$(_flatmount_options "$command")" -- "$current"))
    fi
    return
  elif [ -z "$command" ]; then
    COMPREPLY=($(compgen -W "${names.join(" ")} help" -- "$current"))
    kind=file
  else
    kind=$(_flatmount_kind "$command" "$operands")
  fi
  case $kind in
    file) compopt -o filenames 2>/dev/null; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
    directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    mountpoint | snapshot | format | command | shell)
      local IFS=$'\\n'
      mapfile -t COMPREPLY < <(compgen -W "$(flatmount completion --candidates "$kind" \${image:+"$image"} 2>/dev/null)" -- "$current")
      # Names with blanks or other signs that the shell has a use for.
      for index in "\${!COMPREPLY[@]}"; do printf -v "COMPREPLY[index]" %q "\${COMPREPLY[index]}"; done
      ;;
    choices:*) COMPREPLY=($(compgen -W "\${kind#choices:}" -- "$current")) ;;
  esac
}
complete -F _flatmount flatmount
`;
}

function kindsOf(command: CommandFacts): string[] {
  const names = [command.name, ...command.aliases];
  const of = (word: string) => names.map((name) => `"${name} ${word}"`).join("|");
  const operands = command.operands.flatMap((operand, index) => {
    const kind = kindOfOperand(command, operand);
    if (kind === "nothing") return [];
    return [`    ${operand.variadic ? names.map((name) => `"${name} "[0-9]*`).join("|") : of(String(index))}) echo ${kind} ;;`];
  });
  const options = command.options.flatMap((option) => {
    const kind = kindOfValue(option);
    const patterns = namesOf(option).map(of).join("|");
    if (kind === undefined) return [`    ${patterns}) echo nothing:none ;;`];
    if (option.choices) return [`    ${patterns}) echo "choices:${option.choices.join(" ")}" ;;`];
    return kind === "nothing" ? [] : [`    ${patterns}) echo ${kind} ;;`];
  });
  return [...operands, ...options, `    ${[of("-h"), of("--help")].join("|")}) echo nothing:none ;;`];
}
