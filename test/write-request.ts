import { snappyCompress } from 'hysnappy';
import { PbfWriter } from 'pbf';

/** A series of remote write as a sender has it. */
export interface SentSeries {
  /** In the order in which they are sent. */
  labels: readonly (readonly [name: string, value: string | Uint8Array])[];
  samples?: readonly (readonly [value: number | 'stale', time: number])[];
  exemplars?: number;
  histograms?: number;
}

export const remoteWriteHeaders = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

/** A WriteRequest of remote write 1.0, not packed. */
export function writeRequest(all: readonly SentSeries[]): Uint8Array {
  const writer = new PbfWriter();
  for (const series of all) writer.writeMessage(1, writeSeries, series);
  return writer.finish();
}

export function packedWriteRequest(all: readonly SentSeries[]): Buffer {
  return Buffer.from(snappyCompress(writeRequest(all)));
}

/** `name{labels}` with samples, its labels in order as Prometheus sends them. */
export function sent(
  name: string,
  labels: Readonly<Record<string, string>>,
  samples: SentSeries['samples'] = [],
): SentSeries {
  const all = Object.entries({ ...labels, __name__: name }).sort(([a], [b]) => (a < b ? -1 : 1));
  return { labels: all, samples };
}

function writeSeries({ labels, samples = [], exemplars = 0, histograms = 0 }: SentSeries, writer: PbfWriter): void {
  for (const label of labels) writer.writeMessage(1, writeLabel, label);
  for (const sample of samples) writer.writeMessage(2, writeSample, sample);
  for (let i = 0; i < exemplars; i++) writer.writeMessage(3, writeSample, [1, 1]);
  for (let i = 0; i < histograms; i++) writer.writeMessage(4, writeSample, [1, 1]);
}

function writeLabel([name, value]: SentSeries['labels'][number], writer: PbfWriter): void {
  writer.writeStringField(1, name);
  if (typeof value === 'string') writer.writeStringField(2, value);
  else writer.writeBytesField(2, value);
}

function writeSample([value, time]: readonly [number | 'stale', number], writer: PbfWriter): void {
  if (value === 'stale') {
    writer.writeTag(1, 1);
    writer.writeFixed32(2);
    writer.writeFixed32(0x7ff00000);
  } else writer.writeDoubleField(1, value);
  writer.writeVarintField(2, time);
}
