// Prints the SHA-256 of a partition: node hash-partition.mjs IMAGE NUMBER
import { createHash } from "node:crypto";
import { openImage } from "flatmount";

const [path, number] = process.argv.slice(2);
const image = openImage(path);
try {
  const partition = image.partitions.find((each) => each.number === Number(number));
  if (!partition) throw new Error(`there is no partition ${number}`);
  const hash = createHash("sha256");
  for await (const piece of partition.createReadStream()) hash.update(piece);
  console.log(hash.digest("hex"));
} finally {
  image.close();
}
