import { posix } from "node:path";

/** Where a file of the package may be, best first, or why it is not looked for, in words that follow its name. */
export type Ways = { readonly paths: readonly string[] } | { readonly refusal: string };

/**
 * What an href, or a name in a manifest, means: a path relative to the folder of the descriptor, as it stands or with its URL escapes decoded.
 * `./` and backslashes are understood; nothing leads out of the folder.
 */
export function waysOf(href: string): Ways {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(href)?.[1] ?? /^(file):/i.exec(href)?.[1];
  if (scheme !== undefined) return { refusal: `is a URL (${scheme.toLowerCase()}): only files of the package are opened` };
  if (href === "") return { refusal: "is no name of a file" };
  const spellings = [href, decoded(href)].flatMap((each) => (each === undefined ? [] : [each, each.replaceAll("\\", "/")]));
  const refusals: string[] = [];
  const paths = new Set<string>();
  for (const spelling of spellings) {
    const refusal = refusalOf(spelling);
    if (refusal === undefined) paths.add(posix.normalize(spelling));
    else refusals.push(refusal);
  }
  // An escape that leads out does so, even though a file could be called like that.
  return refusals[0] === undefined ? { paths: [...paths] } : { refusal: refusals[0] };
}

function decoded(href: string): string | undefined {
  try {
    return decodeURIComponent(href);
  } catch {
    return undefined;
  }
}

function refusalOf(path: string): string | undefined {
  if (path.includes("\0")) return "is no name of a file";
  if (path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path)) return "is an absolute path: only files of the package are opened";
  const way = posix.normalize(path);
  if (way === ".." || way.startsWith("../")) return "leads out of the package";
  return way === "." || way.endsWith("/") ? "is no name of a file" : undefined;
}
