/**
 * A table in plain text.
 *
 * @module
 */

/** One column: its title, and what it shows of a row. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** @default {"right"} */
  readonly align?: "left" | "right";
}

/** The table's lines: titles, a rule, rows. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  const format = (line: readonly string[]): string =>
    line.map((text, i) => columns[i]!.align === "left" ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)).join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  return [format(cells[0]!), rule, ...cells.slice(1).map(format)].join("\n");
}
