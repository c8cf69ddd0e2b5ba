/** `text` as text or as an attribute's value in HTML, XML or SVG, whatever is in it: characters that XML does not know become U+FFFD. */
export function escapeMarkup(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** An element. Attributes and `text` are escaped here; `children` are markup already. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  children: readonly string[] | string = "",
): string {
  const list = Object.entries(attributes)
    .map(([key, value]) => (value === undefined ? "" : ` ${key}="${escapeMarkup(String(value))}"`))
    .join("");
  const inner = typeof children === "string" ? children : children.join("");
  return inner === "" && !containers.has(name) ? `<${name}${list}/>` : `<${name}${list}>${inner}</${name}>`;
}

/** HTML does not know short forms of these. */
const containers = new Set(["button", "canvas", "div", "dd", "dl", "dt", "li", "p", "section", "span", "td", "th", "title", "ul"]);
