// As much of JSON Schema as the schemas of docs/schemas use.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const folder = fileURLToPath(new URL("../../docs/schemas", import.meta.url));

function load(file: string): Schema {
  return JSON.parse(readFileSync(join(folder, file), "utf8")) as Schema;
}

/** What of `value` the schema in `file` does not allow: places and reasons. Properties that it does not name are told, too. */
export function schemaProblems(value: unknown, file: string): readonly string[] {
  return check(value, load(file), file, "$");
}

function check(value: unknown, schema: Schema, file: string, at: string): readonly string[] {
  if (schema.$ref !== undefined) {
    const [other = "", path = ""] = schema.$ref.split("#");
    const target = other === "" ? file : other;
    const found = path
      .split("/")
      .filter((part) => part !== "")
      .reduce<unknown>((place, part) => (place as Record<string, unknown>)[part], load(target));
    return check(value, found as Schema, target, at);
  }
  const problems: string[] = [];
  if (schema.enum && !schema.enum.includes(value)) problems.push(`${at}: ${JSON.stringify(value)} is none of the values`);
  if (schema.type !== undefined && !isOf(value, schema.type)) return [...problems, `${at}: is no ${schema.type}`];
  if (schema.minimum !== undefined && (value as number) < schema.minimum) problems.push(`${at}: is less than ${schema.minimum}`);
  if (Array.isArray(value) && schema.items) {
    const { items } = schema;
    problems.push(...value.flatMap((each, index) => check(each, items, file, `${at}[${index}]`)));
  }
  if (schema.properties) {
    const fields = value as Record<string, unknown>;
    problems.push(...(schema.required ?? []).filter((name) => !(name in fields)).map((name) => `${at}: lacks ${name}`));
    for (const [name, field] of Object.entries(fields)) {
      const own = schema.properties[name];
      problems.push(...(own ? check(field, own, file, `${at}.${name}`) : [`${at}: ${name} is not in the schema`]));
    }
  }
  return problems;
}

function isOf(value: unknown, type: string): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isSafeInteger(value);
  return typeof value === type && value !== null && !Array.isArray(value);
}
