import { PbfReader } from 'pbf';
import { MonitorError, messageOf } from '../core/error.ts';
import type { MetricSample } from '../core/sample.ts';
import { mostMatchers } from '../core/selector.ts';
import type { LruCache } from '../platform/lru-cache.ts';
import { type ScrapedSeries, scrapedSeries } from './scraped-series.ts';
import { latestTime } from './snapshot-codec.ts';

/**
 * Remote write 1.0 (https://prometheus.io/docs/specs/remote_write_spec/): a message WriteRequest, whose field 1 are
 * series with labels (1), samples (2), exemplars (3) and native histograms (4).
 */

/** What a request says. */
export interface RemoteWrite {
  samples: MetricSample[];
  /** Samples that cannot be kept, and why the first of them cannot. */
  refused: { count: number; why: string };
  /** What there is no place for: it is no figure of a series. */
  leftOut: LeftOut;
  /** Series that had not come before, as far as is remembered: to be remembered once they are stored. */
  unknown: [labels: string, series: ScrapedSeries][];
}

export interface LeftOut {
  histograms: number;
  exemplars: number;
  notNumbers: number;
}

/** Series by their labels as they stand in a body: nearly all have come before. */
export type SeriesCache = LruCache<string, ScrapedSeries>;

/** Longer labels are not remembered. */
const longestRemembered = 4096;
/** Sums and differences of these are numbers too. */
export const largestValue = 1e300;
/** The bits of the one NaN that says that a series has ended. */
const staleMarker = { high: 0x7ff00000, low: 0x00000002 };
const [varint, fixed64, lengthDelimited] = [0, 1, 2];
/** In one body, whatever it takes: some two hundred times what Prometheus sends. */
const mostSamples = 200_000;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a request a part at a time. */
export class RemoteWriteReader {
  readonly found: RemoteWrite = {
    samples: [],
    refused: { count: 0, why: '' },
    leftOut: { histograms: 0, exemplars: 0, notNumbers: 0 },
    unknown: [],
  };
  readonly #pbf: PbfReader;
  readonly #bytes: Buffer;
  readonly #known: SeriesCache;
  readonly #owner: string;
  #samples = 0;

  /** @param owner whose new series they count as */
  constructor(body: Uint8Array, known: SeriesCache, owner: string) {
    this.#pbf = new PbfReader(body);
    this.#bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#known = known;
    this.#owner = owner;
  }

  /**
   * Reads on until it is over.
   * @returns whether there is more
   * @throws MonitorError `invalid` for what is no such message
   */
  read(isOver: () => boolean): boolean {
    try {
      return this.#read(isOver);
    } catch (error) {
      throw error instanceof MonitorError ? error : malformed(messageOf(error));
    }
  }

