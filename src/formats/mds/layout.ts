// Media descriptors of Alcohol 120 %, version 1. There is no specification; this is what the field knows (libMirage, Aaru).
import { bytes, struct, u16, u32, u64, u8 } from "../../util/struct.js";

export const MAGIC = "MEDIA DESCRIPTOR";

export const header = struct("media descriptor", "little", 88, {
  signature: [0, bytes(16)],
  major: [16, u8],
  minor: [17, u8],
  medium: [18, u16],
  sessions: [20, u16],
  sessionsPosition: [80, u32],
});

/** Media from here on are DVDs. */
export const FIRST_DVD = 0x10;

export const sessionBlock = struct("session block", "little", 24, {
  /** Sectors, counted from the start of the disc; may be below 0. */
  start: [0, u32],
  end: [4, u32],
  number: [8, u16],
  blocks: [10, u8],
  tracksPosition: [20, u32],
});

export const trackBlock = struct("track block", "little", 80, {
  mode: [0, u8],
  subchannel: [1, u8],
  /** The track's number; others belong to the lead-in. */
  point: [4, u8],
  extraPosition: [12, u32],
  sectorSize: [16, u16],
  startSector: [36, u32],
  startPosition: [40, u64],
  files: [48, u32],
  filesPosition: [52, u32],
});

export const extraBlock = struct("extra track block", "little", 8, {
  pregap: [0, u32],
  length: [4, u32],
});

export const fileBlock = struct("file block", "little", 16, {
  namePosition: [0, u32],
  wide: [4, u32],
});

/** The low three bits of `mode`. */
export const modes = { audio: 1, mode1: 2, mode2: 3, form1: 4, form2: 5 } as const;

export const SUBCHANNEL = 96;
/** `subchannel`: none, or 96 bytes behind every sector. */
export const subchannels = { none: 0, interleaved: 8 } as const;
