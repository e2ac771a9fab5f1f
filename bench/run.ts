/** `npm run bench [-- collector ingest queries forecasts agents scrape remote-write backfill requests tiers recording closing start growth statistics page top engines servers]`: every figure beside its reference of the same run. */
const all = [
  'collector',
  'ingest',
  'queries',
  'forecasts',
  'agents',
  'scrape',
  'remote-write',
  'backfill',
  'requests',
  'tiers',
  'recording',
  'closing',
  'start',
  'growth',
  'statistics',
  'page',
  'top',
  'engines',
  'servers',
] as const;
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !all.includes(name as (typeof all)[number]));
if (unknown) {
  process.stderr.write(`there is no bench '${unknown}'; there are ${all.join(', ')}\n`);
  process.exit(2);
}
const chosen = all.filter((name) => wanted.length === 0 || wanted.includes(name));
for (const name of chosen) {
  if (name === 'collector') await (await import('./collector.ts')).benchCollector();
  if (name === 'ingest') await (await import('./ingest.ts')).benchIngest();
  if (name === 'forecasts') await (await import('./forecasts.ts')).benchForecasts();
  if (name === 'agents') await (await import('./agents.ts')).benchAgents();
  if (name === 'scrape') await (await import('./scrape.ts')).benchScrape();
  if (name === 'remote-write') await (await import('./remote-write.ts')).benchRemoteWrite();
  if (name === 'backfill') await (await import('./backfill.ts')).benchBackfill();
  if (name === 'requests') await (await import('./requests.ts')).benchRequests();
  if (name === 'start') await (await import('./start.ts')).benchStart();
  if (name === 'growth') await (await import('./growth.ts')).benchGrowth();
  if (name === 'statistics') await (await import('./statistics.ts')).benchStatistics();
  if (name === 'page') await (await import('./page.ts')).benchPage();
  if (name === 'top') await (await import('./top.ts')).benchTop();
  if (name === 'engines') await (await import('./engines.ts')).benchEngines();
  if (name === 'servers') await (await import('./servers.ts')).benchServers();
  if (name === 'tiers') await (await import('./tiers.ts')).benchTiers();
  if (name === 'recording') await (await import('./tiers.ts')).benchRecording();
  if (name === 'closing') await (await import('./closing.ts')).benchClosing();
  if (name === 'queries') await (await import('./queries.ts')).benchQueries();
}
