// Compares the disks in two images, whatever their formats: node compare.mjs IMAGE IMAGE
// Exit status: 0 if they are alike, 1 if not.
import { openImage } from "flatmount";

const CHUNK = 2 ** 20;
const [one, other] = process.argv.slice(2, 4).map((path) => openImage(path));
try {
  const offset = firstDifference(one, other);
  console.log(offset === undefined ? "the disks are alike" : `the disks differ at byte ${offset}`);
  process.exitCode = offset === undefined ? 0 : 1;
} finally {
  one.close();
  other.close();
}

function firstDifference(a, b) {
  const size = Math.min(a.size, b.size);
  for (let at = 0; at < size; at += CHUNK) {
    const length = Math.min(CHUNK, size - at);
    const [left, right] = [a.readAt(at, length), b.readAt(at, length)];
    if (!left.equals(right)) return at + left.findIndex((byte, index) => byte !== right[index]);
  }
  return a.size === b.size ? undefined : size;
}
