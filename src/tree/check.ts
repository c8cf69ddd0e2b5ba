import { posix } from "node:path";
import type { Container, Item } from "../containers/container.js";
import { locate } from "../disk/read.js";
import type { Layer, PackedBlock } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import { explainIn } from "../util/explain.js";
import type { CheckProgress, Finding } from "../util/finding.js";
import { auditChain } from "./audit.js";
import type { Shown } from "./shown.js";

/** Ranges of one disk that are told one by one. */
const RANGES_LIMIT = 100;

/**
 * Whether all of an image, and of the images in it, can be read and is what it says of itself: structures that contradict each other, tables that lead
 * nowhere, compressed blocks that do not decode, digests that differ. `name` stands for the image in what is found.
 */
export function checkShown({ layer, container, disks, description }: Shown, name: string, progress: CheckProgress): readonly Finding[] {
  const findings: Finding[] = [];
  if (!container?.archive) findings.push(...auditChain(layer, name, progress), ...checkDisk(layer, name, progress));
  if (container) findings.push(...checkFiles(container, name));
  for (const finding of container?.check?.(progress) ?? []) findings.push({ ...finding, file: `${name}: ${finding.file}` });
  const told = new Set(findings.map(({ message }) => message));
  for (const note of description.notes) {
    const message = note.replace(/\.$/, "");
    if (!told.has(message)) findings.push({ file: name, kind: "unusual", severity: "note", message });
  }
  for (const { file, found } of description.chain) {
    if (!found?.endsWith("DOES NOT MATCH")) continue;
    findings.push({
      file: name,
      kind: "wrong parent",
      severity: "warning",
      message: `${file} is not the parent that the image names: ${found}`,
    });
  }
  for (const { member, shown } of disks) findings.push(...checkShown(shown, `${name}: ${member.path}`, progress));
  return findings;
}

function checkDisk(layer: Layer, name: string, progress: CheckProgress): readonly Finding[] {
  const damaged = createRanges(name);
  const decoded = new Set<string>();
  let buffer = Buffer.alloc(0);
  const decode = (block: PackedBlock): void => {
    if (buffer.length < block.size) buffer = Buffer.allocUnsafeSlow(block.size);
    block.unpack(buffer.subarray(0, block.size));
  };
  for (let offset = 0; offset < layer.size; ) {
    const { extent } = locate(layer, offset, layer.size - offset);
    if (extent.kind === "damaged") damaged.add(offset, extent.length, extent.error);
    if (extent.kind === "packed" && !decoded.has(extent.block.key)) {
      // A block may stand for several ranges that follow each other; only the last few are remembered.
      if (decoded.size > 16) decoded.clear();
      decoded.add(extent.block.key);
      try {
        decode(extent.block);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        damaged.add(offset, extent.length, error);
      }
    }
    offset += extent.length;
    progress({ file: name, done: offset, size: layer.size });
  }
  return damaged.findings();
}

/** Whether every file is where its container says, as far as that can be told without reading it. */
function checkFiles(container: Container, name: string): readonly Finding[] {
  const findings: Finding[] = [];
  const tell = (path: string, error: unknown) => {
    if (!(error instanceof ImageError)) throw error;
    findings.push({ file: `${name}: ${path}`, kind: "damaged file", severity: "error", message: explainIn(name, error) });
  };
  const waiting: { readonly path: string; readonly id: number }[] = [{ path: "", id: container.root.id }];
  const seen = new Set<number>();
  for (let next = waiting.pop(); next && findings.length < RANGES_LIMIT; next = waiting.pop()) {
    if (seen.has(next.id)) continue;
    seen.add(next.id);
    try {
      for (const [entry, item] of container.list(next.id)) {
        const path = posix.join(next.path, entry);
        if (item.kind === "directory") waiting.push({ path, id: item.id });
        else if (item.kind === "file") checkFile(container, item, (error) => tell(path, error));
      }
    } catch (error) {
      tell(next.path === "" ? "/" : next.path, error);
    }
  }
  return findings;
}

/** The first thing that is wrong with a file, if any. */
function checkFile(container: Container, { id }: Item, tell: (error: unknown) => void): void {
  try {
    const content = container.content(id);
    for (let offset = 0; offset < content.size; ) {
      const extent = content.map(offset, content.size - offset);
      if (extent.kind === "damaged") throw extent.error;
      offset += extent.length;
    }
  } catch (error) {
    tell(error);
  }
}

/** Damaged ranges of a disk: those that follow each other for the same reason are one. */
function createRanges(file: string): { add(offset: number, length: number, error: ImageError): void; findings(): readonly Finding[] } {
  const ranges: { readonly start: number; end: number; readonly reason: string }[] = [];
  let more = 0;
  return {
    add(offset, length, error) {
      const reason = explainIn(file, error);
      const last = ranges.at(-1);
      if (last?.end === offset && (last.reason === reason || ranges.length === RANGES_LIMIT)) last.end += length;
      else if (ranges.length < RANGES_LIMIT) ranges.push({ start: offset, end: offset + length, reason });
      else more += 1;
    },
    findings() {
      const found = ranges.map(({ start, end, reason }): Finding => {
        return {
          file,
          kind: "damaged range",
          severity: "error",
          message: `bytes ${start} to ${end - 1} of the disk cannot be read: ${reason}`,
          range: { start, length: end - start },
        };
      });
      if (more === 0) return found;
      return [
        ...found,
        { file, kind: "damaged range", severity: "error", message: `${more} more ranges of the disk cannot be read`, count: more },
      ];
    },
  };
}
