import { Command, Option } from "@commander-js/extra-typings";
import type { FlatFile } from "../../tree/node.js";
import { ImageError, systemCode, UserError } from "../../util/errors.js";
import { printable, quote } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { sizeArgument, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { type Found, findNode, namesIn } from "../view-path.js";
import { viewOf } from "../viewing.js";

export function catCommand(io: Io) {
  return withReadingOptions(
    new Command("cat")
      .summary(summaries.cat)
      .description("Writes the bytes of PATH, one of the files that a mount of IMAGE would show, to standard output.")
      .argument("<image>", "the image")
      .argument("[path]", 'a file, named as "flatmount ls" does', "disk.raw")
      .addOption(new Option("--offset <size>", "where to begin, such as 1M or 0x200 (default: the start)").argParser(sizeArgument))
      .addOption(new Option("--length <size>", "how much at most (default: up to the end)").argParser(sizeArgument))
      .option("--force", "write to a terminal, too"),
    "image-",
  )
    .addHelpText("after", help)
    .action((image, path, { offset = 0, length, force, imageOffset, imageSize, ...options }) => {
      const opening = openOptionsOf({ ...options, offset: imageOffset, size: imageSize });
      const view = viewOf(io, image, opening, CACHE_LIMIT);
      try {
        const { name, file } = fileAt(findNode(view.tree, path));
        if (offset > file.size) throw new UserError(`the offset ${offset} is behind the end of ${name}, which has ${file.size} bytes`);
        const end = length === undefined ? file.size : Math.min(file.size, offset + length);
        if (io.terminal && !force && !isText(file)) throw notForTerminals(name);
        writeRange(io, { image, name, file }, offset, end);
      } finally {
        view.close();
      }
    });
}

const help = `
What cannot be read is never replaced by zeros: what comes before it is written, then the command fails.

Examples:
  flatmount cat disk.qcow2 | sha256sum
  flatmount cat disk.qcow2 partitions/1.raw > boot.raw
  flatmount cat disk.qcow2 --offset 512 --length 4K | xxd
`;

/** For decoded blocks: 1 MiB reads may begin and end inside blocks of up to 2 MiB. */
const CACHE_LIMIT = 8 * 2 ** 20;
const READ_SIZE = 2 ** 20;

interface NamedFile {
  readonly name: string;
  readonly file: FlatFile;
}

function fileAt({ path, node }: Found): NamedFile {
  if (node.kind === "file") return { name: printable(path), file: node.file };
  if (node.kind !== "directory") throw new UserError(`${quote(path)} is a ${node.kind}: it has no content`);
  const named = path === "" ? "the top of the view" : quote(path);
  throw new UserError(`${named} is a directory`, `There are in it: ${namesIn(node.entries())}.`);
}

/** Writes the bytes from `offset` to `end`; all that come before one that cannot be read. */
export function writeRange(io: Io, source: NamedFile & { readonly image: string }, offset: number, end: number): void {
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, Math.max(0, end - offset)));
  let step = READ_SIZE;
  for (let at = offset; at < end; ) {
    const part = buffer.subarray(0, Math.min(step, end - at));
    try {
      source.file.read(part, at);
    } catch (error) {
      if (part.length === 1) throw unreadableAt(source, at, error);
      // Somewhere in the part: halves lead up to the very byte, so that everything before it is written.
      step = Math.ceil(part.length / 2);
      continue;
    }
    io.out(part);
    at += part.length;
  }
}

function unreadableAt({ image, name }: { readonly image: string; readonly name: string }, offset: number, error: unknown): unknown {
  const where = `${name} cannot be read at offset ${offset}`;
  if (error instanceof ImageError) {
    const { code, file = image, position, hint } = error;
    return new ImageError(code, `${where}: ${error.message}`, { file, position, hint, cause: error });
  }
  const code = systemCode(error);
  // Anything else is a mistake of ours and must show as one.
  return code === undefined ? error : new ImageError("UNREADABLE", `${where}: ${code}`, { file: image, cause: error });
}

/** Small enough to be meant for people, and nothing in it that steers a terminal. */
function isText(file: FlatFile): boolean {
  if (file.size > 2 ** 20) return false;
  const content = Buffer.alloc(file.size);
  file.read(content, 0);
  const text = content.toString("utf8").replaceAll(/[\n\t]/g, "");
  return !text.includes("\ufffd") && printable(text) === text;
}

function notForTerminals(name: string): UserError {
  return new UserError(
    `${name} is not text, and standard output is a terminal`,
    "Redirect it to a file or another program, or add --force.",
  );
}
