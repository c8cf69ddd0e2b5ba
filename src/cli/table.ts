/** Lines whose cells stand below each other, two blanks apart. The columns in `right` are aligned to the right. */
export function alignColumns(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => alignRow(row, widths, right));
}

/** One such line, for tables whose widths are known before their rows. */
export function alignRow(cells: readonly string[], widths: readonly number[], right: readonly number[] = []): string {
  const padded = cells.map((cell, column) =>
    right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
  );
  return padded.join("  ").trimEnd();
}
