import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { indexTree } from "../../erofs/index-tree.js";
import { refuseHoles } from "../../erofs/transport.js";
import { reasonOf, systemCode, UserError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { viewOf } from "../viewing.js";
import { writeJson } from "../output.js";

export function indexCommand(io: Io) {
  return withReadingOptions(
    new Command("index")
      .summary(summaries.index)
      .description("Writes an EROFS image that holds no data but tells where in IMAGE it lies. Whoever mounts both needs no flatmount.")
      .argument("<image>", "the image")
      .argument("<out>", "the index to be written"),
  )
    .option("--force", "write over a file that is there")
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action(async (image, out, { json, force = false, ...options }) => {
      const view = viewOf(io, image, openOptionsOf(options), CACHE_LIMIT);
      try {
        const { root } = view.tree;
        if (root.kind !== "directory") throw new Error("a view has no directory");
        const target = create(out, force);
        try {
          const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
          const made = await indexTree(target, { root, ...owner, deviceLimit: view.disk.files.length });
          refuseHoles(made.leftOut);
          fsyncSync(target);
          const devices = made.devices.map(({ fd }) => resolve(view.disk.files.find((file) => file.fd === fd)?.path ?? ""));
          const command = mountCommandOf(resolve(out), devices);
          if (json) writeJson(io, { image, index: out, size: made.size, devices, mount: command });
          else
            io.out(
              printable(`${out} (${formatSize(made.size)}) tells where the bytes of ${image} lie. As root, without flatmount:`) +
                `\n  ${command}\n`,
            );
        } catch (error) {
          rmSync(out, { force: true });
          throw error;
        } finally {
          closeSync(target);
        }
      } finally {
        view.close();
      }
    });
}

const CACHE_LIMIT = 4 * 2 ** 20;

const help = `
The index is good as long as the image, and every file it consists of, stays as it is and where it is. Images with compressed or encrypted parts cannot
be read by the kernel alone; they are refused. The command that is printed mounts it; afterwards "losetup -d" lets the loop devices go.

Example:
  flatmount index disk.qcow2 disk.erofs
`;

/** The file must be new: an image is never written to. */
function create(out: string, force: boolean): number {
  try {
    if (force) rmSync(out, { force: true });
    return openSync(out, "wx+", 0o644);
  } catch (error) {
    if (systemCode(error) === "EEXIST")
      throw new UserError(`${out}: there is such a file already`, "--force writes a new one in its place.", error);
    throw new UserError(`${out}: it cannot be written: ${reasonOf(error)}`, undefined, error);
  }
}

/** By loop devices, since mount(8) makes one of the index itself, and the kernel then wants devices throughout. */
function mountCommandOf(index: string, files: readonly string[]): string {
  const devices = files.map((file) => `device=$(losetup --show -fr ${quoteWord(file)})`);
  return `mount -t erofs -o ${["ro", ...devices].join(",")} ${quoteWord(index)} MOUNTPOINT`;
}

/** For a shell. */
function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
