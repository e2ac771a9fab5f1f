/**
 * Rows as ClickHouse takes them in without reading any text: what 18.16 makes of a number in JSON is often not the
 * same double.
 */
export type ColumnType = 'String' | 'Int64' | 'Float64' | 'UInt8' | ListType;
/** Made by ClickHouse itself, and not sent. */
type ListType = 'Array(Int32)' | 'Array(UInt64)';

export interface Column {
  name: string;
  type: ColumnType;
  isNullable?: true;
  /** A text that is often the same. */
  isRepeated?: true;
  /** What ClickHouse makes it of; absent: it is sent. */
  made?: string;
}

export type Value = string | number | null;

/** The format RowBinary: columns in this order, numbers little-endian, texts with their lengths. */
export function rowBinary(columns: readonly Column[], rows: readonly (readonly Value[])[]): Buffer {
  const writer = new Writer();
  for (const row of rows) for (const [index, column] of columns.entries()) writer.add(column, row[index] ?? null);
  return writer.bytes();
}

class Writer {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #length = 0;

  add({ name, type, isNullable }: Column, value: Value): void {
    if (isNullable) this.#byte(value === null ? 1 : 0);
    if (value === null && isNullable) return;
    if (value === null) throw new TypeError(`the column ${name} has to have a value`);
    if (type === 'String') this.#text(String(value));
    else if (type === 'UInt8') this.#byte(Number(value));
    else if (type === 'Int64' || type === 'Float64') this.#number(type, Number(value));
    else throw new TypeError(`the column ${name} has lists, which are not sent`);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #number(type: 'Int64' | 'Float64', value: number): void {
    this.#reserve(8);
    if (type === 'Int64') this.#buffer.writeBigInt64LE(BigInt(value), this.#length);
    else this.#buffer.writeDoubleLE(value, this.#length);
    this.#length += 8;
  }

  #text(text: string): void {
    const bytes = Buffer.byteLength(text);
    for (let left = bytes; ; left = Math.floor(left / 128)) {
      this.#byte(left < 128 ? left : (left % 128) + 128);
      if (left < 128) break;
    }
    this.#reserve(bytes);
    this.#length += this.#buffer.write(text, this.#length);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * Math.max(this.#buffer.length, bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
