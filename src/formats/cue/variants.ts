import type { Variant } from "../driver.js";

export const cueVariants: readonly Variant[] = [
  { name: "MODE1/2048, MODE1/2352, MODE1/2448", support: "read", proof: "formats/cue.test.ts: %s" },
  { name: "MODE2/2048, 2324, 2332, 2336, 2352, 2448; CDI/2336, CDI/2352", support: "read", proof: "formats/cue.test.ts: %s" },
  {
    name: "mode 2 with sectors of form 1 and form 2",
    support: "read",
    proof: "formats/cue.test.ts: of form 2 among those of form 1: the first 2048 bytes, and told",
    remark: "Of the 2324 bytes of a sector of form 2, disk.raw has the first 2048.",
  },
  {
    name: "Video CD tracks (form 2 alone)",
    support: "read",
    proof: "formats/cue.test.ts: of Video CDs: the film as it is",
    remark: "Shown as tracks/NN.mpg, with all 2324 bytes of a sector.",
  },
  {
    name: "AUDIO: tracks as WAV files",
    support: "read",
    proof: "formats/cue.test.ts: in one file: data, then sound; the pause before a track is played by the one before it",
  },
  { name: "CDG (2448)", support: "read", proof: "formats/cue.test.ts: with CD+G: sound without its subchannels" },
  {
    name: "INDEX 00, PREGAP, POSTGAP; sound before the first track",
    support: "read",
    proof: "formats/cue.test.ts: PREGAP and POSTGAP: silence that is stored nowhere",
    remark: "Sound before the first track is tracks/00.wav.",
  },
  { name: "FILE BINARY, one or several", support: "read", proof: "formats/cue.test.ts: sectors of several sizes in one file" },
  { name: "FILE MOTOROLA (big-endian)", support: "read", proof: "formats/cue.test.ts: high bytes first: MOTOROLA" },
  {
    name: "FILE WAVE and AIFF, 44.1 kHz, 16 bits, stereo",
    support: "read",
    proof: "formats/cue.test.ts: in WAV files, also where pauses lie in the file before",
  },
  {
    name: "FILE MP3, FLAC and others",
    support: "read",
    proof: "formats/cue.test.ts: sound that is not decoded is shown as it is",
    remark: "Shown as the files that they are.",
  },
  {
    name: "several sessions (REM SESSION), in one file or several",
    support: "read",
    proof: "formats/cue.test.ts: in one file, the gap counted and not stored",
  },
  {
    name: "sound, then data (CD-Extra)",
    support: "read",
    proof:
      "formats/cue.test.ts: sound, then data (CD-Extra): the disk has zeros before its data, which is told, and the data track is there alone, too",
    remark: "disk.raw counts from the start of the disc; the data alone is tracks/NN.iso.",
  },
  { name: "sheets in UTF-8, UTF-16 and the code pages of systems", support: "read", proof: "formats/cue.test.ts: %s" },
  {
    name: "sectors that are damaged",
    support: "read",
    proof: "formats/cue.test.ts: one %s is an error for itself alone",
    remark: "Sync pattern, mode and subheader are checked, EDC and ECC are not.",
  },
  { name: "track modes that are not known", support: "refused", proof: "formats/cue.test.ts: %s" },
];
