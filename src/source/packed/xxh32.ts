// XXH32. Reference: the xxHash specification 0.1.1 (xxhash_spec.md), "XXH32 Algorithm Description".

const PRIME1 = 0x9e3779b1 | 0;
const PRIME2 = 0x85ebca77 | 0;
const PRIME3 = 0xc2b2ae3d | 0;
const PRIME4 = 0x27d4eb2f;
const PRIME5 = 0x165667b1;
const STRIPE = 16;

export interface Xxh32 {
  update(bytes: Uint8Array): void;
  /** From 0 to 2^32 - 1. */
  digest(): number;
}

/** The checksum of `bytes`, with seed 0. */
export function xxh32(bytes: Uint8Array): number {
  const state = createXxh32();
  state.update(bytes);
  return state.digest();
}

/** For content that comes in pieces. */
export function createXxh32(): Xxh32 {
  let [a, b, c, d] = [(PRIME1 + PRIME2) | 0, PRIME2, 0, -PRIME1 | 0];
  const held = new Uint8Array(STRIPE);
  const heldView = new DataView(held.buffer);
  let heldSize = 0;
  let total = 0;

  function stripes(view: DataView, from: number, to: number): void {
    for (let at = from; at < to; at += STRIPE) {
      a = round(a, view.getInt32(at, true));
      b = round(b, view.getInt32(at + 4, true));
      c = round(c, view.getInt32(at + 8, true));
      d = round(d, view.getInt32(at + 12, true));
    }
  }

  return {
    update(bytes) {
      total += bytes.length;
      let at = 0;
      if (heldSize > 0) {
        at = Math.min(STRIPE - heldSize, bytes.length);
        held.set(bytes.subarray(0, at), heldSize);
        heldSize += at;
        if (heldSize < STRIPE) return;
        stripes(heldView, 0, STRIPE);
      }
      const end = at + Math.floor((bytes.length - at) / STRIPE) * STRIPE;
      stripes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at, end);
      held.set(bytes.subarray(end));
      heldSize = bytes.length - end;
    },
    digest() {
      let hash = total >= STRIPE ? (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0 : PRIME5;
      hash = (hash + total) | 0;
      let at = 0;
      for (; at + 4 <= heldSize; at += 4) {
        hash = Math.imul(rotate((hash + Math.imul(heldView.getInt32(at, true), PRIME3)) | 0, 17), PRIME4);
      }
      for (; at < heldSize; at += 1) hash = Math.imul(rotate((hash + Math.imul(held[at]!, PRIME5)) | 0, 11), PRIME1);
      hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
      hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
      return (hash ^ (hash >>> 16)) >>> 0;
    },
  };
}

function round(lane: number, value: number): number {
  return Math.imul(rotate((lane + Math.imul(value, PRIME2)) | 0, 13), PRIME1);
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
