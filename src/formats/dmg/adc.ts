// Apple Data Compression, as disk images use it. It has no document of its own; references: `CAdcDecoder` of 7-Zip's DmgHandler.cpp, adc.c of dmg2img.

/** Decodes `packed` into `target`: true if it gives exactly that many bytes. */
export function unpackAdc(packed: Uint8Array, target: Uint8Array): boolean {
  let at = 0;
  let done = 0;
  while (at < packed.length && done < target.length) {
    const control = packed[at]!;
    if (control >= 0x80) {
      const length = control - 0x80 + 1;
      if (at + 1 + length > packed.length || done + length > target.length) return false;
      target.set(packed.subarray(at + 1, at + 1 + length), done);
      at += 1 + length;
      done += length;
      continue;
    }
    const long = control >= 0x40;
    if (at + (long ? 3 : 2) > packed.length) return false;
    const length = long ? control - 0x40 + 4 : (control >> 2) + 3;
    const distance = 1 + (long ? packed[at + 1]! * 256 + packed[at + 2]! : (control & 3) * 256 + packed[at + 1]!);
    if (distance > done || done + length > target.length) return false;
    // Byte by byte: the run may read what it has just written.
    for (const end = done + length; done < end; done += 1) target[done] = target[done - distance]!;
    at += long ? 3 : 2;
  }
  return done === target.length;
}
