import { fstatSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { convert } from "../../convert/convert.js";
import type { LostRange } from "../../convert/journal.js";
import { isOwn } from "../../convert/own.js";
import { openView, type ViewRequest } from "../../tree/view.js";
import { UserError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import { printable, quote } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { createProgressBar } from "../progress.js";
import { openOptionsOf, withReadingOptions } from "../reading-options.js";
import { findNode } from "../view-path.js";
import { writeRange } from "./cat.js";

export function convertCommand(io: Io) {
  return withReadingOptions(
    new Command("convert")
      .summary(summaries.convert)
      .description(
        "Writes the disk in IMAGE to OUT as a flat raw file: shares its blocks where the file system can, and leaves holes where nothing is stored.",
      )
      .argument("<image>", "the image")
      .argument("<out>", "the file, a block device, or - for standard output"),
  )
    .option("--path <path>", 'another file of the view, named as "flatmount ls" does', "disk.raw")
    .option("--force", "write over a file that is there, or to a device")
    .option("--resume", "go on where a stopped run with --resume was, and leave what is done if this one is stopped")
    .option("--verify", "read both again afterwards, and compare")
    .option("--keep-going", "leave what cannot be read as a hole, and tell of it")
    .addHelpText("after", help)
    .action(async (image, out, { path, force = false, resume = false, verify = false, keepGoing = false, ...options }) => {
      const request: ViewRequest = {
        image: resolve(image),
        options: openOptionsOf(options),
        root: "directory",
        mode: 0o444,
        cacheLimit: CACHE_LIMIT,
      };
      const bar = createProgressBar(io, "reading through");
      const view = openView(request, bar.step);
      bar.end();
      try {
        const { node, path: found } = findNode(view.tree, path);
        if (node.kind !== "file") throw new UserError(`${quote(path)} is no file of the view: it is a ${node.kind}`);
        if (out === "-") {
          refuseForOutput({ "--resume": resume, "--verify": verify, "--keep-going": keepGoing });
          if (io.terminal && !force)
            throw new UserError("standard output is a terminal", "Redirect it to a file or another program, or add --force.");
          if (isOwn(fstatSync(1), view.disk.files))
            throw new UserError("standard output is a file of the image, which is never written to");
          writeRange(io, { image, name: printable(found), file: node.file }, 0, node.file.size);
          return;
        }
        const progress = createProgressBar(io, "converting");
        const stopping = stopOnSignals();
        try {
          const { cloned, copied, lost } = await convert({
            ...{ view, request, node, name: printable(found), out, force, resume, verify, keepGoing, signal: stopping.signal },
            warn: (line) => {
              progress.end();
              io.err(`flatmount: ${printable(line)}\n`);
            },
            progress: (what, done, size) => progress.step({ what, file: image, done, size }),
          });
          progress.end();
          for (const line of linesOf(image, found, lost)) io.err(`${printable(line)}\n`);
          if (lost.length > 0) process.exitCode = 1;
          const shared = cloned > 0 ? `, ${formatSize(cloned)} of it shared with the image` : "";
          if (io.terminal)
            io.out(
              `${printable(out)}: ${formatSize(node.file.size)}, ${formatSize(cloned + copied)} stored${shared}${verify ? ", compared" : ""}\n`,
            );
        } catch (error) {
          progress.end();
          if (!stopping.signal.aborted || error !== stopping.signal.reason) throw error;
          process.exitCode = 130;
        } finally {
          stopping.end();
        }
      } finally {
        view.close();
      }
    });
}

/** For decoded blocks, of each thread. */
const CACHE_LIMIT = 8 * 2 ** 20;
const LINES_LIMIT = 20;

const help = `
OUT has its name only when it is whole and on the disk; until then it is OUT.partial. Stopped, it leaves nothing, or with --resume what is done. What cannot be read is never replaced by zeros: the command
fails, or with --keep-going tells which ranges are holes now, and ends with status 1.

Examples:
  flatmount convert disk.qcow2 disk.raw
  flatmount convert --verify --path partitions/1.raw disk.vmdk boot.img
  flatmount convert disk.vhdx - | ssh host 'cat > /dev/vg/disk'
`;

function refuseForOutput(options: Readonly<Record<string, boolean>>): void {
  for (const [name, given] of Object.entries(options)) {
    if (given)
      throw new UserError(`${name} is for files: what is written to standard output cannot be read or left out`, `Leave ${name} out.`);
  }
}

function linesOf(image: string, name: string, lost: readonly LostRange[]): string[] {
  const lines = lost.slice(0, LINES_LIMIT).map(({ start, end, reason }) => {
    return `flatmount: ${image}: bytes ${start} to ${end - 1} of ${name} are lost: ${reason}`;
  });
  return lost.length > LINES_LIMIT ? [...lines, `flatmount: ${image}: ${lost.length - LINES_LIMIT} more ranges are lost`] : lines;
}

function stopOnSignals(): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, stop);
  return {
    signal: controller.signal,
    end() {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}