  #read(isOver: () => boolean): boolean {
    const { length } = this.#pbf;
    for (let field = this.#next(length); field !== 0; field = this.#next(length)) {
      if (field === 1) this.#readSeries(this.#end(length));
      if (isOver()) return true;
    }
    return false;
  }

  /** The next field of a message that ends there; 0: it has ended. */
  #next(end: number): number {
    const pbf = this.#pbf;
    const field = pbf.nextField(end);
    if (field === 0 && pbf.pos !== end) throw malformed('a message does not end where it should');
    return field;
  }

  /** Where a field ends that holds bytes, within a message that ends there. */
  #end(within: number): number {
    const pbf = this.#pbf;
    if (pbf.type !== lengthDelimited) throw malformed('a field has another type than it should');
    const end = pbf.readVarint() + pbf.pos;
    if (!(end <= within)) throw malformed('it is cut off');
    return end;
  }

  #readSeries(end: number): void {
    const pbf = this.#pbf;
    const { samples, leftOut } = this.found;
    const [begin, before] = [pbf.pos, samples.length];
    const labels = { from: begin, to: begin };
    for (let field = this.#next(end); field !== 0; field = this.#next(end)) {
      // Its tag is one byte.
      const from = pbf.pos - 1;
      if (field === 2) this.#readSample(this.#end(end));
      else if (field === 1 || field === 3 || field === 4) {
        pbf.pos = this.#end(end);
        if (field === 1 && labels.to === from) labels.to = pbf.pos;
        else if (field === 1) labels.to = Number.NaN;
        else leftOut[field === 3 ? 'exemplars' : 'histograms']++;
      }
    }
    const scraped = this.#seriesAt(begin, end, labels);
    pbf.pos = end;
    this.#nameSamples(scraped, before);
  }

  /** All since `before` are of this series. */
  #nameSamples(scraped: ScrapedSeries, before: number): void {
    const { samples } = this.found;
    if ('refused' in scraped) {
      this.#refuse(samples.length - before, scraped.refused);
      samples.length = before;
      return;
    }
    const { series, kind } = scraped;
    for (let at = before; at < samples.length; at++) {
      const sample = samples[at] as MetricSample;
      sample.series = series;
      sample.kind = kind;
    }
  }

  #readSample(end: number): void {
    const pbf = this.#pbf;
    if (++this.#samples > mostSamples)
      throw new MonitorError(
        'too_large',
        `the body has more than ${mostSamples} samples; send fewer at once (max_samples_per_send)`,
      );
    let value: MetricSample['value'] = 0;
    let time = 0;
    for (let field = this.#next(end); field !== 0; field = this.#next(end)) {
      if (field === 1 && pbf.type === fixed64) value = this.#readValue();
      else if (field === 2 && pbf.type === varint) time = pbf.readVarint(true);
    }
    if (!(time >= 0 && time < latestTime))
      this.#refuse(1, `a sample has the time ${time}, which is not between 1970 and 2200`);
    else if (value !== 'exited' && !(Math.abs(value) <= largestValue)) this.found.leftOut.notNumbers++;
    else this.found.samples.push({ series: unnamed, kind: 'gauge', value, time, owner: this.#owner });
  }

  #readValue(): MetricSample['value'] {
    const pbf = this.#pbf;
    const { dataView, pos } = pbf;
    const value = pbf.readDouble();
    const isStale =
      dataView.getUint32(pos + 4, true) === staleMarker.high && dataView.getUint32(pos, true) === staleMarker.low;
    return isStale ? 'exited' : value;
  }

  /** @param labels where they stand, one after the other; NaN: here and there */
  #seriesAt(begin: number, end: number, { from, to }: { from: number; to: number }): ScrapedSeries {
    if (!(to - from <= longestRemembered)) return this.#readLabels(begin, end);
    const key = this.#bytes.toString('latin1', from, to);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const scraped = this.#readLabels(begin, end);
    this.found.unknown.push([key, scraped]);
    return scraped;
  }

  /** Reads a series once more, for its labels. */
  #readLabels(begin: number, end: number): ScrapedSeries {
    const pbf = this.#pbf;
    const labels = new Map<string, string>();
    pbf.pos = begin;
    for (let field = this.#next(end); field !== 0; field = this.#next(end)) {
      if (field !== 1) continue;
      // There may be as many as fit into a body.
      if (labels.size > mostMatchers + 1) return scrapedSeries(labels);
      const [name, value] = this.#readLabel(this.#end(end));
      if (name === '') throw malformed('a label has no name');
      if (labels.has(name)) throw malformed(`a series has the label ${JSON.stringify(name)} twice`);
      labels.set(name, value);
    }
    if (!labels.get('__name__')) throw malformed('a series has no name');
    return scrapedSeries(labels);
  }

  #readLabel(end: number): [name: string, value: string] {
    const label: [string, string] = ['', ''];
    for (let field = this.#next(end); field !== 0; field = this.#next(end)) {
      if (field !== 1 && field !== 2) continue;
      const to = this.#end(end);
      label[field - 1] = this.#text(this.#pbf.pos, to);
      this.#pbf.pos = to;
    }
    return label;
  }

  #text(from: number, to: number): string {
    const text = this.#bytes.toString('latin1', from, to);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is ASCII is the same in UTF-8
    return /^[\x00-\x7f]*$/.test(text) ? text : utf8.decode(this.#bytes.subarray(from, to));
  }

  #refuse(count: number, why: string): void {
    const { refused } = this.found;
    if (count > 0 && refused.count === 0) refused.why = why;
    refused.count += count;
  }
}

/** Until its labels have been read. */
const unnamed = { metric: '', labels: {} };

function malformed(why: string): MonitorError {
  return new MonitorError('invalid', `the body is no WriteRequest of Prometheus' remote write 1.0: ${why}`);
}
