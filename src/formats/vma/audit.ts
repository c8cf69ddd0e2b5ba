// Every extent has a checksum, and every cluster of a disk is in one of them: what that found out when the archive was opened.
import type { Audit } from "../audit.js";
import { createRunTeller } from "../audit.js";
import type { Clusters } from "./clusters.js";
import { CLUSTER } from "./layout.js";

export function auditVma({ places, problems }: Clusters, audit: Audit): void {
  for (const { message, position } of problems) audit.found({ kind: "extent damaged", severity: "error", message, position });
  const lost = createRunTeller((first, last) => {
    const count = last - first + 1;
    const message = `${count === 1 ? `cluster ${first} of the disk is` : `clusters ${first} to ${last} of the disk are`} in no extent`;
    const range = { start: first * CLUSTER, length: count * CLUSTER };
    audit.found({ kind: "cluster missing", severity: "error", message, range, ...(count > 1 && { count }) });
  });
  for (const [cluster, place] of places.entries()) if (place === 0) lost.add(cluster, "");
  lost.end();
}
