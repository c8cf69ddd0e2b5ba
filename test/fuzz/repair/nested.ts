import type { Input } from "../input.js";
import { patch, peek } from "./sums.js";

/** Keys take as long to derive as the header says, up to half a minute: here they take little. */
export function repairQcow2(input: Input): void {
  for (const { position } of input.files[0]?.pieces ?? []) {
    if (peek(input, 0, position & -512, 6)?.toString("latin1") !== "LUKS\xba\xbe") continue;
    const tame = (at: number) =>
      patch(input, 0, (position & -512) + at, 4, (bytes) => void bytes.writeUInt32BE(bytes.readUInt32BE(0) % 64, 0));
    tame(164);
    for (let slot = 0; slot < 8; slot += 1) {
      tame(208 + 48 * slot + 4);
      patch(input, 0, (position & -512) + 208 + 48 * slot + 44, 4, (bytes) => void bytes.writeUInt32BE(bytes.readUInt32BE(0) % 4096, 0));
    }
  }
}

/**
 * Tables of a DMG are Base64 in a property list: changing the text spoils it. A changed letter is taken for a change of what it stands for: whatever is no
 * letter of Base64 inside `<data>` becomes one.
 */
export function repairDmg(input: Input): void {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const { data } = input;
  const text = Buffer.from(data.buffer, data.byteOffset, data.length);
  for (let start = text.indexOf("<data>"); start >= 0; start = text.indexOf("<data>", start + 1)) {
    const end = text.indexOf("</data>", start);
    if (end < 0) return;
    for (let at = start + 6; at < end; at += 1) {
      const byte = text[at]!;
      const fine = byte <= 0x20 || byte === 0x3d || letters.includes(String.fromCharCode(byte));
      if (!fine) text[at] = letters.charCodeAt(byte & 63);
    }
  }
}
