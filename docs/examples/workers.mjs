// Hashes every partition of a disk at the same time, in worker threads, for a minute at most: node workers.mjs IMAGE
import { createHash } from "node:crypto";
import { openImageAsync } from "flatmount";

const signal = AbortSignal.timeout(60_000);
const image = await openImageAsync(process.argv[2], { workers: 4, signal });
try {
  const lines = await Promise.all(
    image.partitions.map(async (partition) => {
      const hash = createHash("sha256");
      for await (const piece of partition.createReadStream({ signal })) hash.update(piece);
      return `${partition.number} ${hash.digest("hex")}`;
    }),
  );
  for (const line of lines) console.log(line);
} finally {
  await image.close();
}
