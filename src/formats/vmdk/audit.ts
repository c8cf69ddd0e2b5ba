import type { Audit } from "../audit.js";
import { quote } from "../../util/text.js";
import type { OpenedExtent } from "./extents.js";
import { auditSparse } from "./sparse/audit.js";

/** All sparse extents of a disk; what is doubtful counts from where the extent begins on it. */
export function auditExtents(extents: readonly OpenedExtent[], audit: Audit): void {
  let before = 0;
  for (const { source, size } of extents) {
    const offset = before;
    before += size;
    if (!source) continue;
    auditSparse(source, {
      ...audit,
      found: (problem) => audit.found(extents.length > 1 ? { ...problem, message: `${quote(source.name)}: ${problem.message}` } : problem),
      doubtful({ start, length }, reason) {
        if (start < size) audit.doubtful({ start: start + offset, length: Math.min(length, size - start) }, reason);
      },
    });
  }
}
