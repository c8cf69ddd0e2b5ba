// Nero images, versions 1 and 2. There is no specification; this is what the field knows (libMirage, libcdio, Aaru).
import { bytes, struct, u32, u64, u8, u16 } from "../../util/struct.js";

/** At the end of the file: where the chunks begin. */
export const footer1 = struct("footer", "big", 8, { magic: [0, bytes(4)], position: [4, u32] });
export const footer2 = struct("footer", "big", 12, { magic: [0, bytes(4)], position: [4, u64] });
export const magics = { version1: "NERO", version2: "NER5" } as const;

export const chunkHeader = struct("chunk header", "big", 8, { id: [0, bytes(4)], length: [4, u32] });

/** Of a track that was written at once (TAO). */
export const etn1 = struct("track entry", "big", 20, { start: [0, u32], length: [4, u32], mode: [11, u8], sector: [12, u32] });
export const etn2 = struct("track entry", "big", 32, { start: [0, u64], length: [8, u64], mode: [19, u8], sector: [20, u32] });

/** Of a disc that was written at once (DAO): tracks follow. */
export const daoHeader = struct("disc-at-once header", "big", 22, { firstTrack: [20, u8], lastTrack: [21, u8] });
export const dao1 = struct("track entry", "big", 30, {
  sectorSize: [12, u16],
  mode: [14, u8],
  index0: [18, u32],
  index1: [22, u32],
  end: [26, u32],
});
export const dao2 = struct("track entry", "big", 42, {
  sectorSize: [12, u16],
  mode: [14, u8],
  index0: [18, u64],
  index1: [26, u64],
  end: [34, u64],
});

/** Of a cue sheet of version 2: track and index in BCD. What version 1 has is in minutes, seconds and frames, and not needed. */
export const cueEntry = struct("cue entry", "big", 8, { track: [1, u8], index: [2, u8], sector: [4, u32] });
