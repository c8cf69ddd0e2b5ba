import { resolve } from "node:path";
import { Command, Option } from "@commander-js/extra-typings";
import { defaultMountpoint } from "../../daemon/mountpoint.js";
import { identityOf } from "../../daemon/run-as.js";
import { startDaemon } from "../../daemon/start.js";
import type { MountRecord } from "../../daemon/state.js";
import type { MountWish } from "../../daemon/wish.js";
import { transportNames } from "../../fuse/transport.js";
import { formatSize } from "../../util/size.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { type MountOptions, parseDuration, parseId, parseMode, parseMountOptions } from "../mount-options.js";
import { createProgressBar } from "../progress.js";
import { jsonOption, sizeArgument, openOptionsOf, withReadingOptions } from "../reading-options.js";

const DEFAULT_CACHE = 32 * 2 ** 20;

const help = `
Examples:
  flatmount disk.qcow2 /mnt/disk
  dd if=/mnt/disk/disk.raw of=copy.raw bs=1M
  flatmount umount /mnt/disk
`;

export function mountCommand(io: Io) {
  return withReadingOptions(
    new Command("mount")
      .summary(summaries.mount)
      .description("Shows the disk in IMAGE as MOUNTPOINT/disk.raw, its partitions beside it. Returns when it can be read.")
      .argument("<image>", "the image")
      .argument(
        "[mountpoint]",
        "a directory, made if it is missing, or a regular file, which then is the disk (default: a folder beside the image)",
      )
      .option("--allow-other", "let other users see the mount")
      .option("--uid <number>", "owner of what is shown (default: you)", parseId)
      .option("--gid <number>", "group of what is shown (default: yours)", parseId)
      .option("--mode <octal>", "permissions of the files, such as 0400 (default: 0444)", parseMode)
      .option("--cache <size>", "memory for unpacked blocks (default: 32M)", sizeArgument)
      .addOption(new Option("--transport <name>", "how the kernel is spoken to").choices(transportNames))
      .option("--no-passthrough", "answer every read here, also those that the kernel could answer itself")
      .option("--idle-timeout <time>", "unmount after so long without use, such as 90s, 10m, 1h", parseDuration)
      .option("--no-auto-unmount", "leave a dead mount behind if the daemon is killed")
      .option("--run-as <user[:group]>", "open the image and serve it as this user (root only)")
      .option("--no-confine", "let the daemon keep all rights that it was started with")
      .option("--foreground", "do not detach; stop with Ctrl-C")
      .option("-o <list>", "the same as mount(8) would say it: ro,allow_other,uid=…,format=…", parseMountOptions),
  )
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action(async (image, mountpoint, { o, json, foreground, ...given }) => {
      const wish = wishOf(image, mountpoint, joinOptions(given, o ?? {}));
      const tell = (record: MountRecord) => io.out(json ? `${JSON.stringify(record)}\n` : describe(image, record));
      const warn = (note: string | undefined) => note !== undefined && io.err(`flatmount: ${note}\n`);
      const bar = createProgressBar(io, "reading through");
      if (!foreground) {
        const record = await startDaemon(wish, bar.step, warn).finally(bar.end);
        tell(record);
        return;
      }
      // Only here is the whole reader needed in this process.
      const { serve } = await import("../../daemon/serve.js");
      const { record, note, ended } = await serve(wish, bar.step).finally(bar.end);
      warn(note);
      tell(record);
      await ended;
    });
}

/** What both ways to say it say: lists are joined, of the rest the `-o` list counts. */
function joinOptions(given: Partial<MountOptions>, listed: Partial<MountOptions>): Partial<MountOptions> {
  const both = (name: "allow" | "parent" | "search" | "part" | "passwordFile") => [...(given[name] ?? []), ...(listed[name] ?? [])];
  const joined = { parent: both("parent"), part: both("part"), passwordFile: both("passwordFile") };
  const filled = Object.fromEntries(Object.entries(joined).filter(([, values]) => values.length > 0));
  return { ...given, ...listed, allow: both("allow"), search: both("search"), ...filled };
}

function wishOf(image: string, mountpoint: string | undefined, options: Partial<MountOptions>): MountWish {
  return {
    image: resolve(image),
    options: openOptionsOf(options),
    mountpoint: resolve(mountpoint ?? defaultMountpoint(image)),
    nonempty: options.nonempty ?? false,
    ...(options.transport !== undefined && { transport: options.transport }),
    allowOther: options.allowOther ?? false,
    passthrough: options.passthrough ?? true,
    staysWhenKilled: options.autoUnmount === false,
    ...(options.idleTimeout !== undefined && { idleTimeout: options.idleTimeout }),
    ...(options.confine === false && { confine: false }),
    ...(options.runAs !== undefined && { runAs: identityOf(options.runAs) }),
    uid: options.uid ?? process.getuid?.() ?? 0,
    gid: options.gid ?? process.getgid?.() ?? 0,
    mode: options.mode ?? 0o444,
    cacheLimit: options.cache ?? DEFAULT_CACHE,
  };
}

function describe(image: string, { format, size, mountpoint }: MountRecord): string {
  return `${image} (${format}, ${formatSize(size)}) is mounted at ${mountpoint}\n`;
}
