// Which images a state of the disk is made of. Reference: docs/interop/prl-xml.rst in the QEMU sources, section "Snapshots element".
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { type Descriptor, normalized, type Shot } from "./descriptor.js";

/** What the guest writes to, where the descriptor does not say. */
const PREDEFINED_TOP = "5fbaabe3-6958-40ff-92a7-860e329aab41";
/** Parallels makes a few dozen. */
const DEPTH_LIMIT = 256;

/**
 * The GUIDs of the current state's images, or of the snapshot's, the newest first. `undefined` alone: there are no snapshots, and each storage has one image.
 * Throws if the snapshots do not end in a root.
 */
export function shotsOf(source: Source, descriptor: Descriptor, snapshot: string | undefined): readonly (string | undefined)[] {
  const { shots } = descriptor;
  const byId = new Map(shots.map((shot) => [shot.id, shot]));
  const corrupt = (message: string) => new ImageError("CORRUPT", message, { file: source.name });
  if (byId.size < shots.length) throw corrupt("two snapshots have the same GUID");
  if (shots.length === 0 && snapshot === undefined) return [descriptor.topId];

  const ids: string[] = [];
  for (let next = snapshot === undefined ? topOf(source, descriptor) : find(source, shots, snapshot).id; ; ) {
    const shot = byId.get(next);
    if (!shot) throw corrupt(`there is no snapshot {${next}}, which the disk depends on`);
    if (ids.includes(next)) throw corrupt(`the snapshots loop: {${next}} is its own ancestor`);
    if (ids.length >= DEPTH_LIMIT) throw corrupt(`more than ${DEPTH_LIMIT} snapshots depend on each other`);
    ids.push(next);
    if (shot.parentId === undefined) return ids;
    next = shot.parentId;
  }
}

/** What the guest writes to. */
export function topOf(source: Source, { shots, topId }: Descriptor): string {
  if (topId !== undefined) return topId;
  if (shots.some(({ id }) => id === PREDEFINED_TOP)) return PREDEFINED_TOP;
  const parents = new Set(shots.map(({ parentId }) => parentId));
  const [leaf, second] = shots.filter(({ id }) => !parents.has(id));
  if (leaf && !second) return leaf.id;
  throw new ImageError("CORRUPT", "the descriptor does not tell which of its snapshots is the current state", {
    file: source.name,
    hint: "Choose one with --snapshot GUID.",
  });
}

function find(source: Source, shots: readonly Shot[], wanted: string): Shot {
  const found = shots.find(({ id }) => id === normalized(wanted)) ?? shots.find(({ name }) => name === wanted);
  if (found) return found;
  const list = shots.map(({ id, name }) => `{${id}}${name === "" ? "" : ` ${quote(name)}`}`);
  throw new ImageError("PART_MISSING", `there is no snapshot with the GUID or name ${quote(wanted)}`, {
    file: source.name,
    hint: list.length === 0 ? "The disk has no snapshots." : `Its snapshots: ${list.join(", ")}.`,
  });
}
