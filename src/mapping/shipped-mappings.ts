import type { Mapping } from './mapping.ts';
import { parseMapping } from './parse-mapping.ts';

/** https://github.com/ncabatoff/process-exporter */
const processExporter = {
  name: 'process-exporter',
  host: ['host', 'instance'],
  process: 'groupname',
  columns: {
    cpu: { sum: 'namedprocess_namegroup_cpu_seconds_total{mode=~"user|system"}', times: '100' },
    rssBytes: { sum: 'namedprocess_namegroup_memory_bytes{memtype="resident"}' },
    count: { sum: 'namedprocess_namegroup_num_procs' },
    threads: { sum: 'namedprocess_namegroup_num_threads' },
    ioReadBytesPerSecond: { sum: 'namedprocess_namegroup_read_bytes_total' },
    ioWriteBytesPerSecond: { sum: 'namedprocess_namegroup_write_bytes_total' },
  },
};

/** https://github.com/prometheus/node_exporter */
const nodeExporter = {
  name: 'node-exporter',
  host: ['host', 'instance'],
  columns: {
    'system.cpu': { free: 'node_cpu_seconds_total{mode=~"idle|iowait"}', of: 'node_cpu_seconds_total' },
    'system.memory': { free: 'node_memory_MemAvailable_bytes', of: 'node_memory_MemTotal_bytes' },
    'system.swap': { free: 'node_memory_SwapFree_bytes', of: 'node_memory_SwapTotal_bytes' },
    'system.disk': {
      free: 'node_filesystem_free_bytes{mountpoint="/",fstype!="rootfs"}',
      left: 'node_filesystem_avail_bytes{mountpoint="/",fstype!="rootfs"}',
      of: 'node_filesystem_size_bytes{mountpoint="/",fstype!="rootfs"}',
    },
    'system.load1': { sum: 'node_load1' },
    'system.temperature': { max: 'node_thermal_zone_temp' },
    cores: { count: 'node_cpu_seconds_total{mode="idle"}' },
    memoryBytes: { sum: 'node_memory_MemTotal_bytes' },
  },
};

/** https://github.com/google/cadvisor: each container is told of with a time of its own. */
const cadvisor = {
  name: 'cadvisor',
  host: ['host', 'instance'],
  process: 'name',
  step: '15s',
  columns: {
    cpu: { sum: 'container_cpu_usage_seconds_total{name!="",pod=""}', times: '100' },
    rssBytes: { sum: 'container_memory_rss{name!="",pod=""}' },
    threads: { sum: 'container_threads{name!="",pod=""}' },
    cores: { sum: 'machine_cpu_cores' },
    memoryBytes: { sum: 'machine_memory_bytes' },
  },
};

/** The same of a kubelet: containers of pods, without what holds a pod together. */
const kubelet = {
  ...cadvisor,
  name: 'kubelet',
  host: ['node', 'host', 'instance'],
  process: ['namespace/pod/container'],
  columns: {
    ...cadvisor.columns,
    cpu: { sum: 'container_cpu_usage_seconds_total{container!="",container!="POD"}', times: '100' },
    rssBytes: { sum: 'container_memory_rss{container!="",container!="POD"}' },
    threads: { sum: 'container_threads{container!="",container!="POD"}' },
  },
};

const shipped = [processExporter, nodeExporter, cadvisor, kubelet];

export const shippedNames: readonly string[] = shipped.map(({ name }) => name);

/** Read when it is asked for: every command knows the settings, and hardly one needs a mapping. */
export function shippedMapping(name: string): Mapping | undefined {
  const given = shipped.find((each) => each.name === name);
  return given && parseMapping(given);
}
