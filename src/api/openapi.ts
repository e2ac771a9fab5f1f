import swagger, { type StaticDocumentSpec } from '@fastify/swagger';
import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifySchema,
  LogController,
  type RouteOptions,
} from 'fastify';
import { problemSchema } from '../wire/problem.ts';
import { addProblems } from './problem.ts';

const favicon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="14" fill="#ffb000"/></svg>`;

/** The server's own description: OpenAPI at /docs/json, and a page to try it out at /docs. */
export async function addDocs(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: describe(version),
    transform: ({ schema, url, route }) => ({ schema: withProblems(schema, route), url }),
  });
  addPage(app);
}

/** A server of its own behind this one, made when somebody opens it: it would be a tenth of a start. */
function addPage(app: FastifyInstance): void {
  let page: Promise<FastifyInstance> | null = null;
  app.addHook('onClose', async () => (await page?.catch(() => null))?.close());
  const open = async (request: FastifyRequest, reply: FastifyReply) => {
    page ??= makePage(app).catch((error: unknown) => {
      page = null;
      throw error;
    });
    const { routing } = await page;
    reply.hijack();
    routing(request.raw, reply.raw);
  };
  for (const url of ['/docs', '/docs/*']) app.get(url, { schema: { hide: true } }, open);
}

async function makePage(app: FastifyInstance): Promise<FastifyInstance> {
  const { default: swaggerUi } = await import('@fastify/swagger-ui');
  const page = Fastify({
    loggerInstance: app.log,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { ignoreTrailingSlash: true },
  });
  addProblems(page);
  await page.register(swagger, {
    mode: 'static',
    specification: { document: app.swagger() as StaticDocumentSpec['document'] },
  });
  await page.register(swaggerUi, {
    routePrefix: '/docs',
    // Without the bar on top, which has another project's logo and a field for another server's address.
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list' },
    theme: {
      title: 'amberwatch API',
      favicon: [{ filename: 'favicon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: favicon }],
    },
  });
  await page.ready();
  return page;
}

function describe(version: string) {
  return {
    openapi: '3.1.0' as const,
    info: {
      title: 'amberwatch',
      version,
      description:
        'CPU and memory of every process of every host. `cpu` is percent of ONE core, `memory` is RSS as percent of the host. Errors are RFC 9457 problem documents.\n\nWhere the server has tokens, press Authorize and paste one: `amberwatch token create --role read` on the server makes it. Without tokens nothing needs to be authorized.',
    },
    tags: ['usage', 'hosts', 'alarms', 'slas', 'store', 'health', 'older clients'].map((name) => ({ name })),
    components: {
      securitySchemes: {
        token: { type: 'http' as const, scheme: 'bearer', description: 'A token of this server, such as aw_r_...' },
      },
    },
    security: [{ token: [] }],
  };
}

const problems = {
  '401': 'No token, or one that is not valid any more (`unauthorized`)',
  '403': 'A token that may not do this, or a name this server is not called by (`forbidden`)',
  '429': 'Too many requests of this token within a minute; `Retry-After` says when (`rate_limited`)',
  '4xx': 'Another problem with the request: a problem document (RFC 9457)',
  '5xx': 'The store is away (503), or it would take too long (504); `detail` says what would help',
};

/** What every route may answer besides what it says itself. */
function withProblems(schema: FastifySchema | undefined, route: RouteOptions): FastifySchema {
  const isPublic = route.config?.access === 'public';
  const isLimited = !isPublic || route.config?.rateLimit !== undefined;
  const wanted = Object.entries(problems).filter(
    ([status]) => !(isPublic && status === '401') && (isLimited || status !== '429'),
  );
  const answers = wanted.map(([status, description]) => [
    status,
    { description, content: { 'application/problem+json': { schema: problemSchema } } },
  ]);
  const own = (schema as { response?: object } | undefined)?.response ?? { 200: { description: 'As said above.' } };
  return {
    ...schema,
    response: { ...Object.fromEntries(answers), ...own },
    ...(isPublic && { security: [] }),
  } as FastifySchema;
}
