// Expert Witness Compression Format, as EnCase, FTK Imager, SMART and libewf write it. References: "ASR Expert Witness Compression Format specification", and
// documentation/Expert Witness Compression Format (EWF).asciidoc in the libewf sources. Little-endian; positions are those of a segment file unless said otherwise.
import { ascii, big64, bytes, struct, u8, u16, u32, u64 } from "../../util/struct.js";

export const SIGNATURE = "EVF\x09\x0d\x0a\xff\0";

/** What looks like it and holds something else, or cannot be read. */
export const others: readonly { readonly signature: string; readonly what: string }[] = [
  { signature: "LVF\x09\x0d\x0a\xff\0", what: "it is a logical evidence file (L01): it holds files, and no disk" },
  { signature: "EVF2\x0d\x0a\x81\0", what: "it is an EWF image of version 2 (Ex01), which cannot be read yet" },
  { signature: "LEF2\x0d\x0a\x81\0", what: "it is a logical evidence file (Lx01): it holds files, and no disk" },
  { signature: "ADCRYPT\0", what: "it is encrypted (AD encryption of FTK Imager), and cannot be read yet" },
];

/** At the start of every segment file. */
export const fileHeader = struct("EWF file header", "little", 13, {
  signature: [0, bytes(8)],
  segment: [9, u16],
});

/** Before every section. */
export const descriptor = struct("section descriptor", "little", 76, {
  type: [0, ascii(16)],
  /** Where the next section begins; of the last one its own place. */
  next: [16, u64],
  /** With the descriptor; 0 with some writers. */
  size: [24, big64],
  checksum: [72, u32],
});

/** Section "volume", "disk" or "data", up to what is told of the disk. */
export const volume = struct("EWF volume section", "little", 94, {
  mediaType: [0, u8],
  chunks: [4, u32],
  sectorsPerChunk: [8, u32],
  bytesPerSector: [12, u32],
  sectors: [16, big64],
});
/** Bytes behind the descriptor of the first specification's "volume", which SMART writes, too: there are 32 bits of sectors, and no set identifier. */
export const OLD_VOLUME_SIZE = 94;
/** Where the set identifier stands in the longer ones. */
export const SET_IDENTIFIER = { at: 64, size: 16, end: 1052 } as const;

export const mediaTypes: Readonly<Record<number, string>> = {
  0: "removable disk",
  1: "fixed disk",
  3: "optical disc",
  14: "logical evidence",
  16: "memory",
};

/** Section "table", and "table2", its copy: behind it an entry for each chunk, and where there is room the checksum of the entries. */
export const table = struct("EWF table", "little", 24, {
  entries: [0, u32],
  /** What the entries count from; 0 before EnCase 6.7. */
  base: [8, u64],
  checksum: [20, u32],
});
export const ENTRY_SIZE = 4;
/** In a table entry; the other bits are a position. */
export const COMPRESSED = 0x80000000;

/** Behind every chunk that is stored as it is. */
export const CHECKSUM_SIZE = 4;

/** Section "error2": sectors that could not be read, then eight bytes for each run of them. */
export const errors = struct("EWF error section", "little", 520, { entries: [0, u32] });
export const errorRun = struct("EWF error entry", "little", 8, { first: [0, u32], count: [4, u32] });

/** Ours. A chunk is decoded as a whole: EnCase goes up to 16 MiB. Sections of a segment: with tables of EnCase, enough for 40 GiB. */
export const limits = {
  chunk: 64 * 2 ** 20,
  /** Up to .ZZZ. */
  segments: 14_971,
  sections: 100_000,
  tableEntries: 2 ** 22,
  header: 2 ** 20,
  errorRuns: 2 ** 16,
} as const;
