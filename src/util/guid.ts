/** A GUID as Microsoft and EFI store it: the first three groups little-endian. Upper case, as `sgdisk` and `blkid -p` print partition types. */
export function mixedGuid(bytes: Uint8Array, at = 0): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  const hex = order.map((index) => (bytes[at + index] ?? 0).toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5").toUpperCase();
}
