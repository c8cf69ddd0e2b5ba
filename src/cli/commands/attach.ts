import { resolve } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { attach, type AttachedImage } from "../../attach/attach.js";
import { subjectOf, WHOLE } from "../../attach/parts.js";
import type { AttachedPart } from "../../daemon/devices.js";
import { formatSize } from "../../util/size.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { createProgressBar } from "../progress.js";
import { jsonOption, openOptionsOf, sizeArgument, withReadingOptions } from "../reading-options.js";
import { alignColumns } from "../table.js";

const DEFAULT_CACHE = 32 * 2 ** 20;

const help = `
Everything is read-only: no journal is replayed, and the image is only read.
What was mounted with --mount goes with umount(8), too; devices alone go with "flatmount detach" or "losetup -d".

Examples:
  flatmount attach disk.qcow2
  flatmount attach disk.qcow2 --partition 2 --mount /mnt/root
  flatmount detach disk.qcow2
`;

export function attachCommand(io: Io) {
  return withReadingOptions(
    new Command("attach")
      .summary(summaries.attach)
      .description("Makes /dev/loopN of the disk in IMAGE, with its partitions; or mounts the file system on it. Needs root.")
      .argument("<image>", "the image")
      .option("--partition <name>", "a partition by its number or a volume by its name: a device for it alone")
      .option("--mount <dir>", "mount its file system on this directory, which is made if it is missing")
      .option("--cache <size>", "memory for unpacked blocks (default: 32M)", sizeArgument),
  )
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action(async (image, { json, partition, mount, cache = DEFAULT_CACHE, ...reading }) => {
      const bar = createProgressBar(io, "reading through");
      const wish = { image: resolve(image), name: image, options: openOptionsOf(reading), cacheLimit: cache };
      const mountpoint = mount === undefined ? undefined : resolve(mount);
      const attached = await attach({ ...wish, partition, mountpoint }, bar.step).finally(bar.end);
      if (json) writeJson(io, attached.record);
      else writeLines(io, describe(image, attached).map(printable));
      for (const note of attached.notes) io.err(`flatmount: ${printable(image)}: ${note}\n`);
    });
}

function describe(image: string, { record, part, mounted }: AttachedImage): readonly string[] {
  const { attached, format, size } = record;
  if (mounted && part) {
    const { mountpoint, device, type, options } = mounted;
    return [
      `${subjectOf(image, part)} (${part.fileSystem?.name ?? type}, ${formatSize(part.size)}) is mounted at ${mountpoint}`,
      `  ${device}, ${["ro", ...options].join(",")}`,
    ];
  }
  if (part) return [...alignColumns([rowOf(part)]), ...hintsFor(image, [part])];
  const parts = attached.parts.filter(({ device }) => device !== attached.device);
  const disk = [attached.device ?? "-", formatSize(size), wholeContent(attached.parts), `${image} (${format})`];
  return [...alignColumns([disk, ...parts.map(rowOf)], [1]), ...hintsFor(image, attached.parts)];
}

/** What the disk holds, where it has no partitions. */
function wholeContent(parts: readonly AttachedPart[]): string {
  return parts.length === 1 && parts[0]?.id === WHOLE ? (parts[0].fileSystem?.name ?? "-") : "-";
}

function rowOf({ id, device, size, fileSystem, typeName, name }: AttachedPart): readonly string[] {
  return [
    device ?? `--partition ${id}`,
    formatSize(size),
    fileSystem?.name ?? "-",
    name === undefined ? typeName : `${typeName}, "${name}"`,
  ];
}

/** How to mount the first that can be mounted, and what else can be done with others. */
function hintsFor(image: string, parts: readonly AttachedPart[]): readonly string[] {
  const advice = parts.flatMap((part) => {
    const { device = "DEVICE", fileSystem } = part;
    if (fileSystem?.advice === undefined) return [];
    return [`${subjectOf(image, part)}, ${fileSystem.name}: ${fileSystem.advice.replaceAll("DEVICE", device).replaceAll("IMAGE", image)}`];
  });
  const part = parts.find(({ fileSystem, device }) => fileSystem?.type !== undefined && device !== undefined);
  if (!part?.fileSystem) return advice;
  const { type = "", options = [] } = part.fileSystem;
  const chosen = part.id === WHOLE ? "" : ` --partition ${part.id}`;
  const command = `mount -t ${type} -o ${["ro", ...options].join(",")} ${part.device} DIR`;
  return [`Mount it with "${command}", or with "flatmount attach ${image}${chosen} --mount DIR".`, ...advice];
}
