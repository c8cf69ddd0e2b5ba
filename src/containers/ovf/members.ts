import { printable } from "../../util/text.js";
import type { Finding } from "./findings.js";
import { waysOf } from "./href.js";
import type { OvfPackage } from "./package.js";

/** More repetitions are told by their number. */
const REPEAT_LIMIT = 100;

/** The order of an archive's members (DSP0243: the descriptor first, files in the order of the descriptor), and names that it has twice. */
export function checkMembers(pkg: OvfPackage): readonly Finding[] {
  if (!pkg.members) return [];
  const members = pkg.members().filter((name) => name !== "" && !name.endsWith("/"));
  return [...checkOrder(pkg, members), ...checkRepetitions(members)];
}

function checkOrder({ descriptorName, located }: OvfPackage, members: readonly string[]): readonly Finding[] {
  const file = printable(descriptorName);
  const wrong = (message: string): Finding => ({ file, kind: "wrong order", severity: "warning", message });
  const findings = members[0] === descriptorName ? [] : [wrong("it is not the first member of the archive: some programs refuse that")];
  const places = new Map(members.map((name, index) => [name, index]));
  const found = located.flatMap(({ paths, reference }) => {
    const ways = waysOf(reference.href);
    return paths.length > 0 && "paths" in ways ? [places.get(paths[0] ?? "") ?? -1] : [];
  });
  if (found.some((place, index) => index > 0 && place < (found[index - 1] ?? 0))) {
    findings.push(wrong("its files are stored in another order than it names them: some programs refuse that"));
  }
  return findings;
}

function checkRepetitions(members: readonly string[]): readonly Finding[] {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const name of members) {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  }
  return [...repeated].slice(0, REPEAT_LIMIT).map((name) => ({
    file: printable(name),
    kind: "stored twice",
    severity: "warning",
    message: "the archive has several members of that name: the last one counts here, and may not elsewhere",
  }));
}
