# One image for server, collector and alerter: docker build -t amberwatch .
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json build.ts bundle.ts ./
COPY src ./src
# `npm ci` runs `postprepare`, which builds dist/.
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:22-bookworm-slim
ENV NODE_ENV=production AMBERWATCH_DATA=/var/lib/amberwatch
# A new named volume takes the owner of the folder it is mounted on. Without a volume the data end with the container.
RUN install -d -o node -g node -m 0700 /var/lib/amberwatch
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
USER node
EXPOSE 8000
# For the server; a collector and an alerter have no port and must switch it off (--no-healthcheck).
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/health/ready').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/cli.js"]
# It refuses to start without a token: set AMBERWATCH_ADMIN_TOKEN_FILE, or make tokens in its volume first.
CMD ["serve", "--listen", "0.0.0.0:8000"]
