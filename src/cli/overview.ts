import { type CommandName, summaries } from "./command-names.js";

/** What `flatmount --help` and `flatmount` alone print: written without loading any command, since that is what takes the time. */
const groups: readonly { readonly title: string; readonly commands: readonly CommandName[] }[] = [
  { title: "Mount", commands: ["mount", "umount", "list", "status", "attach", "detach"] },
  { title: "Look into an image without mounting it", commands: ["info", "map", "diff", "ls", "cat"] },
  { title: "Write", commands: ["convert", "index"] },
  { title: "Damage", commands: ["check", "salvage"] },
  { title: "This program", commands: ["formats", "doctor", "completion"] },
];

const examples = [
  ["flatmount disk.qcow2 /mnt/d", "the disk is /mnt/d/disk.raw, its partitions are beside it"],
  ["flatmount umount /mnt/d", ""],
  ["flatmount debian.iso /mnt/iso", "its files are below /mnt/iso/files"],
  ["sudo flatmount attach --mount /mnt/fs disk.vmdk", "the file system itself"],
  ["flatmount info server.ova", "what it is, without mounting it"],
] as const;

const COMMAND_WIDTH = 12;
const EXAMPLE_WIDTH = 50;

/** All commands at a glance. */
export function overview(): string {
  const rows = (commands: readonly CommandName[]) => commands.map((name) => `  ${name.padEnd(COMMAND_WIDTH)}${summaries[name]}`);
  return [
    "flatmount shows a disk image as one flat raw file, and what discs and archives hold as a folder.",
    "The image is only ever read.",
    "",
    "Usage: flatmount IMAGE [MOUNTPOINT]",
    "       flatmount COMMAND ...",
    "",
    ...groups.flatMap(({ title, commands }) => [`${title}:`, ...rows(commands), ""]),
    "Examples:",
    ...examples.map(([words, what]) => `  ${what === "" ? words : `${words.padEnd(EXAMPLE_WIDTH)}# ${what}`}`),
    "",
    "flatmount COMMAND --help tells all about a command; so does flatmount help COMMAND.",
    "",
  ].join("\n");
}
