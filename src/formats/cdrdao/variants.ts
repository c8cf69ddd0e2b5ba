import type { Variant } from "../driver.js";

export const cdrdaoVariants: readonly Variant[] = [
  {
    name: "MODE1, MODE1_RAW, MODE2, MODE2_RAW, MODE2_FORM1, MODE2_FORM2, MODE2_FORM_MIX",
    support: "read",
    proof: "formats/cdrdao.test.ts: %s",
  },
  { name: "subchannels: RW, RW_RAW", support: "read", proof: "formats/cdrdao.test.ts: sound with subchannels" },
  {
    name: "AUDIO from raw (big-endian) and WAV files, SWAP",
    support: "read",
    proof: "formats/cdrdao.test.ts: pieces of files, silence, zeros",
  },
  {
    name: "DATAFILE, FILE, AUDIOFILE with offsets and lengths, SILENCE, ZERO",
    support: "read",
    proof: "formats/cdrdao.test.ts: sound cut inside a sector",
  },
  {
    name: "START, PREGAP",
    support: "read",
    proof: "formats/cdrdao.test.ts: a pregap that is stored, within one file and as a file of its own",
  },
  {
    name: "CD_TEXT, CATALOG, ISRC, INDEX",
    support: "read",
    proof: "formats/cdrdao.test.ts: one file for all, as read-cd writes it",
    remark: "Read over.",
  },
  { name: "FIFO, standard input, compressed sound", support: "refused", proof: "formats/cdrdao.test.ts: what cannot be read: %s" },
];
