import type { CommandFacts, OptionFacts } from "./describe.js";

// Manual pages in the man(7) macros, which every man(1) knows.

const EXIT_STATUS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  check: [
    ["0", "The image is whole."],
    ["1", "It is damaged, or cannot be read."],
    ["2", "The command was used wrongly."],
    ["3", "It is whole, and something about it is unusual."],
  ],
};
const USUAL_STATUS = [
  ["0", "All went well."],
  ["1", "It did not; standard error tells why, in one line, and what to do about it where that is known."],
  ["2", "The command was used wrongly."],
] as const;

/** The page of one command, `flatmount-NAME(1)`. `date` as YYYY-MM-DD. */
export function commandPage(facts: CommandFacts, version: string, date: string): string {
  const title = `flatmount-${facts.name}`;
  return lines([
    heading(title, version, date),
    section("NAME"),
    `${text(title)} \\- ${text(facts.summary)}`,
    section("SYNOPSIS"),
    ...synopsis(facts),
    section("DESCRIPTION"),
    text(facts.description),
    ...(facts.operands.length > 0
      ? [section("ARGUMENTS"), ...facts.operands.flatMap(({ name, description }) => item(`\\fI${text(name)}\\fR`, description))]
      : []),
    ...(facts.options.length > 0
      ? [section("OPTIONS"), ...facts.options.flatMap((option) => item(flagsOf(option), descriptionOf(option)))]
      : []),
    ...notes(facts.notes),
    section("EXIT STATUS"),
    ...(EXIT_STATUS[facts.name] ?? USUAL_STATUS).flatMap(([status, meaning]) => item(status, meaning)),
    section("SEE ALSO"),
    "\\fBflatmount\\fR(1)",
  ]);
}

/** The page of the program, `flatmount(1)`. */
export function programPage(commands: readonly CommandFacts[], version: string, date: string): string {
  return lines([
    heading("flatmount", version, date),
    section("NAME"),
    "flatmount \\- show a disk image as one flat raw file",
    section("SYNOPSIS"),
    ".B flatmount",
    "\\fIimage\\fR [\\fImountpoint\\fR]",
    ".br",
    ".B flatmount",
    "\\fIcommand\\fR [\\fIoptions\\fR] ...",
    section("DESCRIPTION"),
    text(
      "Mounts disk images of virtual machines, backup programs, optical discs and cloud services, so that any program can read the disk in " +
        "them as one flat file, disk.raw, with its partitions beside it, and shows what is in discs and archives as folders. " +
        "The image is only ever read. What is missing or damaged is an error for just that range, never zeros.",
    ),
    section("COMMANDS"),
    ...commands.flatMap(({ name, summary }) => item(`\\fBflatmount\\-${text(name)}\\fR(1)`, `${summary}.`)),
    section("FILES"),
    ...item(
      "\\fI$XDG_RUNTIME_DIR/flatmount\\fR, \\fI/run/flatmount\\fR",
      "What is mounted, and the logs of daemons in the background; the second is root's.",
    ),
    ...item(
      "\\fI$XDG_CACHE_HOME/flatmount\\fR",
      "Compiled code, and where to begin within compressed images. It can be deleted at any time.",
    ),
    ...item("\\fI/sbin/mount.flatmount\\fR", "What mount(8) and fstab(5) call for the type flatmount."),
    section("ENVIRONMENT"),
    ...item("\\fBDEBUG\\fR", "With flatmount:* the daemon tells what it does, and errors come with where they arose."),
    ...item("\\fBNO_COLOR\\fR", "If it is set, nothing is coloured."),
    section("EXAMPLES"),
    ".nf",
    ...["flatmount disk.qcow2 /mnt/d", "dd if=/mnt/d/disk.raw of=copy.raw bs=1M", "flatmount umount /mnt/d"].map(text),
    ".fi",
    section("SEE ALSO"),
    commands.map(({ name }) => `\\fBflatmount\\-${text(name)}\\fR(1)`).join(",\n"),
  ]);
}

function heading(title: string, version: string, date: string): string {
  return `.TH ${text(title.toUpperCase())} 1 ${date} "flatmount ${version}" "User Commands"`;
}

function section(title: string): string {
  return `.SH ${title.includes(" ") ? `"${title}"` : title}`;
}

function item(term: string, description: string): string[] {
  return [".TP", term, text(description)];
}

function synopsis({ name, operands, options }: CommandFacts): string[] {
  const words = operands.map(({ name: operand, required, variadic }) => {
    const word = `\\fI${text(operand)}\\fR${variadic ? " ..." : ""}`;
    return required ? word : `[${word}]`;
  });
  return [`.B flatmount ${text(name)}`, [...(options.length > 0 ? ["[\\fIoptions\\fR]"] : []), ...words].join(" ")];
}

function flagsOf({ short, long, value }: OptionFacts): string {
  const names = [short, long].flatMap((name) => (name === undefined ? [] : [`\\fB${text(name)}\\fR`]));
  return names.join(", ") + (value === undefined ? "" : ` \\fI${text(value)}\\fR`);
}

function descriptionOf({ description, choices }: OptionFacts): string {
  return sentence(choices ? `${description}: ${choices.join(", ")}` : description);
}

/** With a capital and a full stop. */
function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}

/** Sections for titles such as "Examples:"; what is indented is kept as it stands. */
function notes(content: string): string[] {
  const blocks = content === "" ? [] : content.split(/\n\n+/);
  let inNotes = false;
  return blocks.flatMap((block) => {
    const rows = block.split("\n");
    const [first = ""] = rows;
    const titled = /^[A-Z][A-Za-z ]*:$/.test(first);
    const body = titled ? rows.slice(1) : rows;
    const title = titled ? [section(first.slice(0, -1).toUpperCase())] : inNotes ? [".PP"] : [section("NOTES")];
    inNotes ||= !titled;
    return [...title, ...pieces(body)];
  });
}

function pieces(rows: readonly string[]): string[] {
  const kept = rows.some((row) => /^\s/.test(row));
  return kept ? [".nf", ...rows.map(text), ".fi"] : rows.map(text);
}

/** Text that roff takes as it is: no escapes, no hyphens that become dashes, no line that is taken for a macro. */
function text(plain: string): string {
  const escaped = plain.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...");
  return escaped
    .split("\n")
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join("\n");
}

function lines(all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
