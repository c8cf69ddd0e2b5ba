import { attributeOf, type XmlElement } from "../xml.js";

/** What a section or content is: its name, or, in OVF 0.9, its type: `ovf:DiskSection_Type`. */
export function kindOf(element: XmlElement): string {
  if (element.name !== "Section" && element.name !== "Content") return element.name;
  const type = attributeOf(element, "type") ?? attributeOf(element, "name") ?? "";
  return type.slice(type.indexOf(":") + 1).replace(/_Type$/, "");
}
