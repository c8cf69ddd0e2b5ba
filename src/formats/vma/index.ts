import { ImageError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import { quote } from "../../util/text.js";
import type { FormatDriver } from "../driver.js";
import { auditVma } from "./audit.js";
import { type Clusters, readClusters } from "./clusters.js";
import { readHeader, type VmaDevice } from "./header.js";
import { MAGIC, STATE_DEVICE, VERSION } from "./layout.js";
import { createMap } from "./map.js";
import { vmaVariants } from "./variants.js";

export const vma: FormatDriver = {
  name: "vma",
  variants: vmaVariants,
  extensions: [".vma"],
  probe({ head }) {
    // Of any version, and however little of it is there: a later one, or a cut one, is no raw disk.
    const start = Buffer.from(head.subarray(0, 8)).toString("latin1");
    return start.length === 8 && start.startsWith(`${MAGIC}\0\0\0\0`) && start.charCodeAt(7) > 0;
  },
  open(source, _opener, { snapshot, disk }) {
    if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "a VMA archive has no snapshots", { file: source.name });
    const archive = readHeader(source);
    const disks = archive.devices.filter(({ name }) => name !== STATE_DEVICE);
    const device = choose(source.name, disks, disk);
    const clusters = readClusters(source, archive, device);
    return {
      format: "vma",
      name: source.name,
      size: device.size,
      map: createMap(source, clusters, device),
      facts: () => ({
        variant: `version ${VERSION}`,
        details: { disk: device.name, disks: disks.length, created: archive.created, extents: clusters.extents },
        notes: notesOf(archive.devices, clusters),
      }),
      audit: (audit) => auditVma(clusters, audit),
      close: () => source.close(),
    };
  },
};

function choose(file: string, disks: readonly VmaDevice[], wanted: string | undefined): VmaDevice {
  if (disks.length === 0) throw new ImageError("CORRUPT", "the archive holds no disk", { file });
  const found = disks.filter(({ name }) => wanted === undefined || name === wanted);
  const [only] = found;
  if (only && found.length === 1) return only;
  const list = disks.map(({ name, size }) => `${quote(name)} (${formatSize(size)})`).join(", ");
  const problem =
    wanted === undefined ? `the archive holds ${disks.length} disks` : `${found.length || "none"} of the disks is called ${quote(wanted)}`;
  throw new ImageError("UNSUPPORTED", problem, { file, hint: `Choose one with --disk: ${list}.` });
}

function notesOf(devices: readonly VmaDevice[], { places, problems }: Clusters): string[] {
  const notes: string[] = [];
  if (devices.some(({ name }) => name === STATE_DEVICE))
    notes.push("The state of the running machine is in the archive, too; it is no disk.");
  const lost = places.reduce((count, place) => count + (place === 0 ? 1 : 0), 0);
  if (lost > 0) notes.push(`${lost} of ${places.length} clusters are in no extent and cannot be read.`);
  for (const { message, position } of problems.slice(0, 3)) notes.push(`At byte ${position ?? 0}: ${message}.`);
  return notes;
}
