// XML as descriptors use it: by local names, since every program has prefixes of its own, and some forget to declare them.
import { SaxesParser } from "saxes";

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string;
  /** By name without prefix; where two differ only in that, OVF's own is the one. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text directly in it, without blanks around it. */
  readonly text: string;
}

export interface XmlDocument {
  readonly root: XmlElement;
  /** That of the root element; empty where it is not declared. */
  readonly namespace: string;
}

const DEPTH_LIMIT = 64;
const ELEMENT_LIMIT = 200_000;

interface Open {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  readonly text: string[];
}

/** Throws an `Error` in words for people. Entities other than the five of XML are errors; nothing outside `text` is ever looked at. */
export function parseXml(text: string): XmlDocument {
  const namespaces = new Map<string, string>();
  const open: Open[] = [];
  let count = 0;
  let root: XmlElement | undefined;
  let namespace = "";

  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    count += 1;
    if (open.length >= DEPTH_LIMIT) throw new Error(`its elements are nested deeper than ${DEPTH_LIMIT}`);
    if (count > ELEMENT_LIMIT) throw new Error(`it has more than ${ELEMENT_LIMIT} elements`);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "xmlns") namespaces.set("", value);
      else if (key.startsWith("xmlns:")) namespaces.set(key.slice("xmlns:".length), value);
    }
    if (count === 1) namespace = namespaces.get(prefixOf(name)) ?? "";
    open.push({ name: localOf(name), attributes: byLocalName(attributes, namespaces), children: [], text: [] });
  });
  const addText = (part: string) => open.at(-1)?.text.push(part);
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    const { name, attributes, children, text: parts } = open.pop() as Open;
    const element = { name, attributes, children, text: parts.join("").trim() };
    const outer = open.at(-1);
    if (outer) outer.children.push(element);
    else root = element;
  });
  // Blanks before the declaration are an error of XML that templates make all the time.
  parser.write(text.trimStart()).close();
  if (!root) throw new Error("it has no element");
  return { root, namespace };
}

function prefixOf(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf(":")));
}

function localOf(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

function byLocalName(attributes: Readonly<Record<string, string>>, namespaces: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const ranks = new Map<string, number>();
  for (const [name, value] of Object.entries(attributes)) {
    const prefix = prefixOf(name);
    if (prefix === "xmlns" || name === "xmlns") continue;
    const own = prefix === "ovf" || /\/ovf\/(1\/)?envelope/.test(namespaces.get(prefix) ?? "");
    const rank = prefix === "" ? 1 : own ? 2 : 0;
    const local = localOf(name);
    if (rank < (ranks.get(local) ?? 0)) continue;
    ranks.set(local, rank);
    found.set(local, value);
  }
  return found;
}

export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** The text of the first child of that name that has any. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return childrenOf(element, name).find(({ text }) => text !== "")?.text;
}

/** An attribute that is there and not empty. */
export function attributeOf(element: XmlElement, name: string): string | undefined {
  return element.attributes.get(name)?.trim() || undefined;
}
