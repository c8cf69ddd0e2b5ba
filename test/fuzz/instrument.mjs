// Puts counters into the sources while they are bundled: one before every statement, one in every part of an expression that may be passed over.
// Lines stay where they are. Sizes of buffers are added up on the way.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import ts from "typescript";

/** @typedef {{ file: string, line: number, kind: "statement" | "branch" }} Place */
/** @typedef {{ places: Place[], vocabulary: [string, string | number][] }} Found */

const arrays = new Set([
  ...["Uint8Array", "Int8Array", "Uint16Array", "Int16Array", "Uint32Array", "Int32Array", "BigUint64Array", "BigInt64Array"],
  ...["Float64Array", "Float32Array", "ArrayBuffer", "SharedArrayBuffer", "Array"],
]);
const allocators = new Set(["alloc", "allocUnsafe", "allocUnsafeSlow"]);

/**
 * An esbuild plugin for files below `root`/src.
 * @param {string} root ends in a slash
 * @param {Found} found gets one place for each counter
 * @returns {import("esbuild").Plugin}
 */
export function instrumenting(root, found) {
  return {
    name: "fuzz-counters",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href));
        if (!path.startsWith(`${root}src/`)) return { contents: text, loader: "ts" };
        return { contents: instrument(path.slice(root.length), text, found), loader: "ts" };
      });
    },
  };
}

/**
 * @param {string} file
 * @param {string} text
 * @param {Found} found
 */
function instrument(file, text, { places, vocabulary }) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS);
  /** @type {{ at: number, text: string, order: number }[]} */
  const edits = [];
  let order = 0;

  /** @param {number} at @param {string} inserted */
  const put = (at, inserted) => edits.push({ at, text: inserted, order: (order += 1) });
  /** @param {number} at @param {string} inserted before what else ends there */
  const putEnd = (at, inserted) => edits.push({ at, text: inserted, order: -(order += 1) });

  /** @param {ts.Node} node @param {Place["kind"]} kind */
  const counter = (node, kind) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    places.push({ file, line: line + 1, kind });
    return `__hits[${places.length - 1}]++`;
  };

  /** @param {ts.Expression} node */
  const countExpression = (node) => {
    put(node.getStart(source), `(${counter(node, "branch")},`);
    putEnd(node.getEnd(), ")");
  };

  /** @param {ts.Statement} node that may stand where only one may */
  const countOnly = (node) => {
    if (ts.isBlock(node)) return;
    put(node.getStart(source), `{${counter(node, "statement")};`);
    putEnd(node.getEnd(), "}");
  };

  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isImportDeclaration(node)) return;
    if (ts.isBlock(node) || ts.isCaseOrDefaultClause(node) || ts.isSourceFile(node)) {
      for (const statement of node.statements) {
        if (!isPassed(statement)) put(statement.getStart(source), `${counter(statement, "statement")};`);
      }
    }
    if (ts.isIfStatement(node)) {
      countOnly(node.thenStatement);
      if (node.elseStatement) countOnly(node.elseStatement);
    }
    if (ts.isIterationStatement(node, false)) countOnly(node.statement);
    if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
      put(node.body.getStart(source), `(${counter(node.body, "statement")},`);
      putEnd(node.body.getEnd(), ")");
    }
    if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(countExpression);
    if (ts.isBinaryExpression(node) && isShort(node.operatorToken.kind)) countExpression(node.right);
    if (isAllocation(node)) {
      put(node.getStart(source), "__taken(");
      putEnd(node.getEnd(), ")");
    }
    if (ts.isStringLiteralLike(node) && !ts.isImportDeclaration(node.parent)) vocabulary.push([file, node.text]);
    if (ts.isNumericLiteral(node)) vocabulary.push([file, Number(node.text)]);
    if (ts.isBigIntLiteral(node)) vocabulary.push([file, Number(node.text.slice(0, -1))]);
    ts.forEachChild(node, visit);
  };
  visit(source);

  // Of what stands at one place, ends come first, the innermost before the others; then beginnings, the outermost first.
  edits.sort((a, b) => a.at - b.at || (a.order < 0 === b.order < 0 ? a.order - b.order : a.order < 0 ? -1 : 1));
  let result = "";
  let done = 0;
  for (const { at, text: inserted } of edits) {
    result += text.slice(done, at) + inserted;
    done = at;
  }
  return result + text.slice(done);
}

/** @param {ts.Statement} statement that is not run where it stands, or must come first */
function isPassed(statement) {
  return (
    ts.isFunctionDeclaration(statement) ||
    ts.isImportDeclaration(statement) ||
    ts.isExportDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isModuleDeclaration(statement)
  );
}

/** @param {ts.SyntaxKind} kind */
function isShort(kind) {
  return (
    kind === ts.SyntaxKind.AmpersandAmpersandToken || kind === ts.SyntaxKind.BarBarToken || kind === ts.SyntaxKind.QuestionQuestionToken
  );
}

/** @param {ts.Node} node */
function isAllocation(node) {
  if (ts.isNewExpression(node)) {
    return ts.isIdentifier(node.expression) && arrays.has(node.expression.text) && node.arguments?.length === 1;
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const { expression, name } = node.expression;
  return ts.isIdentifier(expression) && expression.text === "Buffer" && allocators.has(name.text);
}

/**
 * What the bundle begins with.
 * @param {Found} found
 */
export function prelude({ places, vocabulary }) {
  return `"use strict";
const __hits = new Uint8Array(${Math.ceil((places.length + 1) / 8) * 8});
globalThis.fuzzCounters = { hits: __hits, allocated: 0, places: ${JSON.stringify(places)}, vocabulary: ${JSON.stringify(vocabulary)} };
const __counters = globalThis.fuzzCounters;
function __taken(memory) {
  __counters.allocated += memory.byteLength ?? memory.length * 8;
  return memory;
}
`;
}
