const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1.5 GiB`, `512 bytes`: at most three significant digits, binary units. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}

/** `64M`, `64MiB`, `512`, `0x200` → bytes. Binary units; undefined if `text` is not a size below 2^53. */
export function parseSize(text: string): number | undefined {
  const match = /^(0x[0-9a-f]+|\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  if (!match?.[1]) return undefined;
  const power = " kmgtp".indexOf((match[2] ?? "").toLowerCase() || " ");
  const bytes = Number(match[1]) * 1024 ** power;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
