// A strict reader of the text that Prometheus takes, version 0.0.4, from its specification alone: https://prometheus.io/docs/instrumenting/exposition_formats/.
// What it recommends and conventions of names (https://prometheus.io/docs/practices/naming/) are demanded, too.

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The metrics by name. Throws what is wrong with the first line that is. */
export function parsePrometheus(text: string): ReadonlyMap<string, Metric> {
  const metrics = new Map<string, { type: string; help: string; samples: Sample[] }>();
  let current = "";
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  for (const line of text.split("\n").slice(0, -1)) {
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (metrics.has(name) || !NAME.test(name)) throw new Error(`a second time, or no name: ${line}`);
      metrics.set(name, { type: "", help: unescape(rest, "\\n"), samples: [] });
      current = name;
    } else if (keyword === "TYPE") {
      const metric = metrics.get(name);
      if (!metric || name !== current || metric.type !== "" || metric.samples.length > 0) throw new Error(`not where it belongs: ${line}`);
      if (!/^(?:counter|gauge|histogram|summary|untyped)$/.test(rest)) throw new Error(`no type: ${line}`);
      if ((rest === "counter") !== name.endsWith("_total")) throw new Error(`counters, and no others, end in _total: ${line}`);
      metric.type = rest;
    } else {
      const sample = parseSample(line);
      const metric = metrics.get(sample.name);
      if (!metric || metric.type === "" || sample.name !== current) throw new Error(`not in the group of its name: ${line}`);
      if (metric.samples.some(({ labels }) => sameLabels(labels, sample.labels))) throw new Error(`a second time: ${line}`);
      if (metric.type === "counter" && !(sample.value >= 0)) throw new Error(`a counter below zero: ${line}`);
      metric.samples.push({ labels: sample.labels, value: sample.value });
    }
  }
  return metrics;
}

function parseSample(line: string): Sample & { readonly name: string } {
  const [, name = "", , inner, value = ""] = /^([^{ ]+)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (!NAME.test(name)) throw new Error(`no sample: ${line}`);
  const number = Number(value);
  if (value === "" || Number.isNaN(number)) throw new Error(`no number: ${line}`);
  return { name, labels: parseLabels(inner ?? "", line), value: number };
}

function parseLabels(text: string, line: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const [all = "", name = "", value = ""] = /^([^=]+)="((?:[^"\\]|\\.)*)"(?:,|$)/.exec(rest) ?? [];
    if (all === "" || !LABEL.test(name) || name in labels) throw new Error(`no label, or a second time: ${line}`);
    labels[name] = unescape(value, '\\n"');
    rest = rest.slice(all.length);
  }
  return labels;
}

/** `known`: what may follow a backslash. */
function unescape(text: string, known: string): string {
  return text.replace(/\\(.?)/g, (_, character: string) => {
    if (character === "" || !known.includes(character)) throw new Error(`no escape: \\${character}`);
    return character === "n" ? "\n" : character;
  });
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const list = (labels: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(labels).toSorted());
  return list(a) === list(b);
}
