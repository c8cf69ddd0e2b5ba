import { ImageError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import { quote } from "../../util/text.js";
import type { FormatDriver } from "../driver.js";
import { auditXva } from "./audit.js";
import { type Archive, type DiskChunks, readArchive } from "./archive.js";
import { CHUNK, MANIFEST } from "./layout.js";
import type { VdiFacts } from "./manifest.js";
import { createMap } from "./map.js";
import { nameOfFirst } from "./tar.js";
import { xvaVariants } from "./variants.js";

export const xva: FormatDriver = {
  name: "xva",
  variants: xvaVariants,
  extensions: [".xva"],
  probe: ({ head }) => nameOfFirst(head) === MANIFEST,
  open(source, _opener, { snapshot, disk }) {
    if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "an XVA archive has no snapshots", { file: source.name });
    const archive = readArchive(source);
    const chosen = choose(source.name, archive, disk);
    const vdi = archive.vdis.find(({ id }) => id === chosen.id);
    const size = sizeOf(chosen, vdi);
    return {
      format: "xva",
      name: source.name,
      size,
      map: createMap(source, chosen, size, archive.broken),
      facts: () => ({
        details: { disk: chosen.id, ...(vdi && vdi.name !== "" && { name: vdi.name }), disks: archive.disks.length, chunks: chosen.count },
        notes: notesOf(archive, chosen, vdi, size),
      }),
      audit: (audit) => auditXva(source, chosen.id, audit),
      close: () => source.close(),
    };
  },
};

function choose(file: string, { disks, vdis, broken }: Archive, wanted: string | undefined): DiskChunks {
  if (disks.length === 0) {
    if (broken) throw broken;
    throw new ImageError("CORRUPT", "the archive holds no disk", { file });
  }
  const nameOf = (id: string) => vdis.find((vdi) => vdi.id === id)?.name ?? "";
  const found = disks.filter(({ id }) => wanted === undefined || id === wanted);
  const named = found.length > 0 ? found : disks.filter(({ id }) => nameOf(id) === wanted);
  const [only] = named;
  if (only && named.length === 1) {
    if (only.problem) throw only.problem;
    return only;
  }
  const list = disks.map((each) => {
    const vdi = vdis.find(({ id }) => id === each.id);
    return `${quote(each.id)} (${vdi && vdi.name !== "" ? `${quote(vdi.name)}, ` : ""}${formatSize(sizeOf(each, vdi))})`;
  });
  const problem =
    wanted === undefined ? `the archive holds ${disks.length} disks` : `${named.length || "none"} of the disks is called ${quote(wanted)}`;
  throw new ImageError("UNSUPPORTED", problem, { file, hint: `Choose one with --disk: ${list.join(", ")}.` });
}

/** What the manifest says, unless the chunks reach further; the last one may be filled up. */
function sizeOf({ end }: DiskChunks, vdi: VdiFacts | undefined): number {
  return vdi?.size !== undefined && vdi.size + CHUNK > end ? vdi.size : end;
}

function notesOf({ manifestProblem, broken }: Archive, { id, end }: DiskChunks, vdi: VdiFacts | undefined, size: number): string[] {
  const notes: string[] = [];
  if (manifestProblem !== undefined) notes.push(`"${MANIFEST}" cannot be understood: ${manifestProblem}.`);
  else if (vdi?.size === undefined)
    notes.push(`"${MANIFEST}" does not tell the size of ${quote(id)}, which is taken to end with its last chunk.`);
  else if (vdi.size !== size) notes.push(`"${MANIFEST}" says ${vdi.size} bytes, the chunks have ${end}.`);
  if (end < size) notes.push(`The chunks end at ${end} of ${size} bytes; what follows cannot be read.`);
  if (broken) notes.push(`The archive is damaged: ${broken.message}.`);
  return notes;
}
