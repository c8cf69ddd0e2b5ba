// LUKS, version 1. Reference: LUKS1 On-Disk Format Specification 1.2.3, figure 1 and section 5; numbers are big-endian.
import { ascii, bytes, struct, u16, u32 } from "../../util/struct.js";

export const MAGIC = Buffer.from("LUKS\xba\xbe", "latin1");
export const VERSION = 1;

export const header = struct("LUKS header", "big", 592, {
  magic: [0, bytes(6)],
  version: [6, u16],
  cipherName: [8, ascii(32)],
  cipherMode: [40, ascii(32)],
  hashSpec: [72, ascii(32)],
  /** In sectors. Means nothing inside qcow2, where the clusters are the payload. */
  payloadOffset: [104, u32],
  keyBytes: [108, u32],
  keyDigest: [112, bytes(20)],
  keyDigestSalt: [132, bytes(32)],
  keyDigestIterations: [164, u32],
  uuid: [168, ascii(40)],
});

export const KEY_SLOTS = 8;
/** Where the first key slot is in the header. */
export const KEY_SLOTS_AT = 208;

export const keySlot = struct("LUKS key slot", "big", 48, {
  active: [0, u32],
  iterations: [4, u32],
  salt: [8, bytes(32)],
  /** In sectors from the start of the header. */
  materialOffset: [40, u32],
  stripes: [44, u32],
});

export const slotStates = { enabled: 0x00ac71f3, disabled: 0x0000dead } as const;

export const limits = {
  /** What every writer uses; QEMU takes no other number. */
  stripes: 4000,
  /**
   * Rounds of PBKDF2 (its iterations, times the hashes that the key's length takes) that one opening may cost in all: half a minute with SHA-256,
   * twice that with the slowest hash. Writers choose the iterations so that a slot takes them one or two seconds.
   */
  rounds: 2 ** 26,
} as const;
