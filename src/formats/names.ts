/**
 * The formats that can be read, in the order in which their drivers look at a file. Those marked at the end come first: what begins a VHD or DMG is the
 * guest's to write, what ends it is not. Raw takes anything, so it is last.
 */
export const formatNames = [
  "vhd",
  "nrg",
  "dmg",
  "qcow2",
  "qcow",
  "vmdk",
  "vhdx",
  "vdi",
  "qed",
  "parallels",
  "bochs",
  "cloop",
  "android-sparse",
  "vma",
  "xva",
  "ewf",
  "sparseimage",
  "sparsebundle",
  "partclone",
  "mds",
  "cue",
  "cdrdao",
  "ccd",
  "cd-raw",
  "raw",
] as const;
export type FormatName = (typeof formatNames)[number];
