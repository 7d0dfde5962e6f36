# The image of a TypeScript backend built with pnpm, worker included. Law: the runtime stage holds no compiler, no
# development dependency and no secret, and runs as a user who owns nothing it executes.
#
# To use your own backend: set BACKEND_CONTEXT in .env to its directory (package.json, pnpm-lock.yaml, a `build`
# script that writes dist/, a `db:migrate:prod` script for the deploy), and adapt the two paths dist/server.js and
# dist/worker.js. A Dockerfile of your own works as well: set BACKEND_DOCKERFILE, seen from the context. It must
# run as 1000:1000, listen on $PORT and answer /health with {"status":"healthy"}; everything else is free.
# The context wants a .dockerignore with node_modules, dist, .git and .env*: what is not sent cannot leak.
ARG NODE_IMAGE=node:22.21.1-bookworm-slim

# Node and one pnpm for all stages: another pnpm than the lock file's would rewrite it.
FROM ${NODE_IMAGE} AS node
ARG PNPM_VERSION=9.15.9
# `false`: pnpm would otherwise fetch the version of package.json's `packageManager` at run time, where there is
# neither a network nor a writable disk.
ENV NPM_CONFIG_MANAGE_PACKAGE_MANAGER_VERSIONS=false NPM_CONFIG_UPDATE_NOTIFIER=false
RUN npm install --global "pnpm@${PNPM_VERSION}" && npm cache clean --force
WORKDIR /app

# Dependencies by lock file alone: this layer is built again only when the lock file changes, not with every commit.
FROM node AS deps
# Without it pnpm asks before it removes modules, and a build has nobody to answer.
ENV CI=true
COPY pnpm-lock.yaml ./
RUN pnpm fetch --frozen-lockfile

FROM deps AS build
COPY . .
RUN pnpm install --frozen-lockfile --offline && pnpm run build

# What the build needed and the running program does not. A stage of its own, so that `--target build` stays a
# full environment for tests. Scripts off: a `prepare` hook would call tools that were just removed.
FROM build AS prune
RUN pnpm prune --prod --ignore-scripts && rm -rf .git src test tests

FROM node AS runtime
ENV NODE_ENV=production PORT=3000
# Owned by root, readable by all: a hole in the program cannot rewrite the program. Migrations travel with the
# code that needs them: `pnpm db:migrate:prod` runs in this very image.
COPY --from=prune /app ./
# `node` of the official image; by number, so that a runtime which checks for root can see that it is not.
USER 1000:1000
EXPOSE 3000
# For `docker run`; compose.yaml says the same with its own pace. Code and body: a 200 that says "degraded" is not well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health', { signal: AbortSignal.timeout(4000) }).then(async r => process.exit(r.ok && (await r.json()).status === 'healthy' ? 0 : 1), () => process.exit(1))"]
# NAME_FILE becomes NAME, for programs that know only the variable: the value then lives in this process alone, and
# not in what `docker inspect` shows. No pnpm and no shell stay in between: signals must reach node.
ENTRYPOINT ["/bin/sh", "-c", "for pair in $(env | grep '^[A-Z0-9_]*_FILE=/run/secrets/'); do name=${pair%%_FILE=*}; value=$(cat \"${pair#*=}\") || exit 1; export \"$name=$value\"; done; exec \"$@\"", "backend"]
CMD ["node", "dist/server.js"]
