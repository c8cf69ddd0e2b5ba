// The part of XML 1.0 that descriptors are written in: elements, attributes, text, comments. No document type, so no entities of its own.
import { printable, quote } from "../../util/text.js";

export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text directly in it, without blanks around it. */
  readonly text: string;
}

interface Open {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/** Deeper ones than this no descriptor has. */
const DEPTH_LIMIT = 32;

const startTag = /<([^\s<>/="'&?!]+)/y;
const attribute = /\s+([^\s<>/="'&]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const tagEnd = /\s*(\/?)>/y;
const endTag = /<\/([^\s<>/="'&]+)\s*>/y;

/** A tag's name for people, however long it is. */
const tagOf = (name: string): string => `<${printable(name.slice(0, 60))}>`;

/** The root element of `document`. Throws an `Error` in words for people if it is not XML, or has a document type. Work grows with its length only. */
export function parseXml(document: string): XmlElement {
  const outside: Open = { name: "", attributes: new Map(), children: [], text: "" };
  const stack: Open[] = [outside];
  let at = document.charCodeAt(0) === 0xfeff ? 1 : 0;

  const skipTo = (end: string, what: string): string => {
    const found = document.indexOf(end, at);
    if (found < 0) throw new Error(`${what} has no end`);
    const content = document.slice(at, found);
    at = found + end.length;
    return content;
  };
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(document);
    if (match) at = pattern.lastIndex;
    return match ?? undefined;
  };
  const top = () => stack.at(-1) as Open;
  const close = () => {
    const { name, attributes, children, text } = stack.pop() as Open;
    top().children.push({ name, attributes, children, text: text.trim() });
  };

  while (at < document.length) {
    if (document.startsWith("<!--", at)) skipTo("-->", "a comment");
    else if (document.startsWith("<?", at)) skipTo("?>", "an instruction");
    else if (document.startsWith("<![CDATA[", at)) top().text += skipTo("]]>", "a literal section").slice("<![CDATA[".length);
    else if (document.startsWith("<!", at)) throw new Error("it has a document type, which no descriptor needs");
    else if (document.startsWith("</", at)) {
      const name = take(endTag)?.[1];
      if (name === undefined || name !== top().name) throw new Error(`${tagOf(top().name)} is not closed properly`);
      close();
    } else if (document[at] === "<") {
      const name = take(startTag)?.[1];
      if (name === undefined) throw new Error("a tag has no name");
      const attributes = takeAttributes(name, take);
      const end = take(tagEnd);
      if (!end) throw new Error(`the tag ${tagOf(name)} has no end`);
      stack.push({ name, attributes, children: [], text: "" });
      if (stack.length > DEPTH_LIMIT) throw new Error(`its elements are nested deeper than ${DEPTH_LIMIT}`);
      if (end[1] === "/") close();
    } else {
      const next = document.indexOf("<", at);
      const end = next < 0 ? document.length : next;
      top().text += decode(document.slice(at, end));
      at = end;
    }
  }
  if (stack.length > 1) throw new Error(`${tagOf(top().name)} is not closed`);
  const [root, second] = outside.children;
  if (!root || second || outside.text.trim() !== "") throw new Error("it has not exactly one element around everything");
  return root;
}

function takeAttributes(element: string, take: (pattern: RegExp) => RegExpExecArray | undefined): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (let match = take(attribute); match; match = take(attribute)) {
    const [, name = "", double, single] = match;
    if (attributes.has(name)) throw new Error(`${tagOf(element)} has the attribute ${quote(name)} twice`);
    attributes.set(name, decode(double ?? single ?? ""));
  }
  return attributes;
}

const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replace(/&([^;&]{0,10};?)/g, (_, reference: string) => {
    const code = /^#(?:(\d+)|x([0-9a-f]+));$/i.exec(reference);
    const point = code ? Number.parseInt(code[1] ?? code[2] ?? "", code[1] === undefined ? 16 : 10) : undefined;
    if (point !== undefined && point > 0 && point <= 0x10ffff) return String.fromCodePoint(point);
    const known = reference.endsWith(";") ? named[reference.slice(0, -1)] : undefined;
    if (known === undefined) throw new Error(`${quote(`&${reference}`)} is no character`);
    return known;
  });
}
