# syntax=docker/dockerfile:1
FROM docker.io/library/rust:1.95-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# What the build is guided with: see packaging/release.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx nghttp2-client openssl python3 wrk \
    && rm -rf /var/lib/apt/lists/* \
    && rustup component add llvm-tools
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# The manifest names the benchmarks, and the build is trained by them.
COPY benches benches
COPY src src
COPY packaging/licenses packaging/release packaging/
COPY LICENSE-APACHE LICENSE-MIT /image/usr/share/doc/vidgate/
# The caches keep dependencies between builds; the binary must leave them before the step ends.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    packaging/release \
    && install -D -m 0755 target/guided/vidgate /image/usr/local/bin/vidgate \
    && packaging/licenses >/image/usr/share/doc/vidgate/third-party-licenses \
    && install -d -m 0750 /state/vidgate

# The C library, and the roots by which upstreams with public certificates are checked; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="vidgate" \
    org.opencontainers.image.description="Multi-scheme authentication gateway for video APIs" \
    org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
    org.opencontainers.image.version="${VERSION}"
COPY --from=build /image /
COPY --from=build --chown=10001:10001 /state /var/lib
# Ports below 1024 are not for this user: listen on 8443 and publish it as 443.
USER 10001:10001
# Mount the configuration and the files that it names here, readable by user 10001. The store goes below /var/lib/vidgate.
WORKDIR /etc/vidgate
VOLUME ["/var/lib/vidgate"]
EXPOSE 8443
# It drains, and has `lame_duck` and `drain` of the configuration for it: docker stop --time.
STOPSIGNAL SIGTERM
# Asks the listener of [monitoring], or that of [admin], which the configuration has for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=90s CMD ["/usr/local/bin/vidgate", "health", "--config", "/etc/vidgate/vidgate.toml"]
ENTRYPOINT ["/usr/local/bin/vidgate"]
CMD ["serve", "--config", "/etc/vidgate/vidgate.toml"]
