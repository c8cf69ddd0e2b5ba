import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";
import type { FileEnds, FormatDriver } from "./driver.js";
import { type FormatName, formatNames } from "./names.js";
import { androidSparse } from "./android-sparse/index.js";
import { bochs } from "./bochs/index.js";
import { ccd } from "./ccd/index.js";
import { cdRaw } from "./cd-raw/index.js";
import { sheetNames } from "./cd/sheet.js";
import { cdrdao } from "./cdrdao/index.js";
import { cloop } from "./cloop/index.js";
import { cue } from "./cue/index.js";
import { dmg } from "./dmg/index.js";
import { ewf } from "./ewf/index.js";
import { mds } from "./mds/index.js";
import { nrg } from "./nrg/index.js";
import { parallels } from "./parallels/index.js";
import { partclone } from "./partclone/index.js";
import { qcow } from "./qcow/index.js";
import { qcow2 } from "./qcow2/index.js";
import { qed } from "./qed/index.js";
import { raw } from "./raw/index.js";
import { sparsebundle } from "./sparsebundle/index.js";
import { sparseimage } from "./sparseimage/index.js";
import { vdi } from "./vdi/index.js";
import { vhd } from "./vhd/index.js";
import { vhdx } from "./vhdx/index.js";
import { vma } from "./vma/index.js";
import { vmdk } from "./vmdk/index.js";
import { xva } from "./xva/index.js";

const byName: Readonly<Record<FormatName, FormatDriver>> = {
  "android-sparse": androidSparse,
  bochs,
  ccd,
  "cd-raw": cdRaw,
  cdrdao,
  cloop,
  cue,
  dmg,
  ewf,
  mds,
  nrg,
  parallels,
  partclone,
  qcow,
  qcow2,
  qed,
  raw,
  sparsebundle,
  sparseimage,
  vdi,
  vhd,
  vhdx,
  vma,
  vmdk,
  xva,
};
/** In the order in which they look at a file. */
export const drivers: readonly FormatDriver[] = formatNames.map((name) => byName[name]);

/** What other programs call some of them. */
const aliases: ReadonlyMap<string, string> = new Map([["vpc", "vhd"]]);

/** The driver called `name`; throws `UNSUPPORTED` for a format nobody here reads. */
export function driverNamed(name: string): FormatDriver {
  const own = aliases.get(name) ?? name;
  const driver = drivers.find((candidate) => candidate.name === own);
  if (driver) return driver;
  throw new ImageError("UNSUPPORTED", `the format ${quote(name)} is not known`, { hint: `Known formats: ${formatNames.join(", ")}.` });
}

/** The driver whose signature is in the file's ends. */
export function detect(ends: FileEnds): FormatDriver {
  return drivers.find((driver) => driver.probe(ends)) ?? raw;
}

/** What the image may be called, beside the file `name`, of which that file is only a part; none if it stands for itself. */
export function wholeNames(name: string, ends: FileEnds): readonly string[] {
  const detected = detect(ends);
  // A part has a signature of its own, or none.
  const candidates = detected === raw ? drivers : [detected];
  return candidates.flatMap((driver) => driver.partOf?.(name, ends) ?? []);
}

/** What may describe the file `name`, beside it, better than it does itself: it can be opened without. */
export function describingNames(name: string, ends: FileEnds): readonly string[] {
  const detected = detect(ends);
  return detected === raw || detected === cdRaw ? sheetNames(name) : [];
}
