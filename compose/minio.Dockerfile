# MinIO from its source release. Law: exactly the named release; nothing is fetched that its module sums do not cover.
#
# Why build: since October 2025 the project publishes source only, and the security fix of this very release never
# became an image; in 2026 its old images left the default hub as well. An S3 store that is maintained elsewhere
# fits in its place: the application knows S3_ENDPOINT and two key files, nothing else.
FROM golang:1.25.3-alpine3.22 AS build
ARG MINIO_RELEASE=RELEASE.2025-10-15T17-29-55Z
# The tag is not a version that Go modules know, so it resolves to the commit behind it.
RUN CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' "github.com/minio/minio@${MINIO_RELEASE}"

FROM alpine:3.22.2
RUN apk add --no-cache ca-certificates && adduser -D -u 1000 minio && install -d -o minio -g minio /data
COPY --from=build /go/bin/minio /usr/local/bin/minio
# The engine gives a new named volume the owner of this directory.
VOLUME /data
USER 1000:1000
EXPOSE 9000
# The two secrets are read here, by a shell, because every release of the server treats its own variables for
# files a little differently; `exec` keeps the server as the process that gets the signals.
ENTRYPOINT ["/bin/sh", "-c", "for name in MINIO_ROOT_USER MINIO_ROOT_PASSWORD; do eval \"file=\\${${name}_FILE:-}\"; if [ -n \"$file\" ]; then value=$(cat \"$file\") || exit 1; export \"$name=$value\"; unset \"${name}_FILE\"; fi; done; exec minio \"$@\"", "minio"]
CMD ["server", "/data"]
