import type { CommandFacts, OperandFacts, OptionFacts } from "../manual/describe.js";

/** What a word of the command line stands for, as far as a shell can complete it. */
export type WordKind = "file" | "directory" | "mountpoint" | "snapshot" | "format" | "command" | "shell" | "nothing";

/** Operands whose name does not tell what they are, by command. */
const special: Readonly<Record<string, WordKind>> = {
  "mount mountpoint": "directory",
  "detach target": "mountpoint",
  "diff before": "snapshot",
  "diff after": "snapshot",
  "formats format": "format",
  "completion shell": "shell",
};

const byName: Readonly<Record<string, WordKind>> = {
  image: "file",
  out: "file",
  file: "file",
  dir: "directory",
  folder: "directory",
  mountpoint: "mountpoint",
};

export function kindOfOperand({ name }: CommandFacts, operand: OperandFacts): WordKind {
  return special[`${name} ${operand.name}`] ?? byName[operand.name] ?? "nothing";
}

/** Undefined for an option without a value. */
export function kindOfValue({ long, value }: OptionFacts): WordKind | undefined {
  if (value === undefined) return undefined;
  return long === "--snapshot" ? "snapshot" : (byName[value] ?? "nothing");
}

/** Names of an option, as they are typed. */
export function namesOf({ short, long }: OptionFacts): readonly string[] {
  return [short, long].filter((name) => name !== undefined);
}
