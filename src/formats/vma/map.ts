import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Extent } from "../driver.js";
import { runLength } from "../runs.js";
import { storedExtent } from "../stored.js";
import { type Clusters, countOf, maskOf, positionOf } from "./clusters.js";
import type { VmaDevice } from "./header.js";
import { BLOCK, CLUSTER } from "./layout.js";

const FULL = 0xffff;
/** An answer covers no more than this, so that finding its end takes no time. */
const MOST = 2 ** 30;

export function createMap(
  source: Source,
  { places, problems }: Clusters,
  { name, size }: VmaDevice,
): (offset: number, length: number) => Extent {
  /** Clusters that nothing tells of: the archive is cut, or the extent that has them is damaged. */
  function lost(cluster: number, length: number): Extent {
    const [cause] = problems;
    const message = `no extent of the archive has cluster ${cluster} of ${quote(name)}`;
    const error = new ImageError(cause?.code ?? "TRUNCATED", cause ? `${message}: ${cause.message}` : message, {
      file: source.name,
      position: cause?.position ?? source.size,
      cause,
    });
    return { kind: "damaged", length, error };
  }

  return (offset, length) => {
    const most = Math.min(length, size - offset, MOST);
    const cluster = Math.floor(offset / CLUSTER);
    const place = places[cluster]!;
    if (place === 0)
      return lost(
        cluster,
        runLength(offset, most, CLUSTER, (other) => places[other] === 0),
      );
    const mask = maskOf(place);
    if (mask === 0)
      return { kind: "zero", length: runLength(offset, most, CLUSTER, (other) => places[other] !== 0 && maskOf(places[other]!) === 0) };
    const position = positionOf(place);
    const skip = offset - cluster * CLUSTER;
    if (mask === FULL) {
      const follows = (other: number) =>
        maskOf(places[other]!) === FULL && positionOf(places[other]!) === position + (other - cluster) * CLUSTER;
      return storedExtent(source, position + skip, runLength(offset, most, CLUSTER, follows));
    }
    const block = Math.floor(skip / BLOCK);
    const isStored = (mask >> block) & 1;
    const run = runLength(skip, Math.min(most, CLUSTER - skip), BLOCK, (other) => ((mask >> other) & 1) === isStored);
    if (isStored === 0) return { kind: "zero", length: run };
    const before = countOf(mask & (2 ** block - 1));
    return storedExtent(source, position + before * BLOCK + (skip - block * BLOCK), run);
  };
}
